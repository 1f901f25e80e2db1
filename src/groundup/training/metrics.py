# Extracted from book/3_training/4_learner.py; edit it there.
"""Numbers over an epoch, right also when its batches are of unequal size."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


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


def weighted_mean(values: Sequence, counts: Sequence[int]) -> float:
    """The mean of means of `counts` examples; NaN if there are none."""
    total = sum(counts)
    products = map(operator.mul, floats(values), counts)
    return math.fsum(products) / total if total else math.nan


def floats(values: Sequence[Tensor | float]) -> list[float]:
    """Values as numbers, with one transfer for all that are on a device."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else ())
    return [
        next(read) if isinstance(value, Tensor) else float(value)
        for value in values
    ]


class Mean(Metric):
    """The mean over examples of a function that returns a batch's mean."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or _name(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.values, self.counts = [], []

    def add(self, value: Tensor | float, count: int) -> None:
        """See a mean of `count` examples."""
        tensor = isinstance(value, Tensor)
        self.values.append(value.detach() if tensor else value)
        self.counts.append(count)

    def update(self, prediction: Any, target: Any) -> None:
        """See another batch."""
        self.add(self.function(prediction, target), len(target))

    def compute(self) -> float:
        """The mean over all examples, in double precision."""
        return weighted_mean(self.values, self.counts)


def _name(function: Callable) -> str:
    return getattr(function, "__name__", str(function))  # a partial has none


class Accuracy(Mean):
    """The share of labels whose score is the highest: (n, k, ...), (n, ...)."""

    def __init__(self, name: str = "accuracy"):
        super().__init__(_share_right, name)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """See another batch."""
        self.add(self.function(prediction, target), target.numel())


def _share_right(scores: Tensor, labels: Tensor) -> Tensor:
    return (scores.argmax(1) == labels).double().mean()


class EpochMetric(Metric):
    """A function of all predictions and targets of the epoch at once."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or _name(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.predictions, self.targets = [], []

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Keep another batch."""
        self.predictions.append(prediction.detach())
        self.targets.append(target)

    def compute(self) -> float:
        """The function of everything seen, joined."""
        if not self.targets:
            return math.nan
        joined = torch.cat(self.predictions), torch.cat(self.targets)
        return float(self.function(*joined))


def as_metric(metric: Metric | Callable) -> Metric:
    """A metric as it is, a function as a `Mean`."""
    return metric if isinstance(metric, Metric) else Mean(metric)
