# Extracted from book/3_training/1_loss.py; edit it there.
"""Losses of classes: how badly scores predict labels, or a yes or no."""

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.reduction import (
    check_range,
    check_weight,
    class_axis,
    reduce_losses,
    reduction_of,
)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the labels' log-probabilities: (n, k, ...), (n, ...) -> ()."""
    axis = class_axis(input, target)
    check_weight(weight, input, axis)
    target = target.long()  # a byte would wrap where -100 is compared with it
    kept = target != ignore_index
    index = target.where(kept, 0)
    check_range(index, input.shape[axis])
    losses = -input.gather(axis, index.unsqueeze(axis)).squeeze(axis)
    weights = kept if weight is None else weight[index] * kept
    losses = losses if weight is None else losses * weights
    losses = losses.where(kept, 0)  # 0 * inf is no number
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weights)


def _soft_losses(
    log_p: Tensor, target: Tensor, weight: Tensor | None
) -> Tensor:
    """Cross-entropy with probabilities: (n, k, ...) twice -> (n, ...)."""
    axis = min(log_p.ndim, 2) - 1
    check_weight(weight, log_p, axis)
    if weight is not None:
        places = (-1, *(1 for _ in log_p.shape[axis + 1 :]))
        log_p = log_p * weight.view(places)
    return -(log_p * target).sum(axis)


def _smoothed(target: Tensor, label_smoothing: float) -> Tensor:
    """Probabilities, a share of them spread evenly: (n, k, ...) -> same."""
    if not target.is_floating_point():
        raise RuntimeError(f"probabilities are floats, got {target.dtype}")
    n_classes = target.shape[min(target.ndim, 2) - 1]
    return target * (1 - label_smoothing) + label_smoothing / n_classes


def _label_loss(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross-entropy with labels: (n, k, ...), (n, ...) -> ()."""
    n_classes = log_p.shape[class_axis(log_p, target)]
    target = target.long()
    options = {"ignore_index": ignore_index, "reduction": reduction}
    loss = F.nll_loss(log_p, target, weight, **options)
    if not label_smoothing:
        return loss
    kept = target != ignore_index
    weights = kept if weight is None else weight[target.where(kept, 0)] * kept
    uniform = torch.full_like(log_p, 1 / n_classes)
    spread = _soft_losses(log_p, uniform, weight).where(kept, 0)
    spread = reduce_losses(spread, reduction, weights)
    return (1 - label_smoothing) * loss + label_smoothing * spread


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How badly scores predict labels: (n, k, ...), (n, ...) -> ().

    Also takes probabilities of the scores' shape as the target.
    """
    if not 0 <= label_smoothing <= 1:
        message = f"label_smoothing is in 0 to 1, got {label_smoothing}"
        raise RuntimeError(message)
    if not isinstance(target, Tensor):
        raise TypeError(f"the target is {target!r}, not a tensor")
    reduction = reduction_of(size_average, reduce, reduction)
    log_p = torch.log_softmax(input, min(input.ndim, 2) - 1)
    if target.shape != input.shape:
        return _label_loss(
            log_p, target, weight, ignore_index, reduction, label_smoothing
        )
    if ignore_index >= 0:
        raise RuntimeError(f"no index {ignore_index} in probabilities")
    target = _smoothed(target, label_smoothing)
    return reduce_losses(_soft_losses(log_p, target, weight), reduction)
