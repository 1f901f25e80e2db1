"""A folder and the processes of one run, gone with it however it ends.

A run holds a lock on its folder and marks, by their environment, the processes
that it starts.  What a run leaves that was killed, the next one sweeps.
"""

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX, MARK = "book-", "BOOK_RUN"
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder; ``marked`` is the environment of what runs in it."""
    folder, lock = reserve()
    try:
        yield folder
    finally:
        discard(folder)
        os.close(lock)


def marked(folder: Path, *imported: Path) -> dict[str, str]:
    """The environment of processes that end with the run."""
    (folder / "tmp").mkdir(exist_ok=True)
    paths = [*(str(path.resolve()) for path in imported)]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {
        **os.environ,
        MARK: str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def home() -> Path:
    """Where folders lie: a socket's path has room for a hundred letters."""
    usual = Path(tempfile.gettempdir()).resolve()
    return usual if len(os.fsencode(usual)) <= 50 else Path("/tmp")


def reserve() -> tuple[Path, int]:
    """A new folder, and the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home()))
        lock = hold(folder)
        if lock is not None and folder.exists():  # not swept in between
            return folder, lock


def hold(folder: Path) -> int | None:
    """The lock on a folder, if no run has it."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError:
            os.close(lock)
    return None


def sweep() -> None:
    """Discard what runs have left that were killed."""
    for folder in home().glob(f"{PREFIX}*"):
        with suppress(OSError):
            mine = folder.lstat().st_uid == os.getuid()
            if mine and (lock := hold(folder)) is not None:
                discard(folder)
                os.close(lock)


def discard(folder: Path) -> None:
    """End what runs in a folder, and delete it."""
    end_processes(folder)
    shutil.rmtree(folder, ignore_errors=True)


def end_processes(folder: Path) -> None:
    """Kill what a run has started, in whatever session it is."""
    import psutil  # costs some hundredths of a second, wanted only here

    def is_ours(process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                mark = process.environ().get(MARK)
                here = Path(process.cwd()).is_relative_to(folder)
                looking = process.terminal()  # somebody's shell
                return mark == str(folder) or (here and not looking)
        return False

    for _ in range(10):  # they may start others meanwhile
        found = [each for each in psutil.process_iter() if is_ours(each)]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if not found:
            return
        psutil.wait_procs(found, timeout=1)


def endings() -> list[int]:
    """The signals that end this process, those that it ignores apart."""
    return [n for n in ENDINGS if signal.getsignal(n) != signal.SIG_IGN]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let whatever ends this process end it as Ctrl-C does."""
    before = {number: signal.signal(number, interrupt) for number in endings()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
