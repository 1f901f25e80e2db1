# %% [markdown] module="data.loader" starred=true
r"""
# Workers and resuming

{doc}`/3_training/2_data` built a loader for data that lies in tensors. Data
that has to be read is another matter. Reading and decoding an image may take
longer than the step that uses it, some data has no indices, and one file of
60,000 is broken. **How do several processes load, give the batches that one
would have given, and never leave a process or an error behind?**

This chapter finishes what {doc}`/3_training/2_data` began, with all of torch's
options. You may go on without it.

| name | meaning |
| --- | --- |
| {term}`worker` | a process that loads batches |
| job | how a loader makes batches: all but the indices |
| pool | the main process's side: it asks workers, and stops them |
| stream | data that can only be read from the front |
| fork, spawn | to start a process as a copy of this one, or afresh |
"""

# %% Imports tags=["hide-input"]
import itertools
import json
import math
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.data.collate import default_collate, default_convert, map_batch
from groundup.data.dataset import Dataset, TensorDataset, same_length
from groundup.data.resume import (
    Resumable,
    random_state,
    set_random_state,
    skip,
)
from groundup.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    check_count,
    check_flag,
)
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.testing import assert_equal

# %%
images, digits = mnist()
dataset = TensorDataset(images, digits)
len(dataset)

# %% [markdown]
r"""
## More datasets

Some data cannot be indexed: lines that arrive over a network, or a file too
long to know where its millionth line begins. It can only be read from the front.
Such a dataset is an *iterable*.
"""

# %% Data to read through tags=["export"] module="data.iterable" earns="torch.utils.data.IterableDataset torch.utils.data.ChainDataset"
"""Data that can only be read from the front."""

_Item = TypeVar("_Item", covariant=True)


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
Data may lie *beside* other data, such as images in one place and captions in
another. They need one length, which each of them is asked for.
"""

# %% Side by side tags=["export"] module="data.parts" earns="torch.utils.data.StackDataset"
"""Datasets side by side, and parts of one."""

_Part = TypeVar("_Part", covariant=True)


class StackDataset(Dataset):
    """Datasets of one length side by side: tuples, or dicts by keyword."""

    def __init__(self, *args: Dataset, **kwargs: Dataset):
        if args and kwargs:
            raise ValueError("expected datasets by position or by name only")
        self.datasets = kwargs or args
        self._length = same_length(kwargs or dict(enumerate(args)))

    def __getitem__(self, index: Any) -> tuple | dict:
        if isinstance(self.datasets, dict):
            return {key: each[index] for key, each in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


# %%
StackDataset(x="abc", y=[1, 2, 3])[2]

# %% [markdown]
r"""
A part is a dataset and a list of indices into it. Asked for a list of items, it
passes the question on: a dataset of tensors answers with all rows at once.
"""


# %% Parts tags=["export"] module="data.parts" earns="torch.utils.data.Subset"
class Subset(Dataset[_Part]):
    """The items of a dataset at the given indices."""

    def __init__(self, dataset: Dataset[_Part], indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int | list[int]) -> _Part:
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


# %% A random split tags=["export"] module="data.parts" earns="torch.utils.data.random_split"
def random_split(
    dataset: Dataset[_Part],
    lengths: Sequence[int | float],
    generator: torch.Generator | None = None,
) -> list[Subset[_Part]]:
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
## More samplers

Two samplers draw from a list of indices, or with unequal probability: a class
that is rare in the data can be made frequent in the batches.
"""

# %% From a list tags=["export"] module="data.choice" earns="torch.utils.data.SubsetRandomSampler"
"""Samplers that choose: from a list, or by weight."""


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


# %% By weight tags=["export"] module="data.choice" earns="torch.utils.data.WeightedRandomSampler"
class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each as likely as its weight says."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: torch.Generator | None = None,
    ):
        check_count("num_samples", num_samples)
        check_flag("replacement", replacement)
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

## Fetching

A good error first. When one item of 60,000 is a broken file, one wants to
know *which* one. Python lets a note be added to an exception on its way up, so
its own traceback stays as it is.

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
class Squares(Dataset[tuple]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple:
        return index, index**2


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
Data that has no indices needs another way: there the "index" is only a count,
and the loader must notice the end. And a `TensorDataset` can give the rows of a
batch by one indexing, which is the same as stacking its items. So there are
three ways to fetch, and an epoch uses one.
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
With it one loop reads whatever data there is.
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
## The loader and its options

Now the loader itself, with torch's arguments, and `Resumable` as the
{doc}`TensorLoader </3_training/2_data>` is. The first half is refusing what
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

## The last batch

A short last batch counts as much in its step as a full one, though it averages
fewer images. The hardest case is one image more than fills the batches, which
is a last batch of its own. Keep it, or drop it? The network and the loop of
{doc}`/3_training/2_data`: 10,049 images, batches of 64, three epochs, fifteen
seeds.
"""

# %%
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy

torch.set_num_threads(1)
x, y = images.view(-1, 784).float() / 255, digits


def accuracy_after(seed: int, loader: Iterable) -> float:
    """The share of validation images that are right after three epochs."""
    torch.manual_seed(seed)
    model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
    params = list(model.parameters())
    for x_batch, y_batch in itertools.chain(loader, loader, loader):
        cross_entropy(model(x_batch), y_batch).backward()
        with torch.no_grad():
            for param in params:
                param -= 0.1 * param.grad
                param.grad = None
    right = model(x[50_000:]).argmax(1) == y[50_000:]
    return right.double().mean().item()


# %% [markdown]
r"""
Kept or dropped, a seed gives the same first weights and the same order.
"""

# %%
results = {}
for drop_last in (False, True):
    rows, options = (x[:10_049], y[:10_049]), {"drop_last": drop_last}
    loader = TensorLoader(*rows, batch_size=64, shuffle=True, **options)
    found = [accuracy_after(seed, loader) for seed in range(15)]
    results[drop_last] = torch.tensor(found)

# %% What the last step costs alt="The validation accuracy of fifteen runs with the last batch of one image dropped and kept, side by side. Dropped, all lie together near nine tenths. Kept, most lie there too, and a few far below." tags=["hide-input"]
plt.figure(figsize=(5, 3))
for place, found in enumerate((results[True], results[False])):
    plt.plot(found, [place] * len(found), "o", color=f"C{place}", alpha=0.6)
plt.yticks([0, 1], ["dropped", "kept"])
plt.ylim(-0.6, 1.6)
plt.xlabel("validation accuracy, one dot a run")
plt.show()

# %%
lost = results[True] - results[False]
assert (lost > 0.05).any() and lost.median() < 0.02
assert results[True].min() > results[False].min() + 0.1
int((lost > 0.05).sum()), round(lost.max().item(), 2)

# %% [markdown]
r"""
How many of the fifteen runs lost more than five points to their last step, and
the most that one lost. It is the last step of an epoch, on one image. Most runs
are lucky in that image; a handful is not, and which ones is a matter of the
seed. A step on one image $x$ changes a linear layer's score for that same image
by the learning rate times $|x|^2$ times the error, which is at most 1:
"""

# %%
0.1 * (x[:10_048] ** 2).sum(1).mean().item()

# %% [markdown]
r"""
From the lowest score of an image to its highest is about as far:
"""

# %%
torch.manual_seed(0)
model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
for x_batch, y_batch in TensorLoader(x[:10_048], y[:10_048], batch_size=64):
    cross_entropy(model(x_batch), y_batch).backward()
    with torch.no_grad():
        for param in model.parameters():
            param -= 0.1 * param.grad
            param.grad = None
with torch.no_grad():
    scores = model(x[50_000:])
span = (scores.amax(1) - scores.amin(1)).mean().item()
assert 0.5 < span / (0.1 * (x[:10_048] ** 2).sum(1).mean()) < 2
span

# %% [markdown]
r"""
One step can carry it from one digit to another. An image that is misread is not
nudged, it is shouted at, and nothing averages it with others.
The accuracy was measured right after that step. With `drop_last` it is never
taken, and since the order is new in every epoch no image is left out for good.

## Many processes

Data may take long to load. Other processes can do it while the batch before is
used. Threads would be simpler, but Python runs one thread's code at a time.

The plan: each {term}`worker` gets a pipe. The main process sends it an index,
the worker answers with the batch. Index $i$ goes to worker $i$ modulo their
number, some batches ahead, and the answers are read *in the same order*. So the
batches come as they would with one process, and nothing has to be sorted.
"""

# %% Two workers alt="Three columns, time goes down: main process, worker 0, worker 1. The main process sends index lists 3, 1 and 4, 2 to worker 0 and 0, 6 to worker 1, one after the other. Each worker loads at once; 4, 2 waits in the queue of worker 0, drawn dotted, until 3, 1 is done. The batches go back and are read in the order asked: 0, 1, 2." tags=["hide-input"]
figure, axes = plt.subplots(figsize=(5, 3.6))
style = {"ha": "center", "va": "center"}
for column, name in ((0, "main"), (4, "worker 0"), (8, "worker 1")):
    axes.text(column, 9.7, name, color="0.5", weight="bold", **style)
    axes.plot([column, column], [0.6, 9.2], color="0.5", lw=1, zorder=0)
asked = [  # index list, sent, loaded from and to, in which column
    ([3, 1], 9.0, 8.6, 5.6, 4),
    ([0, 6], 7.9, 7.5, 4.0, 8),
    ([4, 2], 6.8, 5.4, 2.4, 4),
]
for batch, (index, sent, start, end, column) in enumerate(asked):
    colour, left = f"C{batch}", column - 0.25
    arrow = {"arrowstyle": "->", "color": colour}
    axes.annotate("", (left, sent - 0.4), (0, sent), arrowprops=arrow)
    axes.text(1.0, sent + 0.25, str(index), color=colour, **style)
    axes.plot([left] * 2, [sent - 0.4, start], ":", color=colour, lw=3)
    axes.plot([column] * 2, [end, start], color=colour, lw=9)
    axes.annotate("", (0, end - 0.6), (column, end), arrowprops=arrow)
    axes.text(1.2, end - 1.0, f"batch {batch}", color=colour, **style)
axes.set(xlim=(-1, 9.2), ylim=(0.6, 10))
axes.axis("off")
plt.show()

# %% [markdown]
r"""
Time goes down; a bar is a batch in the making. In a worker one thread listens
and another loads, so `[4, 2]` waits in a queue, where the line is dotted, until
its turn. Indices are sent ahead, so a worker is seldom idle.

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
import random
import signal
import threading
import traceback
import weakref
from collections import deque
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
assert_equal(drawn[0], drawn[2])
assert drawn[1] != drawn[0]
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
assert_equal(set(runs[2]["who"].flatten().tolist()), {0, 1})
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

* `IterableDataset`, `ChainDataset` (`data.iterable`): data to read through.
* `StackDataset`, `Subset`, `random_split` (`data.parts`): side by side, and
  parts.
* `SubsetRandomSampler`, `WeightedRandomSampler` (`data.choice`): chosen
  indices.
* `Job` (`data.fetch`), `get_worker_info` (`data.worker`), `WorkerPool`
  (`data.pool`): from an index to a batch, here or in another process.
* `DataLoader` (`data.loader`): all of it, with torch's options and torch's
  batches.

## Questions

:::{dropdown} Two workers read an iterable dataset, and every item comes twice. Why?
Each has its own copy and reads all of it. `get_worker_info` tells the dataset
which share is its own.
:::

:::{dropdown} Why do the workers not need to be told to stop?
They read from a pipe. When the main process closes it, for whatever reason,
they read its end.
:::

:::{dropdown} Why are the batches in order, though workers differ in speed?
Index $i$ goes to worker $i$ modulo their number, and the main process reads the
answers in the order in which it asked. A fast worker waits in its pipe.
:::

:::{dropdown} What would happen if every worker kept the seed that it was copied with?
All would draw the same numbers, so the same augmentation would come once from
each worker.
:::

:::{dropdown} Resumed with another number of workers, what stays the same?
The items of each batch: their order is drawn in the main process. Random
numbers that are drawn in loading them differ, and a warning says so.
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
**2.** Sentences differ in length, and padding them to one is wasted work. Write
a batch sampler that puts sentences of similar length together, but gives the
batches in random order.
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
**3.** A digit is rare: keep only 1 % of the sevens. With which sampler are they
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
A loader now reads whatever there is, in as many processes as help. The next
chapters finish in the same way what the story of the learner began.
"""
