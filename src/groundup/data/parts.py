# Extracted from book/3_training/7_workers.py; edit it there.
"""Datasets side by side, and parts of one."""

import math
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeVar

import torch

from groundup.data.dataset import Dataset, same_length

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
