# %% [markdown] module="data.dataset"
r"""
# Dataset, sampler, data loader

A training step wants a batch: two tensors, 64 rows each. The data lies in
files, or in memory, in whatever order somebody left it.
{doc}`/1_pixels/3_network` borrowed torch's `DataLoader` to stand between the
two. **Who decides what a batch holds, what does that cost, and how much does
the decision matter?**

A *dataset* has the items, a *sampler* says in which order, and *collation*
makes many items one. A loader joins the three. Ours grows in three versions
that pass the same check. The last is many times faster than torch's for data
that lies in tensors, and can stop in the middle of an epoch and go on there.

| name | meaning |
| --- | --- |
| item | what a dataset gives for one index, such as an image and its label |
| batch | what collation makes of a list of items |
| epoch | every item once, in batches; its state says where it stands |
"""

# %% Imports tags=["hide-input"]
import copy
import itertools
import json
import random
import time
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
from itertools import accumulate, islice
from typing import Any, Generic, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from groundup.datasets import mnist
from groundup.testing import assert_equal

# %% [markdown]
r"""
## A dataset is two methods

Anything that can be asked for its length and for one item will do. A list is a
dataset. Nothing is read or computed before it is asked for, so a dataset may be
larger than the memory. The base class adds that `+` joins two of them.
"""


# %% The base tags=["export"] earns="torch.utils.data.Dataset"
"""Datasets: items by index."""

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
They come one after the other. A binary search among the ends of the parts finds
the one in which an index lies.
"""


# %% One after another tags=["export"] earns="torch.utils.data.ConcatDataset"
class ConcatDataset(Dataset[_Item]):
    """Datasets, one after the other."""

    def __init__(self, datasets: Iterable[Dataset[_Item]]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("expected at least one dataset, got none")
        for dataset in self.datasets:
            kind = type(dataset)
            if getattr(kind, "__getitem__", None) is Dataset.__getitem__:
                raise TypeError(
                    f"{kind.__name__} has no indices: use ChainDataset"
                )
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


# %%
ConcatDataset(["abc", "de"])[3]

# %% [markdown]
r"""
Data that lies in tensors needs only tensors that agree in how many rows.
"""


# %% One length tags=["export", "internal"]
def same_length(datasets: Mapping[Any, Sized]) -> int:
    """The length that all have; ValueError if they differ, with each one's."""
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    if not lengths:
        raise ValueError("expected at least one, got none")
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValueError(f"the lengths differ ({text})")
    return next(iter(lengths.values()))


# %% Rows of tensors tags=["export"] earns="torch.utils.data.TensorDataset"
class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors that share their first axis, as tuples."""

    def __init__(self, *tensors: Tensor):
        same_length(dict(enumerate(tensors)))
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


# %%
images, digits = mnist()
dataset = TensorDataset(images, digits)
len(dataset), dataset[0][0].shape, dataset[0][1]

# %% [markdown]
r"""
## The first version

A loader is a few lines, if it may decide everything itself. It counts, cuts the
numbers, asks for the items, and stacks the images and the digits.
"""


# %%
class DataLoader:
    def __init__(self, dataset: TensorDataset, batch_size: int):
        self.dataset, self.batch_size = dataset, batch_size

    def __iter__(self) -> Iterator[list[Tensor]]:
        for indices in torch.arange(len(self.dataset)).split(self.batch_size):
            items = [self.dataset[i] for i in indices]
            yield [torch.stack(each) for each in zip(*items, strict=True)]


# %% [markdown]
r"""
The check of every version: each image comes once in an epoch, beside its own
number. There are a thousand.
"""

# %%
numbered = TensorDataset(images[:1000], torch.arange(1000))


def check(loader: Iterable) -> list[int]:
    """Each row once, with its own number; the sizes of the batches."""
    batches = list(loader)
    x, numbers = (torch.cat(each) for each in zip(*batches, strict=True))
    assert_equal(numbers.sort().values, torch.arange(1000))
    assert_equal(x, images[numbers])
    return [len(each) for _, each in batches]


check(DataLoader(numbered, batch_size=300))

# %% [markdown]
r"""
Two decisions are hidden in it: the order, and how items become one. The second
version takes both from outside, so we build them first.

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
independent of the others. Without a generator of its own, the sampler takes
*one* number from the global one as the seed of its own, as torch's does.
"""


# %% A seed of one's own tags=["export", "internal"] module="data.sampler"
def draw_seed(generator: torch.Generator | None = None) -> int:
    """A random 63-bit integer from the generator, or from the global one."""
    seed = torch.empty((), dtype=torch.int64).random_(generator=generator)
    return int(seed.item())


def check_count(name: str, value: object) -> None:
    """Refuse what is no positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"expected a positive integer {name}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
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
        check_flag("replacement", replacement)
        check_count("num_samples", self.num_samples)

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
        check_count("batch_size", batch_size)
        check_flag("drop_last", drop_last)
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

A container comes back as its own type; but a plain tuple becomes a list, and
one that cannot be made anew becomes the plain list or dictionary.
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
`map_batch` changes whatever is not a container. Conversion, the rule for items
that are *not* put together, is such a change.
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
What is at the same key, or place, of every item is collated in its turn.
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


# %%
default_collate([{"at": (0.0, 1), "name": "a"}, {"at": (2.0, 3), "name": "b"}])

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
to_device({"x": torch.ones(2, 3), "names": ["a", "b"]}, "meta")

# %% [markdown]
r"""
## The second version

Order and collation come from outside; the check is the same.
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
order = BatchSampler(RandomSampler(numbered), 300, drop_last=False)
check(DataLoader(numbered, order))

# %% The way of a batch alt="The way of a batch, from left to right. A sampler gives single indices, the batch sampler makes lists of four of them, the dataset turns each index into an item, and collation makes one batch of each list." tags=["hide-input"]
torch.manual_seed(0)
flow = list(BatchSampler(RandomSampler(range(8)), 4, drop_last=False))
figure, axes = plt.subplots(figsize=(6, 3.2))
columns = {"sampler": 0, "batch sampler": 2, "dataset": 4.4, "collation": 7.3}
for name, column in columns.items():
    axes.text(column, 8.1, name, ha="center", weight="bold")
arrow = {"arrowstyle": "->", "color": "0.6"}
for row, index in enumerate(i for batch in flow for i in batch):
    height, group = 7 - row - 0.4 * (row > 3), row // 4
    middle, style = 5.5 - 4.4 * group, {"ha": "center", "va": "center"}
    axes.text(0, height, str(index), **style)
    axes.text(2, height, str(index), color=f"C{group}", **style)
    axes.text(4.4, height, f"({index}, {index**2})", color=f"C{group}", **style)
    ways = (0.3, 1.5, height), (2.5, 3.5, height), (5.2, 6.1, middle)
    for start, end, to in ways:
        axes.annotate("", (end, to), (start, height), arrowprops=arrow)
    if row % 4 == 3:
        text = f"{flow[group]}\n{[i**2 for i in flow[group]]}"
        axes.text(7.3, middle, text, color=f"C{group}", **style)
axes.set(xlim=(-0.7, 8.7), ylim=(-0.6, 9))
axes.axis("off")
plt.show()

# %% [markdown]
r"""
Torch's loader is more: it reads data without indices, names the item that
cannot be read, and lets other processes read. The starred chapter
{doc}`/3_training/7_workers` builds all that.

## Where an epoch stands

A run that is killed in the middle of an epoch shall go on with the batch that
would have been next. So the random generators have to be put back as they were:
torch's, Python's and NumPy's, as plain values that JSON can hold.
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
first = torch.rand(()).item(), random.random(), np.random.rand()
set_random_state(state)
assert_equal((torch.rand(()).item(), random.random(), np.random.rand()), first)
first

# %% [markdown]
r"""
What else? Not the order of the indices: it follows from the random state at the
*start* of the epoch. So that state and the position. To resume is to draw the
order again and leave out what has been seen, without loading an item. More than
one loader needs this, so it becomes a base class; its children fill in the
batches of an epoch from its position on.
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

    def _generators(self) -> list[torch.Generator]:
        """The generators that the order is drawn from, but the global one."""
        return [] if self.generator is None else [self.generator]


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
            text = f"the state is of a loader of {got} batches, this has"
            raise ValueError(f"{text} {wanted}")
        self._epoch, self._resumes = copy.deepcopy(given), True

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        """The batches of an epoch, from its position on."""
        raise NotImplementedError(f"{type(self).__name__} has no _batches")

    def _counted(self, epoch: dict[str, Any], batches: Iterable) -> Iterator:
        """The batches, counted in the epoch's state, until it is over."""
        try:
            for batch in batches:
                epoch["position"] += 1
                yield batch
        finally:
            if self._epoch is epoch and not self._resumes:
                self._epoch = None


# %%
Resumable().state_dict()

# %% [markdown]
r"""
An iteration begins an epoch, or goes on with the one that was loaded. By then
the global generator is back where it was in the *middle* of the epoch. So it is
set to the start only while the order is drawn.
"""


# %% Going on tags=["export"] module="data.resume"
class Resumable(Resumable):
    def __iter__(self) -> Iterator:
        epoch, now = self._begin(), random_state()
        if epoch["start"] is None:
            epoch["start"] = now
            return self._counted(epoch, self._batches(epoch))
        set_random_state(epoch["start"])
        try:
            return self._counted(epoch, self._batches(epoch))
        finally:
            set_random_state(now)

    def _begin(self) -> dict[str, Any]:
        """The epoch that starts now, or the one that goes on."""
        epoch = self._epoch if self._resumes else self._new_epoch()
        self._epoch, self._resumes = epoch, False
        saved = zip(self._generators(), epoch["generators"], strict=True)
        for each, state in saved:
            each.set_state(decode(state))
        if epoch["seed"] is None:
            epoch["seed"] = draw_seed(self.generator)
            epoch["generators"] = self._new_epoch()["generators"]
        return epoch


# %% Left after three, and resumed by another
class Drawn(Resumable):
    def _batches(self, epoch: dict[str, Any]) -> Iterator[int]:
        order = iter(torch.randperm(8).tolist())
        skip(order, epoch["position"])
        return order


loader, other = Drawn(), Drawn()
batches = iter(loader)
seen = list(islice(batches, 3))
other.load_state_dict(json.loads(json.dumps(loader.state_dict())))
rest = list(other)
assert_equal(rest, list(batches))
seen, rest

# %% [markdown]
r"""
## The third version: batches by indexing

MNIST lies in two tensors. For one batch of 64 the second version takes 64 rows
out of each, one by one, wraps each in a tensor object, and stacks them again.
`index_select` copies all rows at once that a tensor of indices names: two calls
to torch a batch. The order comes from the same sampler.
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
        order, size = self._shuffled(), self.batch_size
        if not self.shuffle:
            starts = range(0, len(self) * size, size)
            order = (slice(start, start + size) for start in starts)
        skip(order, epoch["position"])
        return map(self._take, order)

    def _shuffled(self) -> Iterator[Tensor]:
        """The rows of each batch: up to `len(self)` of (batch_size,) int64."""
        device, n = self.dataset.tensors[0].device, len(self)
        for drawn in self.sampler.draws():
            rows = drawn.to(device)
            yield from rows.split(self.batch_size)[: n if len(rows) else 0]

    def _take(self, rows: Tensor | slice) -> list[Tensor]:
        tensors = self.dataset.tensors
        if isinstance(rows, slice):
            return [tensor[rows].clone() for tensor in tensors]
        return [tensor.index_select(0, rows) for tensor in tensors]


# %%
torch.manual_seed(0)
check(TensorLoader(*numbered.tensors, batch_size=300, shuffle=True))

# %% Torch's batches, bit for bit tags=["reference"]
from torch.utils.data import DataLoader as TorchLoader

theirs = torch.utils.data.TensorDataset(*numbered.tensors)
torch.manual_seed(0)
expected = [y for _, y in TorchLoader(theirs, batch_size=300, shuffle=True)]
torch.manual_seed(0)
loader = TensorLoader(*numbered.tensors, batch_size=300, shuffle=True)
assert_equal(torch.cat([y for _, y in loader]), torch.cat(expected))

# %% [markdown]
r"""
## What it saves

One epoch of 25,600 images in batches of 64, by three loaders; the fastest of
three epochs each, on one thread. The clock is the processor's, so that other
programs do not count.
"""

# %% How many times faster than torch's loader tags=["reference"]
torch.set_num_threads(1)
x, y = images.view(-1, 784).float() / 255, digits
rows, ours = (x[:25_600], y[:25_600]), TensorDataset(x[:25_600], y[:25_600])
loaders = {
    "torch's": TorchLoader(ours, 64, shuffle=True),
    "second version": DataLoader(
        ours, BatchSampler(RandomSampler(ours), 64, drop_last=False)
    ),
    "TensorLoader": TensorLoader(*rows, batch_size=64, shuffle=True),
}
seconds = dict.fromkeys(loaders, float("inf"))
for name in list(loaders) * 3:
    start = time.process_time()
    deque(loaders[name], maxlen=0)
    seconds[name] = min(seconds[name], time.process_time() - start)
ratios = {name: seconds["torch's"] / each for name, each in seconds.items()}
assert ratios["TensorLoader"] > 4  # on a busy machine, too
{name: round(ratio, 1) for name, ratio in ratios.items()}

# %% [markdown]
r"""
## What is shuffling worth?

The network of {doc}`/1_pixels/3_network` for ten digits, the first 10,048
images, three epochs of batches of 64, five seeds, the 10,000 validation images.
Four orders: new in every epoch; shuffled once; as the file has them, which
somebody has already mixed; sorted by digit.
"""

# %%
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy


def train(seed: int, loader: Iterable) -> Sequential:
    """A network after three epochs."""
    torch.manual_seed(seed)
    model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
    params = list(model.parameters())
    for x_batch, y_batch in itertools.chain(loader, loader, loader):
        cross_entropy(model(x_batch), y_batch).backward()
        with torch.no_grad():
            for param in params:
                param -= 0.1 * param.grad
                param.grad = None
    return model


# %%
names = "new every epoch", "shuffled once", "as it came", "sorted"
right = {name: [] for name in names}
for seed in range(5):
    torch.manual_seed(100 + seed)
    rows = torch.arange(10_048)
    orders = rows, torch.randperm(10_048), rows, y[:10_048].sort(stable=True)[1]
    for name, rows in zip(names, orders, strict=True):
        data, shuffle = (x[rows], y[rows]), name == names[0]
        model = train(seed, TensorLoader(*data, batch_size=64, shuffle=shuffle))
        found = model(x[50_000:]).argmax(1) == y[50_000:]
        right[name].append(found.double().mean())
table = {name: torch.stack(values) for name, values in right.items()}
*mixed, in_order = (values.mean().item() for values in table.values())
assert max(mixed) - min(mixed) < 0.01 and min(mixed) - in_order > 0.5
{name: f"{v.mean():.2%} ± {v.std():.2%}" for name, v in table.items()}

# %% [markdown]
r"""
The share that is right: the mean of five seeds, and the deviation between them.
Mixing is worth everything: the last batches that the sorted run sees are
nothing but nines. Mixing *again* in every epoch is here worth nothing that five
seeds could show. {doc}`/3_training/7_workers` asks about the short last batch.

## What we built

* `Dataset`, `ConcatDataset`, `TensorDataset` (`data.dataset`): the items.
* `SequentialSampler`, `RandomSampler`, `BatchSampler` (`data.sampler`): order.
* `default_collate`, `default_convert`, `map_batch`, `to_device`
  (`data.collate`): many items as one.
* `random_state`, `Resumable` (`data.resume`): where an epoch stands.
* `TensorLoader` (`data.tensor_loader`): torch's batches, by indexing.

## Questions

:::{dropdown} Why does a sampler not need the dataset?
It deals in integers. All that it needs to know is how many there are.
:::

:::{dropdown} Why does shuffling draw a single number from the global generator?
It seeds the sampler's own, so dropout in the model does not change the order.
:::

:::{dropdown} What is wrong with averaging the losses of an epoch's batches?
The short last batch counts as much as a full one. Divide the sum by the items.
:::

:::{dropdown} Why can the state of a loader not be the list of indices that are left?
It could, but it grows with the data, and the next epoch needs the generator.
:::

## Exercises

**1.** Draw 100,000 of 100,000 items *with* replacement. How many never come?
"""

# %% tags=["solution"]
torch.manual_seed(0)
drawn = set(RandomSampler(range(100_000), replacement=True))
missed = 1 - len(drawn) / 100_000
assert abs(missed - (1 - 1 / 100_000) ** 100_000) < 0.01  # nearly 1 / e

# %% [markdown]
r"""
**2.** Write a sampler that counts down, and cut it into batches.
"""


# %% tags=["solution"]
class Backwards(SequentialSampler):
    def __iter__(self) -> Iterator[int]:
        return reversed(range(len(self)))


batches = list(BatchSampler(Backwards("abcde"), 2, drop_last=False))
assert_equal(batches, [[4, 3], [2, 1], [0]])

# %% [markdown]
r"""
**3.** Sentences differ in length. Write a `collate_fn` that pads them with
zeros to the longest of the batch.
"""


# %% tags=["solution"]
def pad(sentences: list[Tensor]) -> Tensor:
    padded = torch.zeros(len(sentences), max(map(len, sentences))).long()
    for row, sentence in zip(padded, sentences, strict=True):
        row[: len(sentence)] = sentence
    return padded


sentences = [torch.arange(1, 1 + n) for n in (2, 3, 1)]
(batch,) = DataLoader(sentences, [[0, 1, 2]], pad)
assert_equal(batch, torch.tensor([[1, 2, 0], [1, 2, 3], [1, 0, 0]]))

# %% [markdown]
r"""
Data comes in batches now, from wherever it lies. The loop around them is still
written anew for every model. {doc}`/3_training/4_learner` makes it one thing.
"""
