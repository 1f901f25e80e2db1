# Extracted from book/3_training/2_data.py; edit it there.
"""Fetching: from an index, or a list of them, to a batch."""

from collections.abc import Callable
from dataclasses import dataclass
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

    def fetcher(self) -> Callable[[Any], Any]:
        """A function from an index to a batch; one epoch uses one."""
        if self.iterable:
            return IterableFetch(self)
        plain = self.batched and self.collate_fn is default_collate
        if plain and type(self.dataset) is TensorDataset:
            return RowsFetch(self)
        return MapFetch(self)

    def collate(self, items: Any, index: Any) -> Any:
        """One batch; an error says of which items."""
        try:
            return self.collate_fn(items)
        except Exception as error:
            error.add_note(f"while collating {_shown(index)}")
            raise


def _shown(index: Any) -> str:
    text = repr(index) if len(repr(index)) < 200 else f"{repr(index)[:200]}..."
    return f"items {text}" if isinstance(index, list) else f"item {text}"


@dataclass
class MapFetch:
    """Batches by index."""

    job: Job

    def __call__(self, index: Any) -> Any:
        return self.job.collate(self.items(index), index)

    def items(self, index: Any) -> Any:
        """The item, or the list of items; an error says which it was."""
        dataset = self.job.dataset
        many = getattr(dataset, "__getitems__", None)
        at = index
        try:
            if not self.job.batched:
                return dataset[index]
            if many is not None:
                return many(index)
            items = []
            for at in index:
                items.append(dataset[at])
            return items
        except Exception as error:
            kind = type(dataset).__name__
            error.add_note(f"while loading {_shown(at)} of a {kind}")
            raise


@dataclass
class RowsFetch(MapFetch):
    """Batches of a TensorDataset by one indexing, not by stacking items."""

    def __call__(self, index: Any) -> list[Tensor]:
        rows = torch.as_tensor(index)
        try:
            return [tensor[rows] for tensor in self.job.dataset.tensors]
        except IndexError as error:
            error.add_note(f"while loading {_shown(index)} of a TensorDataset")
            raise


@dataclass
class IterableFetch:
    """The next batch, whatever the index; END when nothing is left."""

    job: Job

    def __post_init__(self):
        self.items = iter(self.job.dataset)

    def __call__(self, index: Any) -> Any:
        if not self.job.batched:
            item = next(self.items, END)
            return item if item is END else self.job.collate(item, index)
        items = list(islice(self.items, len(index)))
        if not items or (self.job.drop_last and len(items) < len(index)):
            self.items = iter(())
            return END
        return self.job.collate(items, index)
