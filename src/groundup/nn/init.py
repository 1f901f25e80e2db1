# Extracted from book/2_backward/2_init.py; edit it there.
"""Random and structured values that weights start from."""

import math
import warnings

import torch
from torch import Tensor


@torch.no_grad()
def uniform_(
    tensor: Tensor,
    a: float = 0.0,
    b: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers from [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@torch.no_grad()
def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers."""
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Inputs of a unit and units of an input, for a weight (out, in, ...)."""
    if tensor.ndim < 2:
        shape = tuple(tensor.shape)
        raise ValueError(f"fans need at least 2 axes, got shape {shape}")
    d_out, d_in, *kernel = tensor.shape
    return d_in * math.prod(kernel), d_out * math.prod(kernel)


_GAINS = {
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d"], 1.0),
    **dict.fromkeys([f"conv_transpose{n}d" for n in (1, 2, 3)], 1.0),
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor by which weights make up for what a nonlinearity takes."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {slope!r} is not a number")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}")
    return _GAINS[nonlinearity]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with uniform numbers of variance 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with normal numbers of variance 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2 / (fan_in + fan_out))


def _kaiming_std(
    tensor: Tensor, a: float, mode: str, nonlinearity: str
) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"mode {mode!r} is neither 'fan_in' nor 'fan_out'")
    if tensor.numel() == 0:
        warnings.warn("an empty tensor has nothing to fill", stacklevel=3)
        return 0.0
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    fan = fan_in if mode.lower() == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers of variance gain**2 / fan."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of variance gain**2 / fan."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


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
