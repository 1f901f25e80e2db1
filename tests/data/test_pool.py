"""groundup.data.pool: workers that die, hang, or are left; all of them go."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from groundup.data import DataLoader


class Items:
    """Nine items, one of which does something else."""

    def __init__(self, action=None, at=3, n=9):
        self.action, self.at, self.n = action, at, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index == self.at and self.action is not None:
            return self.action()
        return index


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "killed by SIGTERM"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: sys.exit(4), "exit code 4"),
    ],
)
def test_a_worker_that_dies_is_an_error_and_no_hang(action, match):
    loader = DataLoader(Items(action), 1, num_workers=2)
    with pytest.raises(RuntimeError, match=rf"worker 1 of 2 .*{match}"):
        list(loader)


def test_a_persistent_pool_that_died_is_replaced():
    loader = DataLoader(Items(), 3, num_workers=1, persistent_workers=True)
    list(loader)
    os.kill(loader._pool.processes[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="SIGKILL"):
        list(loader)
    assert len(list(loader)) == 3


def until_closed():
    """Load until the main process gives up: then the listener has ended."""
    while any("_listen" in each.name for each in threading.enumerate()):
        time.sleep(0.01)


def test_a_timeout_is_an_error():
    loader = DataLoader(Items(until_closed), num_workers=1, timeout=0.2)
    with pytest.raises(RuntimeError, match=r"worker 0 in 0\.2 s"):
        list(loader)


def test_a_pool_ends_while_a_younger_one_lives():
    """The younger one's workers were copied with the older one's pipes."""
    first, second = (
        DataLoader(Items(), num_workers=2, persistent_workers=True)
        for _ in range(2)
    )
    assert len(list(first)) == len(list(second)) == 9
    processes = first._pool.processes
    first._pool.close()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(second)) == 9


@pytest.mark.parametrize("persistent", [False, True])
def test_leaving_early_leaves_no_process(persistent):
    loader = DataLoader(
        Items(n=100), num_workers=2, persistent_workers=persistent
    )
    for _ in loader:
        assert len(multiprocessing.active_children()) == 2
        break
    if persistent:
        assert [b.item() for b in loader] == list(range(100))
    iter(loader)  # never asked for a batch
    del loader


def test_persistent_workers_stay():
    loader = DataLoader(
        Items(os.getpid, at=0), num_workers=1, persistent_workers=True
    )
    first, second = (next(iter(loader)).item() for _ in range(2))
    assert first == second != os.getpid()


SCRIPT = """
import os, signal, time
from groundup.data import DataLoader

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever ignores it

class Items:
    def __len__(self):
        return 10**6
    def __getitem__(self, index):
        return index

def tell(line):  # whole, though three processes write
    os.write(1, f"{line}\\n".encode())

def start(worker):
    tell(os.getpid())

try:
    for batch in DataLoader(Items(), num_workers=2, worker_init_fn=start):
        tell("ready")
        time.sleep(60)
except KeyboardInterrupt:
    tell("interrupted")
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody reaped has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_go_with_the_main_process(number):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert "ready" in lines
    workers = [int(line) for line in lines if line != "ready"]
    if number == signal.SIGINT:  # as a terminal does: to the whole group
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert ("interrupted" in output) == (number == signal.SIGINT)
    assert errors == ""
    deadline = time.monotonic() + 20
    while not all(map(gone, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2 and all(map(gone, workers))


def test_too_many_open_files_are_named_and_what_to_do():
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 24, limits[1]))
    try:
        with pytest.raises(RuntimeError, match=r"too many files.*ulimit -n"):
            list(DataLoader(Items(n=1000), num_workers=1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
