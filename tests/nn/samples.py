"""A function of ours beside torch's, over torch's own official samples."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


def check_samples(
    ours: Callable,
    name: str,
    dtype: torch.dtype,
    variant: str = "",
    share: float = 0.0,
) -> int:
    """Values, dtypes and gradients over all samples; how many there are.

    Half precision may be off by this share of the largest value as well:
    the order of a sum, and what is rounded on the way, is the kernel's.
    """
    (op,) = (
        op for op in op_db if (op.name, op.variant_test_name) == (name, variant)
    )
    grad = dtype in (torch.float32, torch.float64)
    single = dtype in (torch.float32, torch.complex64)
    close = {"rtol": 1e-4, "atol": 1e-4} if single else {}
    count = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=grad):
        arguments = sample.input, *sample.args
        actual = ours(*arguments, **sample.kwargs)
        expected = op.op(*arguments, **sample.kwargs)
        if dtype == torch.bfloat16:
            off = share * largest(expected) if share else 0.0
            close = {"rtol": 2e-2, "atol": 2e-2 + off}
        assert_close(actual, expected, **close)
        count += 1
        if grad:
            compare_gradients(actual, expected, arguments, close)
    assert count
    return count


def largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def compare_gradients(
    actual: Tensor, expected: Tensor, arguments: tuple, tolerance: dict
) -> None:
    first, *others = arguments  # the first may be a list of tensors
    tensors = [*(first if isinstance(first, list) else [first]), *others]
    leaves = [a for a in tensors if isinstance(a, Tensor) and a.requires_grad]
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
