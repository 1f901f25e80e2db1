# Extracted from book/2_backward/2_init.py; edit it there.
"""Random values that weights start from, of a size that layers keep."""

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
