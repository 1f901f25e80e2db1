"""Run the chapters whose outputs are not in the store, two at a time.

``python -m _config.execute [CHAPTER ...] [--list-stale] [--jobs N]``

A chapter that fails does so alone: the others run and are stored.  What runs,
and how, is in ``run.py``; what makes a chapter stale is in ``store.py``.
"""

import argparse
import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, chapter_paths, shown
from _config.chapters.parse import Cell, Chapter, read_chapter
from _config.runs import data, store
from _config.runs import records as record


def chosen(names: Iterable[str], book: Path = BOOK) -> list[Path]:
    """The files of these chapters, given by name or path; else of them all."""
    paths = chapter_paths(book)
    if not names:
        return paths
    files = {path.resolve(): path for path in paths}
    found = []
    for name in names:
        places = (book / f"{name.removesuffix('.py')}.py", Path(name))
        matches = [files[p.resolve()] for p in places if p.resolve() in files]
        if not matches:
            known = [p.relative_to(book).with_suffix("") for p in paths]
            raise LookupError(
                f"no chapter {name!r} in {shown(book)}, "
                f"which has {', '.join(map(str, known))}"
            )
        found.append(matches[0])
    return found


def sort_out(
    paths: Iterable[Path], book: Path, src: Path, folder: Path
) -> tuple[list[Chapter], list[Chapter], list[ChapterError]]:
    """The chapters that must run, those that need not, and what is wrong."""
    stale, fresh, failures = [], [], []
    for path in paths:
        try:
            chapter = read_chapter(path, book)
            record.record_cells(chapter)
            entry = store.load(chapter, src, folder)
        except ChapterError as error:
            failures.append(error)
        else:
            (stale if entry is None else fresh).append(chapter)
    return stale, fresh, failures


def execute(
    names: Iterable[str] = (),
    book: Path = BOOK,
    src: Path = SRC,
    folder: Path = store.STORE,
    jobs: int | None = None,
    limit: float | None = None,
) -> list[ChapterError]:
    """Bring the store up to date; what went wrong, chapter by chapter."""
    stale, fresh, failures = sort_out(chosen(names, book), book, src, folder)
    if stale:
        data.fetch(data.needed(stale), src)
        jobs = jobs or min(2, os.cpu_count() or 1)
        failures += asyncio.run(run_all(stale, src, folder, jobs, limit))
    failures.sort(key=lambda failure: (failure.path, failure.line))
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    for chapter in stale + fresh:
        for warning in warnings(chapter, src, folder):
            print(warning, file=sys.stderr)
    return failures


async def run_all(
    chapters: list[Chapter],
    src: Path,
    folder: Path,
    jobs: int,
    limit: float | None,
) -> list[ChapterError]:
    """Run chapters, ``jobs`` at a time, and store each as it ends."""
    from _config.runs.run import CELL_LIMIT, run  # costs a second

    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(jobs)
    loop.add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    progress, failures = Progress(), []

    async def one(chapter: Chapter) -> None:
        async with gate:
            start = time.monotonic()
            progress.update(chapter, 0)
            try:
                entry = await run(
                    chapter,
                    src,
                    jobs,
                    limit or CELL_LIMIT,
                    lambda done: progress.update(chapter, done),
                )
                store.save(entry, folder)
                result = f"{time.monotonic() - start:.1f} s"
            except ChapterError as error:
                failures.append(error)
                result = f"failed at line {error.line}"
            progress.end(chapter, result)

    await asyncio.gather(*map(one, chapters))
    return failures


class Progress:
    """A line a chapter when it ends; in a terminal, what runs meanwhile."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}

    def update(self, chapter: Chapter, done: int) -> None:
        """Note how many cells of a chapter are done."""
        self.running[chapter.number] = f"{done}/{len(chapter.code)}"
        self.show()

    def end(self, chapter: Chapter, result: str) -> None:
        """Print the chapter's line."""
        del self.running[chapter.number]
        print(f"{ERASE}{chapter.number} {chapter.title} … {result}", flush=True)
        self.show()

    def show(self) -> None:
        """Draw the line of the chapters that run."""
        if ERASE:
            items = (f"{key} cell {done}" for key, done in self.running.items())
            print(ERASE + ", ".join(items), end="", flush=True)


ERASE = "\r\x1b[2K" if sys.stdout.isatty() else ""


def warnings(chapter: Chapter, src: Path, folder: Path) -> list[str]:
    """What an author should see: output to stderr, records to be renewed."""
    found = []
    entry = store.load(chapter, src, folder)
    outputs = entry.outputs if entry else []
    for cell, cell_outputs in zip(chapter.code, outputs, strict=False):
        for output in cell_outputs:
            if output.get("name") == "stderr":
                found += noted(cell, output["text"])
    for kept in record.status(chapter, src):
        if kept.status != record.CURRENT:
            found.append(
                (kept.cell.line, f"record {kept.name!r} is {kept.status}")
            )
    at = shown(chapter.path)
    return [f"{at}:{line}: warning: {text}" for line, text in found]


def noted(cell: Cell, text: str) -> list[tuple[int, str]]:
    """How a cell's stderr begins, and each warning in it at its line."""
    places = re.findall(r"^cell:(\d+): (.*)", text, re.MULTILINE)
    placed = [(cell.first_line + int(line) - 1, what) for line, what in places]
    first = text.strip().partition("\n")[0]
    return placed if first[:5] == "cell:" else [(cell.line, first), *placed]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")
    parser.add_argument("--list-stale", action="store_true")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--limit", type=float, help="seconds a cell may take")
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    parser.add_argument("--store", type=Path, default=store.STORE)
    args = parser.parse_args(arguments)
    places = (args.book, args.src, args.store)
    try:
        paths = chosen(args.chapters, args.book)
        if not args.list_stale:
            return bool(execute(args.chapters, *places, args.jobs, args.limit))
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted: what had ended is stored", file=sys.stderr)
        return 130
    stale, _, failures = sort_out(paths, *places)
    for failure in failures:
        print(failure, file=sys.stderr)
    for chapter in stale:
        print(chapter.name)
    return bool(failures)
