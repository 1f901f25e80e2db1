# Extracted from book/3_training/7_workers.py; edit it there.
"""The data loader: joins dataset, sampler, collation and workers."""

import itertools
import multiprocessing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from multiprocessing.context import BaseContext
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import default_collate, default_convert, map_batch
from groundup.data.fetch import END, Job, load
from groundup.data.iterable import IterableDataset
from groundup.data.pool import WorkerPool
from groundup.data.resume import Resumable, skip
from groundup.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from groundup.data.worker import Setup


def _check_order(
    stream: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Iterable | None,
    batch_sampler: Iterable | None,
    drop_last: bool,
) -> None:
    got = f"{batch_size=}, {shuffle=}, {sampler=}, {batch_sampler=}"
    own = sampler is not None or batch_sampler is not None
    if stream and (shuffle or own):
        raise ValueError(
            "an iterable dataset has its own order: expected no shuffle, "
            f"sampler or batch_sampler, got {got}"
        )
    if sampler is not None and shuffle:
        raise ValueError("expected sampler or shuffle, got both")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "a batch_sampler decides alone: expected no batch_size, shuffle, "
            f"sampler or drop_last, got {got}, {drop_last=}"
        )
    if batch_size is None and drop_last:
        raise ValueError("without a batch_size there is no last batch to drop")


_STREAMS = IterableDataset | torch.utils.data.IterableDataset
_FIXED = ("dataset", "sampler", "batch_sampler", "batch_size", "drop_last")


def _check_workers(options: Mapping[str, Any]) -> None:
    workers, timeout = options["num_workers"], options["timeout"]
    if workers < 0 or timeout < 0:
        raise ValueError(
            "expected num_workers and timeout of 0 or more, got "
            f"{workers} and {timeout}"
        )
    ahead = options["prefetch_factor"]
    if ahead is not None and ahead < 1:
        raise ValueError(f"expected prefetch_factor of 1 or more, got {ahead}")
    names = ["timeout", "prefetch_factor", "persistent_workers"]
    names += ["multiprocessing_context"]
    given = ", ".join(name for name in names if options[name])
    if given and not workers:
        raise ValueError(f"{given}: needs num_workers > 0, got 0")
    _start_context(options["multiprocessing_context"])


def _start_context(wanted: str | BaseContext | None) -> BaseContext:
    """How processes are started; ValueError for a name that is none."""
    if isinstance(wanted, BaseContext):
        return wanted
    return multiprocessing.get_context(wanted)


class DataLoader(Resumable):
    """Batches of a dataset, with torch's arguments and torch's batches."""

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: torch.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ):
        self.dataset, self.collate_fn = dataset, collate_fn
        self.generator, self.pin_memory = generator, pin_memory
        self.num_workers, self.worker_init_fn = num_workers, worker_init_fn
        self.timeout, self.prefetch_factor = timeout, prefetch_factor
        self.persistent_workers, self._pool = persistent_workers, None
        self.multiprocessing_context = multiprocessing_context
        _check_workers(vars(self))
        self._set_order(batch_size, shuffle, sampler, batch_sampler, drop_last)

    def _set_order(
        self,
        batch_size: int | None,
        shuffle: bool | None,
        sampler: Iterable | None,
        batch_sampler: Iterable | None,
        drop_last: bool,
    ) -> None:
        stream = isinstance(self.dataset, _STREAMS)
        given = batch_size, shuffle, sampler, batch_sampler, drop_last
        _check_order(stream, *given)
        if stream:
            sampler = itertools.repeat(None)  # its indices mean nothing
        elif sampler is None and shuffle:
            sampler = RandomSampler(self.dataset, generator=self.generator)
        elif sampler is None:
            sampler = SequentialSampler(self.dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.batch_size, self.drop_last = batch_size, drop_last
        if self.collate_fn is None:
            batched = batch_sampler is not None
            self.collate_fn = default_collate if batched else default_convert

    def __setattr__(self, name: str, value: object) -> None:
        if name in _FIXED and name in vars(self):
            raise ValueError(f"{name} is fixed: make a new loader instead")
        super().__setattr__(name, value)

    @property
    def job(self) -> Job:
        """How batches are made: all but the indices."""
        stream = isinstance(self.dataset, _STREAMS)
        batched = self.batch_sampler is not None
        how = self.drop_last, self.collate_fn
        return Job(self.dataset, stream, batched, *how)

    @property
    def _order(self) -> Iterable:
        batches = self.batch_sampler
        return self.sampler if batches is None else batches

    def __len__(self) -> int:
        if not isinstance(self.dataset, _STREAMS):
            return len(self._order)
        n, size = len(self.dataset), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    def _generators(self) -> list[torch.Generator]:
        inner = getattr(self.batch_sampler, "sampler", None)
        drawing = [self, self.sampler, self.batch_sampler, inner]
        found = [getattr(each, "generator", None) for each in drawing]
        return list({id(each): each for each in found if each}.values())

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        job, indices = self.job, iter(self._order)
        if not job.iterable:
            skip(indices, epoch["position"])
        batches = self._load(job, indices, epoch)
        if job.iterable:
            skip(batches, epoch["position"])
        return map(_pinned, batches) if self.pin_memory else batches

    def _load(self, job: Job, indices: Iterator, epoch: dict) -> Iterator:
        if not self.num_workers:
            return load(job, indices)
        pool = self._ready_pool(job, epoch)
        states = pool.states  # as they are now, or as they will be
        epoch["workers"] = list(states) if job.iterable else states
        n_ahead = (self.prefetch_factor or 2) * self.num_workers
        for index in islice(indices, n_ahead):
            pool.ask(index)
        return self._answers(pool, indices)

    def _answers(self, pool: WorkerPool, indices: Iterator) -> Iterator:
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

    def _ready_pool(self, job: Job, epoch: dict[str, Any]) -> WorkerPool:
        pool, n = self._pool, self.num_workers
        if pool is not None and pool.close.alive:
            pool.restart()
            return pool
        setup = Setup(job, n, epoch["seed"], self.worker_init_fn)
        context = _start_context(self.multiprocessing_context)
        states = epoch["workers"] or [None] * n
        first = 0 if job.iterable else epoch["position"] % n
        pool = WorkerPool(setup, context, states, first)
        self._pool = pool if self.persistent_workers else None
        return pool

    def _new_epoch(self) -> dict[str, Any]:
        epoch = super()._new_epoch()
        if self._pool is not None and self._pool.close.alive:
            epoch["seed"] = self._pool.setup.seed
            epoch["workers"] = self._pool.states
        return epoch

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


def _pinned(batch: Any) -> Any:
    """The batch in memory that a GPU, if any, can copy from by itself."""
    if not torch.cuda.is_available():
        return batch
    return map_batch(
        lambda leaf: leaf.pin_memory() if isinstance(leaf, Tensor) else leaf,
        batch,
    )
