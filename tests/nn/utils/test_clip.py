import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.nn.utils import clip_grad_norm_, clip_grad_value_
from groundup.testing import assert_close

theirs = torch.nn.utils


def parameters(seed, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for shape in ((3, 4), (), (5,), (2,)):
        p = torch.nn.Parameter(torch.zeros(shape, dtype=dtype))
        p.grad = (torch.randn(shape, generator=generator) * scale).to(dtype)
        made.append(p)
    made[-1].grad = None
    return made


def compare(ours, others):
    for a, b in zip(ours, others, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            assert_close(a.grad, b.grad, rtol=1e-5)


@pytest.mark.earns("torch.nn.utils.clip_grad_norm_")
@settings(deadline=None)
@given(
    st.integers(0, 99),
    st.sampled_from([0.5, 1.0, 2.0, 3.5, math.inf]),
    st.sampled_from([1e-3, 0.5, 1.0, 100.0]),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
)
def test_norms_are_clipped_as_torch_does(seed, order, bound, dtype, scale):
    ours, others = (parameters(seed, dtype, scale) for _ in range(2))
    norm = clip_grad_norm_(ours, bound, order)
    expected = theirs.clip_grad_norm_(others, bound, order)
    assert_close(norm, expected, rtol=1e-5)
    compare(ours, others)


def test_one_tensor_generators_and_no_gradients_are_taken():
    ours, others = parameters(0), parameters(0)
    clip_grad_norm_(ours[0], 0.1)
    theirs.clip_grad_norm_(others[0], 0.1)
    clip_grad_norm_(iter(ours), 0.1)
    theirs.clip_grad_norm_(others, 0.1)
    compare(ours, others)
    assert clip_grad_norm_([torch.nn.Parameter(torch.zeros(2))], 1.0) == 0


@pytest.mark.parametrize("clip", [clip_grad_norm_, theirs.clip_grad_norm_])
def test_a_norm_that_is_not_finite_can_be_an_error(clip):
    params = parameters(0)
    params[0].grad[0, 0] = math.nan
    with pytest.raises(RuntimeError, match="cannot be clipped"):
        clip(params, 1.0, error_if_nonfinite=True)


@pytest.mark.earns("torch.nn.utils.clip_grad_value_")
@settings(deadline=None)
@given(st.integers(0, 99), st.sampled_from([1e-3, 0.5, 10.0]))
def test_values_are_clipped_as_torch_does(seed, bound):
    ours, others = parameters(seed), parameters(seed)
    clip_grad_value_(ours, bound)
    theirs.clip_grad_value_(others, bound)
    compare(ours, others)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [300.0, 1e-5])
def test_squares_of_half_precision_neither_overflow_nor_vanish(dtype, value):
    param = torch.nn.Parameter(torch.zeros(1000, dtype=dtype))
    param.grad = torch.full_like(param, value)
    exact = param.grad.double().norm()
    norm = clip_grad_norm_([param], exact.item() / 2)
    assert_close(norm.double(), exact, rtol=1e-2)
    assert_close(param.grad.double().norm(), exact / 2, rtol=2e-2)
