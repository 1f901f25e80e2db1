"""Gradients by hand against autograd and against finite differences."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from groundup.manual.gradients import (
    linear_bias_gradient,
    linear_input_gradient,
    linear_weight_gradient,
    mse_gradient,
    numerical_gradient,
    relu_gradient,
    residuals,
)
from groundup.testing import assert_close, assert_equal


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def autograd(output: Tensor, *inputs: Tensor, grad: Tensor = None) -> tuple:
    return torch.autograd.grad(output, inputs, grad)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_mse_gradient_matches_autograd(n: int):
    torch.manual_seed(0)
    out, target = randn(n, 1).requires_grad_(), randn(n)
    (expected,) = autograd(F.mse_loss(out.squeeze(-1), target), out)
    assert_close(mse_gradient(out.detach(), target), expected)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (2, 3, 4), (0, 3)], ids=str)
def test_relu_gradient_matches_autograd(shape: tuple):
    torch.manual_seed(0)
    x, grad_y = randn(*shape).requires_grad_(), randn(*shape)
    (expected,) = autograd(x.relu(), x, grad=grad_y)
    assert_close(relu_gradient(x.detach(), grad_y), expected)


def test_relu_passes_nothing_at_zero():
    zero = torch.zeros(2)
    assert_equal(relu_gradient(zero, torch.ones(2)), zero)


@pytest.mark.parametrize("n, d_in, d_out", [(5, 4, 3), (1, 4, 1), (0, 2, 3)])
def test_linear_gradients_match_autograd(n: int, d_in: int, d_out: int):
    torch.manual_seed(0)
    x, w, b = randn(n, d_in), randn(d_out, d_in), randn(d_out)
    for value in (x, w, b):
        value.requires_grad_()
    grad_y = randn(n, d_out)
    expected = autograd(F.linear(x, w, b), x, w, b, grad=grad_y)
    x, w = x.detach(), w.detach()
    assert_close(linear_input_gradient(w, grad_y), expected[0])
    assert_close(linear_weight_gradient(x, grad_y), expected[1])
    assert_close(linear_bias_gradient(grad_y), expected[2])


def test_the_whole_pass_matches_finite_differences():
    torch.manual_seed(0)
    x, w1, w2, target = randn(6, 5), randn(4, 5), randn(1, 4), randn(6)

    def loss(w1: Tensor) -> Tensor:
        return F.mse_loss(((x @ w1.T).relu() @ w2.T).squeeze(-1), target)

    z = x @ w1.T
    grad_out = mse_gradient(z.relu() @ w2.T, target)
    grad_z = relu_gradient(z, linear_input_gradient(w2, grad_out))
    expected = numerical_gradient(loss, w1)
    assert_close(linear_weight_gradient(x, grad_z), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_numerical_gradient_matches_autograd(shape: tuple):
    torch.manual_seed(0)
    x = randn(*shape).requires_grad_()
    (expected,) = autograd(x.sin().exp().sum(), x)
    found = numerical_gradient(lambda x: x.sin().exp().sum(), x.detach())
    assert_close(found, expected, rtol=1e-7)


def test_numerical_gradient_leaves_a_strided_input_as_it_was():
    x = randn(3, 4).T
    before = x.clone()
    found = numerical_gradient(lambda x: (x**2).sum(), x)
    assert_equal(x, before)
    assert_close(found, 2 * x)


# What broadcasts must not pass for a pair

SIZES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(out=SIZES, target=SIZES)
def test_only_pairs_have_a_difference(out: tuple, target: tuple):
    shapes = torch.zeros(out), torch.ones(target)
    if out == (*target, 1):
        assert_equal(residuals(*shapes), -torch.ones(target))
        if target:
            assert mse_gradient(*shapes).shape == out
        return
    for function in (residuals, mse_gradient):
        with pytest.raises(ValueError) as error:
            function(*shapes)
        assert str(out) in str(error.value)
        assert str(target) in str(error.value)


@given(first=SIZES, second=SIZES)
@pytest.mark.parametrize(
    "function, fits",
    [
        (relu_gradient, lambda x, grad_y: x == grad_y),
        (linear_input_gradient, lambda w, grad_y: w[0] == grad_y[1]),
        (linear_weight_gradient, lambda x, grad_y: x[0] == grad_y[0]),
    ],
)
def test_only_shapes_that_fit_have_a_gradient(
    function: Callable, fits: Callable, first: tuple, second: tuple
):
    ranks_fit = function is relu_gradient or len(first) == len(second) == 2
    shapes = torch.zeros(first), torch.ones(second)
    if ranks_fit and fits(first, second):
        function(*shapes)
        return
    with pytest.raises(ValueError) as error:
        function(*shapes)
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)


# A mask passes or does not: infinity times 0 is neither

NUMBERS = st.floats(width=32)  # nan and infinities too


@pytest.mark.earns("torch.ops.aten.threshold_backward")
@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_relu_gradient_is_torchs_kernel_for_all_numbers(
    pairs: list, dtype: torch.dtype
):
    x, grad_y = torch.tensor(pairs, dtype=dtype).reshape(-1, 2).T
    found = relu_gradient(x, grad_y)
    leaf = x.clone().requires_grad_()
    for expected in (
        torch.ops.aten.threshold_backward(grad_y, x, 0),
        autograd(leaf.relu(), leaf, grad=grad_y)[0],
    ):
        torch.testing.assert_close(
            found, expected, rtol=0, atol=0, equal_nan=True
        )


# The judge has no type and no size for which it says nothing


@given(
    slope=st.integers(-100, 100),
    sizes=st.lists(st.integers(-6, 6), min_size=1, max_size=4),
)
@pytest.mark.parametrize(
    "dtype, rtol", [(torch.float64, 1e-6), (torch.float32, 1e-2)]
)
def test_numerical_gradient_finds_every_slope(
    slope: float, sizes: list, dtype: torch.dtype, rtol: float
):
    x = torch.tensor([math.exp(size) for size in sizes], dtype=dtype)
    found = numerical_gradient(lambda x: (slope * x).sum(), x)
    assert found.dtype == dtype
    scale = rtol * abs(slope) * max(1, x.max().item())
    assert_close(found, torch.full_like(x, slope), rtol=rtol, atol=scale)


def test_a_step_that_the_type_cannot_make_is_never_a_slope_of_zero():
    found = numerical_gradient(lambda x: 3 * x.sum(), torch.ones(2), eps=1e-12)
    assert found.isnan().all()


def test_whole_numbers_have_no_gradient():
    with pytest.raises(TypeError, match="int64"):
        numerical_gradient(lambda x: x.sum(), torch.ones(2, dtype=torch.long))
