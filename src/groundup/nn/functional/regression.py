# Extracted from book/3_training/12_losses.py; edit it there.
"""Losses of quantities: squared and absolute errors, and between the two."""

from typing import Any

import torch
from torch import Tensor

from groundup.nn.functional.reduction import reduce_losses, reduction_of
from groundup.nn.functional.shapes import check_shapes


def _errors(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """The differences, where all shapes agree: (...), (...) -> (...)."""
    check_shapes(input, target)
    if weight is not None:
        check_shapes(input, weight)
    return input - target


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Squared differences, (...), (...) -> () or (...)."""
    losses = _errors(input, target, weight) ** 2
    losses = losses if weight is None else losses * weight
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weight)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Absolute differences, (...), (...) -> () or (...)."""
    losses = _errors(input, target, weight).abs()
    losses = losses if weight is None else losses * weight
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weight)


class _SmoothL1(torch.autograd.Function):
    """Squared within `beta`, absolute beyond: (...) -> (...)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(errors: Tensor, beta: float) -> Tensor:
        clipped = errors.clamp(-beta, beta)
        return clipped * (errors - clipped / 2) / beta

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        errors, ctx.beta = inputs
        ctx.save_for_backward(errors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (errors,) = ctx.saved_tensors
        return grad * errors.clamp(-ctx.beta, ctx.beta) / ctx.beta, None


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared within `beta`, absolute beyond: (...), (...) -> () or (...)."""
    if beta < 0:
        raise ValueError(f"beta is not negative, got {beta}")
    reduction = reduction_of(size_average, reduce, reduction)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    check_shapes(input, target)
    return reduce_losses(_SmoothL1.apply(input - target, beta), reduction)
