# Extracted from book/2_backward/5_autograd.py; edit it there.
"""What broadcasting repeats, the way back sums."""

import torch
from torch import Tensor


def unbroadcast(grad: Tensor, shape: torch.Size) -> Tensor:
    """A gradient summed over the axes that broadcasting from shape added."""
    if grad.shape == shape:
        return grad
    extra = grad.dim() - len(shape)
    pairs = list(zip(shape, grad.shape[max(extra, 0) :], strict=False))
    if extra < 0 or any(size not in (1, found) for size, found in pairs):
        found = tuple(grad.shape)
        raise RuntimeError(
            f"a gradient of shape {found} for a value of {tuple(shape)}"
        )
    ones = [extra + i for i, size in enumerate(shape) if size == 1]
    axes = [*range(extra), *ones]
    return grad.sum(axes).reshape(shape)
