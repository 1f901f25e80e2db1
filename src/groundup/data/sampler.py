# Extracted from book/3_training/2_data.py; edit it there.
"""Samplers: in which order the items of a dataset are taken."""

import itertools
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

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
