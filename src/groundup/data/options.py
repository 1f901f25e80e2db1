# Extracted from book/3_training/2_data.py; edit it there.
"""A loader's options: what makes no sense together is refused."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable
from multiprocessing.context import BaseContext
from typing import Any

import torch

from groundup.data.collate import default_collate, default_convert
from groundup.data.dataset import IterableDataset
from groundup.data.fetch import Job
from groundup.data.resume import ResumableLoader
from groundup.data.sampler import BatchSampler, RandomSampler, SequentialSampler

ITERABLE = IterableDataset | torch.utils.data.IterableDataset


def _check_order(
    iterable: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Iterable | None,
    batch_sampler: Iterable | None,
    drop_last: bool,
) -> None:
    given = sampler is not None or batch_sampler is not None
    if iterable and (shuffle or given):
        raise ValueError(
            "an iterable dataset has its own order: expected no shuffle, "
            f"sampler or batch_sampler, got {shuffle=}, {sampler=}, "
            f"{batch_sampler=}"
        )
    if sampler is not None and shuffle:
        raise ValueError("expected sampler or shuffle, got both")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "a batch_sampler decides alone: expected no batch_size, shuffle, "
            f"sampler or drop_last, got {batch_size=}, {shuffle=}, {sampler=}, "
            f"{drop_last=}"
        )
    if batch_size is None and drop_last:
        raise ValueError("without a batch_size there is no last batch to drop")


def _check_workers(loader: "LoaderOptions") -> None:
    if loader.num_workers < 0 or loader.timeout < 0:
        raise ValueError(
            "expected num_workers and timeout of 0 or more, got "
            f"{loader.num_workers} and {loader.timeout}"
        )
    if loader.prefetch_factor is not None and loader.prefetch_factor < 1:
        raise ValueError(
            f"expected a prefetch_factor of 1 or more, got "
            f"{loader.prefetch_factor}"
        )
    alone = ("timeout", "prefetch_factor", "persistent_workers")
    given = [
        name
        for name in (*alone, "multiprocessing_context")
        if getattr(loader, name)
    ]
    if given and not loader.num_workers:
        raise ValueError(f"{', '.join(given)}: needs num_workers > 0, got 0")
    start_context(loader.multiprocessing_context)


def start_context(wanted: str | BaseContext | None) -> BaseContext:
    """How processes are started; ValueError for a name that is none."""
    if isinstance(wanted, BaseContext):
        return wanted
    return multiprocessing.get_context(wanted)


FIXED = ("dataset", "sampler", "batch_sampler", "batch_size", "drop_last")


def _samplers(
    job: Job,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Iterable | None,
    batch_sampler: Iterable | None,
    generator: torch.Generator | None,
) -> tuple[Iterable, Iterable | None]:
    """Who decides on single indices, and who on lists of them."""
    if job.iterable:
        sampler = itertools.repeat(None)  # its indices mean nothing
    elif sampler is None and shuffle:
        sampler = RandomSampler(job.dataset, generator=generator)
    elif sampler is None:
        sampler = SequentialSampler(job.dataset)
    if batch_sampler is None and batch_size is not None:
        batch_sampler = BatchSampler(sampler, batch_size, job.drop_last)
    return sampler, batch_sampler


class LoaderOptions(ResumableLoader):
    """A loader's options, checked."""

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
        self.num_workers, self.timeout = num_workers, timeout
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = multiprocessing_context
        self.worker_init_fn, self.pin_memory = worker_init_fn, pin_memory
        self.generator = generator
        _check_workers(self)
        iterable = isinstance(dataset, ITERABLE)
        order = batch_size, shuffle, sampler, batch_sampler
        _check_order(iterable, *order, drop_last)
        batched = batch_size is not None or batch_sampler is not None
        if collate_fn is None:
            collate_fn = default_collate if batched else default_convert
        self.job = Job(dataset, iterable, batched, drop_last, collate_fn)
        self.dataset, self.collate_fn = dataset, collate_fn
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self.sampler, self.batch_sampler = _samplers(
            self.job, *order, generator
        )

    def __setattr__(self, name: str, value: object) -> None:
        if name in FIXED and name in vars(self):
            raise ValueError(f"{name} is fixed: make a new loader instead")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if not self.job.iterable:
            return len(self._order)
        n, size = len(self.dataset), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    @property
    def _order(self) -> Iterable:
        return self.batch_sampler if self.job.batched else self.sampler
