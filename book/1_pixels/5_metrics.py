# %% [markdown] module="training.metrics" starred=true
r"""
# Metrics, finished

This chapter finishes what {doc}`/1_pixels/1_similarity` began, where right
answers were counted over all images at once. You may go on without it: part 3
uses `Mean` and `Accuracy`.

A training loop sees a batch at a time, some batches are shorter than others,
some answers do not count, and rare classes hide in an average. **How is a
number over an epoch computed from its batches, so that it is the number over
the whole?**

| name | shape | meaning |
| --- | --- | --- |
| scores | (n, k) or (n,) | one for each class, or one for yes and no |
| labels | (n,) | the right class, or 0 and 1 |
| count | a number | the items that a mean is the mean of |
| metric | an object | sees batches, answers at the end |
"""

# %% Imports tags=["hide-input"]
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.scores import confusion_matrix
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## Means of means

Nine examples right in a first batch, one wrong in a second: the mean of the
two batches' accuracies says a half, and nine of ten were right. A mean has to
come with its *count*. Values that are tensors stay on their device until all
are read at once, so that a GPU need not stop for a number at which nobody looks
yet; a batch that counts nothing, whose mean is not a number, says nothing.
"""


# %% Weighted tags=["export", "internal"]
"""Numbers over an epoch, right also when its batches are of unequal size."""


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


# %%
shares = [torch.tensor(1.0), torch.tensor(0.0)]
assert_equal(weighted_mean(shares, [9, 1]), 0.9)
assert_equal(weighted_mean([math.nan, 0.25], [0, 4]), 0.25)
weighted_mean(shares, [9, 1]), torch.stack(shares).mean().item()

# %% [markdown]
r"""
## What a mean counts

Of how many items is a loss the mean? Not always of the rows. A mean over
elements counts elements. A sentence has a label for each word. Labels that are
to be ignored do not count; with weights for the classes, a mean divides by the
weights. What a loss was told, it can be asked for: its options are in its
signature, or are attributes of an object. Batches are counted too, where their
number is known.
"""


# %% Items tags=["export", "internal"]
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


# %% Batches tags=["export", "internal"]
def length(loader: Iterable) -> int | None:
    """How many batches a loader gives, None if it does not know."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


# %% A loss's own count tags=["export", "internal"]
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


# %% [markdown]
r"""
A loss of the usual options, on two sentences of which one is shorter:
"""


# %%
def likely(scores, labels, weight=None, ignore_index=-100):
    """The mean score of the right classes: (n, k, t), (n, t) -> ()."""


labels = torch.tensor([[2, 0, -100], [1, -100, -100]])
weights = torch.tensor([1.0, 2.0, 4.0])
assert_equal(counter(likely)(labels).item(), 3)
assert_equal(counter(partial(likely, weight=weights))(labels).item(), 7)
assert_equal(counter(max)(torch.ones(5, 2)), 10)
assert_equal((length([1, 2]), length(iter([1, 2]))), (2, None))
counter(likely)(labels)

# %% [markdown]
r"""
## Metrics

A metric sees batches and answers at the end. Most are means, and a function
that knows better returns both, its mean and the count.
"""


# %% A metric tags=["export"]
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


# %% [markdown]
r"""
A mean keeps what the batches gave, with the counts.
"""


# %% A mean tags=["export"]
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


# %% Names tags=["export", "internal"]
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


# %%
def distance(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).abs().mean()


metric = Mean(distance)
metric.update(torch.zeros(9), torch.ones(9))
metric.update(torch.zeros(1), torch.zeros(1))
assert_equal(metric.compute(), 0.9)
metric.name, metric.compute()

# %% [markdown]
r"""
Two metrics of one name would overwrite each other in a table, so that is
refused.
"""


# %% tags=["export", "internal"]
def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """The metrics by their names, each of which is one's own."""
    names = [metric.name for metric in metrics]
    if len({*names}) < len(names):
        raise ValueError(f"each metric needs a name of its own, got {names}")
    return dict(zip(names, metrics, strict=True))


# %%
try:
    by_name([Mean(distance), Mean(distance)])
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## Accuracy

The best of $k$ scores is the answer. A single score says yes above 0, whether
scores come as a row or as a column. Two shapes that do not belong together are
refused: broadcasting would compare each score with each label.
"""


# %% Answers tags=["export", "internal"]
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


# %% Accuracy tags=["export"]
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


# %% [markdown]
r"""
One example may have several answers of yes and no, and scores may be
probabilities.
"""


# %% Yes and no tags=["export"]
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


# %%
metric = Accuracy()
metric.update(torch.tensor([[3.0], [-1.0], [2.0]]), torch.tensor([1, 1, 1]))
metric.update(torch.eye(3), torch.tensor([0, 1, -100]))
assert_close(metric.compute(), 4 / 5)
try:
    metric.update(torch.zeros(3), torch.zeros(3, 1))
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## What accuracy hides

Of a hundred mails five are spam. Who says *no* to all errs five times only. Two
questions tell more: how many of those called spam are spam ({term}`precision`),
and how much of the spam was found ({term}`recall`)? Their harmonic mean is
called F1. All three follow from the confusion matrix of
{doc}`/1_pixels/1_similarity`, whose counts add up over batches.
"""


# %% Counts of classes tags=["export"]
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


# %%
spam = torch.zeros(100).long()
spam[:5] = 1
scores = torch.full((100,), -1.0)
scores[torch.tensor([0, 1, 2, 50])] = 1.0  # three found, one false alarm
metric = ClassMetric(2)
metric.update(scores, spam)
assert_equal(metric.matrix.tolist(), [[94, 1], [2, 3]])
metric.matrix


# %% [markdown]
r"""
With two classes the number is that of *yes*; with more it is the mean over the
classes that occur, so that a rare class counts as much as a common one. A class
that nobody named has no precision; it is taken for 0.
"""


# %% A number for each class tags=["export"]
class ClassMetric(ClassMetric):
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


# %% tags=["export"]
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


# %%
found = {}
for metric in (Accuracy(), Precision(2), Recall(2), F1(2)):
    metric.update(scores[:70], spam[:70])
    metric.update(scores[70:], spam[70:])
    found[metric.name] = metric.compute()
assert_close(found["precision"], 3 / 4)
assert_close(found["recall"], 3 / 5)
found

# %% [markdown]
r"""
## All at once

Some numbers are not sums over batches at all: the correlation over an epoch has
nothing to do with the mean of the batches' correlations. They need everything.
"""


# %% Joined tags=["export", "internal"]
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


# %% Everything tags=["export"]
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


# %%
def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / ((a**2).sum() * (b**2).sum()).sqrt()


a, b = torch.tensor([0.0, 1, 2, 3]), torch.tensor([5.0, 4, 9, 8])
whole, mean = EpochMetric(correlation), as_metric(correlation)
for metric in (whole, mean):
    metric.update(a[:2], b[:2])
    metric.update(a[2:], b[2:])
assert_close(whole.compute(), correlation(a, b).item())
whole.compute(), mean.compute()

# %% [markdown]
r"""
In each half one falls while the other rises; over all four they rise together.

## What we built

* `Metric`, `Mean`, `EpochMetric` (`training.metrics`): numbers over an epoch.
* `Accuracy`, `BinaryAccuracy`: the share of right answers.
* `ClassMetric`, `Precision`, `Recall`, `F1`: by class.
* `counter`: of how many items a loss is the mean.

## Questions

:::{dropdown} Why is a mean of batch means wrong?
It gives each batch the same say, and the last batch is usually shorter.
:::

:::{dropdown} Why does a weighted loss count weights?
It divides by the sum of the weights, so that is what it has to be multiplied by
to become a sum again.
:::

:::{dropdown} Why are scores (n, 1) with labels (n,) not compared by broadcasting?
Each of n scores would meet each of n labels, and the mean over n² pairs is a
number that looks like an accuracy.
:::

:::{dropdown} When are precision and recall the same?
When as many are called a class as are of it: the two divide the same count by
the same number.
:::

## Exercises

**1.** Write the share of answers whose right label is among the two best
scores, as a function for `Mean`.
"""


# %% tags=["solution"]
def top_two(scores: Tensor, labels: Tensor) -> Tensor:
    better = (scores > scores.gather(1, labels[:, None])).sum(1)
    return (better < 2).double().mean()


metric = Mean(top_two)
metric.update(torch.tensor([[3.0, 2, 1], [1, 2, 3]]), torch.tensor([1, 0]))
assert_equal(metric.compute(), 0.5)

# %% [markdown]
r"""
**2.** A metric for the largest error of an epoch cannot be a `Mean`. Write it
without keeping the predictions.
"""


# %% tags=["solution"]
class Largest(Metric):
    name = "largest"

    def reset(self) -> None:
        self.value = -math.inf

    def update(self, prediction: Tensor, target: Tensor) -> None:
        self.value = max(self.value, (prediction - target).abs().max().item())

    def compute(self) -> float:
        return self.value


metric = Largest()
metric.reset()
metric.update(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 2.0]))
metric.update(torch.tensor([0.0]), torch.tensor([1.0]))
assert_equal(metric.compute(), 3.0)

# %% [markdown]
r"""
**3.** Which answers maximise recall, and what do they do to precision? Check it
on the hundred mails.
"""

# %% tags=["solution"]
recall, precision = Recall(2), Precision(2)
for metric in (recall, precision):
    metric.update(torch.ones(100), spam)  # yes to all
assert_equal(recall.compute(), 1.0)
assert_close(precision.compute(), 0.05)

# %% [markdown]
r"""
Part 2, {doc}`/2_backward/1_matmul`, builds what the network of this part
borrowed.
"""
