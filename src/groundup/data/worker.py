# Extracted from book/3_training/2_data.py; edit it there.
"""The worker's side: a process that turns indices into batches."""

import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from groundup.data.fetch import END, Job
from groundup.data.resume import random_state, seed_worker, set_random_state


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
    return _info


@dataclass(frozen=True)
class Setup:
    """What a worker is started with."""

    job: Job
    num_workers: int
    seed: int
    init_fn: Callable[[int], None] | None


def work(
    connection: Connection,
    inherited: list[Connection],
    worker: int,
    setup: Setup,
    state: dict | None,
) -> None:
    """Answer indices until the main process closes its end."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told
    for each in inherited:  # its ends of the pipes, or none would ever close
        each.close()
    torch.set_num_threads(1)
    seed_worker(setup.seed, worker)
    dataset = setup.job.dataset
    seed = setup.seed + worker
    _info = WorkerInfo(worker, setup.num_workers, seed, dataset)
    # for datasets that ask torch
    torch.utils.data._utils.worker._worker_info = _info
    tasks, closed = queue.SimpleQueue(), threading.Event()
    listener = threading.Thread(
        target=_listen, args=(connection, tasks, closed), daemon=True
    )
    listener.start()
    fetch = _started(setup, worker)
    if state is not None:
        set_random_state(state)
    last = random_state()
    try:
        while (task := tasks.get()) is not None and not closed.is_set():
            if task == "epoch":
                fetch = setup.job.fetcher()
                continue
            kind, value = _answer(fetch, *task)
            now = random_state()
            _send(connection, kind, value, None if now == last else now)
            last = now
    except (BrokenPipeError, ConnectionResetError):
        pass  # the main process has gone


def _listen(
    connection: Connection, tasks: queue.SimpleQueue, closed: threading.Event
) -> None:
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        closed.set()
        tasks.put(None)


def _started(setup: Setup, worker: int) -> Callable[[Any], Any]:
    """The function that fetches, or one that raises what went wrong."""
    try:
        if setup.init_fn is not None:
            setup.init_fn(worker)
        return setup.job.fetcher()
    except Exception as error:
        error.add_note(f"while starting worker {worker}")
        return _Failed(error)


@dataclass
class _Failed:
    error: Exception

    def __call__(self, index: Any) -> None:
        raise self.error


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
        raise
    except Exception as error:  # a batch that cannot be pickled
        error.add_note("while sending a batch to the main process")
        connection.send(("error", _portable(error), state))
