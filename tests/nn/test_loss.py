"""Losses, as functions and modules: torch is the judge, on its own samples."""

import inspect
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup import nn
from groundup.nn import functional as loss
from tests.nn.torch_samples import run, samples

floats = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
FUNCTIONS = [
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
]
MODULES = [
    "CrossEntropyLoss",
    "NLLLoss",
    "BCEWithLogitsLoss",
    "MSELoss",
    "L1Loss",
    "SmoothL1Loss",
]


def assert_same(name: str, *args, coarse: bool = False, **kwargs) -> None:
    """Equal values and, for every float argument, equal gradients."""
    outputs, grads = [], []
    for function in (getattr(loss, name), getattr(F, name)):
        copies = [
            arg.detach().clone().requires_grad_(arg.is_floating_point())
            for arg in args
        ]
        output = function(*copies, **kwargs)
        weights = torch.arange(1.0, 1 + output.numel()).view_as(output)
        output.backward(weights.to(output.dtype))
        outputs.append(output.detach())
        grads.append([copy.grad for copy in copies if copy.requires_grad])
    for actual, expected in zip(*[(o, *g) for o, g in zip(outputs, grads)]):
        scale = float(expected.nan_to_num().abs().sum()) if coarse else 0.0
        close = {"rtol": 4e-2 if coarse else 1e-5, "atol": 1e-5 + 1e-2 * scale}
        assert_close(actual, expected, equal_nan=True, **close)


def check_samples(name: str, dtype: torch.dtype) -> None:
    """Values, dtypes and gradients over torch's samples of a loss."""
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    count = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=True):
        coarse = dtype == torch.bfloat16
        args = sample.input, *sample.args
        assert_same(name, *args, coarse=coarse, **sample.kwargs)
        count += 1
    assert count


@floats
@pytest.mark.earns("torch.nn.functional.nll_loss")
def test_nll_loss_is_torchs(dtype):
    check_samples("nll_loss", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.cross_entropy")
def test_cross_entropy_is_torchs(dtype):
    check_samples("cross_entropy", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.binary_cross_entropy_with_logits")
def test_binary_cross_entropy_is_torchs(dtype):
    check_samples("binary_cross_entropy_with_logits", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.mse_loss")
def test_mse_loss_is_torchs(dtype):
    check_samples("mse_loss", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.l1_loss")
def test_l1_loss_is_torchs(dtype):
    check_samples("l1_loss", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.smooth_l1_loss")
def test_smooth_l1_loss_is_torchs(dtype):
    check_samples("smooth_l1_loss", dtype)


def check_module(name: str) -> None:
    """Ours on torch's samples of the module, in single and double."""
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    for dtype in (torch.float32, torch.float64):
        for sample in samples(name, dtype):
            (sample,) = sample.values
            made, given = sample.constructor_input, sample.forward_input
            results = [
                run(kind(*made.args, **made.kwargs), given)
                for kind in (ours, theirs)
            ]
            assert_close(*results, equal_nan=True)


@pytest.mark.earns("torch.nn.CrossEntropyLoss")
def test_cross_entropy_module_is_torchs():
    check_module("CrossEntropyLoss")


@pytest.mark.earns("torch.nn.NLLLoss")
def test_nll_module_is_torchs():
    check_module("NLLLoss")


@pytest.mark.earns("torch.nn.BCEWithLogitsLoss")
def test_binary_module_is_torchs():
    check_module("BCEWithLogitsLoss")


@pytest.mark.earns("torch.nn.MSELoss")
def test_mse_module_is_torchs():
    check_module("MSELoss")


@pytest.mark.earns("torch.nn.L1Loss")
def test_l1_module_is_torchs():
    check_module("L1Loss")


@pytest.mark.earns("torch.nn.SmoothL1Loss")
def test_smooth_l1_module_is_torchs():
    check_module("SmoothL1Loss")


SHAPES = [(3,), (4, 3), (4, 3, 2), (2, 3, 2, 5), (2, 3, 2, 1, 2), (0, 3)]


def labels_for(shape: tuple[int, ...], ignored: int | None) -> torch.Tensor:
    torch.manual_seed(0)
    target = torch.randint(3, shape[:-1] if len(shape) == 1 else shape[:1])
    target = torch.randint(3, () if len(shape) == 1 else shape[:1] + shape[2:])
    if ignored is not None and target.numel() > 1:
        target.flatten()[0] = ignored
    return target


@reductions
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_labels_over_all_settings(shape, weighted, reduction):
    weight = torch.tensor([0.5, 2.0, 0.0]) if weighted else None
    settings = product([-100, 1], [0.0, 0.1, 1.0])
    for ignore_index, label_smoothing in settings:
        assert_same(
            "cross_entropy",
            torch.randn(shape),
            labels_for(shape, ignore_index),
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


@reductions
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_of_probabilities(shape, label_smoothing, reduction):
    torch.manual_seed(0)
    for weight in (None, torch.tensor([0.5, 2.0, 1.0])):
        assert_same(
            "cross_entropy",
            torch.randn(shape),
            torch.rand(shape),
            weight=weight,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


@given(
    scores=st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    ),
    label=st.integers(0, 3),
    label_smoothing=st.floats(0, 1),
)
def test_cross_entropy_over_any_scores(scores, label, label_smoothing):
    target = torch.full((len(scores),), label)
    assert_same(
        "cross_entropy",
        torch.tensor(scores),
        target,
        label_smoothing=label_smoothing,
    )


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 3.0])])
def test_nothing_but_ignored_labels(name, weight):
    target = torch.tensor([-100, -100])
    for reduction in ("mean", "sum", "none"):
        options = {"weight": weight, "reduction": reduction}
        assert_same(name, torch.randn(2, 3), target, **options)


def test_an_ignored_place_may_hold_infinity():
    log_p = torch.tensor([[-torch.inf, 0.0], [-1.0, -0.5]])
    assert_same("nll_loss", log_p, torch.tensor([-100, 0]))


@reductions
def test_weights_of_squared_and_absolute_errors(reduction):
    torch.manual_seed(0)
    x, y, weight = torch.randn(3, 4), torch.randn(3, 4), torch.rand(3, 4)
    for name in ("mse_loss", "l1_loss"):
        assert_same(name, x, y, weight=weight, reduction=reduction)


@reductions
def test_binary_weights_broadcast(reduction):
    torch.manual_seed(0)
    assert_same(
        "binary_cross_entropy_with_logits",
        torch.randn(5, 3) * 50,
        torch.rand(5, 3),
        weight=torch.rand(5, 1),
        pos_weight=torch.rand(3),
        reduction=reduction,
    )


def test_binary_cross_entropy_at_zero_and_at_extremes():
    x = torch.tensor([0.0, 0.0, 1e4, -1e4, 1e4, -1e4, torch.inf])
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    assert_same("binary_cross_entropy_with_logits", x, target)


@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0])
def test_smooth_l1_at_its_seams(beta):
    x = torch.tensor([0.0, 0.5, -0.5, 3.0, -3.0, 7.0])
    assert_same("smooth_l1_loss", x, torch.zeros(6), beta=beta)


@pytest.mark.filterwarnings("ignore:size_average")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_old_flags_still_work(name, size_average, reduce):
    classes = name in ("nll_loss", "cross_entropy")
    target = torch.tensor([0, 2]) if classes else torch.rand(2, 3)
    options = {"size_average": size_average, "reduce": reduce}
    assert_same(name, torch.randn(2, 3), target, **options)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_torchs_parameters_and_defaults(name):
    ours, theirs = (inspect.signature(getattr(m, name)) for m in (loss, F))
    described = [
        [(p.name, p.default) for p in signature.parameters.values()]
        for signature in (ours, theirs)
    ]
    assert described[0] == described[1]


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_torchs_parameters_and_state(name):
    ours, theirs = (getattr(package, name) for package in (nn, torch.nn))
    described = [
        [(p.name, p.default) for p in inspect.signature(c).parameters.values()]
        for c in (ours, theirs)
    ]
    assert described[0] == described[1]
    assert repr(ours()) == repr(theirs())
    if "weight" in inspect.signature(ours).parameters:
        weight = torch.rand(3)
        judge = theirs(weight=weight)
        assert list(ours(weight=weight).state_dict()) == list(
            judge.state_dict()
        )
        assert ours(weight=weight).double().weight.dtype == torch.float64


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    "scores, labels",
    [((4, 10), (3,)), ((4, 10), (4, 1)), ((4, 10, 2), (4,)), ((10,), (1,))],
)
def test_labels_that_do_not_fit_are_refused_with_both_shapes(
    name, scores, labels
):
    with pytest.raises((RuntimeError, ValueError)) as error:
        target = torch.zeros(labels, dtype=torch.long)
        getattr(loss, name)(torch.zeros(scores), target)
    assert str(scores) in str(error.value) and str(labels) in str(error.value)


@pytest.mark.parametrize("name", FUNCTIONS[2:])
def test_a_column_is_no_row(name):
    with pytest.raises(ValueError, match=r"\(4, 1\) and target \(4,\)"):
        getattr(loss, name)(torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_unknown_reduction_is_refused(name):
    classes = name in ("nll_loss", "cross_entropy")
    target = torch.tensor([0, 2]) if classes else torch.rand(2, 3)
    with pytest.raises(ValueError, match="average"):
        getattr(loss, name)(torch.zeros(2, 3), target, reduction="average")


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_label_beyond_the_classes_is_refused(name, label):
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        getattr(loss, name)(torch.zeros(1, 3), torch.tensor([label]))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_weight_for_each_class(name):
    with pytest.raises((ValueError, RuntimeError), match="weight"):
        weight = torch.ones(4)
        getattr(loss, name)(torch.zeros(1, 3), torch.tensor([0]), weight)


@pytest.mark.parametrize(
    "target, options, message",
    [
        (torch.zeros(2, 3, dtype=torch.long), {}, "int64"),
        (torch.zeros(2, 3), {"ignore_index": 1}, "index 1"),
        (torch.zeros(2).long(), {"label_smoothing": 1.5}, "1.5"),
    ],
)
def test_cross_entropy_refuses_what_torch_refuses(target, options, message):
    with pytest.raises(RuntimeError):
        F.cross_entropy(torch.zeros(2, 3), target, **options)
    with pytest.raises(RuntimeError, match=message):
        loss.cross_entropy(torch.zeros(2, 3), target, **options)


def test_smooth_l1_refuses_a_negative_beta():
    with pytest.raises(ValueError, match="-1"):
        loss.smooth_l1_loss(torch.zeros(2), torch.zeros(2), beta=-1)


def error_of(function, *arguments, **options) -> type | None:
    try:
        function(*arguments, **options)
    except Exception as error:
        return type(error)
    return None


ALIKE = ("cross_entropy", "nll_loss")


@given(
    name=st.sampled_from(ALIKE),
    scores=st.sampled_from([(4, 5), (1, 3), (2, 3, 4), (2, 3, 2, 2)]),
    labels=st.sampled_from([(4,), (1,), (2,), (2, 4), (2, 5), (3, 4), (4, 1)]),
    dtype=st.sampled_from(
        [torch.int64, torch.uint8, torch.int32, torch.int8, torch.float32]
    ),
    label=st.sampled_from([0, 2, 3, 5, 100, 156, 255, -1, -100]),
    ignore_index=st.sampled_from([-100, -1, 0, 2, 156]),
    n_weights=st.sampled_from([None, 3, 5]),
)
@settings(deadline=None, max_examples=400)
def test_labels_are_taken_or_refused_as_torch_does(
    name, scores, labels, dtype, label, ignore_index, n_weights
):
    if label < 0 and dtype == torch.uint8:
        label += 256
    if not torch.iinfo(torch.int8).min <= label < 128 and dtype == torch.int8:
        label = 3
    input = torch.randn(scores).log_softmax(1).requires_grad_()
    if dtype == torch.uint8 and len(scores) > 2:
        dtype = torch.int64  # torch takes bytes for rows alone
    target = torch.full(labels, label, dtype=dtype)
    options = {"ignore_index": ignore_index}
    if n_weights is not None:
        options["weight"] = torch.rand(n_weights) + 0.1
    ours, theirs = getattr(loss, name), getattr(F, name)
    refused = error_of(theirs, input, target, **options)
    assert error_of(ours, input, target, **options) is refused
    if refused is None:
        actual, expected = (f(input, target, **options) for f in (ours, theirs))
        assert_close(actual, expected, equal_nan=True)
        grads = [torch.autograd.grad(f, input)[0] for f in (actual, expected)]
        assert_close(*grads, equal_nan=True)
