"""Norms of single examples, as functions: torch is the judge."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn import functional

floats = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
CLOSE = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
    torch.bfloat16: {"rtol": 4e-2, "atol": 1e-1},
}
AVERAGES = ("running_mean", "running_var")


def outcome(function, args: tuple, kwargs: dict) -> list[torch.Tensor]:
    """Output, gradients, and averages as the call has left them."""

    def leaf(value, averaged=False):
        if not isinstance(value, torch.Tensor):
            return value
        return value.detach().clone().requires_grad_(not averaged)

    args = [leaf(value) for value in args]
    kwargs = {k: leaf(value, k in AVERAGES) for k, value in kwargs.items()}
    output = function(*args, **kwargs)
    tensors = [
        value
        for value in [*args, *kwargs.values()]
        if isinstance(value, torch.Tensor)
    ]
    learned = [each for each in tensors if each.requires_grad]
    weights = torch.linspace(-1, 2, output.numel()).view_as(output)
    grads = torch.autograd.grad(output, learned, weights.to(output))
    averages = [each for each in tensors if not each.requires_grad]
    return [output.detach(), *grads, *averages]


def assert_same(name: str, *args, **kwargs) -> None:
    results = [
        outcome(getattr(home, name), args, kwargs) for home in (functional, F)
    ]
    for actual, expected in zip(*results, strict=True):
        assert actual.dtype == expected.dtype
        close = CLOSE[args[0].dtype]
        assert_close(actual, expected, equal_nan=True, **close)


def check_samples(name: str, dtype: torch.dtype, expected: int) -> None:
    (op, *_) = (o for o in op_db if o.name == f"nn.functional.{name}")
    samples = list(op.sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) == expected
    for sample in samples:
        assert_same(name, sample.input, *sample.args, **sample.kwargs)
    if op.error_inputs_func is None:
        return
    for case in op.error_inputs("cpu"):
        given = case.sample_input
        with pytest.raises(case.error_type):
            getattr(functional, name)(given.input, *given.args, **given.kwargs)


@floats
@pytest.mark.earns("torch.nn.functional.layer_norm")
def test_layer_norm_is_torchs(dtype):
    check_samples("layer_norm", dtype, 6)


@floats
@pytest.mark.earns("torch.nn.functional.rms_norm")
def test_rms_norm_is_torchs(dtype):
    check_samples("rms_norm", dtype, 6)


@floats
@pytest.mark.earns("torch.nn.functional.group_norm")
def test_group_norm_is_torchs(dtype):
    check_samples("group_norm", dtype, 21)


@floats
@pytest.mark.earns("torch.nn.functional.instance_norm")
def test_instance_norm_is_torchs(dtype):
    check_samples("instance_norm", dtype, 9)


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(shapes, st.integers(1, 3), st.booleans(), st.booleans())
def test_norms_of_the_last_axes_over_any_shape(shape, n_axes, scaled, moved):
    torch.manual_seed(0)
    last = shape[-n_axes:]
    weight = double(*last) if scaled else None
    bias = double(*last) if moved else None
    assert_same("layer_norm", double(*shape), last, weight, bias)
    assert_same("rms_norm", double(*shape), last, weight)
    assert_same("rms_norm", double(*shape), last, weight, 0.1)


@given(
    n=st.integers(0, 3),
    groups=st.integers(1, 3),
    each=st.integers(1, 3),
    places=st.lists(st.integers(1, 4), max_size=3),
    held=st.tuples(st.booleans(), st.booleans()),
)
def test_group_norm_over_any_shape(n, groups, each, places, held):
    torch.manual_seed(0)
    x, c = double(n, groups * each, *places), groups * each
    if n * each * torch.Size(places).numel() == 1:
        each, c, x = 2, groups * 2, double(n, groups * 2, *places)
    weight = double(c) if held[0] else None
    bias = double(c) if all(held) else None  # torch fails with a bias alone
    assert_same("group_norm", x, groups, weight, bias)


@given(
    n=st.integers(0, 3),
    c=st.integers(1, 3),
    places=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    kept=st.booleans(),
    own=st.booleans(),
    momentum=st.floats(0, 1),
)
def test_instance_norm_over_any_shape(n, c, places, kept, own, momentum):
    torch.manual_seed(0)
    settings = {"momentum": momentum, "use_input_stats": own or not kept}
    if kept:
        settings |= dict(
            zip(AVERAGES, (double(c), double(c).exp()), strict=True)
        )
    if not n and settings["use_input_stats"]:
        settings = {}  # torch makes the averages nan by a mean of nothing
    assert_same("instance_norm", double(n, c, *places), **settings)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("layer_norm", ([3],)),
        ("rms_norm", ([4, 3],)),
        ("group_norm", (2,)),
        ("instance_norm", ()),
    ],
)
def test_gradients_are_right_and_have_gradients(name, args):
    torch.manual_seed(0)
    x = double(2, 4, 3)
    assert gradcheck(lambda x: getattr(functional, name)(x, *args), x)
    assert gradgradcheck(lambda x: getattr(functional, name)(x, *args), x)


@pytest.mark.parametrize(
    ("name", "args"),
    [("layer_norm", ([6, 64],)), ("group_norm", (2,)), ("instance_norm", ())],
)
def test_examples_far_from_zero_keep_their_digits(name, args):
    """Where E[x^2] - E[x]^2 has no digit left."""
    torch.manual_seed(0)
    x = 10_000 + torch.randn(4, 6, 64)
    ours, theirs = getattr(functional, name), getattr(F, name)
    found, expected = ours(x, *args).double(), theirs(x.double(), *args)
    assert_close(found, expected, rtol=0, atol=1e-2)


ones = torch.ones


@pytest.mark.parametrize(
    ("name", "shape", "args", "kwargs"),
    [
        ("layer_norm", (4, 6, 3), ([4],), {}),
        ("layer_norm", (4, 6, 3), ([],), {}),
        ("layer_norm", (4, 6, 3), ([3], ones(2)), {}),
        ("layer_norm", (4, 6, 3), ([3], None, ones(2)), {}),
        ("layer_norm", (3,), ([4, 3],), {}),
        ("rms_norm", (4, 6, 3), ([4],), {}),
        ("rms_norm", (4, 6, 3), ([],), {}),
        ("rms_norm", (4, 6, 3), ([3], ones(2)), {}),
        ("group_norm", (4, 6, 3), (4,), {}),
        ("group_norm", (4, 6, 3), (-2,), {}),
        ("group_norm", (4, 6, 3), (2, ones(2)), {}),
        ("group_norm", (4, 6, 3), (2, None, ones(2)), {}),
        ("group_norm", (6,), (2,), {}),
        ("group_norm", (1, 2, 1), (2,), {}),
        ("instance_norm", (4, 6, 1), (), {}),
        ("instance_norm", (4, 6), (), {}),
        ("instance_norm", (4, 6, 3), (), {"use_input_stats": False}),
        ("instance_norm", (4, 6, 3), (ones(6), None), {}),
        ("instance_norm", (4, 6, 3), (ones(5), ones(5)), {}),
        ("instance_norm", (4, 6, 3), (), {"weight": ones(2)}),
        ("instance_norm", (4, 6, 3), (), {"bias": ones(2)}),
    ],
)
def test_what_torch_refuses_is_refused_alike(name, shape, args, kwargs):
    x = torch.randn(shape)
    with pytest.raises((RuntimeError, ValueError)) as theirs:
        getattr(F, name)(x, *args, **kwargs)
    with pytest.raises(theirs.type) as ours:
        getattr(functional, name)(x, *args, **kwargs)
    assert ours.type is theirs.type


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("layer_norm", {"normalized_shape": [5]}),
        ("rms_norm", {"normalized_shape": [5]}),
        ("group_norm", {"num_groups": 2, "weight": ones(5)}),
        ("instance_norm", {"weight": ones(5)}),
    ],
)
def test_an_error_shows_both_shapes(name, settings):
    with pytest.raises(RuntimeError, match=r"\(5,\)") as error:
        getattr(functional, name)(torch.randn(2, 4, 3), **settings)
    assert "(2, 4, 3)" in str(error.value)


@pytest.mark.parametrize("held", [torch.bfloat16, torch.float32], ids=str)
def test_half_precision_with_either_kind_of_parameters(held):
    torch.manual_seed(0)
    x, weight = torch.randn(4, 6, 3).bfloat16(), torch.rand(6).to(held)
    assert_same("layer_norm", x, [3], weight[:3], weight[3:])
    assert_same("group_norm", x, 2, weight, weight)
    assert_same("instance_norm", x, weight=weight, bias=weight)
    small = torch.full((2, 4), 1e-4).bfloat16()
    assert_same("rms_norm", small, [4])
