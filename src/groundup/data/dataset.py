# Extracted from book/3_training/2_data.py; edit it there.
"""Datasets: items by index."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sized
from itertools import accumulate
from typing import Any, Generic, TypeVar

from torch import Tensor

_Item = TypeVar("_Item", covariant=True)


class Dataset(Generic[_Item]):
    """Items by index: fill in `__getitem__`, and `__len__` if it is known.

    `__getitems__(indices)` may give many items at once, where that is faster.
    """

    def __getitem__(self, index: Any) -> _Item:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        return ConcatDataset([self, other])


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


def same_length(datasets: Mapping[Any, Sized]) -> int:
    """The length that all have; ValueError if they differ, with each one's."""
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    if not lengths:
        raise ValueError("expected at least one, got none")
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValueError(f"the lengths differ ({text})")
    return next(iter(lengths.values()))


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors that share their first axis, as tuples."""

    def __init__(self, *tensors: Tensor):
        same_length(dict(enumerate(tensors)))
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])
