# Extracted from book/2_backward/1_matmul.py; edit it there.
"""Matrix products, from their definition to fast kernels."""

import math
from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor


def broadcast_shapes(*shapes: int | Sequence[int]) -> torch.Size:
    """Shape that all the shapes broadcast to: (n, 1), (m,) -> (n, m)."""
    aligned = [
        (each,) if isinstance(each, int) else tuple(each) for each in shapes
    ]
    result = []
    for sizes in zip_longest(*map(reversed, aligned), fillvalue=1):
        stretched = {size for size in sizes if size != 1}
        if len(stretched) > 1 or min(sizes) < 0:
            names = ", ".join(map(str, aligned))
            raise ValueError(f"shapes {names} do not broadcast")
        result.append(stretched.pop() if stretched else 1)
    return torch.Size(reversed(result))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """View of the given shape, without a copy: stretched axes have stride 0."""
    n_new = len(size) - input.ndim
    if n_new < 0 or any(
        length not in (1, new)
        for length, new in zip(input.shape, size[n_new:], strict=True)
    ):
        shape = tuple(input.shape)
        raise ValueError(f"shape {shape} does not broadcast to {tuple(size)}")
    old = zip(input.shape, input.stride(), strict=True)
    strides = [0 if length == 1 else stride for length, stride in old]
    return input.as_strided(size, [0] * n_new + strides)


def broadcast_matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product by definition: (..., n, k), (..., k, m) -> (..., n, m).

    It holds all n * k * m products in memory at once.
    """
    if input.shape[-1] != other.shape[-2]:
        raise ValueError(_mismatch(input, other))
    a, b = (_single(x) for x in (input, other))
    products = a.unsqueeze(-1) * b.unsqueeze(-3)  # (..., n, k, m)
    dtype = torch.promote_types(input.dtype, other.dtype)
    return products.sum(-2, dtype=products.dtype).to(dtype)


def _single(x: Tensor) -> Tensor:
    """Half precision is added in single precision, as a kernel does."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _mismatch(input: Tensor, other: Tensor) -> str:
    return f"cannot multiply {tuple(input.shape)} by {tuple(other.shape)}"


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, as ``@``: (..., n, k), (..., k, m) -> (..., n, m).

    A vector is a row at the left and a column at the right.
    """
    a = input.unsqueeze(0) if input.ndim == 1 else input
    b = other.unsqueeze(1) if other.ndim == 1 else other
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(_mismatch(input, other))
    out = _fold_rows(a, b) if b.ndim == 2 else _pair_batches(a, b)
    if input.ndim == 1:
        out = out.squeeze(-2)
    return out.squeeze(-1) if other.ndim == 1 else out


def _fold_rows(a: Tensor, b: Tensor) -> Tensor:
    *leading, k = a.shape
    rows = a.reshape(math.prod(leading), k)
    return torch.mm(rows, b).reshape(*leading, b.shape[1])


def _pair_batches(a: Tensor, b: Tensor) -> Tensor:
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (x.expand(*batch, *x.shape[-2:]) for x in (a, b))
    folded = [x.reshape(batch.numel(), *x.shape[-2:]) for x in (a, b)]
    return torch.bmm(*folded).reshape(*batch, a.shape[-2], b.shape[-1])
