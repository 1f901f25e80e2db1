# Extracted from book/3_training/2_data.py; edit it there.
"""Batches of data that lies in tensors: one indexing each, and no more."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from groundup.data.dataset import TensorDataset
from groundup.data.resume import Resumable, skip
from groundup.data.sampler import BatchSampler, RandomSampler, SequentialSampler


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
