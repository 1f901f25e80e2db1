# Extracted from book/3_training/1_loss.py; edit it there.
"""What all losses share: how many become one, and that shapes agree."""

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
        raise ValueError(
            f"scores {(*input.shape,)} need labels {(*expected,)}, or "
            f"probabilities {(*input.shape,)}, got {(*target.shape,)}"
        )
    return axis


def check_shapes(input: Tensor, target: Tensor) -> None:
    """Raise unless both have one shape: nothing is broadcast."""
    if input.shape != target.shape:
        shapes = f"{(*input.shape,)} and target {(*target.shape,)}"
        raise ValueError(f"expected one shape, got input {shapes}")
