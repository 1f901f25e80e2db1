# Extracted from book/3_training/7_workers.py; edit it there.
"""Data that can only be read from the front."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

from groundup.data.dataset import Dataset

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
