# Extracted from book/3_training/7_workers.py; edit it there.
"""The main process's side: asks workers, and always stops them."""

import os
import signal
import time
import weakref
from collections import deque
from collections.abc import Sequence
from itertools import cycle, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from groundup.data.fetch import END
from groundup.data.worker import Setup, work

_OPEN: set[Connection] = set()  # this process's ends of all pools' pipes


def _stop(pid: int, connections: list, processes: list) -> None:
    if os.getpid() != pid:
        return  # the copy that a worker inherited
    for connection in connections:
        connection.close()
        _OPEN.discard(connection)
    deadline = time.monotonic() + 5
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _death(process: Any) -> str:
    process.join(1)
    code = process.exitcode
    if code is None:  # it lives: each tensor that it sent is an open file
        return (
            "sent what cannot be received; if too many files are open, keep "
            "fewer batches or raise the limit (ulimit -n)"
        )
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        hint = ", as when memory runs out" if code == -signal.SIGKILL else ""
        return f"{how}{hint}"
    return f"ended with exit code {code}"


class WorkerPool:
    """Processes that answer indices with batches, in the order asked."""

    def __init__(
        self,
        setup: Setup,
        context: BaseContext,
        states: Sequence[dict | None],
        first: int = 0,
    ):
        self.setup, self.states = setup, list(states)
        self.connections, self.processes = [], []
        self.close = weakref.finalize(
            self, _stop, os.getpid(), self.connections, self.processes
        )
        for worker in range(setup.num_workers):
            self._start(context, worker)
        self._begin(first)

    def _begin(self, first: int) -> None:
        n = self.setup.num_workers
        self.turns = islice(cycle(range(n)), first, None)
        self.due: deque[int] = deque()  # who is to answer, the oldest first
        self.ended: set[int] = set()

    def _start(self, context: BaseContext, worker: int) -> None:
        ours, theirs = context.Pipe()
        self.connections.append(ours)
        _OPEN.add(ours)
        inherited = list(_OPEN) if context.get_start_method() == "fork" else []
        given = theirs, inherited, worker, self.setup, self.states[worker]
        process = context.Process(target=work, args=given, daemon=True)
        process.start()
        theirs.close()
        self.processes.append(process)

    def ask(self, index: Any) -> None:
        """Send an index to the next worker that has not ended."""
        for worker in islice(self.turns, self.setup.num_workers):
            if worker not in self.ended:
                self._tell(worker, (index,))
                self.due.append(worker)
                return

    def answer(self, timeout: float | None = None) -> Any:
        """The next batch, or END; what a worker raised is raised here."""
        worker, kind, value = self._receive(timeout)
        if kind == "error":
            error, text = value
            error.add_note(f"\nin worker {worker}:\n\n{text.rstrip()}")
            raise error
        if kind == "end":
            self.ended.add(worker)
            return END
        return value

    def _tell(self, worker: int, message: Any) -> None:
        try:
            self.connections[worker].send(message)
        except OSError as error:
            raise self._dead(worker) from error

    def _receive(self, timeout: float | None) -> tuple[int, str, Any]:
        worker = self.due.popleft()
        pipe = self.connections[worker]
        if not wait([pipe, self.processes[worker].sentinel], timeout):
            self.close()
            raise RuntimeError(f"no batch from worker {worker} in {timeout} s")
        try:
            kind, value, state = pipe.recv()
        except (EOFError, OSError, RuntimeError) as error:
            raise self._dead(worker) from error
        self.states[worker] = state or self.states[worker]
        return worker, kind, value

    def _dead(self, worker: int) -> RuntimeError:
        process = self.processes[worker]
        n, pid = self.setup.num_workers, process.pid
        how = _death(process)
        self.close()
        return RuntimeError(f"worker {worker} of {n} (pid {pid}) {how}")

    def restart(self) -> None:
        """Begin another epoch with the same processes."""
        while self.due:  # what an epoch that was left early has asked for
            self._receive(None)
        self._begin(0)
        for worker in range(self.setup.num_workers):
            self._tell(worker, "epoch")
