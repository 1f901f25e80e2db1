"""Probabilities: torch is the judge, on its own samples."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn.functional import binary, probability

floats = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)


def check_samples(ours, theirs, name: str, dtype: torch.dtype) -> None:
    """Values, dtypes and gradients over torch's samples of a function."""
    ops = [op for op in op_db if op.name == name]
    samples = [
        sample
        for op in ops
        for sample in op.sample_inputs("cpu", dtype, requires_grad=True)
    ]
    assert samples
    for sample in samples:
        results = [
            function(sample.input, *sample.args, **sample.kwargs)
            for function in (ours, theirs)
        ]
        tolerance = {"rtol": 2e-2, "atol": 2e-2}
        tolerance = tolerance if dtype == torch.bfloat16 else {}
        assert_close(*results, **tolerance)
        weight = torch.randn_like(results[0])
        grads = [
            torch.autograd.grad(result, sample.input, weight)
            for result in results
        ]
        assert_close(*grads, **tolerance)


@floats
@pytest.mark.earns("torch.softmax")
def test_softmax_is_torchs(dtype):
    check_samples(probability.softmax, torch.softmax, "softmax", dtype)


@floats
@pytest.mark.earns("torch.nn.functional.softmax")
def test_softmax_is_that_of_functional(dtype):
    check_samples(probability.softmax, F.softmax, "softmax", dtype)


@floats
@pytest.mark.earns("torch.log_softmax")
def test_log_softmax_is_torchs(dtype):
    name = "log_softmax"
    check_samples(probability.log_softmax, torch.log_softmax, name, dtype)


@floats
@pytest.mark.earns("torch.nn.functional.log_softmax")
def test_log_softmax_is_that_of_functional(dtype):
    name = "log_softmax"
    check_samples(probability.log_softmax, F.log_softmax, name, dtype)


@floats
@pytest.mark.earns("torch.logsumexp")
def test_logsumexp_is_torchs(dtype):
    name = "logsumexp"
    check_samples(probability.logsumexp, torch.logsumexp, name, dtype)


@floats
@pytest.mark.earns("torch.nn.functional.logsigmoid")
def test_logsigmoid_is_torchs(dtype):
    name = "nn.functional.logsigmoid"
    check_samples(binary.logsigmoid, F.logsigmoid, name, dtype)


extremes = pytest.mark.parametrize(
    "row",
    [
        [1e4, 1e4 + 1],
        [3e38, -3e38],
        [-1e30, -1e30],
        [torch.inf, 0.0],
        [-torch.inf, 0.0],
        [-torch.inf, -torch.inf],
        [torch.nan, 0.0],
    ],
    ids=str,
)


@extremes
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_extreme_scores_give_torchs_values(name, row):
    scores = torch.tensor([row])
    actual = getattr(probability, name)(scores, 1)
    assert_close(actual, getattr(torch, name)(scores, 1), equal_nan=True)


def test_logsigmoid_at_its_kink_and_far_away():
    x = torch.tensor([0.0, -1e3, 1e3, 3e38, -3e38], requires_grad=True)
    actual, expected = binary.logsigmoid(x), F.logsigmoid(x)
    assert_close(actual, expected)
    weight = torch.ones(5)
    assert_close(
        torch.autograd.grad(actual, x, weight),
        torch.autograd.grad(expected, x, weight),
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_second_derivative_is_torchs(name):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    ours = getattr(probability, name)
    assert torch.autograd.gradgradcheck(lambda x: ours(x, 1), x)
