"""Which chapters run, and what is said: no kernel is needed."""

import errno
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from nbformat.v4 import new_output

from _config.chapters.files import ROOT
from _config.runs import scratch, store
from tests.workshop.runs.books import RAISES, Book

STARTING = "async_start_new_kernel_client"


class Client(Mock):
    """Instead of one with a kernel: cells put out the SVG that they name."""

    def __init__(self, nb=None, km=None, **_):
        super().__init__()
        self.nb, self.km = nb, km

    async def async_start_new_kernel_client(self) -> None: ...

    async def async_execute_cell(self, node, number) -> None:
        if "<svg" in node.source:
            data = {"image/svg+xml": node.source}
            node.outputs = [new_output("display_data", data)]


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book whose chapters run without kernels."""

    @asynccontextmanager
    async def kernel(folder, *_):
        yield Mock(connection_file=folder / "kernel.json")

    monkeypatch.setattr("_config.runs.run.kernel", kernel)
    monkeypatch.setattr("_config.runs.run.NotebookClient", Client)
    return Book(tmp_path)


@pytest.fixture
def pair(book):
    book.chapter("1_a/1_x", "1")
    book.chapter("1_a/2_y", "2")
    return book


def test_chapters_run_and_are_stored_and_then_need_not_run(pair, capsys):
    assert pair.run() == []
    begun_and_ended = capsys.readouterr().out.splitlines()
    assert len(begun_and_ended) == 4
    assert "1.1 1_a/1_x … runs" in begun_and_ended
    assert pair.run() == []
    assert capsys.readouterr().out == ""
    assert pair.run("1_a/2_y") == []


def test_a_cell_that_is_tagged_as_raising_has_to_raise(book):
    book.chapter("1_a/1_calm", "1", f"{RAISES}x = 1")
    (error,) = book.run()
    assert "1_calm.py:9: tagged raises-exception, but raises nothing" in error


def test_outputs_of_a_library_that_changed_meanwhile_are_not_kept(
    book, monkeypatch
):
    book.module("lib.one", "def one(): return 1\n")
    book.chapter("1_a/1_x", "from lib.one import one\none()", "one()")

    async def update(self: Client, node: object, number: int) -> None:
        book.module("lib.one", "one = int")

    monkeypatch.setattr(Client, "async_execute_cell", update)
    (error,) = book.run()
    assert "the library changed while this chapter ran" in error
    assert not [*book.store.glob("*")]


def test_where_one_chapter_cannot_be_stored_the_others_are(
    pair, monkeypatch, capsys
):
    def full(entry: store.Entry, folder: Path, save=store.save) -> None:
        if entry.key == pair.entry("1_a/1_x").stem:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(entry, folder)

    monkeypatch.setattr(store, "save", full)
    (error,) = pair.run()
    assert (
        "1_x.py:1: could not be stored: OSError: [Errno 28] No space left"
        in error
    )
    assert "1.1 1_a/1_x … could not be stored" in capsys.readouterr().out
    assert pair.stale() == ["1_a/1_x"]


def test_a_store_that_cannot_be_written_is_said_for_each_chapter(pair):
    pair.store.write_text("a file")
    assert ["could not be stored" in error for error in pair.run()] == [
        True
    ] * 2


def test_a_kernel_that_does_not_start_says_why(book, monkeypatch):
    async def fail(client: Client) -> None:
        log = Path(client.km.connection_file).with_name("log")
        log.write_text("No module named encodings")
        raise RuntimeError("Kernel died before replying to kernel_info")

    book.chapter("1_a/1_x", "1")
    monkeypatch.setattr(Client, STARTING, fail)
    (error,) = book.run()
    assert "1_x.py:1: could not be run: RuntimeError: Kernel died" in error
    assert "No module named encodings" in error


def test_what_cannot_be_run_is_a_failure_of_its_chapter_alone(
    pair, monkeypatch
):
    monkeypatch.setattr(scratch, "home", lambda: pair.book / "nowhere")
    assert ["could not be run" in error for error in pair.run()] == [True] * 2


def test_an_unknown_chapter_is_named_with_those_there_are(book):
    book.chapter("1_a/1_one", "1")
    book.chapter("1_a/2_two", "1")
    command = [*book.command, "1_a/9_no"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no chapter '1_a/9_no'" in done.stderr
    assert "1_a/1_one, 1_a/2_two" in done.stderr


def test_a_book_that_cannot_be_put_in_order_is_refused_with_a_line(book):
    book.chapter("1_a/1_one", "1")
    book.chapter("1_a/1_two", "1")
    done = subprocess.run(
        book.command, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "1_two.py:1: number 1.1 is taken" in done.stderr


def test_a_damaged_record_is_a_failure_of_its_chapter_alone(pair):
    code = "def fast(seed): ..."
    pair.chapter("1_a/1_x", f'# %% tags=["record"] record="fast"\n{code}')
    (pair.book / "1_a/1_x.fast.json").write_text("{")
    (error,) = pair.run()
    assert "1_x.fast.json:1: not a record" in error
    assert pair.load("1_a/2_y")
