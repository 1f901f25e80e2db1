"""A function of ours beside torch's, over torch's own official samples."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


def check_samples(
    ours: Callable, name: str, dtype: torch.dtype, variant: str = ""
) -> int:
    """Values, dtypes and gradients over all samples; how many there are."""
    (op,) = (
        op for op in op_db if (op.name, op.variant_test_name) == (name, variant)
    )
    grad = dtype in (torch.float32, torch.float64)
    coarse = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {}
    fine = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    count = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=grad):
        arguments = sample.input, *sample.args
        actual = ours(*arguments, **sample.kwargs)
        expected = op.op(*arguments, **sample.kwargs)
        assert_close(actual, expected, **(coarse or fine))
        count += 1
        if grad:
            compare_gradients(actual, expected, arguments, fine)
    assert count
    return count


def compare_gradients(
    actual: Tensor, expected: Tensor, arguments: tuple, tolerance: dict
) -> None:
    leaves = [a for a in arguments if isinstance(a, Tensor) and a.requires_grad]
    if isinstance(actual, tuple):  # values and where they stand
        actual, expected = actual[0], expected[0]
    if not leaves or not expected.requires_grad:
        return
    weight = torch.randn_like(expected)
    results = [
        torch.autograd.grad(each, leaves, weight, allow_unused=True)
        for each in (actual, expected)
    ]
    assert_close(*results, **tolerance)
