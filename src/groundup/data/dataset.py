# Extracted from book/3_training/2_data.py; edit it there.
"""Datasets: items by index, and items that can only be read through."""

import itertools
import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import accumulate, islice
from typing import Any, Generic, TypeVar

import torch
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
