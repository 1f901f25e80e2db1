# Extracted from book/3_training/2_data.py; edit it there.
"""Batches of data that lies in tensors: one indexing each, and no more."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from groundup.data.dataset import TensorDataset
from groundup.data.resume import ResumableLoader
from groundup.data.sampler import BatchSampler, RandomSampler, SequentialSampler


class TensorLoader(ResumableLoader):
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

    def __iter__(self) -> Iterator[list[Tensor]]:
        epoch = self._begin()
        with self._rewound(epoch):
            order = self._shuffled() if self.shuffle else self._in_order()
            deque(islice(order, epoch["position"]), maxlen=0)
        return self._counted(epoch, map(self._take, order))

    def _shuffled(self) -> Iterator[Tensor]:
        """The rows of each batch: up to `len(self)` of (batch_size,) int64."""
        for drawn in self.sampler.draws():
            rows = drawn.to(self.dataset.tensors[0].device)
            yield from rows.split(self.batch_size)[
                : len(self) if len(rows) else 0
            ]

    def _in_order(self) -> Iterator[slice]:
        for i in range(len(self)):
            yield slice(i * self.batch_size, (i + 1) * self.batch_size)

    def _take(self, rows: Tensor | slice) -> list[Tensor]:
        """Copies of the rows: changing a batch does not change the data."""
        if isinstance(rows, slice):
            return [tensor[rows].clone() for tensor in self.dataset.tensors]
        return [tensor.index_select(0, rows) for tensor in self.dataset.tensors]
