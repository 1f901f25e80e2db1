# Extracted from book/3_training/2_data.py; edit it there.
"""The data loader: joins dataset, sampler, collation and workers."""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import map_batch
from groundup.data.fetch import END
from groundup.data.options import LoaderOptions, start_context
from groundup.data.pool import WorkerPool
from groundup.data.worker import Setup


class _Loading(LoaderOptions):
    """Batches from this process or from a pool."""

    _pool: WorkerPool | None = None  # kept if persistent

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

    def _generators(self) -> list[torch.Generator]:
        inner = getattr(self.batch_sampler, "sampler", None)
        drawing = [self, self.sampler, self.batch_sampler, inner]
        found = [getattr(each, "generator", None) for each in drawing]
        return list({id(each): each for each in found if each}.values())

    def _new_epoch(self) -> dict[str, Any]:
        epoch = super()._new_epoch()
        if self._pool is not None and self._pool.close.alive:
            epoch["seed"] = self._pool.setup.seed
            epoch["workers"] = self._pool.states
        return epoch

    def _from_here(self, indices: Iterator) -> Iterator:
        fetch = self.job.fetcher()
        for index in indices:
            if (batch := fetch(index)) is END:
                return
            yield batch

    def _from_workers(self, pool: WorkerPool, indices: Iterator) -> Iterator:
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


class DataLoader(_Loading):
    """Batches of a dataset, with torch's arguments and torch's batches.

    `state_dict` in the middle of an epoch and `load_state_dict` in another
    process go on with the next batch.
    """

    def __iter__(self) -> Iterator:
        epoch = self._begin()
        seen, iterable = epoch["position"], self.job.iterable
        with self._rewound(epoch):
            indices = iter(self._order)
            if not iterable:
                deque(islice(indices, seen), maxlen=0)
            if self.num_workers:
                batches = self._from_workers(self._asked(indices), indices)
            else:
                batches = self._from_here(indices)
            if iterable:  # to leave items out is to read them
                deque(islice(batches, seen), maxlen=0)
        if self.pin_memory:
            batches = map(_pinned, batches)
        return self._counted(epoch, batches)

    def _asked(self, indices: Iterator) -> WorkerPool:
        """A pool that loads the first batches already."""
        pool = self._pool
        if pool is not None and pool.close.alive:
            pool.restart()
        else:
            pool = self._new_pool()
        states = pool.states  # as they are now, or as they will be
        self._epoch["workers"] = list(states) if self.job.iterable else states
        n_ahead = (self.prefetch_factor or 2) * self.num_workers
        for index in islice(indices, n_ahead):
            pool.ask(index)
        return pool

    def _new_pool(self) -> WorkerPool:
        epoch, n = self._epoch, self.num_workers
        context = start_context(self.multiprocessing_context)
        states = epoch["workers"] or [None] * n
        setup = Setup(self.job, n, epoch["seed"], self.worker_init_fn)
        first = 0 if self.job.iterable else epoch["position"] % n
        pool = WorkerPool(setup, context, states, first)
        self._pool = pool if self.persistent_workers else None
        return pool


def _pinned(batch: Any) -> Any:
    """The batch in memory that a GPU, if any, can copy from by itself."""
    if not torch.cuda.is_available():
        return batch
    return map_batch(
        lambda leaf: leaf.pin_memory() if isinstance(leaf, Tensor) else leaf,
        batch,
    )
