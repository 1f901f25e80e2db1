"""Batch normalisation as a function: torch is the judge, on its own samples."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn.functional import batch_norm

floats = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
CLOSE = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
    torch.bfloat16: {"rtol": 4e-2, "atol": 4e-2},
}


def leaf(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value


def outcome(function, input, *tensors, **settings):
    """Output, gradients, and both averages as the call has left them."""
    input, *tensors = map(leaf, (input, *tensors))
    running, parameters = tensors[:2], tensors[2:]
    learned = [input, *(p for p in parameters if p is not None)]
    for tensor in learned:
        tensor.requires_grad_()
    output = function(input, *running, *parameters, **settings)
    weights = torch.linspace(-1, 2, output.numel()).view_as(output)
    grads = torch.autograd.grad(output, learned, weights.to(output))
    averages = [each for each in running if each is not None]
    return [output.detach(), *grads, *averages]


def assert_same(*args, **settings) -> None:
    ours = outcome(batch_norm, *args, **settings)
    theirs = outcome(F.batch_norm, *args, **settings)
    assert [each.dtype for each in ours] == [each.dtype for each in theirs]
    for actual, expected in zip(ours, theirs, strict=True):
        close = CLOSE[args[0].dtype]
        assert_close(actual, expected, equal_nan=True, **close)


@floats
@pytest.mark.earns("torch.nn.functional.batch_norm")
def test_batch_norm_is_torchs_on_its_samples(dtype):
    ops = [op for op in op_db if op.name == "nn.functional.batch_norm"]
    count = 0
    for op in ops:
        for sample in op.sample_inputs("cpu", dtype, requires_grad=True):
            settings = dict(sample.kwargs)
            settings.pop("cudnn_enabled", None)
            assert_same(sample.input, *sample.args, **settings)
            count += 1
    assert count == 12 * len(ops) >= 12


@st.composite
def calls(draw):
    """Shapes from rows to volumes, any settings, means far from 0."""
    torch.manual_seed(draw(st.integers(0, 99)))
    n, c = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    places = draw(st.lists(st.integers(1, 4), max_size=3))
    training = draw(st.booleans())
    if training and n * torch.Size(places).numel() == 1:
        n = 2
    far = draw(st.sampled_from([0.0, 5.0, -100.0]))
    input = far + torch.randn(n, c, *places, dtype=torch.float64)
    held = [torch.randn(c), torch.rand(c) + 0.1, torch.randn(c), torch.randn(c)]
    held = [each.double() for each in held]
    if training and draw(st.booleans()):
        held[:2] = None, None
    for place in (2, 3):
        held[place] = held[place] if draw(st.booleans()) else None
    momentum = draw(st.floats(-1, 1.5))
    return input, held, {"training": training, "momentum": momentum}


@given(calls())
def test_batch_norm_is_torchs_over_any_call(call):
    input, held, settings = call
    assert_same(input, *held, **settings)


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 4), (2, 3, 2, 3)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_of_batch_norm_are_right_and_have_gradients(
    shape, training
):
    torch.manual_seed(0)
    channels = shape[1]
    mean, var = (torch.rand(channels).double() + 0.5 for _ in range(2))

    def call(*inputs):
        input, weight, bias = inputs
        return batch_norm(input, *averages(), weight, bias, training=training)

    def averages():
        return mean.clone(), var.clone()

    inputs = double(*shape), double(channels), double(channels)
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


def test_the_statistics_of_batch_norm_have_gradients():
    from groundup.nn.functional.norm import _ByBatch

    torch.manual_seed(0)
    inputs = double(4, 3, 2), double(3), double(3)
    call = partial(_ByBatch.apply)
    assert gradcheck(lambda *each: call(*each, 1e-5), inputs)
    assert gradgradcheck(lambda *each: call(*each, 1e-5), inputs)


def test_channels_far_from_zero_keep_their_digits():
    """Where E[x^2] - E[x]^2 has no digit left."""
    torch.manual_seed(0)
    x = 10_000 + torch.randn(64, 8, 3, 3)
    y = batch_norm(x, None, None, training=True)
    judge = F.batch_norm(x.double(), None, None, training=True)
    assert_close(y.double(), judge, rtol=0, atol=5e-3)
    constant = torch.full((6, 2), 3.0, dtype=torch.float64)
    assert_same(constant, None, None, training=True)


def test_memory_formats_are_kept():
    x = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    y = batch_norm(x, None, None, training=True)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_same(x, None, None, training=True)
    assert_same(x.transpose(2, 3)[:, :, ::2], None, None, training=True)


@pytest.mark.parametrize("held", [torch.bfloat16, torch.float32], ids=str)
def test_half_precision_with_either_kind_of_parameters(held):
    torch.manual_seed(0)
    x = torch.randn(16, 3, 4).bfloat16()
    tensors = [torch.rand(3).to(held) + 0.5 for _ in range(4)]
    for training in (True, False):
        assert_same(x, *tensors, training=training)


def test_a_gradient_is_only_taken_where_it_is_wanted():
    x, weight = double(4, 3).detach(), double(3)
    y = batch_norm(x, None, None, weight, training=True)
    y.square().sum().backward()
    assert x.grad is None and weight.grad is not None


def vectors(*lengths: int | None) -> list:
    return [None if n is None else torch.ones(n) for n in lengths]


@pytest.mark.parametrize(
    ("shape", "held", "settings"),
    [
        ((4, 5), [4, 5], {}),
        ((4, 5), [5, 4], {"training": True}),
        ((4, 5), [5, 5, 4], {"training": True}),
        ((4, 5), [5, 5, 5, 4], {}),
        ((4, 5), [None, None], {}),
        ((4, 5), [5, None], {}),
        ((4, 5), [None, 5], {}),
        ((4, 5), [5, None], {"training": True}),
        ((4, 5), [None, 5], {"training": True}),
        ((5,), [5, 5], {}),
        ((1, 5), [None, None], {"training": True}),
        ((1, 5, 1, 1), [5, 5], {"training": True}),
        ((4, 5), [5, 5], {"eps": -1.0}),
        ((4, 5), [5, 5], {"eps": 0.0, "training": True}),
    ],
)
def test_what_torch_refuses_is_refused_alike(shape, held, settings):
    call = (torch.randn(shape), *vectors(*held))
    with pytest.raises((RuntimeError, ValueError)) as theirs:
        F.batch_norm(*call, **settings)
    with pytest.raises(theirs.type) as ours:
        batch_norm(*call, **settings)
    assert ours.type is theirs.type


def test_an_error_shows_both_shapes():
    with pytest.raises(RuntimeError, match=r"\(5,\).*\(4, 5\).*\(3,\)"):
        batch_norm(torch.randn(4, 5), *vectors(5, 5, 3))


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_leaves_the_averages(training):
    assert_same(torch.randn(0, 3, 2), *vectors(3, 3, 3, 3), training=training)


def test_nothing_but_floating_point_is_normalised():
    for dtype in (torch.int64, torch.complex64):
        x = torch.ones(4, 3, dtype=dtype)
        with pytest.raises(RuntimeError):
            F.batch_norm(x, None, None, training=True)
        with pytest.raises(RuntimeError, match="floating"):
            batch_norm(x, None, None, training=True)
