"""Losses over float types, layouts, targets and settings, drawn at random.

Torch is the judge of the values and of each float argument's gradient.
"""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn import functional

TOLERANCES = {
    torch.float64: 1e-9,
    torch.float32: 2e-5,
    torch.float16: 5e-3,
    torch.bfloat16: 4e-2,
}
DTYPES = st.sampled_from(list(TOLERANCES))
REDUCTIONS = st.sampled_from(["none", "sum", "mean"])
SEEDS = st.integers(0, 999)
SMOOTHINGS = st.sampled_from([0.0, 0.1, 1.0])


@st.composite
def layouts(draw) -> tuple[int, ...]:
    """(k,), or (n, k, ...) with up to three axes more."""
    k = draw(st.integers(1, 5))
    if draw(st.booleans()):
        return (k,)
    more = draw(st.lists(st.integers(1, 3), max_size=3))
    return (draw(st.integers(1, 4)), k, *more)


def judge(name: str, inputs: tuple, *others, **options) -> None:
    """Ours and torch's: one type, and near as the type allows."""
    found = []
    for module in (functional, F):
        copies = [x.clone().requires_grad_() for x in inputs]
        output = getattr(module, name)(*copies, *others, **options)
        grad = torch.ones_like(output) / max(1, output.numel())
        found.append((output, *torch.autograd.grad(output, copies, grad)))
    near = TOLERANCES[inputs[0].dtype]
    for actual, expected in zip(*found, strict=True):
        finite = expected.detach().double().nan_to_num(posinf=0, neginf=0)
        atol = near * max(1.0, finite.abs().sum().item() / 8)
        assert_close(actual, expected, rtol=near, atol=atol, equal_nan=True)


def weights(draw, k: int, dtype: torch.dtype) -> torch.Tensor | None:
    """None, or a weight for each class; all are zero at times."""
    scale = draw(st.sampled_from([None, 0.0, 1.0, 1.0]))
    return None if scale is None else (torch.rand(k) * scale).to(dtype)


@st.composite
def with_labels(draw) -> tuple:
    """A loss of classes, its scores, labels and settings."""
    shape, dtype = draw(layouts()), draw(DTYPES)
    torch.manual_seed(draw(SEEDS))
    axis = min(len(shape), 2) - 1
    scores = (torch.randn(shape) * draw(st.sampled_from([0.0, 1, 20]))).to(
        dtype
    )
    labels = torch.randint(shape[axis], shape[:axis] + shape[axis + 1 :])
    ignored = draw(st.sampled_from([-100, -1, 0]))
    some = torch.rand(labels.shape) < draw(st.sampled_from([0.0, 0.4, 1.0]))
    labels = labels.masked_fill(some, ignored)
    name = draw(st.sampled_from(["cross_entropy", "nll_loss"]))
    options = {"ignore_index": ignored, "reduction": draw(REDUCTIONS)}
    options["weight"] = weights(draw, shape[axis], dtype)
    if name == "nll_loss":
        return name, scores.log_softmax(axis), labels, options
    return name, scores, labels, options | {"label_smoothing": draw(SMOOTHINGS)}


@given(with_labels())
@settings(deadline=None, max_examples=300)
def test_labels(drawn):
    name, scores, labels, options = drawn
    judge(name, (scores,), labels, **options)
    rows = scores.ndim == 2 and not (labels < 0).any()
    if rows and not options.get("label_smoothing"):
        judge(name, (scores,), labels.byte(), **options)


@st.composite
def with_probabilities(draw) -> tuple:
    """Scores, probabilities, and settings; some scores are minus infinity."""
    shape, dtype = draw(layouts()), draw(DTYPES)
    torch.manual_seed(draw(SEEDS))
    scores, target = torch.randn(shape), torch.rand(shape)
    if draw(st.booleans()):
        target = target * (torch.rand(shape) < 0.5)
    if draw(st.booleans()):
        scores = scores.masked_fill(torch.rand(shape) < 0.2, -torch.inf)
    axis = min(len(shape), 2) - 1
    options = {
        "weight": weights(draw, shape[axis], dtype),
        "reduction": draw(REDUCTIONS),
        "label_smoothing": draw(SMOOTHINGS),
    }
    return (scores.to(dtype), target.to(dtype)), options


@given(with_probabilities())
@settings(deadline=None, max_examples=200)
def test_probabilities(drawn):
    inputs, options = drawn
    judge("cross_entropy", inputs, **options)


@st.composite
def with_quantities(draw) -> tuple:
    """A loss of two of one shape, both, and settings."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    dtype = draw(DTYPES)
    torch.manual_seed(draw(SEEDS))
    scale = draw(st.sampled_from([0.0, 1.0, 50.0]))
    inputs = (torch.randn(shape) * scale).to(dtype), torch.rand(shape).to(dtype)
    names = ("mse_loss", "l1_loss", "smooth_l1_loss")
    name = draw(st.sampled_from([*names, "binary_cross_entropy_with_logits"]))
    options = {"reduction": draw(REDUCTIONS)}
    if name == "smooth_l1_loss":
        options["beta"] = draw(st.sampled_from([0.0, 0.1, 1.0, 3.0]))
    elif draw(st.booleans()):
        options["weight"] = torch.rand(shape).to(dtype)
    if name not in names and draw(st.booleans()):
        options["pos_weight"] = torch.rand(shape[-1:]).to(dtype)
    return name, inputs, options


@given(with_quantities())
@settings(deadline=None, max_examples=300)
def test_quantities(drawn):
    name, inputs, options = drawn
    judge(name, inputs, **options)
