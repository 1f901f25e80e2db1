# Extracted from book/3_training/7_workers.py; edit it there.
"""The worker's side: a process that turns indices into batches."""

import pickle
import queue
import random
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from groundup.data.fetch import END, Job
from groundup.data.resume import random_state, set_random_state


def seed_worker(base_seed: int, worker: int) -> None:
    """Seed torch's, Python's and NumPy's generators for one worker."""
    torch.manual_seed(base_seed + worker)
    random.seed(base_seed + worker)
    mixed = np.random.SeedSequence([worker, base_seed % 2**32, base_seed >> 32])
    np.random.seed(mixed.generate_state(4))


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this process is, with its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which worker this process is; None in the main process."""
    return _info or torch.utils.data.get_worker_info()


def _answer(fetch: Callable, index: Any) -> tuple[str, Any]:
    try:
        batch = fetch(index)
    except Exception as error:
        return "error", _portable(error)
    return ("end", None) if batch is END else ("batch", batch)


def _portable(error: Exception) -> tuple[Exception, str]:
    """An exception that can be sent, and its traceback as text."""
    text = "".join(traceback.format_exception(error))
    try:
        return pickle.loads(pickle.dumps(error)), text
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}"), text


def _send(connection: Connection, kind: str, value: Any, state: Any) -> None:
    try:
        connection.send((kind, value, state))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the main process has gone
    except Exception as error:  # a batch that cannot be pickled
        error.add_note("while sending a batch to the main process")
        _send(connection, "error", _portable(error), state)


@dataclass(frozen=True)
class Setup:
    """What a worker is started with."""

    job: Job
    num_workers: int
    seed: int
    init_fn: Callable[[int], None] | None

    def enter(self, worker: int) -> None:
        """Make this process the worker: its seeds, and what datasets ask."""
        global _info
        torch.set_num_threads(1)
        seed_worker(self.seed, worker)
        seed, dataset = self.seed + worker, self.job.dataset
        _info = WorkerInfo(worker, self.num_workers, seed, dataset)
        # some datasets ask torch, which has no public way to be told
        torch.utils.data._utils.worker._worker_info = _info

    def fetcher(self, worker: int, first: bool) -> Callable[[Any], Any]:
        """A function that fetches, or one that raises what went wrong."""
        try:
            if first and self.init_fn is not None:
                self.init_fn(worker)
            return self.job.fetcher()
        except Exception as error:
            error.add_note(f"while starting worker {worker}")
            return partial(_fail, error)


def _fail(error: Exception, index: Any) -> None:
    raise error


def work(
    connection: Connection,
    inherited: list[Connection],
    worker: int,
    setup: Setup,
    state: dict | None,
) -> None:
    """Answer indices until the main process closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told
    for each in inherited:  # its ends of the pipes, or none would ever close
        each.close()
    setup.enter(worker)
    tasks, closed = queue.SimpleQueue(), threading.Event()
    heard = connection, tasks, closed
    threading.Thread(target=_listen, args=heard, daemon=True).start()
    fetch = setup.fetcher(worker, first=True)
    if state is not None:
        set_random_state(state)
    last = random_state()
    while (task := tasks.get()) is not None and not closed.is_set():
        if task == "epoch":
            fetch = setup.fetcher(worker, first=False)
            continue
        kind, value = _answer(fetch, *task)
        now = random_state()
        _send(connection, kind, value, None if now == last else now)
        last = now


def _listen(
    connection: Connection, tasks: queue.SimpleQueue, closed: threading.Event
) -> None:
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        closed.set()
        tasks.put(None)
