# Extracted from book/3_training/1_loss.py; edit it there.
"""Losses: one number, or one an example, that says how wrong it is."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _mode(
    size_average: bool | None, reduce: bool | None, reduction: str
) -> str:
    """The reduction, also from torch's two old flags."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _reduce(
    losses: Tensor, reduction: str, weights: Tensor | None = None
) -> Tensor:
    """All losses, their sum, or their mean: a sum over the weights' sum."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction != "mean":
        raise ValueError(f'expected "none", "sum" or "mean", got {reduction!r}')
    return losses.mean() if weights is None else losses.sum() / weights.sum()


def _class_axis(input: Tensor, target: Tensor) -> int:
    """1, or 0 for a single example; raise unless the labels fit the scores."""
    axis = min(input.ndim, 2) - 1
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if input.ndim == 0 or target.shape != expected:
        raise ValueError(
            f"scores {(*input.shape,)} need labels {(*expected,)}, or "
            f"probabilities {(*input.shape,)}, got {(*target.shape,)}"
        )
    return axis


def _label_weights(
    target: Tensor, weight: Tensor | None, ignore_index: int
) -> Tensor:
    """The weight of each label's class, 0 for the ignored."""
    kept = target != ignore_index
    return kept if weight is None else weight[target.where(kept, 0)] * kept


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
    axis = _class_axis(input, target)
    if weight is not None and weight.shape != (input.shape[axis],):
        shapes = f"{(*weight.shape,)} for scores {(*input.shape,)}"
        raise ValueError(f"one weight for each class, got {shapes}")
    kept = target != ignore_index
    index = target.where(kept, 0).long()
    losses = -input.gather(axis, index.unsqueeze(axis)).squeeze(axis)
    weights = kept if weight is None else weight[index] * kept
    losses = losses if weight is None else losses * weights
    losses = losses.where(kept, 0)  # 0 * inf is no number
    return _reduce(losses, _mode(size_average, reduce, reduction), weights)


def _soft_losses(
    log_p: Tensor, target: Tensor, weight: Tensor | None
) -> Tensor:
    """Cross-entropy with probabilities: (n, k, ...) twice -> (n, ...)."""
    axis = min(log_p.ndim, 2) - 1
    if weight is not None:
        places = (-1, *(1 for _ in log_p.shape[axis + 1 :]))
        log_p = log_p * weight.view(places)
    return -(log_p * target).sum(axis)


def _smooth_loss(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """What a uniform target costs at the labels' places."""
    uniform = torch.ones_like(log_p) / log_p.shape[_class_axis(log_p, target)]
    losses = _soft_losses(log_p, uniform, weight)
    weights = _label_weights(target, weight, ignore_index)
    return _reduce(losses.where(target != ignore_index, 0), reduction, weights)


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
        raise ValueError(f"label_smoothing is in 0 to 1, got {label_smoothing}")
    reduction = _mode(size_average, reduce, reduction)
    log_p = torch.log_softmax(input, min(input.ndim, 2) - 1)
    if target.shape == input.shape:
        return _with_probabilities(
            log_p, target, weight, ignore_index, reduction, label_smoothing
        )
    _class_axis(input, target)
    options = {"ignore_index": ignore_index, "reduction": reduction}
    loss = F.nll_loss(log_p, target, weight, **options)
    if not label_smoothing:
        return loss
    smooth = _smooth_loss(log_p, target, weight, **options)
    return (1 - label_smoothing) * loss + label_smoothing * smooth


def _with_probabilities(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    if not target.is_floating_point():
        raise ValueError(f"probabilities are floats, got {target.dtype}")
    if ignore_index >= 0:
        raise ValueError(
            f"probabilities have no index {ignore_index} to ignore"
        )
    n_classes = log_p.shape[min(log_p.ndim, 2) - 1]
    target = target * (1 - label_smoothing) + label_smoothing / n_classes
    return _reduce(_soft_losses(log_p, target, weight), reduction)


def _check_shapes(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        shapes = f"{(*input.shape,)} and target {(*target.shape,)}"
        raise ValueError(f"expected one shape, got input {shapes}")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of yes or no, from one score each: any shape -> ()."""
    _check_shapes(input, target)
    log_p = F.logsigmoid(input)
    if pos_weight is not None:
        log_p = log_p * (1 + (pos_weight - 1) * target)
    losses = (1 - target) * input - log_p
    losses = losses if weight is None else losses * weight
    return _reduce(losses, _mode(size_average, reduce, reduction))


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
    return _reduce(losses, _mode(size_average, reduce, reduction), weight)


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
    return _reduce(losses, _mode(size_average, reduce, reduction), weight)


def _errors(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    _check_shapes(input, target)
    if weight is not None:
        _check_shapes(input, weight)
    return input - target


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
    reduction = _mode(size_average, reduce, reduction)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _check_shapes(input, target)
    return _reduce(_SmoothL1.apply(input - target, beta), reduction)
