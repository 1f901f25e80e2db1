# Extracted from book/4_convnets/10_normalizations.py; edit it there.
"""Normalisation of each example by itself: no batch is needed."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from groundup.nn.functional.norm import (
    by_channel,
    check_channels,
    check_running,
)


def _wide(input: Tensor) -> Tensor:
    """In single precision at least, which sums can be trusted to."""
    return input.to(torch.promote_types(input.dtype, torch.float32))


def _standardised(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """Any shape, less its mean over the axes, by its deviation."""
    centred = x - x.mean(axes, keepdim=True)
    var = (centred * centred).mean(axes, keepdim=True)
    return centred * (var + eps).rsqrt()


def _last_axes(input: Tensor, shape: Sequence[int], **held: Any) -> list[int]:
    """The axes of a shape at the end; raise unless all shapes agree."""
    shape = tuple(shape)
    if not shape:
        raise RuntimeError("expected a normalized_shape of 1 axis or more, ()")
    for name, tensor in held.items():
        if tensor is not None and tensor.shape != shape:
            given = f"normalized_shape {shape}, got {(*tensor.shape,)}"
            raise RuntimeError(f"expected {name} of {given}")
    if input.shape[-len(shape) :] != shape:
        given = f"{(*input.shape,)} for normalized_shape {shape}"
        raise RuntimeError(f"the last axes of the input differ: {given}")
    return list(range(-len(shape), 0))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each example by its mean and deviation over the last axes: (*, *d)."""
    axes = _last_axes(input, normalized_shape, weight=weight, bias=bias)
    y = _standardised(_wide(input), axes, eps)
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return y.to(input.dtype)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Each example by its root mean square over the last axes: (*, *d)."""
    axes = _last_axes(input, normalized_shape, weight=weight)
    x = _wide(input)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y = x * ((x * x).mean(axes, keepdim=True) + eps).rsqrt()
    return (y if weight is None else y * weight).to(input.dtype)


def _check_groups(input: Tensor, num_groups: int) -> None:
    """Raise unless the channels can be divided, with more than one number."""
    given = f"{(*input.shape,)} and {num_groups} groups"
    if input.ndim < 2:
        raise RuntimeError(f"expected at least 2 axes, got {given}")
    if num_groups < 1 or input.shape[1] % num_groups:
        raise RuntimeError(f"the channels cannot be divided: {given}")
    size = input.shape[0] * input.shape[1] // num_groups
    if size * prod(input.shape[2:]) == 1:
        raise ValueError(f"expected more than 1 value per group, got {given}")


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels of each example by themselves: (n, c, ...)."""
    _check_groups(input, num_groups)
    check_channels(input, weight=weight, bias=bias)
    n, c, *places = input.shape
    x = _wide(input).reshape(n, num_groups, c // num_groups, *places)
    y = _standardised(x, tuple(range(2, x.ndim)), eps).reshape(input.shape)
    y = y if weight is None else y * by_channel(weight, input)
    y = y if bias is None else y + by_channel(bias, input)
    return y.to(input.dtype)


def _track_instances(
    x: Tensor, mean: Tensor, var: Tensor, momentum: float
) -> None:
    """Move both averages, (c,), towards those of (n, c, ...), in place."""
    places = tuple(range(2, x.ndim))
    news = x.detach().mean(places), x.detach().var(places)
    for running, new in zip((mean, var), news, strict=True):
        running.copy_(running * (1 - momentum) + new.mean(0) * momentum)


def _check_instances(
    input: Tensor, own: bool, mean: Tensor | None, var: Tensor | None
) -> None:
    """Raise where a channel of an image has no variance, or no average."""
    if own and prod(input.shape[2:]) == 1:
        given = f"got input {(*input.shape,)}"
        raise ValueError(f"expected more than 1 place per channel, {given}")
    check_running(mean, var, own)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example by itself, over its places: (n, c, ...)."""
    _check_instances(input, use_input_stats, running_mean, running_var)
    running = {"running_mean": running_mean, "running_var": running_var}
    check_channels(input, **running, weight=weight, bias=bias)
    x = _wide(input)
    if use_input_stats:
        y = _standardised(x, tuple(range(2, x.ndim)), eps)
        if running_mean is not None and len(x):
            _track_instances(x, running_mean, running_var, momentum)
    else:
        mean, rstd = running_mean, (running_var + eps).rsqrt()
        y = (x - by_channel(mean, x)) * by_channel(rstd, x)
    y = y if weight is None else y * by_channel(weight, x)
    y = y if bias is None else y + by_channel(bias, x)
    return y.to(input.dtype)
