"""Tests of groundup.nn.functional: torch is the judge, over its own samples."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from groundup.nn import functional
from tests.nn.samples import check_samples

every_dtype = pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.int64],
    ids=str,
)


@every_dtype
@pytest.mark.earns("torch.nn.functional.linear")
def test_linear_is_torchs(dtype):
    check_samples(functional.linear, "nn.functional.linear", dtype, share=0.02)


def test_linear_takes_a_weight_for_a_single_unit():
    x, weight = torch.randn(4, 3), torch.randn(3)
    assert_close(functional.linear(x, weight), F.linear(x, weight))


@pytest.mark.parametrize("x, weight", [((5, 3), (2, 4)), ((5, 1), (2, 4))])
def test_linear_names_both_shapes_when_they_differ(x, weight):
    with pytest.raises(RuntimeError):
        F.linear(torch.zeros(x), torch.zeros(weight))
    with pytest.raises(ValueError) as error:
        functional.linear(torch.zeros(x), torch.zeros(weight))
    assert str(x) in str(error.value) and str(weight) in str(error.value)


@every_dtype
@pytest.mark.earns("torch.nn.functional.relu")
def test_rectify_is_torchs_relu(dtype):
    check_samples(functional.rectify, "nn.functional.relu", dtype)


@every_dtype
def test_relu_is_torchs(dtype):
    check_samples(functional.relu, "nn.functional.relu", dtype)


special = [-torch.inf, -1.0, -0.0, 0.0, 1.0, torch.inf, torch.nan]


@pytest.mark.parametrize("ours", [functional.rectify, functional.relu])
def test_relu_at_its_kink_at_infinity_and_at_nan(ours):
    x = torch.tensor(special, requires_grad=True)
    actual, expected = ours(x), F.relu(x)
    assert_close(actual, expected, equal_nan=True)
    weight = torch.ones_like(x)
    (grad,) = torch.autograd.grad(actual, x, weight)
    (expected_grad,) = torch.autograd.grad(expected, x, weight)
    assert_close(grad[:-1], expected_grad[:-1])  # no slope is right at NaN


def test_relu_works_in_place_only_if_asked():
    x = torch.tensor([-1.0, 2.0])
    assert functional.relu(x) is not x and x[0] == -1
    assert functional.relu(x, inplace=True) is x and x[0] == 0


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_parameters_have_torchs_names_and_order(name):
    ours = inspect.signature(getattr(functional, name))
    expected = (
        ["input", "weight", "bias"]
        if name == "linear"
        else ["input", "inplace"]
    )
    assert list(ours.parameters) == expected
