# Extracted from book/1_pixels/5_metrics.py; edit it there.
"""Numbers over an epoch, right also when its batches are of unequal size."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.scores import confusion_matrix


def weighted_mean(values: Sequence, counts: Sequence) -> float:
    """The mean of means of `counts` items; NaN if there are none."""
    pairs = list(zip(floats(values), floats(counts), strict=True))
    total = math.fsum(count for _, count in pairs)
    products = (value * count for value, count in pairs if count)
    return math.fsum(products) / total if total else math.nan


def floats(values: Sequence[Tensor | float]) -> list[float]:
    """Values as numbers, with one transfer for all that are on a device."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else ())
    return [
        next(read) if isinstance(value, Tensor) else float(value)
        for value in values
    ]


def size(target: Any) -> int:
    """Elements of a tensor of targets; rows of the first in a structure."""
    if isinstance(target, Tensor):
        return target.numel()
    nested = isinstance(target, Mapping | tuple | list)
    parts = target.values() if isinstance(target, Mapping) else target
    tensors = [p for p in parts if isinstance(p, Tensor)] if nested else []
    return len(tensors[0]) if tensors else 1


def options_of(function: Callable) -> dict[str, Any]:
    """A function's options and their values, those of a `partial` too."""
    try:
        options = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return {}
    given = (each for each in options if each.default is not each.empty)
    return {each.name: each.default for each in given}


def length(loader: Iterable) -> int | None:
    """How many batches a loader gives, None if it does not know."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def counter(loss: Callable) -> Callable[[Any], int | Tensor]:
    """A function of targets: how many items the loss is the mean of."""
    told = options_of(loss)
    ignored = getattr(loss, "ignore_index", told.get("ignore_index"))

    def count(target: Any) -> int | Tensor:
        tensor = isinstance(target, Tensor)
        if ignored is None or not tensor or target.is_floating_point():
            return size(target)
        kept = target != ignored
        weight = getattr(loss, "weight", told.get("weight"))
        if weight is None:
            return kept.count_nonzero()
        return (weight[target.where(kept, 0).long()] * kept).sum()

    return count


class Metric:
    """A number over an epoch, from its batches; fill in the three methods."""

    name: str

    def reset(self) -> None:
        """Forget everything seen."""
        raise NotImplementedError

    def update(self, prediction: Any, target: Any) -> None:
        """See another batch."""
        raise NotImplementedError

    def compute(self) -> float:
        """The number over everything seen; NaN if that is nothing."""
        raise NotImplementedError


class Mean(Metric):
    """The mean over items of a function that returns a batch's mean.

    It counts the target's elements; a function may return (mean, count).
    """

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or name_of(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.values, self.counts = [], []

    def add(self, value: Tensor | float, count: float | Tensor) -> None:
        """See a mean of `count` items."""
        tensor = isinstance(value, Tensor)
        self.values.append(value.detach() if tensor else value)
        self.counts.append(count)

    def update(self, prediction: Any, target: Any) -> None:
        """See another batch."""
        value = self.function(prediction, target)
        self.add(
            *(value if isinstance(value, tuple) else (value, size(target)))
        )

    def compute(self) -> float:
        """The mean over all items, in double precision."""
        return weighted_mean(self.values, self.counts)


def name_of(function: Callable) -> str:
    """A function's name, also behind a `partial`."""
    inner = function.func if isinstance(function, partial) else function
    return getattr(inner, "__name__", type(inner).__name__)


def as_metric(metric: Metric | Callable) -> Metric:
    """A metric as it is, a function as a `Mean`."""
    if isinstance(metric, type):
        name = metric.__name__
        raise TypeError(f"{name} is a class, not a metric: {name}()")
    return metric if isinstance(metric, Metric) else Mean(metric)


def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """The metrics by their names, each of which is one's own."""
    names = [metric.name for metric in metrics]
    if len({*names}) < len(names):
        raise ValueError(f"each metric needs a name of its own, got {names}")
    return dict(zip(names, metrics, strict=True))


def answers(scores: Tensor, labels: Tensor) -> Tensor:
    """The best of k classes, or whether a lone score is above 0: (n, ...)."""
    each = (*scores.shape[:1], *scores.shape[2:])  # without the classes
    several = scores.ndim > 1 and scores.shape[1] > 1
    if several and labels.shape == each:
        return scores.argmax(1)
    if not several and scores.ndim and labels.shape in (scores.shape, each):
        return (scores > 0).view(labels.shape).to(labels.dtype)
    raise ValueError(
        f"scores {(*scores.shape,)} do not fit labels {(*labels.shape,)}: "
        "expected (n, k, ...) and (n, ...), or one score for each label; "
        "BinaryAccuracy takes several yes and no an example"
    )


class Accuracy(Mean):
    """The share of labels that scores choose: (n, k, ...), (n, ...).

    Of lone scores, (n,) or (n, 1), those above 0 mean yes.
    """

    def __init__(self, name: str = "accuracy", ignore_index: int = -100):
        super().__init__(answers, name)
        self.ignore_index = ignore_index

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """See another batch."""
        kept = target != self.ignore_index
        right = (self.function(prediction, target) == target) & kept
        self.add(right.sum().double() / kept.sum(), kept.sum())


class BinaryAccuracy(Accuracy):
    """The share of yes and no that scores get right: two of one shape.

    Scores above `threshold` mean yes: 0 for logits, 0.5 for probabilities.
    """

    def __init__(self, name: str = "accuracy", threshold: float = 0.0):
        super().__init__(name)
        self.threshold = threshold

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """See another batch."""
        if prediction.squeeze().shape != target.squeeze().shape:
            shapes = f"{(*prediction.shape,)} and {(*target.shape,)}"
            raise ValueError(f"expected a score for each label, got {shapes}")
        scores = prediction.reshape(-1) - self.threshold
        super().update(scores, target.reshape(-1))


class ClassMetric(Metric):
    """A number from counts by true class, then answer: fill in `per_class`.

    With two classes it is that of yes; with more, the mean over the classes.
    """

    def __init__(
        self, n_classes: int, name: str | None = None, ignore_index: int = -100
    ):
        self.n_classes = n_classes
        self.name = name or type(self).__name__.lower()
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.matrix = torch.zeros(self.n_classes, self.n_classes).long()

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """See another batch."""
        kept = target != self.ignore_index
        said = answers(prediction, target)[kept].long()
        counts = confusion_matrix(said, target[kept].long(), self.n_classes)
        self.matrix = self.matrix.to(counts.device) + counts

    def per_class(self) -> Tensor:
        """The number of each class: (k,)."""
        raise NotImplementedError

    def compute(self) -> float:
        """Of yes, if there are two classes; else the mean over classes."""
        seen = (self.matrix.sum(0) + self.matrix.sum(1)) > 0
        if not seen.any():
            return math.nan
        each = self.per_class()
        return (each[1] if self.n_classes == 2 else each[seen].mean()).item()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return part.double() / whole.clamp(min=1)


class Recall(ClassMetric):
    """How much of a class was found."""

    def per_class(self) -> Tensor:
        """The recall of each class: (k,)."""
        return _ratio(self.matrix.diagonal(), self.matrix.sum(1))


class Precision(ClassMetric):
    """How many of those that were called a class are of it."""

    def per_class(self) -> Tensor:
        """The precision of each class: (k,)."""
        return _ratio(self.matrix.diagonal(), self.matrix.sum(0))


class F1(ClassMetric):
    """The harmonic mean of precision and recall."""

    def per_class(self) -> Tensor:
        """F1 of each class: (k,)."""
        both = self.matrix.sum(0) + self.matrix.sum(1)
        return _ratio(2 * self.matrix.diagonal(), both)


def join(parts: Sequence[Any]) -> Any:
    """Batches as one, along the first axis: tensors, or tuples and dicts."""
    match parts[0]:
        case Tensor():
            return torch.cat([*parts])
        case Mapping() as first:
            return {key: join([part[key] for part in parts]) for key in first}
        case tuple() | list():
            return tuple(join(each) for each in zip(*parts, strict=True))
    kind = type(parts[0]).__name__
    raise TypeError(f"cannot join batches of {kind}: expected tensors")


class EpochMetric(Metric):
    """A function of all predictions and targets of the epoch at once."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or name_of(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.batches = []

    def update(self, prediction: Any, target: Any) -> None:
        """Keep another batch."""
        held = isinstance(prediction, Tensor)
        self.batches.append(
            (prediction.detach() if held else prediction, target)
        )

    def compute(self) -> float:
        """The function of everything seen, joined."""
        if not self.batches:
            return math.nan
        return float(self.function(*join(self.batches)))
