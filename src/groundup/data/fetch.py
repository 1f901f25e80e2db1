# Extracted from book/3_training/7_workers.py; edit it there.
"""Fetching: from an index, or a list of them, to a batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import default_collate
from groundup.data.dataset import TensorDataset

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


def _shown(index: Any) -> str:
    text = repr(index) if len(repr(index)) < 200 else f"{repr(index)[:200]}..."
    return f"items {text}" if isinstance(index, list) else f"item {text}"


def load(job: Job, indices: Iterable) -> Iterator:
    """The batches of the indices, made in this process."""
    fetch = job.fetcher()
    for index in indices:
        if (batch := fetch(index)) is END:
            return
        yield batch
