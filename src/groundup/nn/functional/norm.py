# Extracted from book/4_convnets/4_norms.py; edit it there.
"""Batch normalisation: by the statistics of each channel, over a batch."""

from math import prod
from typing import Any

import torch
from torch import Tensor


def other_axes(input: Tensor) -> tuple[int, ...]:
    """All axes but that of the channels: those of the statistics."""
    return (0, *range(2, input.ndim))


def by_channel(values: Tensor, input: Tensor) -> Tensor:
    """A number for each channel, (c,), ready to meet (n, c, ...)."""
    return values.reshape(len(values), *[1] * (input.ndim - 2))


class _ByBatch(torch.autograd.Function):
    """(n, c, ...), (c,), (c,) -> normalised, and the means and variances."""

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        axes = other_axes(input)
        mean = input.mean(axes, keepdim=True)
        y = input - mean
        var = (y * y).mean(axes, keepdim=True)
        y *= by_channel(weight, input) * (var + eps).rsqrt()
        y += by_channel(bias, input)
        return y, mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        input, weight, _, ctx.eps = inputs
        _, mean, var = output
        ctx.save_for_backward(input, weight, mean, var)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, grad_mean, grad_var = grads
        input, weight, mean, var = ctx.saved_tensors
        axes, n = other_axes(input), input.numel() // mean.numel()
        rstd = (var + ctx.eps).rsqrt()
        scale = by_channel(weight, input) * rstd
        centred = input - mean
        total = grad.sum(axes, keepdim=True)
        along = (grad * centred).sum(axes, keepdim=True)
        by_mean = (grad_mean - scale * total) / n
        by_var = (2 * grad_var - scale * rstd**2 * along) / n
        grad_input = torch.addcmul(by_mean, centred, by_var)
        grad_input = grad_input.addcmul_(grad, scale)
        return grad_input, (along * rstd).flatten(), total.flatten(), None


def check_channels(input: Tensor, **held: Tensor | None) -> None:
    """Raise unless each tensor that is held has a number for each channel."""
    channels = input.shape[1] if input.ndim > 1 else 0
    for name, tensor in held.items():
        if tensor is not None and tensor.shape != (channels,):
            raise RuntimeError(
                f"expected {name} of shape {(channels,)} for input "
                f"{(*input.shape,)}, got {(*tensor.shape,)}"
            )


def check_batch(input: Tensor, training: bool, eps: float) -> None:
    """Raise where there is no variance to divide by."""
    if not input.is_floating_point():
        raise NotImplementedError(f"expected floating point, got {input.dtype}")
    if training and prod(input.shape[:1] + input.shape[2:]) == 1:
        given = f"got input {(*input.shape,)}"
        raise ValueError(f"expected more than 1 value per channel, {given}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"expected a positive eps, got {eps}")


def check_running(
    mean: Tensor | None, var: Tensor | None, training: bool
) -> None:
    """Raise unless both averages are there, or in training neither."""
    if training and (mean is None) != (var is None):
        raise ValueError("expected both running_mean and running_var, or none")
    if not training and (mean is None or var is None):
        missing = "running_mean" if mean is None else "running_var"
        raise RuntimeError(f"without training, {missing} is needed; got None")


def _track(running: Tensor, new: Tensor, momentum: float) -> None:
    """Move an average towards a new value, in place: two of (c,)."""
    new = new.detach().flatten()
    running.copy_(running * (1 - momentum) + new * momentum)


def _by_averages(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
) -> Tensor:
    """(n, c, ...), normalised by statistics that are given, each (c,)."""
    scale = weight * (var + eps).rsqrt()
    shift = bias - mean * scale
    return input * by_channel(scale, input) + by_channel(shift, input)


def _prepared(
    input: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """All three in single precision or double; ones and zeros for None."""
    x = input.to(torch.promote_types(input.dtype, torch.float32))
    channels = input.shape[1] if input.ndim > 1 else 0
    weight = x.new_ones(channels) if weight is None else weight.to(x.dtype)
    bias = x.new_zeros(channels) if bias is None else bias.to(x.dtype)
    return x, weight, bias


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of (n, c, ...) by its mean and deviation over the batch.

    By the running ones if not `training`; else these are updated in place.
    """
    running = {"running_mean": running_mean, "running_var": running_var}
    check_channels(input, **running, weight=weight, bias=bias)
    check_running(running_mean, running_var, training)
    check_batch(input, training, eps)
    x, weight, bias = _prepared(input, weight, bias)
    if not x.numel():
        y = x * by_channel(weight, x) + by_channel(bias, x)
    elif not training:
        y = _by_averages(x, running_mean, running_var, weight, bias, eps)
    else:
        y, mean, var = _ByBatch.apply(x, weight, bias, eps)
        if running_mean is not None:
            m = x.numel() // mean.numel()
            _track(running_mean, mean, momentum)
            _track(running_var, var * m / (m - 1), momentum)
    return y.to(input.dtype)
