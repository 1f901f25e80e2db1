# Extracted from book/3_training/11_learner.py; edit it there.
"""Gradients within bounds."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def _grads(parameters: Iterable[Tensor]) -> list[Tensor]:
    one = isinstance(parameters, Tensor)
    listed = [parameters] if one else parameters
    return [p.grad.detach() for p in listed if p.grad is not None]


def _norm(x: Tensor, order: float) -> Tensor:
    """(sum |x|^order)^(1/order), or the largest |x|: (...) -> ().

    In float32 at least: a square of 300 is too large for a float16.
    """
    x = x.float() if x.element_size() < 4 else x
    if order == math.inf:
        return x.abs().max()
    return (x.abs() ** order).sum() ** (1 / order)


def clip_grad_norm_(
    parameters: Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients to a norm of at most `max_norm`; return the old."""
    grads = _grads(parameters)
    if not grads:
        return torch.tensor(0.0)
    norms = torch.stack([_norm(grad, norm_type) for grad in grads])
    total = _norm(norms, norm_type)
    if error_if_nonfinite and not torch.isfinite(total):
        raise RuntimeError(
            f"the total norm of order {norm_type} of the gradients is {total}, "
            "so they cannot be clipped"
        )
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale)
    return total


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value]."""
    for grad in _grads(parameters):
        grad.clamp_(-clip_value, clip_value)
