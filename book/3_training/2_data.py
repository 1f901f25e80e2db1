# %% [markdown] module="data.loader"
r"""
# Dataset, sampler, data loader

A training step wants a batch: two tensors, 64 rows each. The data lies in
files, or in memory, in whatever order somebody left it.
{doc}`/1_pixels/3_network` borrowed torch's `DataLoader` to stand between the
two. **Who decides what a batch holds, what does that cost, and how much does
the decision matter?**

The answer has three parts that know nothing of each other: a *dataset* has the
items, a *sampler* says in which order, and *collation* makes many items one. A
loader only joins them. Ours will give torch's batches, bit for bit; it can be
stopped in the middle of an epoch and go on from there; for data that lies in
tensors there is a way round it that is many times faster; and at the end
several processes load for it.

| name | meaning |
| --- | --- |
| item, sample | what a dataset gives for one index, such as an image and its label |
| index | which item: an integer, or any key that the dataset understands |
| `n` | how many items |
| batch | what collation makes of a list of items |
| epoch | every item once, in batches; its state says where it stands |
| worker | a process that loads batches |
"""

# %% Imports tags=["hide-input"]
import copy
import itertools
import json
import math
import multiprocessing
import random
import time
import warnings
from bisect import bisect_right
from collections import deque
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    Sized,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice
from multiprocessing.context import BaseContext
from typing import Any, Generic, NamedTuple, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.datasets import mnist
from groundup.testing import assert_equal

# %% [markdown]
r"""
## A dataset is two methods

Anything that can be asked for its length and for one item will do. A list is a
dataset. So is this:
"""


# %%
class Squares:
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, int]:
        return index, index**2


len(Squares()), Squares()[3]

# %% [markdown]
r"""
Nothing is read or computed before it is asked for, so a dataset may be larger
than the memory. The base class adds what follows from the two methods, here
that two datasets can be joined with `+`.
"""


# %% The base tags=["export"] module="data.dataset" earns="torch.utils.data.Dataset"
"""Datasets: items by index, and items that can only be read through."""

_Item = TypeVar("_Item", covariant=True)


class Dataset(Generic[_Item]):
    """Items by index: fill in `__getitem__`, and `__len__` if it is known.

    `__getitems__(indices)` may give many items at once, where that is faster.
    """

    def __getitem__(self, index: Any) -> _Item:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        return ConcatDataset([self, other])


# %% [markdown]
r"""
Some data cannot be indexed: lines that arrive over a network, or a file too
long to know where line 1,000,000 begins. It can only be read from the front.
Such a dataset is an *iterable*.
"""


# %% Data to read through tags=["export"] module="data.dataset" earns="torch.utils.data.IterableDataset torch.utils.data.ChainDataset"
class IterableDataset(Dataset[_Item]):
    """Items in the order in which they come: fill in `__iter__`.

    With several workers each reads its own copy: `get_worker_info` tells them
    apart.
    """

    def __iter__(self) -> Iterator[_Item]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __add__(self, other: Dataset) -> "ChainDataset":
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """Iterable datasets, one after the other."""

    def __init__(self, datasets: Iterable[IterableDataset]):
        self.datasets = datasets

    def __iter__(self) -> Iterator:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


# %%
class Countdown(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(3, 0, -1))


list(Countdown() + Countdown())

# %% [markdown]
r"""
Data that already lies in tensors needs no class of its own, only tensors that
agree in how many rows they have.
"""


# %% Rows of tensors tags=["export"] module="data.dataset" earns="torch.utils.data.TensorDataset"
class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors that share their first axis, as tuples."""

    def __init__(self, *tensors: Tensor):
        _same_length(dict(enumerate(tensors)))
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


def _same_length(datasets: Mapping[Any, Sized]) -> int:
    """The length that all have; ValueError if they differ, with each one's."""
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    if not lengths:
        raise ValueError("expected at least one, got none")
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValueError(f"the lengths differ ({text})")
    return next(iter(lengths.values()))


# %%
images, digits = mnist()
dataset = TensorDataset(images, digits)
image, digit = dataset[0]
len(dataset), image.shape, digit

# %% [markdown]
r"""
Three more are combinations. One dataset *after* another, one *beside* another,
and a part of one. For the first, the ends of the parts are added up, and a
binary search finds the part in which an index lies.
"""


# %% One after another tags=["export"] module="data.dataset" earns="torch.utils.data.ConcatDataset"
class ConcatDataset(Dataset[_Item]):
    """Datasets, one after the other."""

    def __init__(self, datasets: Iterable[Dataset[_Item]]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("expected at least one dataset, got none")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                kind = type(dataset).__name__
                raise TypeError(f"{kind} has no indices: use ChainDataset")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> _Item:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} of a dataset of length {n}")
        part = bisect_right(self.cumulative_sizes, index := index % n)
        start = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][index - start]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


# %% [markdown]
r"""
Beside each other they need one length, which each of them is asked for.
"""


# %% Side by side tags=["export"] module="data.dataset" earns="torch.utils.data.StackDataset"
class StackDataset(Dataset):
    """Datasets of one length side by side: tuples, or dicts by keyword."""

    def __init__(self, *args: Dataset, **kwargs: Dataset):
        if args and kwargs:
            raise ValueError("expected datasets by position or by name only")
        self.datasets = kwargs or args
        self._length = _same_length(kwargs or dict(enumerate(args)))

    def __getitem__(self, index: Any) -> tuple | dict:
        if isinstance(self.datasets, dict):
            return {key: each[index] for key, each in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


# %%
ConcatDataset(["abc", "de"])[3], StackDataset(x="abc", y=[1, 2, 3])[2]

# %% [markdown]
r"""
A part is a dataset and a list of indices into it. Asked for a list of items, it
passes the question on: a dataset of tensors answers with all rows at once.
"""


# %% Parts tags=["export"] module="data.dataset" earns="torch.utils.data.Subset"
class Subset(Dataset[_Item]):
    """The items of a dataset at the given indices."""

    def __init__(self, dataset: Dataset[_Item], indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int | list[int]) -> _Item:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


# %%
_, some = Subset(dataset, range(100, 200))[[0, 1, 2]]
assert_equal(some, digits[100:103])
some

# %% [markdown]
r"""
A random split is a shuffled list of all indices, cut up. Lengths may be given
as fractions; what rounding down leaves over is dealt out one by one, from the
first part on.
"""


# %% A random split tags=["export"] module="data.dataset" earns="torch.utils.data.random_split"
def random_split(
    dataset: Dataset[_Item],
    lengths: Sequence[int | float],
    generator: torch.Generator | None = None,
) -> list[Subset[_Item]]:
    """Disjoint random subsets, of lengths or of fractions that add up to 1."""
    n, wanted = len(dataset), list(lengths)
    if min(lengths, default=0) < 0:
        raise ValueError(f"expected no negative lengths, got {wanted}")
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _counts(lengths, n)
    if sum(lengths) != n:
        raise ValueError(f"expected lengths that add up to {n}, got {wanted}")
    for part, length in zip(wanted, lengths, strict=True):
        if length == 0:
            warnings.warn(f"a part of {part} of {n} is empty", stacklevel=2)
    indices = iter(torch.randperm(n, generator=generator).tolist())
    return [Subset(dataset, list(islice(indices, k))) for k in lengths]


def _counts(fractions: Sequence[float], n: int) -> list[int]:
    counts = [math.floor(fraction * n) for fraction in fractions]
    for i in range(n - sum(counts)):
        counts[i % len(counts)] += 1
    return counts


# %% The same split as torch's tags=["reference"]
ours, theirs = (
    split(range(11), [0.5, 0.5], torch.Generator().manual_seed(0))
    for split in (random_split, torch.utils.data.random_split)
)
assert_equal([list(part) for part in ours], [list(part) for part in theirs])
[list(part) for part in ours]

# %% [markdown]
r"""
## A sampler is an iterator of indices

In which order? That is a question about integers alone, and a {term}`sampler`
answers it without seeing an item. The simplest counts.
"""


# %% In order tags=["export"] module="data.sampler" earns="torch.utils.data.Sampler torch.utils.data.SequentialSampler"
"""Samplers: in which order the items of a dataset are taken."""

_Index = TypeVar("_Index", covariant=True)


class Sampler(Generic[_Index]):
    """Indices, or lists of them: fill in `__iter__`, and `__len__` if known."""

    def __iter__(self) -> Iterator[_Index]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


# %%
list(SequentialSampler("abcde"))

# %% [markdown]
r"""
The most used deals out a random permutation. With *replacement* each draw is
independent of the others, so some items come twice and, of many, a share of
$1/e$ does not come at all.

To be torch's equal, one detail matters. Without a generator of its own, the
sampler takes *one* number from the global one as the seed of its own. Whatever
else draws random numbers during the epoch does not change the order.
"""


# %% A seed of one's own tags=["export", "internal"] module="data.sampler"
def draw_seed(generator: torch.Generator | None = None) -> int:
    """A random 63-bit integer from the generator, or from the global one."""
    seed = torch.empty((), dtype=torch.int64).random_(generator=generator)
    return int(seed.item())


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"expected a positive integer {name}, got {value!r}")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"expected True or False as {name}, got {value!r}")


# %%
torch.manual_seed(0)
draw_seed(), draw_seed(torch.Generator().manual_seed(0))


# %% A random order tags=["export"] module="data.sampler" earns="torch.utils.data.RandomSampler"
class RandomSampler(Sampler[int]):
    """A random permutation, or `num_samples` draws with replacement.

    More samples than items without replacement: one permutation after another.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
    ):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _check_flag("replacement", replacement)
        _check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many are drawn: as many as there are items, if not told."""
        if self._num_samples is None:
            return len(self.data_source)
        return self._num_samples


# %% [markdown]
r"""
The order is drawn in tensors, as it is needed, and dealt out as integers.
"""


# %% tags=["export"] module="data.sampler"
class RandomSampler(RandomSampler):
    def draws(self) -> Iterator[Tensor]:
        """The order, as tensors of indices that are drawn when needed."""
        n, generator = len(self.data_source), self.generator
        if generator is None:
            generator = torch.Generator().manual_seed(draw_seed())
        size = 32 if self.replacement else n
        # torch draws once more at the end: whose generator it is notices
        end = 0 if self.generator is None else -1
        for left in range(self.num_samples, end, -size):
            if self.replacement:
                shape = (min(left, size),)
                yield torch.randint(n, shape, generator=generator)
            else:
                yield torch.randperm(n, generator=generator)[:left]

    def __iter__(self) -> Iterator[int]:
        drawn = (indices.tolist() for indices in self.draws())
        return itertools.chain.from_iterable(drawn)

    def __len__(self) -> int:
        return self.num_samples


# %%
torch.manual_seed(0)
letters = "abcde"
list(RandomSampler(letters)), list(RandomSampler(letters, replacement=True))

# %% [markdown]
r"""
Two more draw from a list of indices, or with unequal probability: a class that
is rare in the data can be made frequent in the batches.
"""


# %% From a list tags=["export"] module="data.sampler" earns="torch.utils.data.SubsetRandomSampler"
class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(
        self, indices: Sequence[int], generator: torch.Generator | None = None
    ):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        n = len(self.indices)
        for i in torch.randperm(n, generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


# %% By weight tags=["export"] module="data.sampler" earns="torch.utils.data.WeightedRandomSampler"
class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each as likely as its weight says."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: torch.Generator | None = None,
    ):
        _check_count("num_samples", num_samples)
        _check_flag("replacement", replacement)
        self.weights = torch.as_tensor(weights, dtype=torch.double)
        if self.weights.ndim != 1:
            shape = tuple(self.weights.shape)
            raise ValueError(f"expected weights of shape (n,), got {shape}")
        self.num_samples, self.replacement = num_samples, replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        how = self.num_samples, self.replacement
        drawn = torch.multinomial(self.weights, *how, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


# %% alt="Four panels of which item is taken at each of 60 draws from 60 items. In order: a diagonal. Shuffled: scattered, each height once. With replacement: scattered, some heights twice and some never. Weighted: crowded towards the top." tags=["hide-input"]
items = range(60)
torch.manual_seed(0)
orders = {
    "in order": SequentialSampler(items),
    "shuffled": RandomSampler(items),
    "with replacement": RandomSampler(items, replacement=True),
    "weighted": WeightedRandomSampler([i**3 for i in items], 60),
}
figure, panels = plt.subplots(1, 4, figsize=(10, 2.7), sharey=True)
for panel, (name, sampler) in zip(panels, orders.items(), strict=True):
    taken = list(sampler)
    panel.plot(taken, ".", color="C0")
    never = sorted(set(items) - set(taken))
    panel.plot([-3] * len(never), never, "_", color="C1")
    panel.set_xlabel(name)
panels[0].set_ylabel("item")
plt.show()

# %% [markdown]
r"""
The marks at the left of a panel are items that were never taken. Of 60 draws
with replacement one expects to miss $60\,(1 - 1/60)^{60} \approx 22$.

Batches are a sampler too: one whose indices are lists of another's. At the end
there may be fewer items left than a batch takes. They are a short batch, or
they are dropped.
"""


# %% Lists of indices tags=["export"] module="data.sampler" earns="torch.utils.data.BatchSampler"
class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` of a sampler's indices; the last may be shorter."""

    def __init__(
        self, sampler: Iterable[int], batch_size: int, drop_last: bool
    ):
        _check_count("batch_size", batch_size)
        _check_flag("drop_last", drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n, size = len(self.sampler), self.batch_size
        return n // size if self.drop_last else -(-n // size)


# %%
list(BatchSampler(SequentialSampler(range(10)), 4, drop_last=False))

# %% [markdown]
r"""
## Collation

A list of 64 pairs is not yet a pair of 64s. {term}`Collation <collation>` turns
a list of items inside out, whatever their structure: tensors are stacked on a
new first axis, numbers become a tensor, dictionaries a dictionary of batches,
tuples a list of batches, and strings stay what they are.

A container comes back as its own type, with two exceptions that code relies on:
a plain tuple becomes a list, and a container that cannot be made anew becomes
the plain list or dictionary.
"""


# %% The same container, other contents tags=["export"] module="data.collate"
"""Collation: a list of items becomes one batch, whatever their structure."""


def _refill(container: Any, values: list) -> Any:
    """A container like this one that holds the values, in its order."""
    kind = type(container)
    if isinstance(container, tuple):
        named = isinstance(getattr(kind, "_fields", None), tuple)
        return kind(*values) if named else values
    mapping = isinstance(container, Mapping)
    plain = dict(zip(container, values, strict=True)) if mapping else values
    try:
        if not isinstance(container, MutableMapping | MutableSequence):
            return kind(plain)
        filled = copy.copy(container)
        for key, value in plain.items() if mapping else enumerate(plain):
            filled[key] = value
        return filled
    except TypeError:
        return plain


# %% [markdown]
r"""
`map_batch` walks through a nested batch and changes what is not a container.
Conversion, the rule for items that are *not* put together, is such a change.
"""


# %% Leaf by leaf tags=["export"] module="data.collate" earns="torch.utils.data.default_convert"
def map_batch(function: Callable[[Any], Any], batch: Any) -> Any:
    """The batch with every leaf, all but the containers, replaced."""
    text = isinstance(batch, str | bytes)
    if isinstance(batch, Mapping):
        parts = [batch[key] for key in batch]
    elif isinstance(batch, Sequence) and not text:
        parts = list(batch)
    else:
        return function(batch)
    return _refill(batch, [map_batch(function, part) for part in parts])


def default_convert(data: Any) -> Any:
    """The data with tensors for NumPy's arrays and numbers; text stays."""
    return map_batch(_as_tensor, data)


def _as_tensor(leaf: Any) -> Any:
    is_array = isinstance(leaf, np.ndarray | np.bool_ | np.number)
    if is_array and leaf.dtype.kind not in "SUO":
        return torch.as_tensor(leaf)
    return leaf


# %%
default_convert({"x": [digits[:2].numpy(), np.float32(1.5)], "name": "a"})

# %% [markdown]
r"""
Collation walks through many items at once: what is at the same key, or at the
same place, of every item is collated in its turn.
"""


# %% Together tags=["export"] module="data.collate" earns="torch.utils.data.default_collate"
def default_collate(batch: list) -> Any:
    """One batch of a list of items of the same structure.

    Tensors are stacked; arrays and numbers become tensors, Python's floats in
    double precision; text stays a list; containers hold batches.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return torch.stack(batch)
    match _as_tensor(first):
        case Tensor():
            return torch.stack([_as_tensor(each) for each in batch])
        case float():
            return torch.tensor(batch, dtype=torch.float64)
        case int():
            return torch.tensor(batch)
        case str() | bytes():
            return batch
    return _refill(first, [default_collate(each) for each in _columns(batch)])


# %% tags=["export"] module="data.collate"
def _columns(items: list) -> list:
    """What all items hold at a key or a place, one after the other."""
    first = items[0]
    if isinstance(first, Mapping):
        return [[item[key] for item in items] for key in first]
    if not isinstance(first, Sequence):
        raise TypeError(
            "expected tensors, arrays, numbers, text, or mappings and "
            f"sequences of them, got {type(first).__name__}"
        )
    sizes = sorted({len(item) for item in items})
    if len(sizes) > 1:
        raise RuntimeError(f"expected items of equal size, got {sizes}")
    return list(zip(*items, strict=True))


# %% Nested as you like
class Point(NamedTuple):
    x: float
    y: float


default_collate(
    [
        {"at": Point(0.0, 1.0), "name": "a", "seen": (1, True)},
        {"at": Point(2.0, 3.0), "name": "b", "seen": (2, False)},
    ]
)

# %% [markdown]
r"""
A training loop needs one more change of leaves, to another device.
"""


# %% To a device tags=["export"] module="data.collate"
def to_device(
    batch: Any, device: torch.device | str, non_blocking: bool = False
) -> Any:
    """The batch with its tensors on the device."""

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.to(device, non_blocking=non_blocking)
        return leaf

    return map_batch(moved, batch)


# %%
batch = {"x": torch.ones(2, 3), "names": ["a", "b"]}
to_device(batch, "meta")

# %% [markdown]
r"""
## One process

With these three, a loader is six lines:
"""


# %%
class DataLoader:
    def __init__(self, dataset, batch_sampler, collate_fn=default_collate):
        self.dataset, self.batch_sampler = dataset, batch_sampler
        self.collate_fn = collate_fn

    def __iter__(self) -> Iterator:
        for indices in self.batch_sampler:
            yield self.collate_fn([self.dataset[i] for i in indices])


torch.manual_seed(0)
sampler = BatchSampler(RandomSampler(Squares()), 4, drop_last=False)
list(DataLoader(Squares(), sampler))

# %% alt="The way of a batch, from left to right. A sampler gives single indices, the batch sampler makes lists of four of them, the dataset turns each index into an item, and collation makes one batch of each list. With workers, the part from the dataset to collation happens in other processes." tags=["hide-input"]
torch.manual_seed(0)
flow = list(BatchSampler(RandomSampler(range(8)), 4, drop_last=False))
figure, axes = plt.subplots(figsize=(9, 3.2))
columns = {"sampler": 0, "batch sampler": 2, "dataset": 4.4, "collation": 7}
for name, column in columns.items():
    axes.text(column, 8.1, name, ha="center", weight="bold")
for row, index in enumerate(i for batch in flow for i in batch):
    height, colour = 7 - row - 0.4 * (row > 3), f"C{row // 4}"
    axes.text(0, height, str(index), ha="center", va="center")
    axes.text(2, height, str(index), ha="center", va="center", color=colour)
    item = f"({index}, {index**2})"
    axes.text(4.4, height, item, ha="center", va="center", color=colour)
    for start in (0.3, 2.5):
        arrow = dict(arrowstyle="->", color="0.6")
        end = start + (1.2 if start < 1 else 1.0)
        axes.annotate("", (end, height), (start, height), arrowprops=arrow)
    middle = 7 - 1.5 - 4.4 * (row // 4)
    arrow = dict(arrowstyle="->", color="0.6")
    axes.annotate("", (6.1, middle), (5.2, height), arrowprops=arrow)
for i, batch in enumerate(flow):
    text = f"{batch}\n{[index**2 for index in batch]}"
    height = 7 - 1.5 - 4.4 * i
    axes.text(7.2, height, text, ha="center", va="center", color=f"C{i}")
axes.axvspan(3.3, 8.5, color="0.5", alpha=0.12, lw=0)
axes.text(5.9, -1.9, "in a worker, if there are any", ha="center", color="0.5")
axes.set(xlim=(-0.7, 8.5), ylim=(-2.2, 9))
axes.axis("off")
plt.show()

# %% [markdown]
r"""
Two things are missing even in one process. The first is a good error. When item
31,772 of 60,000 is a broken file, one wants to know *which* one. Python lets a
note be added to an exception on its way up, so its own traceback stays as it
is.

What a list of indices is to become a batch, by whatever process, we write down
once: a *job* knows all but the indices.
"""


# %% From indices to a batch tags=["export", "internal"] module="data.fetch"
"""Fetching: from an index, or a list of them, to a batch."""

END = object()  # what an iterable dataset gives when nothing is left


@dataclass(frozen=True)
class Job:
    """How a loader makes batches: all but the indices."""

    dataset: Any
    iterable: bool
    batched: bool  # whether an index is a list of them
    drop_last: bool
    collate_fn: Callable[[Any], Any]

    def fetch(self, index: Any) -> Any:
        """The batch of an index; an error says which item it was."""
        return self.collate(self.items(index), index)

    def collate(self, items: Any, index: Any) -> Any:
        """One batch; an error says of which items."""
        try:
            return self.collate_fn(items)
        except Exception as error:
            error.add_note(f"while collating {_shown(index)}")
            raise


# %% [markdown]
r"""
A dataset that can give many items at once is asked for many. Otherwise the
items are read one by one, and the one that cannot be read is named.
"""


# %% tags=["export", "internal"] module="data.fetch"
class Job(Job):
    def items(self, index: Any) -> Any:
        """The item, or the list of items; an error says which it was."""
        many = getattr(self.dataset, "__getitems__", None)
        at = index
        try:
            if not self.batched:
                return self.dataset[index]
            if many is not None:
                return many(index)
            items = []
            for at in index:
                items.append(self.dataset[at])
            return items
        except Exception as error:
            kind = type(self.dataset).__name__
            error.add_note(f"while loading {_shown(at)} of a {kind}")
            raise


def _shown(index: Any) -> str:
    text = repr(index) if len(repr(index)) < 200 else f"{repr(index)[:200]}..."
    return f"items {text}" if isinstance(index, list) else f"item {text}"


# %% An item that cannot be read
class Broken(Squares):
    def __getitem__(self, index: int) -> tuple[int, int]:
        return index, 1 // (index - 7)


job = Job(Broken(), False, True, False, default_collate)
try:
    job.fetch([2, 7])
except ZeroDivisionError as error:
    notes = error.__notes__
assert_equal(notes, ["while loading item 7 of a Broken"])
notes

# %% [markdown]
r"""
The second is the kind of data that has no indices: there the "index" is only a
count, and the loader must notice the end. And a `TensorDataset` can give the
rows of a batch by one indexing, which is the same as stacking its items. So
there are three ways to fetch, and an epoch uses one.
"""


# %% Ways to fetch tags=["export", "internal"] module="data.fetch"
class Job(Job):
    def rows(self, index: Any) -> list[Tensor]:
        """A batch of a TensorDataset, by one indexing of each tensor."""
        try:
            return list(self.dataset[torch.as_tensor(index)])
        except IndexError as error:
            error.add_note(f"while loading {_shown(index)} of a TensorDataset")
            raise

    def read(self, items: Iterator, index: Any) -> Any:
        """The next batch, whatever the index; END when nothing is left."""
        if not self.batched:
            item = next(items, END)
            return item if item is END else self.collate(item, index)
        some = list(islice(items, len(index)))
        if not some or (self.drop_last and len(some) < len(index)):
            return END
        return self.collate(some, index)

    def fetcher(self) -> Callable[[Any], Any]:
        """A function from an index to a batch; one epoch uses one."""
        if self.iterable:  # a generator, since that stays ended
            return partial(self.read, (item for item in self.dataset))
        plain = self.batched and self.collate_fn is default_collate
        if plain and type(self.dataset) is TensorDataset:
            return self.rows
        return self.fetch


# %% [markdown]
r"""
With it the loop of the six lines reads whatever data there is.
"""


# %% The loop tags=["export", "internal"] module="data.fetch"
def load(job: Job, indices: Iterable) -> Iterator:
    """The batches of the indices, made in this process."""
    fetch = job.fetcher()
    for index in indices:
        if (batch := fetch(index)) is END:
            return
        yield batch


# %%
stream = Job(Countdown(), True, True, False, default_collate)
rows = Job(dataset, False, True, False, default_collate)
pairs = list(load(rows, [[0, 1], [2]]))
assert_equal(pairs[0][0], images[:2])
list(load(stream, itertools.repeat([None, None]))), pairs[1][1]

# %% [markdown]
r"""
## Where an epoch stands

A run that is killed in the middle of an epoch shall go on with the batch that
would have been next. It draws random numbers on its way, so their generators
have to be put back exactly as they were: torch's, Python's and NumPy's, as
plain values that JSON can hold.
"""


# %% Random states tags=["export"] module="data.resume"
"""What an epoch needs to go on in the middle: random states, a position."""


def random_state() -> dict[str, Any]:
    """The states of torch's, Python's and NumPy's generators, for JSON."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": encode(torch.get_rng_state()),
        "python": [version, list(numbers), gauss],
        "numpy": [kind, keys.tolist(), *rest],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the three generators back to a state of `random_state`."""
    torch.set_rng_state(decode(state["torch"]))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))


# %% tags=["export", "internal"] module="data.resume"
def encode(state: Tensor) -> str:
    """Bytes as hexadecimal digits: (n,) uint8 -> 2n characters."""
    return state.numpy().tobytes().hex()


def decode(digits: str) -> Tensor:
    """The bytes that `encode` wrote: 2n characters -> (n,) uint8."""
    return torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8)


def skip(iterator: Iterator, n: int) -> None:
    """Take n and drop them."""
    deque(islice(iterator, n), maxlen=0)


def _length(batches: Iterable) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None


# %%
state = json.loads(json.dumps(random_state()))
first = torch.rand(2), random.random(), np.random.rand()
set_random_state(state)
second = torch.rand(2), random.random(), np.random.rand()
assert_equal(first[0], second[0])
first[1:] == second[1:], len(json.dumps(state))

# %% [markdown]
r"""
What else has to be kept? Not the order of the indices: it follows from the
random state at the *start* of the epoch. So that state, the position, and the
base seed of the workers, if any. To resume is to draw the order again and leave
out what has been seen, without loading an item.

This is not the business of one loader alone, so it becomes a base class. Its
children fill in one method, the batches of an epoch from its position on.
"""


# %% What is kept tags=["export"] module="data.resume"
class Resumable:
    """Batches that can be left in the middle of an epoch and resumed there.

    Fill in `_batches`, and `__len__` if it is known. An epoch that its loop
    left early is over. Exact for samplers that draw from their `generator`,
    or from the global one before the first index.
    """

    generator: torch.Generator | None = None
    _epoch: dict[str, Any] | None = None  # runs, or is to be resumed
    _resumes = False

    def state_dict(self) -> dict[str, Any]:
        """The position and the random states, as values that JSON can hold."""
        return copy.deepcopy(self._epoch or self._new_epoch())

    def _new_epoch(self) -> dict[str, Any]:
        return {
            "position": 0,  # batches given so far
            "length": _length(self),
            "seed": None,  # drawn when the epoch begins, as is `start`
            "start": None,
            "generators": [encode(g.get_state()) for g in self._generators()],
            "workers": [],
        }


# %% tags=["export"] module="data.resume"
class Resumable(Resumable):
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on where the state was taken."""
        expected, given = self._new_epoch(), dict(state_dict)
        if expected.keys() != given.keys():
            wanted, got = sorted(expected), sorted(given)
            raise ValueError(f"expected the keys {wanted}, got {got}")
        if expected["length"] != given["length"]:
            wanted, got = expected["length"], given["length"]
            raise ValueError(
                f"the state is of a loader of {got} batches, this has {wanted}"
            )
        self._epoch, self._resumes = copy.deepcopy(given), True

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        """The batches of an epoch, from its position on."""
        raise NotImplementedError(f"{type(self).__name__} has no _batches")

    def _generators(self) -> list[torch.Generator]:
        """The generators that the order is drawn from, but the global one."""
        return [] if self.generator is None else [self.generator]


# %%
Resumable().state_dict()

# %% [markdown]
r"""
An iteration begins an epoch, or goes on with the one that was loaded. Where the
order comes from the global generator, one more thing matters: at a resume that
generator has already been put back to where it was in the middle of the epoch.
So it is set to the start only while the order is drawn.
"""


# %% Going on tags=["export"] module="data.resume"
class Resumable(Resumable):
    def __iter__(self) -> Iterator:
        epoch = self._begin()
        with _rewound(epoch):
            batches = self._batches(epoch)
        return self._counted(epoch, batches)

    def _begin(self) -> dict[str, Any]:
        """The epoch that starts now, or the one that goes on."""
        epoch = self._epoch if self._resumes else self._new_epoch()
        self._epoch, self._resumes = epoch, False
        for each, state in zip(
            self._generators(), epoch["generators"], strict=True
        ):
            each.set_state(decode(state))
        if epoch["seed"] is None:
            epoch["seed"] = draw_seed(self.generator)
            epoch["generators"] = self._new_epoch()["generators"]
        return epoch

    def _counted(self, epoch: dict[str, Any], batches: Iterable) -> Iterator:
        """The batches, counted in the epoch's state, until it is over."""
        try:
            for batch in batches:
                epoch["position"] += 1
                yield batch
        finally:
            if self._epoch is epoch and not self._resumes:
                self._epoch = None


# %% tags=["export"] module="data.resume"
@contextmanager
def _rewound(epoch: dict[str, Any]) -> Iterator[None]:
    """The global generators, for a while as they were at the epoch's start."""
    now = random_state()
    if epoch["start"] is None:
        epoch["start"] = now
        yield
        return
    set_random_state(epoch["start"])
    try:
        yield
    finally:
        set_random_state(now)


# %% The small loader, resumed
class DataLoader(Resumable):
    def __init__(self, dataset: Any, batch_sampler: BatchSampler):
        self.dataset, self.batch_sampler = dataset, batch_sampler

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        indices = iter(self.batch_sampler)
        skip(indices, epoch["position"])
        job = Job(self.dataset, False, True, False, default_collate)
        return load(job, indices)


sampler = BatchSampler(RandomSampler(range(20)), 4, drop_last=False)
loader, other = DataLoader(range(20), sampler), DataLoader(range(20), sampler)
torch.manual_seed(0)
batches = iter(loader)
seen = list(islice(batches, 3))
other.load_state_dict(loader.state_dict())
rest, expected = list(other), list(batches)
assert_equal(torch.cat(rest), torch.cat(expected))
rest

# %% [markdown]
r"""
## The loader

Now the loader itself, with torch's arguments. The first half is refusing what
makes no sense: an option without effect is a mistake that nobody notices.
"""


# %% What is refused tags=["export"]
"""The data loader: joins dataset, sampler, collation and workers."""


def _check_order(
    stream: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Iterable | None,
    batch_sampler: Iterable | None,
    drop_last: bool,
) -> None:
    got = f"{batch_size=}, {shuffle=}, {sampler=}, {batch_sampler=}"
    own = sampler is not None or batch_sampler is not None
    if stream and (shuffle or own):
        raise ValueError(
            "an iterable dataset has its own order: expected no shuffle, "
            f"sampler or batch_sampler, got {got}"
        )
    if sampler is not None and shuffle:
        raise ValueError("expected sampler or shuffle, got both")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "a batch_sampler decides alone: expected no batch_size, shuffle, "
            f"sampler or drop_last, got {got}, {drop_last=}"
        )
    if batch_size is None and drop_last:
        raise ValueError("without a batch_size there is no last batch to drop")


# %% tags=["export"]
_STREAMS = IterableDataset | torch.utils.data.IterableDataset
_FIXED = ("dataset", "sampler", "batch_sampler", "batch_size", "drop_last")


def _check_workers(options: Mapping[str, Any]) -> None:
    workers, timeout = options["num_workers"], options["timeout"]
    if workers < 0 or timeout < 0:
        raise ValueError(
            "expected num_workers and timeout of 0 or more, got "
            f"{workers} and {timeout}"
        )
    ahead = options["prefetch_factor"]
    if ahead is not None and ahead < 1:
        raise ValueError(f"expected prefetch_factor of 1 or more, got {ahead}")
    names = ["timeout", "prefetch_factor", "persistent_workers"]
    names += ["multiprocessing_context"]
    given = ", ".join(name for name in names if options[name])
    if given and not workers:
        raise ValueError(f"{given}: needs num_workers > 0, got 0")
    _start_context(options["multiprocessing_context"])


def _start_context(wanted: str | BaseContext | None) -> BaseContext:
    """How processes are started; ValueError for a name that is none."""
    if isinstance(wanted, BaseContext):
        return wanted
    return multiprocessing.get_context(wanted)


# %% tags=["hide-input"]
try:
    _check_order(False, 2, None, None, [[0, 1], [2]], False)
except ValueError as error:
    told = str(error)
Markdown(f"> {told}")

# %% [markdown]
r"""
The constructor keeps the options. Whatever they are, in the end two samplers
decide: one on single indices, and one, if there are batches, on lists of them.
"""


# %% The options tags=["export"] earns="torch.utils.data.DataLoader"
class DataLoader(Resumable):
    """Batches of a dataset, with torch's arguments and torch's batches."""

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: torch.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ):
        self.dataset, self.collate_fn = dataset, collate_fn
        self.generator, self.pin_memory = generator, pin_memory
        self.num_workers, self.worker_init_fn = num_workers, worker_init_fn
        self.timeout, self.prefetch_factor = timeout, prefetch_factor
        self.persistent_workers, self._pool = persistent_workers, None
        self.multiprocessing_context = multiprocessing_context
        _check_workers(vars(self))
        self._set_order(batch_size, shuffle, sampler, batch_sampler, drop_last)


# %% Who decides on the indices tags=["export"]
class DataLoader(DataLoader):
    def _set_order(
        self,
        batch_size: int | None,
        shuffle: bool | None,
        sampler: Iterable | None,
        batch_sampler: Iterable | None,
        drop_last: bool,
    ) -> None:
        stream = isinstance(self.dataset, _STREAMS)
        given = batch_size, shuffle, sampler, batch_sampler, drop_last
        _check_order(stream, *given)
        if stream:
            sampler = itertools.repeat(None)  # its indices mean nothing
        elif sampler is None and shuffle:
            sampler = RandomSampler(self.dataset, generator=self.generator)
        elif sampler is None:
            sampler = SequentialSampler(self.dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.batch_size, self.drop_last = batch_size, drop_last
        if self.collate_fn is None:
            batched = batch_sampler is not None
            self.collate_fn = default_collate if batched else default_convert


# %%
torch.manual_seed(0)
loader = DataLoader(range(10), batch_size=4, shuffle=True)
list(loader.batch_sampler), DataLoader(range(10), batch_size=None).batch_sampler

# %% [markdown]
r"""
What the samplers were made of cannot be changed afterwards: nothing would
happen. The rest can, so the job is made anew whenever it is asked for.
"""


# %% What a batch is made of tags=["export"]
class DataLoader(DataLoader):
    def __setattr__(self, name: str, value: object) -> None:
        if name in _FIXED and name in vars(self):
            raise ValueError(f"{name} is fixed: make a new loader instead")
        super().__setattr__(name, value)

    @property
    def job(self) -> Job:
        """How batches are made: all but the indices."""
        stream = isinstance(self.dataset, _STREAMS)
        batched = self.batch_sampler is not None
        how = self.drop_last, self.collate_fn
        return Job(self.dataset, stream, batched, *how)

    @property
    def _order(self) -> Iterable:
        batches = self.batch_sampler
        return self.sampler if batches is None else batches

    def __len__(self) -> int:
        if not isinstance(self.dataset, _STREAMS):
            return len(self._order)
        n, size = len(self.dataset), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)


# %% [markdown]
r"""
To go on in the middle of a stream is to read what was seen, and to forget it.
"""


# %% Iterating tags=["export"]
class DataLoader(DataLoader):
    def _generators(self) -> list[torch.Generator]:
        inner = getattr(self.batch_sampler, "sampler", None)
        drawing = [self, self.sampler, self.batch_sampler, inner]
        found = [getattr(each, "generator", None) for each in drawing]
        return list({id(each): each for each in found if each}.values())

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        job, indices = self.job, iter(self._order)
        if not job.iterable:
            skip(indices, epoch["position"])
        batches = self._load(job, indices, epoch)
        if job.iterable:
            skip(batches, epoch["position"])
        return map(_pinned, batches) if self.pin_memory else batches

    def _load(self, job: Job, indices: Iterator, epoch: dict) -> Iterator:
        return load(job, indices)


def _pinned(batch: Any) -> Any:
    """The batch in memory that a GPU, if any, can copy from by itself."""
    if not torch.cuda.is_available():
        return batch
    return map_batch(
        lambda leaf: leaf.pin_memory() if isinstance(leaf, Tensor) else leaf,
        batch,
    )


# %% [markdown]
r"""
The base seed is drawn when the iteration begins, and the sampler's seed when
the first index is asked for: that is torch's order, so the same `manual_seed`
gives the same batches.
"""

# %% tags=["reference"]
from torch.utils.data import DataLoader as TorchLoader


def check_same(**options: Any) -> int:
    """How many batches of two epochs are the same as torch's."""
    epochs = []
    for kind in (DataLoader, TorchLoader):
        torch.manual_seed(0)
        loader = kind(dataset, 10_000, shuffle=True, **options)
        epochs.append(list(loader) + list(loader))
    for ours, theirs in zip(*epochs, strict=True):
        assert_equal(ours[0], theirs[0])
        assert_equal(ours[1], theirs[1])
    return len(epochs[0])


check_same()

# %% [markdown]
r"""
And an epoch that is left after three batches, saved, and resumed by another
loader in what might be another process:
"""

# %%
torch.manual_seed(0)
loader = DataLoader(range(20), batch_size=4, shuffle=True)
batches = iter(loader)
seen = list(islice(batches, 3))
state = json.dumps(loader.state_dict())

resumed = DataLoader(range(20), batch_size=4, shuffle=True)
resumed.load_state_dict(json.loads(state))
rest, expected = list(resumed), list(batches)
assert_equal(torch.cat(rest), torch.cat(expected))
rest

# %% [markdown]
r"""
## Batches on the device

A loader makes batches in the memory of the processor. `to_device` moves what is
nested in them. A copy to a GPU can run beside the computation if its source is
*pinned*, memory that the operating system promises not to move; that is what
`pin_memory=True` is for. Without a GPU it does nothing.

## Data that lies in tensors

MNIST lies in two tensors. For one batch of 64 the plain way takes 128 rows out,
one by one, wraps each in a tensor object, and stacks them again. A single
indexing does the same. Our `DataLoader` already takes that way for a
`TensorDataset`. What remains are 50,000 Python integers an epoch: the sampler's
list of indices, cut into lists of 64, each made a tensor again. They can stay a
tensor throughout.

`index_select` copies the rows that a tensor of indices names; with it the loop
has two calls to torch a batch. The order comes from the same sampler, so the
batches are the same as well, bit for bit.
"""

# %% Tensors, indexed tags=["export"] module="data.tensor_loader"
"""Batches of data that lies in tensors: one indexing each, and no more."""


class TensorLoader(Resumable):
    """Batches of rows of tensors; those of a DataLoader, by indexing alone.

    The tensors share their first axis and a device, where the batches are made.
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: torch.Generator | None = None,
    ):
        self.dataset = TensorDataset(*tensors)
        devices = sorted({str(tensor.device) for tensor in tensors})
        if len(devices) > 1:
            raise ValueError(f"expected tensors on one device, got {devices}")
        self.shuffle, self.generator = shuffle, generator
        order = RandomSampler if shuffle else SequentialSampler
        options = {"generator": generator} if shuffle else {}
        self.sampler = order(self.dataset, **options)
        self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last


# %% [markdown]
r"""
Without shuffling the rows of a batch lie side by side and are a slice, which is
copied: who changes a batch shall not change the data.
"""


# %% tags=["export"] module="data.tensor_loader"
class TensorLoader(TensorLoader):
    def __len__(self) -> int:
        return len(self.batch_sampler)

    def _batches(self, epoch: dict[str, Any]) -> Iterator[list[Tensor]]:
        order = self._shuffled() if self.shuffle else self._in_order()
        skip(order, epoch["position"])
        return map(self._take, order)

    def _shuffled(self) -> Iterator[Tensor]:
        """The rows of each batch: up to `len(self)` of (batch_size,) int64."""
        device, n = self.dataset.tensors[0].device, len(self)
        for drawn in self.sampler.draws():
            rows = drawn.to(device)
            yield from rows.split(self.batch_size)[: n if len(rows) else 0]

    def _in_order(self) -> Iterator[slice]:
        for i in range(len(self)):
            yield slice(i * self.batch_size, (i + 1) * self.batch_size)

    def _take(self, rows: Tensor | slice) -> list[Tensor]:
        tensors = self.dataset.tensors
        if isinstance(rows, slice):
            return [tensor[rows].clone() for tensor in tensors]
        return [tensor.index_select(0, rows) for tensor in tensors]


# %%
torch.manual_seed(0)
(ours,) = next(iter(TensorLoader(digits, batch_size=9, shuffle=True)))
torch.manual_seed(0)
(theirs,) = next(iter(DataLoader(TensorDataset(digits), 9, shuffle=True)))
assert_equal(ours, theirs)
ours

# %% [markdown]
r"""
The same images, as numbers from 0 to 1, in batches of 64, by three loaders. The
fastest of three epochs each, for more and more rows. One thread does the
computing: a batch is too small to be worth two. The clock is the processor's,
so that other programs do not count.
"""

# %% tags=["hide-input", "reference"]
torch.set_num_threads(1)
x, y = images[:50_000].view(-1, 784).float() / 255, digits[:50_000]


def seconds(loader: Iterable) -> float:
    """The processor's time for one epoch."""
    start = time.process_time()
    for _ in loader:
        pass
    return time.process_time() - start


def loaders(n: int) -> dict[str, Iterable]:
    rows = x[:n], y[:n]
    ours, theirs = TensorDataset(*rows), torch.utils.data.TensorDataset(*rows)
    return {
        "torch's DataLoader": TorchLoader(theirs, 64, shuffle=True),
        "DataLoader": DataLoader(ours, 64, shuffle=True),
        "TensorLoader": TensorLoader(*rows, batch_size=64, shuffle=True),
    }


sizes = [800, 3_200, 12_800, 25_600]
speeds = {name: [] for name in loaders(64)}
for n in sizes:
    each = loaders(n)
    turns = [{k: seconds(v) for k, v in each.items()} for _ in range(3)]
    for name in speeds:
        speeds[name].append(min(turn[name] for turn in turns))

# %% alt="Seconds per epoch against the number of rows, both axes logarithmic: three straight lines of slope one. Torch's loader lies highest, our DataLoader below it, and the TensorLoader far below both." tags=["hide-input"]
for i, (name, values) in enumerate(speeds.items()):
    plt.loglog(sizes, values, "o-", color=("0.5", "C1", "C0")[i], label=name)
plt.xlabel("rows")
plt.ylabel("processor seconds an epoch")
plt.legend()
plt.show()

# %%
ratios = {
    name: speeds["torch's DataLoader"][-1] / values[-1]
    for name, values in speeds.items()
}
assert ratios["TensorLoader"] > 4  # on a busy machine, too
{name: round(ratio, 1) for name, ratio in ratios.items()}

# %% [markdown]
r"""
How many times faster than torch's loader each one is, at 25,600 rows. The lines
are straight and have slope 1: every row costs the same, however many there are.

## What is shuffling worth?

All of this so that an epoch may take the items in a new order. Is that worth
anything? The network of {doc}`/1_pixels/3_network` for ten digits, the first
10,048 images, three epochs of batches of 64, five seeds. Four orders: new in
every epoch; shuffled once; as the file has them, which somebody has already
mixed; sorted by digit.

And the end of an epoch: a short last batch counts as much in its step as a full
one, though it averages fewer images. The hardest case is one image more, which
is a last batch of its own. Keep it, or drop it?
"""

# %%
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy

images_valid, y_valid = images[50_000:], digits[50_000:]
x_valid = images_valid.view(-1, 784).float() / 255


def accuracy_after(seed: int, epochs: Iterable[Iterable]) -> float:
    """The share of validation images that are right after the epochs."""
    torch.manual_seed(seed)
    model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
    params = list(model.parameters())
    for loader in epochs:
        for x_batch, y_batch in loader:
            cross_entropy(model(x_batch), y_batch).backward()
            with torch.no_grad():
                for param in params:
                    param -= 0.1 * param.grad
                    param.grad = None
    with torch.no_grad():
        return (model(x_valid).argmax(1) == y_valid).float().mean().item()


# %% [markdown]
r"""
A case is an order, how many rows, and what becomes of the last batch. Both
seeds are the same for all of them.
"""


# %%
def three_epochs(order: str, n: int = 10_048, drop_last: bool = False) -> list:
    """The loader of each of three epochs."""
    rows = y[:n].sort(stable=True).indices if order == "sorted" else slice(n)
    if order == "shuffled once":
        rows = torch.randperm(n)
    loader = TensorLoader(
        x[rows],
        y[rows],
        batch_size=64,
        shuffle=order == "shuffled every epoch",
        drop_last=drop_last,
    )
    return [loader] * 3


cases = {
    "shuffled every epoch": {},
    "shuffled once": {},
    "as it came": {},
    "sorted": {},
    "last batch of 1 kept": {"n": 10_049},
    "last batch of 1 dropped": {"n": 10_049, "drop_last": True},
}
results = {name: [] for name in cases}
for name, options in cases.items():
    order = "shuffled every epoch" if "last" in name else name
    for seed in range(5):
        torch.manual_seed(100 + seed)
        epochs = three_epochs(order, **options)
        results[name].append(accuracy_after(seed, epochs))

# %% tags=["remove-input"]
table = {k: torch.tensor(values) for k, values in results.items()}
rows = [
    f"| {name} | {v.mean():.2%} | {v.std():.2%} |" for name, v in table.items()
]
Markdown(
    "\n".join(
        ["| order | mean of 5 | deviation |", "| --- | --- | --- |", *rows]
    )
)

# %%
mean = {name: values.mean().item() for name, values in table.items()}
std = {name: values.std().item() for name, values in table.items()}
mixed = [mean[name] for name in list(cases)[:3]]
assert max(mixed) - min(mixed) < 0.01 and min(mixed) - mean["sorted"] > 0.5
kept, dropped = list(cases)[4:]
assert mean[dropped] - mean[kept] > 0.005 and std[kept] > 3 * std[dropped]
max(mixed) - min(mixed), mean[dropped] - mean[kept]

# %% [markdown]
r"""
Mixing is worth everything: the last that the sorted run sees is 15 batches of
nothing but nines. Mixing *again* in every epoch is here worth nothing that five
seeds could show.

The last batch is the surprise. One step of 158 an epoch, on one image, and some
runs lose half of what they knew. Others are lucky in their last image. A step
on one image $x$ changes a linear layer's score for that same image by the
learning rate times $|x|^2$ times the error, which is at most 1:
"""

# %%
0.1 * (x[:10_048] ** 2).sum(1).mean().item()

# %% [markdown]
r"""
Scores of ten digits lie within ten or so of each other, so an image that is
misread is not nudged, it is shouted at, and nothing averages it with 63 others.
The accuracy was measured right after that step. With `drop_last` it is never
taken, and since the order is new in every epoch no image is left out for good.

## Many processes

That is the story of a batch. The rest of the chapter is for data that takes
long to load: reading and decoding an image may take longer than the step that
uses it. Other processes can do it meanwhile. Threads would be simpler, but
Python runs one thread's code at a time.

The plan: each {term}`worker` gets a pipe. The main process sends it an index,
the worker answers with the batch. Index $i$ goes to worker $i$ modulo their
number, some batches ahead, and the answers are read *in the same order*. So the
batches come as they would with one process, and nothing has to be sorted.

```
main                          worker 0          worker 1
  [3, 1] ──────────────────────▶ load
  [0, 6] ───────────────────────┼──────────────▶ load
  batch 0 ◀────────────────────┘                  │
  [4, 2] ──────────────────────▶ load             │
  batch 1 ◀────────────────────┼──────────────────┘
```

What can go wrong decides the rest of the design.

* *A worker dies*, killed for its memory. Its end of the pipe closes, the main
  process reads the end of the file where a batch should be, and says so. Nobody
  waits for ever, and nobody polls.
* *The main process dies*, or leaves the loop early. Then its end closes, and
  the worker ends itself.
* *Ctrl-C* reaches all processes of a terminal at once. Workers ignore it: the
  main process is told, and its end of the pipe is what they listen to.
* *Both ends write, and neither reads*, since a pipe holds only so much. In the
  worker a thread does nothing but read.

How does a tensor go through a pipe? When torch is imported it teaches Python's
`multiprocessing` to move a tensor to shared memory and send a handle, a few
bytes. So the batch is copied once, in the worker. The handle is good as long as
the worker lives: another reason for it to wait for the pipe to close before it
goes.
"""

# %% Imports for processes tags=["hide-input"]
import os
import pickle
import queue
import signal
import threading
import traceback
import weakref
from itertools import cycle
from multiprocessing.connection import Connection, wait

# %% [markdown]
r"""
## Random numbers of a worker

Processes made by copying one would also draw the same "random" numbers, and two
workers would crop two images alike. Each gets its own seed, one base seed plus
its number; NumPy's comes from the two by its own mixing function.
"""


# %% A seed for each tags=["export", "internal"] module="data.worker"
"""The worker's side: a process that turns indices into batches."""


def seed_worker(base_seed: int, worker: int) -> None:
    """Seed torch's, Python's and NumPy's generators for one worker."""
    torch.manual_seed(base_seed + worker)
    random.seed(base_seed + worker)
    mixed = np.random.SeedSequence([worker, base_seed % 2**32, base_seed >> 32])
    np.random.seed(mixed.generate_state(4))


# %%
drawn = []
for worker in (0, 1, 0):
    seed_worker(5, worker)
    drawn.append((torch.rand(()).item(), random.random(), np.random.rand()))
assert drawn[0] == drawn[2] != drawn[1]
drawn[:2]

# %% [markdown]
r"""
## A worker

What does the worker's code know about itself? Its number and how many there
are, so that a dataset that is read through can give each worker its share.
Inside one of torch's loaders, torch knows.
"""


# %% Which worker is this tags=["export"] module="data.worker" earns="torch.utils.data.get_worker_info"
@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this process is, with its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which worker this process is; None in the main process."""
    return _info or torch.utils.data.get_worker_info()


# %% [markdown]
r"""
The worker answers each index with the kind of the answer, its value, and the
state of the random generators if loading drew from them. An exception is sent
as itself, so `except FileNotFoundError` works in the main process as well, and
its traceback as text.
"""


# %% Answers tags=["export", "internal"] module="data.worker"
def _answer(fetch: Callable, index: Any) -> tuple[str, Any]:
    try:
        batch = fetch(index)
    except Exception as error:
        return "error", _portable(error)
    return ("end", None) if batch is END else ("batch", batch)


def _portable(error: Exception) -> tuple[Exception, str]:
    """An exception that can be sent, and its traceback as text."""
    text = "".join(traceback.format_exception(error))
    try:
        return pickle.loads(pickle.dumps(error)), text
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}"), text


def _send(connection: Connection, kind: str, value: Any, state: Any) -> None:
    try:
        connection.send((kind, value, state))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the main process has gone
    except Exception as error:  # a batch that cannot be pickled
        error.add_note("while sending a batch to the main process")
        _send(connection, "error", _portable(error), state)


# %%
kind, (error, text) = _answer(job.fetch, [2, 7])
assert "index - 7" in text
kind, error, _answer(job.fetch, [2, 3])

# %% [markdown]
r"""
All workers of a pool are started with the same setup. What goes wrong in
starting is told when the first batch is asked for.
"""


# %% A worker begins tags=["export", "internal"] module="data.worker" earns="torch.utils.data._utils.worker._worker_info"
@dataclass(frozen=True)
class Setup:
    """What a worker is started with."""

    job: Job
    num_workers: int
    seed: int
    init_fn: Callable[[int], None] | None

    def enter(self, worker: int) -> None:
        """Make this process the worker: its seeds, and what datasets ask."""
        global _info
        torch.set_num_threads(1)
        seed_worker(self.seed, worker)
        seed, dataset = self.seed + worker, self.job.dataset
        _info = WorkerInfo(worker, self.num_workers, seed, dataset)
        # some datasets ask torch, which has no public way to be told
        torch.utils.data._utils.worker._worker_info = _info


# %% tags=["export", "internal"] module="data.worker"
class Setup(Setup):
    def fetcher(self, worker: int, first: bool) -> Callable[[Any], Any]:
        """A function that fetches, or one that raises what went wrong."""
        try:
            if first and self.init_fn is not None:
                self.init_fn(worker)
            return self.job.fetcher()
        except Exception as error:
            error.add_note(f"while starting worker {worker}")
            return partial(_fail, error)


def _fail(error: Exception, index: Any) -> None:
    raise error


# %%
def no_disk(worker: int) -> None:
    raise OSError("no such disk")


fetch = Setup(job, 1, 0, no_disk).fetcher(0, first=True)
kind, (error, text) = _answer(fetch, [2, 3])
kind, error, error.__notes__

# %% [markdown]
r"""
Two threads then: one listens, the other loads. Whatever is still asked for when
the main process has closed its end is left.
"""


# %% What a worker does tags=["export", "internal"] module="data.worker"
def work(
    connection: Connection,
    inherited: list[Connection],
    worker: int,
    setup: Setup,
    state: dict | None,
) -> None:
    """Answer indices until the main process closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told
    for each in inherited:  # its ends of the pipes, or none would ever close
        each.close()
    setup.enter(worker)
    tasks, closed = queue.SimpleQueue(), threading.Event()
    heard = connection, tasks, closed
    threading.Thread(target=_listen, args=heard, daemon=True).start()
    fetch = setup.fetcher(worker, first=True)
    if state is not None:
        set_random_state(state)
    last = random_state()
    while (task := tasks.get()) is not None and not closed.is_set():
        if task == "epoch":
            fetch = setup.fetcher(worker, first=False)
            continue
        kind, value = _answer(fetch, *task)
        now = random_state()
        _send(connection, kind, value, None if now == last else now)
        last = now


# %% tags=["export", "internal"] module="data.worker"
def _listen(
    connection: Connection, tasks: queue.SimpleQueue, closed: threading.Event
) -> None:
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        closed.set()
        tasks.put(None)


# %% A worker by hand
ours, theirs = multiprocessing.Pipe()
given = theirs, [ours], 0, Setup(stream, 1, 0, None), None
process = multiprocessing.Process(target=work, args=given)
process.start()
for index in ([None, None], [None, None], [None, None]):
    ours.send((index,))
answers = [ours.recv()[:2] for _ in range(3)]
ours.close()
process.join()
answers, process.exitcode

# %% [markdown]
r"""
## A pool

On the other side stands the pool. Whatever happens to it, used up, forgotten,
or left by an exception, `weakref.finalize` closes the pipes. A worker that is
in the middle of an item has five seconds to end it.

A process that was made by copying holds copies of all ends that were open, and
a pipe is closed when the last copy is. So the ends of all pools are noted, for
a new worker to close them.
"""


# %% Stopping tags=["export", "internal"] module="data.pool"
"""The main process's side: asks workers, and always stops them."""

_OPEN: set[Connection] = set()  # this process's ends of all pools' pipes


def _stop(pid: int, connections: list, processes: list) -> None:
    if os.getpid() != pid:
        return  # the copy that a worker inherited
    for connection in connections:
        connection.close()
        _OPEN.discard(connection)
    deadline = time.monotonic() + 5
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


# %% tags=["export", "internal"] module="data.pool"
def _death(process: Any) -> str:
    process.join(1)
    code = process.exitcode
    if code is None:  # it lives: each tensor that it sent is an open file
        return (
            "sent what cannot be received; if too many files are open, keep "
            "fewer batches or raise the limit (ulimit -n)"
        )
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        hint = ", as when memory runs out" if code == -signal.SIGKILL else ""
        return f"{how}{hint}"
    return f"ended with exit code {code}"


# %%
process = multiprocessing.Process(target=time.sleep, args=(60,))
process.start()
process.kill()
_death(process)

# %% [markdown]
r"""
The pool starts its workers, and deals out turns from the first on, or from the
one whose turn it was when the epoch was left.
"""


# %% The pool tags=["export", "internal"] module="data.pool"
class WorkerPool:
    """Processes that answer indices with batches, in the order asked."""

    def __init__(
        self,
        setup: Setup,
        context: BaseContext,
        states: Sequence[dict | None],
        first: int = 0,
    ):
        self.setup, self.states = setup, list(states)
        self.connections, self.processes = [], []
        self.close = weakref.finalize(
            self, _stop, os.getpid(), self.connections, self.processes
        )
        for worker in range(setup.num_workers):
            self._start(context, worker)
        self._begin(first)

    def _begin(self, first: int) -> None:
        n = self.setup.num_workers
        self.turns = islice(cycle(range(n)), first, None)
        self.due: deque[int] = deque()  # who is to answer, the oldest first
        self.ended: set[int] = set()


# %% tags=["export", "internal"] module="data.pool"
class WorkerPool(WorkerPool):
    def _start(self, context: BaseContext, worker: int) -> None:
        ours, theirs = context.Pipe()
        self.connections.append(ours)
        _OPEN.add(ours)
        inherited = list(_OPEN) if context.get_start_method() == "fork" else []
        given = theirs, inherited, worker, self.setup, self.states[worker]
        process = context.Process(target=work, args=given, daemon=True)
        process.start()
        theirs.close()
        self.processes.append(process)


# %%
setup = Setup(Job(dataset, False, True, False, default_collate), 2, 0, None)
pool = WorkerPool(setup, multiprocessing.get_context(), [None, None])
alive = [process.is_alive() for process in pool.processes]
pool.close()
alive, [process.exitcode for process in pool.processes]

# %% [markdown]
r"""
`ask` sends an index to the next worker, `answer` reads the oldest answer that
is due. A worker's exception is raised with its traceback as a note, so what an
uncaught error prints ends with the line that failed.
"""


# %% Asking and answering tags=["export", "internal"] module="data.pool"
class WorkerPool(WorkerPool):
    def ask(self, index: Any) -> None:
        """Send an index to the next worker that has not ended."""
        for worker in islice(self.turns, self.setup.num_workers):
            if worker not in self.ended:
                self._tell(worker, (index,))
                self.due.append(worker)
                return

    def answer(self, timeout: float | None = None) -> Any:
        """The next batch, or END; what a worker raised is raised here."""
        worker, kind, value = self._receive(timeout)
        if kind == "error":
            error, text = value
            error.add_note(f"\nin worker {worker}:\n\n{text.rstrip()}")
            raise error
        if kind == "end":
            self.ended.add(worker)
            return END
        return value


# %% tags=["export", "internal"] module="data.pool"
class WorkerPool(WorkerPool):
    def _tell(self, worker: int, message: Any) -> None:
        try:
            self.connections[worker].send(message)
        except OSError as error:
            raise self._dead(worker) from error

    def _receive(self, timeout: float | None) -> tuple[int, str, Any]:
        worker = self.due.popleft()
        pipe = self.connections[worker]
        if not wait([pipe, self.processes[worker].sentinel], timeout):
            self.close()
            raise RuntimeError(f"no batch from worker {worker} in {timeout} s")
        try:
            kind, value, state = pipe.recv()
        except (EOFError, OSError, RuntimeError) as error:
            raise self._dead(worker) from error
        self.states[worker] = state or self.states[worker]
        return worker, kind, value

    def _dead(self, worker: int) -> RuntimeError:
        process = self.processes[worker]
        n, pid = self.setup.num_workers, process.pid
        how = _death(process)
        self.close()
        return RuntimeError(f"worker {worker} of {n} (pid {pid}) {how}")


# %%
pool = WorkerPool(setup, multiprocessing.get_context(), [None, None])
for index in ([3, 1], [0, 6], [4, 2]):
    pool.ask(index)
labels = [pool.answer()[1] for _ in range(3)]
pool.close()
assert_equal(torch.cat(labels), digits[[3, 1, 0, 6, 4, 2]])
labels

# %% [markdown]
r"""
A pool that persists begins another epoch with the same processes. One that has
lost a worker says how, and stops.
"""


# %% Again, or no more tags=["export", "internal"] module="data.pool"
class WorkerPool(WorkerPool):
    def restart(self) -> None:
        """Begin another epoch with the same processes."""
        while self.due:  # what an epoch that was left early has asked for
            self._receive(None)
        self._begin(0)
        for worker in range(self.setup.num_workers):
            self._tell(worker, "epoch")


# %%
pool = WorkerPool(setup, multiprocessing.get_context(), [None, None])
pool.restart()
pool.processes[0].kill()
try:
    pool.ask([0, 1])
    pool.answer()
except RuntimeError as error:
    told = str(error)
assert "killed by SIGKILL" in told
told

# %% [markdown]
r"""
## The loader with workers

Back to the loader: who loads, this process or others? The next index is asked
for *before* a batch is handed out, so that the workers go on while it is used.
"""


# %% Who loads tags=["export"]
class DataLoader(DataLoader):
    def _load(self, job: Job, indices: Iterator, epoch: dict) -> Iterator:
        if not self.num_workers:
            return load(job, indices)
        pool = self._ready_pool(job, epoch)
        states = pool.states  # as they are now, or as they will be
        epoch["workers"] = list(states) if job.iterable else states
        n_ahead = (self.prefetch_factor or 2) * self.num_workers
        for index in islice(indices, n_ahead):
            pool.ask(index)
        return self._answers(pool, indices)

    def _answers(self, pool: WorkerPool, indices: Iterator) -> Iterator:
        try:
            while pool.due:
                batch = pool.answer(self.timeout or None)
                for index in islice(indices, 1):
                    pool.ask(index)
                if batch is not END:
                    yield batch
        finally:
            if not self.persistent_workers:
                pool.close()


# %% [markdown]
r"""
A pool that persists keeps its processes, and their random states, from one
epoch to the next, so they belong to what is saved.
"""


# %% A pool that may persist tags=["export"]
class DataLoader(DataLoader):
    def _ready_pool(self, job: Job, epoch: dict[str, Any]) -> WorkerPool:
        pool, n = self._pool, self.num_workers
        if pool is not None and pool.close.alive:
            pool.restart()
            return pool
        setup = Setup(job, n, epoch["seed"], self.worker_init_fn)
        context = _start_context(self.multiprocessing_context)
        states = epoch["workers"] or [None] * n
        first = 0 if job.iterable else epoch["position"] % n
        pool = WorkerPool(setup, context, states, first)
        self._pool = pool if self.persistent_workers else None
        return pool

    def _new_epoch(self) -> dict[str, Any]:
        epoch = super()._new_epoch()
        if self._pool is not None and self._pool.close.alive:
            epoch["seed"] = self._pool.setup.seed
            epoch["workers"] = self._pool.states
        return epoch


# %% tags=["reference"]
check_same(num_workers=2), check_same(num_workers=2, persistent_workers=True)

# %% [markdown]
r"""
An epoch that was saved with other workers goes on with the same items. Only the
random numbers that are drawn in loading them cannot be the same.
"""


# %% Going on with workers tags=["export"]
class DataLoader(DataLoader):
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on where the state was taken."""
        super().load_state_dict(state_dict)
        given = len(self._epoch["workers"])
        if self._epoch["position"] and given != self.num_workers:
            warnings.warn(
                f"saved with {given} workers, resumed with {self.num_workers}: "
                "random numbers drawn while loading will differ",
                stacklevel=2,
            )
            self._epoch["workers"] = []
        self._pool = None


# %%
loader, other = (DataLoader(range(20), 4, num_workers=n) for n in (2, 1))
batches = iter(loader)
next(batches)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    other.load_state_dict(loader.state_dict())
rest = list(other)
assert_equal(torch.cat(rest), torch.cat(list(batches)))
str(caught[0].message), rest[0]

# %% [markdown]
r"""
What a broken item in another process looks like: the exception, the note, and
at its end the worker's own traceback.
"""

# %%
try:
    list(DataLoader(Broken(), batch_size=4, num_workers=2))
except ZeroDivisionError as error:
    told = error.__notes__[-1].splitlines()
assert "index - 7" in "".join(told)
told[-4:]

# %% [markdown]
r"""
Ten slow reads, which only wait. Each notes who read and when, so that we can
watch the loader at work.
"""


# %%
class Slow(Squares):
    def __getitem__(self, index: int) -> tuple[int, float, float]:
        worker = get_worker_info()
        start = time.time()
        time.sleep(0.1)
        return (worker.id if worker else 0), start, time.time()


def watched(num_workers: int) -> dict[str, Tensor]:
    """Who read each batch of two, and when: seconds, from the call on."""
    start = time.time()
    loader = DataLoader(Slow(), 2, num_workers=num_workers)
    who, starts, ends = map(torch.stack, zip(*loader, strict=True))
    return {"who": who, "starts": starts - start, "ends": ends - start}


runs = {n: watched(n) for n in (0, 2)}
assert set(runs[2]["who"].flatten().tolist()) == {0, 1}
{n: round(run["ends"].max().item(), 2) for n, run in runs.items()}

# %% alt="Bars over seconds. Without workers ten bars of a tenth of a second follow each other in one row. With two workers there are two rows, which begin after a gap, and the bars lie above each other in pairs: batches 0, 2 and 4 in the first row, 1 and 3 in the second." tags=["hide-input"]
figure, axes = plt.subplots(figsize=(7, 2.2))
for n, run in runs.items():
    for batch, who in enumerate(run["who"][:, 0].tolist()):
        row = -who - (1.4 if n else 0)
        left = run["starts"][batch].tolist()
        width = (run["ends"] - run["starts"])[batch].tolist()
        bars = axes.barh(row, width, left=left, ec="w", fc=f"C{batch}")
        axes.bar_label(bars, [batch, batch], label_type="center", color="w")
axes.set_yticks([0, -1.4, -2.4], ["no workers", "worker 0", "worker 1"])
axes.set(xlabel="seconds", xlim=(0, None))
plt.show()

# %% [markdown]
r"""
The numbers are those of the batches: two items each, dealt out in turn. Two
workers take half the time for the reads, and the gap at the left is what it
costs to start them. Workers pay off when an item takes long, and cost when it
is quick.
"""


# %% [markdown]
r"""
A reader of lines gives each worker its share. Without the first two lines of
`__iter__` every line would come twice.
"""


# %%
class Lines(IterableDataset):
    def __iter__(self) -> Iterator[str]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return islice((f"line {i}" for i in range(7)), start, None, step)


list(DataLoader(Lines(), batch_size=2, num_workers=2))

# %% [markdown]
r"""
## What we built

* `Dataset`, `IterableDataset`, `TensorDataset`, `ConcatDataset`,
  `StackDataset`, `ChainDataset`, `Subset`, `random_split` (`data.dataset`): the
  items.
* `SequentialSampler`, `RandomSampler`, `SubsetRandomSampler`,
  `WeightedRandomSampler`, `BatchSampler` (`data.sampler`): the order.
* `default_collate`, `default_convert`, `map_batch`, `to_device`
  (`data.collate`): many items as one.
* `Job` (`data.fetch`), `get_worker_info` (`data.worker`), `WorkerPool`
  (`data.pool`): from an index to a batch, here or in another process.
* `random_state`, `Resumable` (`data.resume`): where an epoch stands.
* `DataLoader` (`data.loader`): all of it, with torch's batches; `TensorLoader`
  (`data.tensor_loader`): the same for tensors, by indexing.

## Questions

:::{dropdown} Why does a sampler not need the dataset?
It deals in integers. All that it needs to know is how many there are.
:::

:::{dropdown} Why does shuffling draw a single number from the global generator?
It is the seed of the sampler's own generator. So dropout or noise in the model
does not change the order of the data, nor does the order change them.
:::

:::{dropdown} What is wrong with averaging the losses of an epoch's batches?
The short last batch counts as much as a full one. Add up the sums, and divide
by the number of items.
:::

:::{dropdown} Two workers read an iterable dataset, and every item comes twice. Why?
Each has its own copy and reads all of it. `get_worker_info` tells the dataset
which share is its own.
:::

:::{dropdown} Why do the workers not need to be told to stop?
They read from a pipe. When the main process closes it, for whatever reason,
they read its end.
:::

:::{dropdown} Why can the state of a loader not simply be the list of indices that are left?
It could, but the list grows with the data, and the next epoch still needs the
generator. The start of the epoch and a position say the same.
:::

## Exercises

**1.** Write a dataset of pairs: item $i$ is two images of the same digit.
"""


# %% tags=["solution"]
class Pairs(Dataset):
    def __init__(self, images: Tensor, digits: Tensor):
        order = digits.argsort(stable=True)  # equal digits lie together
        same = digits[order[:-1]] == digits[order[1:]]
        self.images = images
        self.first, self.second = order[:-1][same], order[1:][same]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[self.first[index]], self.images[self.second[index]]

    def __len__(self) -> int:
        return len(self.first)


pairs = Pairs(images[:1000], digits[:1000])
assert_equal(len(pairs), 990)
assert (digits[pairs.first] == digits[pairs.second]).all()

# %% [markdown]
r"""
**2.** Sentences differ in length. Write a `collate_fn` that pads them with
zeros to the longest of the batch.
"""


# %% tags=["solution"]
def pad(sentences: list[Tensor]) -> Tensor:
    padded = torch.zeros(len(sentences), max(map(len, sentences))).long()
    for row, sentence in zip(padded, sentences, strict=True):
        row[: len(sentence)] = sentence
    return padded


sentences = [torch.arange(1, 1 + n) for n in (2, 3, 1)]
(batch,) = DataLoader(sentences, batch_size=3, collate_fn=pad)
assert_equal(batch, torch.tensor([[1, 2, 0], [1, 2, 3], [1, 0, 0]]))

# %% [markdown]
r"""
**3.** Padding is wasted work. Write a batch sampler that puts sentences of
similar length together, but gives the batches in random order.
"""


# %% tags=["solution"]
class ByLength(Sampler):
    def __init__(self, lengths: list[int], batch_size: int):
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        sampler = BatchSampler(order, batch_size, drop_last=False)
        self.batches = list(sampler)

    def __iter__(self) -> Iterator[list[int]]:
        for i in RandomSampler(self.batches):
            yield self.batches[i]

    def __len__(self) -> int:
        return len(self.batches)


lengths = torch.randint(1, 100, (64,)).tolist()
batches = list(ByLength(lengths, 8))
assert_equal(sorted(i for batch in batches for i in batch), list(range(64)))
assert (
    max(
        max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches
    )
    < 60
)

# %% [markdown]
r"""
**4.** A digit is rare: keep only 1 % of the sevens. With which sampler are they
as frequent in the batches as the others again?
"""

# %% tags=["solution"]
kept = (digits != 7) | (torch.arange(len(digits)) % 100 == 0)
rare = digits[kept]
weights = 1 / torch.bincount(rare)[rare]
torch.manual_seed(0)
drawn = rare[list(WeightedRandomSampler(weights, 20_000))]
assert abs((drawn == 7).float().mean().item() - 0.1) < 0.01

# %% [markdown]
r"""
Data comes in batches now, from wherever it lies. The loop around them is still
written anew for every model, and that is the next chapter's subject.
"""
