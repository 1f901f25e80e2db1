"""Whatever ends a build, nothing that it started stays."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from _config.chapters.files import ROOT
from _config.runs import scratch
from tests.workshop.runs.books import Book

CODE = """import os, subprocess, tempfile, time
tempfile.mkdtemp()
children = [
    subprocess.Popen(["sleep", "50"]),
    subprocess.Popen(["sleep", "50"], start_new_session=True),
    subprocess.Popen(["sleep", "50"], start_new_session=True, env={}),
]
pids = [os.getpid(), *(child.pid for child in children)]
with open("note", "w") as file:
    print(*pids, end=".", file=file)
time.sleep(50)"""


def started(folder: Path, build: subprocess.Popen) -> list[psutil.Process]:
    """What a build has started, once its chapter runs."""
    while True:
        for note in folder.glob("book-*/work/note"):
            if (text := note.read_text()).endswith("."):
                return [psutil.Process(int(pid)) for pid in text[:-1].split()]
        assert build.poll() is None
        time.sleep(0.05)


def heed() -> None:
    """Have SIGINT end a process, whatever its parent does with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path has room for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


ALONE = f"""import subprocess
from _config.runs.scratch import interruptible, marked, scratch
with interruptible(), scratch() as folder:
    (folder / "work").mkdir()
    code = {CODE!r}
    command = [{sys.executable!r}, "-c", code]
    subprocess.run(command, env=marked(folder), cwd=folder / "work")
"""


def test_what_ends_a_build_leaves_no_process_and_no_folder(short):
    runs = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"):
        book, folder = Book(short / name), short / name / "tmp"
        folder.mkdir(parents=True)
        book.chapter("1_a/1_x", CODE)
        whole = name in ("SIGINT", "SIGTERM")  # the others without a kernel
        command = book.command if whole else [sys.executable, "-c", ALONE]
        environment = os.environ | {"TMPDIR": str(folder)}
        with open(short / name / "said", "wb") as said:
            run = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stderr=said,
                preexec_fn=heed,  # as under nohup, the tests may ignore it
            )
        runs[name] = book, folder, run
    left = {}
    for name, (_, folder, run) in runs.items():
        left[name] = started(folder, run)
        assert all(map(alive, left[name]))
        run.send_signal(getattr(signal, name))
        if name == "SIGKILL":
            run.wait(timeout=60)
            assert any(map(alive, left[name]))
    for name, (_, folder, run) in runs.items():
        run.wait(timeout=60)
        if name == "SIGKILL":
            continue
        if name in ("SIGINT", "SIGTERM"):
            said = (short / name / "said").read_text()
            assert said == "interrupted: what had ended is stored\n"
            assert run.returncode == 130
        assert not any(map(alive, left[name])), name
        assert not [*folder.iterdir()], name

    book, folder, _ = runs["SIGKILL"]  # swept by the next build
    (book.book / "1_a/1_x.py").unlink()
    environment = os.environ | {"TMPDIR": str(folder)}
    subprocess.run(book.command, cwd=ROOT, env=environment, check=True)
    assert not any(map(alive, left["SIGKILL"]))
    assert not [*folder.iterdir()]


def test_only_folders_that_no_run_holds_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "home", lambda: tmp_path)
    (tmp_path / "book-left").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "book-link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "book-pipe")
    (tmp_path / "book-theirs").mkdir()
    if root := os.getuid() == 0:
        os.chown(tmp_path / "book-theirs", 12345, 12345)
    with scratch.scratch() as folder:
        scratch.sweep()
        left = {path.name for path in tmp_path.iterdir()}
        theirs = {"book-theirs"} if root else set()
        assert left - theirs == {folder.name, "other", "book-link", "book-pipe"}
        assert left >= theirs
    assert not folder.exists()


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with pytest.raises(KeyboardInterrupt), scratch.interruptible():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [1, 3])
def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch, number):
    monkeypatch.setattr(scratch, "home", lambda: tmp_path)
    with pytest.raises(ZeroDivisionError), scratch.scratch() as folder:
        environment = scratch.marked(folder)
        children = [
            subprocess.Popen(["sleep", "50"], env=environment)
            for _ in range(number)
        ]
        raise ZeroDivisionError
    assert not [*tmp_path.iterdir()]
    assert not any(psutil.pid_exists(child.pid) for child in children)


def test_a_shell_in_which_somebody_looks_around_lives_on(tmp_path, monkeypatch):
    looking = subprocess.Popen(["sleep", "50"], cwd=tmp_path)
    terminal = "/dev/pts/1"
    monkeypatch.setattr(psutil.Process, "terminal", lambda _: terminal)
    scratch.end_processes(tmp_path)
    assert looking.poll() is None
    monkeypatch.undo()
    monkeypatch.setattr(psutil.Process, "terminal", lambda _: None)
    scratch.end_processes(tmp_path)
    assert not psutil.pid_exists(looking.pid)
