# Extracted from book/2_backward/11_init.py; edit it there.
"""Starts with a structure: cut tails, identities, rotations, few links."""

import math
import warnings

import torch
from torch import Tensor


def _normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


@torch.no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers, redrawn until they lie in [a, b]."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("the mean is over 2 std outside [a, b]", stacklevel=2)
    inside = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    pending = torch.ones_like(tensor, dtype=torch.bool)
    while tensor.device.type != "meta" and pending.any():
        draw = torch.empty_like(tensor)
        if inside > 0.3:
            draw.normal_(mean, std, generator=generator)
            missed = (draw < a) | (draw > b)
        else:
            draw.uniform_(a, b, generator=generator)
            chance = torch.empty_like(tensor).uniform_(generator=generator)
            fall = (max(a, min(mean, b)) - mean) ** 2 - (draw - mean) ** 2
            missed = chance.log() > fall / (2 * std**2)
        tensor.copy_(torch.where(pending, draw, tensor))
        pending &= missed
    return tensor


@torch.no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity."""
    if tensor.ndim != 2:
        raise ValueError(f"expected 2 axes, got shape {tuple(tensor.shape)}")
    return tensor.zero_().fill_diagonal_(1)


@torch.no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight (out, in, ...) to pass channels through."""
    d_out, *rest = tensor.shape
    if tensor.ndim not in (3, 4, 5) or d_out % groups:
        wanted = f"3 to 5 axes, the first divisible by {groups}"
        raise ValueError(f"expected {wanted}, got {tuple(tensor.shape)}")
    center = [size // 2 for size in rest[1:]]
    tensor.zero_()
    for group in range(groups):
        for channel in range(min(d_out // groups, rest[0])):
            tensor[(group * d_out // groups + channel, channel, *center)] = 1
    return tensor


@torch.no_grad()
def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Fill so that rows or columns, whichever are fewer, are orthonormal.

    Axes after the first count as one.
    """
    if tensor.ndim < 2:
        shape = tuple(tensor.shape)
        raise ValueError(f"expected at least 2 axes, got shape {shape}")
    if tensor.numel() == 0:
        return tensor
    flat = tensor.new_empty(tensor.shape[0], tensor[0].numel())
    if tensor.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()  # squares leave half precision's range
    flat.normal_(0, 1, generator=generator)
    wide = flat.shape[0] < flat.shape[1]
    columns = flat.T if wide else flat
    q = _orthonormal(_orthonormal(columns))  # again, for what rounding left
    q = q.T if wide else q
    return tensor.copy_(q.reshape(tensor.shape)).mul_(gain)


def _orthonormal(a: Tensor) -> Tensor:
    """Gram-Schmidt by halves, on columns: (n, k) -> (n, k), k <= n."""
    half = a.shape[1] // 2
    if half == 0:
        return a / (a * a).sum().sqrt()
    left, right = _orthonormal(a[:, :half]), a[:, half:]
    right = right - left @ (left.T @ right)
    return torch.cat([left, _orthonormal(right)], 1)


@torch.no_grad()
def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a matrix with normal numbers and a share of zeros in each column."""
    if tensor.ndim != 2:
        raise ValueError(f"expected 2 axes, got shape {tuple(tensor.shape)}")
    n_rows, n_columns = tensor.shape
    n_zeros = math.ceil(sparsity * n_rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(n_columns):
        rows = torch.randperm(n_rows, generator=generator)
        tensor[rows[:n_zeros], column] = 0
    return tensor
