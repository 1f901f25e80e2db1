# Extracted from book/1_pixels/1_similarity.py; edit it there.
"""How wrong predictions are: numbers for people to read."""

from torch import Tensor


def _check_shapes(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {(*a.shape,)} and {(*b.shape,)}")


def mean_absolute_error(input: Tensor, target: Tensor) -> Tensor:
    """Mean of |input - target|, two of one shape: (...), (...) -> ()."""
    _check_shapes(input, target)
    return (input - target).abs().mean()


def mean_squared_error(input: Tensor, target: Tensor) -> Tensor:
    """Mean of (input - target)², no root: (...), (...) -> ()."""
    _check_shapes(input, target)
    return ((input - target) ** 2).mean()


def accuracy(predicted: Tensor, target: Tensor) -> Tensor:
    """The share of labels that are right: (n,), (n,) -> ()."""
    _check_shapes(predicted, target)
    return (predicted == target).float().mean()


def confusion_matrix(
    predicted: Tensor, target: Tensor, n_classes: int
) -> Tensor:
    """Counts by true class, then answer: (n,), (n,) -> (k, k)."""
    _check_shapes(predicted, target)
    for labels in (predicted, target):
        if ((labels < 0) | (labels >= n_classes)).any():
            span = f"{labels.min()} to {labels.max()}"
            raise ValueError(f"labels {span}, but n_classes is {n_classes}")
    cell = n_classes * target + predicted
    return cell.bincount(minlength=n_classes**2).view(n_classes, n_classes)
