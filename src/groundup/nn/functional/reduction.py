# Extracted from book/3_training/1_loss.py; edit it there.
"""What all losses share: how many become one, and that shapes agree."""

import torch
from torch import Tensor


def reduction_of(
    size_average: bool | None, reduce: bool | None, reduction: str
) -> str:
    """The reduction, also from torch's two old flags."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduce_losses(
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


def class_axis(input: Tensor, target: Tensor) -> int:
    """1, or 0 for a single example; raise unless the labels fit the scores."""
    axis = min(input.ndim, 2) - 1
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if input.ndim == 0 or target.shape != expected:
        message = (
            f"scores {(*input.shape,)} need labels {(*expected,)}, or "
            f"probabilities {(*input.shape,)}, got {(*target.shape,)}"
        )
        other_batch = input.ndim > 1 and target.shape[:1] != input.shape[:1]
        raise ValueError(message) if other_batch else RuntimeError(message)
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"labels are int64 or uint8, got {target.dtype}")
    return axis


def check_weight(weight: Tensor | None, input: Tensor, axis: int) -> None:
    """Raise unless there is one weight for each class."""
    if weight is not None and weight.shape != (input.shape[axis],):
        shapes = f"{(*weight.shape,)} for scores {(*input.shape,)}"
        raise RuntimeError(f"one weight for each class, got {shapes}")


def check_range(labels: Tensor, n_classes: int) -> None:
    """Raise unless all labels are classes."""
    wrong = labels[(labels < 0) | (labels >= n_classes)]
    if len(wrong):
        label = wrong.flatten()[0].item()
        raise IndexError(f"label {label} is out of bounds for {n_classes}")
