"""Run the chapters whose outputs are not in the store, two at a time.

A chapter that fails does so alone: the others run and are stored.  What runs,
and how, is in ``run.py``; what makes a chapter stale is in ``store.py``.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, chapter_paths, shown
from _config.chapters.parse import Chapter, read_chapter
from _config.runs import data, records, scratch, store
from _config.runs.reach import refuse_hidden_imports
from _config.runs.reports import progress, warnings


def chosen(names: Iterable[str], book: Path = BOOK) -> list[Path]:
    """The files of these chapters, given by name or path; else of them all."""
    paths = chapter_paths(book)
    if not names:
        return paths
    known = {p.relative_to(book).with_suffix("").as_posix(): p for p in paths}
    found = []
    for name in names:
        ends = f"/{name.removesuffix('.py')}"
        matches = [known[each] for each in known if ends.endswith(f"/{each}")]
        if not matches:
            message = f"no chapter {name!r} in {shown(book)}, which has "
            raise LookupError(message + ", ".join(known))
        found += matches
    return found


def sort_out(
    paths: Iterable[Path], book: Path, src: Path, folder: Path
) -> tuple[list[Chapter], list[Chapter], list[ChapterError]]:
    """The chapters that must run, those that need not, and what is wrong."""
    stale, fresh, failures = [], [], []
    for path in paths:
        try:
            chapter = read_chapter(path, book)
            records.status(chapter, src)
            refuse_hidden_imports(chapter)
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
    scratch.sweep()
    stale, fresh, failures = sort_out(chosen(names, book), book, src, folder)
    if stale:
        data.fetch(data.needed(stale), src)
        jobs = jobs or min(2, os.cpu_count() or 1)
        failures += asyncio.run(run_all(stale, src, folder, jobs, limit))
        store.prune(folder, len(chapter_paths(book)))
    failures.sort(key=lambda failure: (failure.path, failure.line))
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    chapters = stale + fresh
    found = [one for each in chapters for one in warnings(each, src, folder)]
    for warning in [*found, *records.orphans(book)]:
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
    from _config.runs.run import CELL_LIMIT, run_chapter  # costs a second

    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(jobs)
    cancel = asyncio.current_task().cancel
    for number in scratch.endings():
        loop.add_signal_handler(number, cancel)
    failures = []

    async def one(chapter: Chapter) -> None:
        async with gate:
            start, doing = time.monotonic(), "run"
            progress(chapter, "runs")
            try:
                entry = await run_chapter(
                    chapter, src, jobs, limit or CELL_LIMIT
                )
                doing = "stored"
                store.save(entry, folder)
                result = f"{time.monotonic() - start:.1f} s"
            except ChapterError as error:
                failures.append(error)
                result = f"failed at line {error.line}"
            except Exception as error:  # a full disk, say: the others go on
                what = f"{type(error).__name__}: {error}"
                result = f"could not be {doing}: {what}"
                failures.append(ChapterError(chapter.path, 1, result))
            progress(chapter, result)

    await asyncio.gather(*map(one, chapters))
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 if all is well, 1 if something failed, 2, or 130."""
    parser = argparse.ArgumentParser(prog="python -m _config.execute")
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
        with scratch.interruptible():
            paths = chosen(args.chapters, args.book)
            if not args.list_stale:
                failures = execute(
                    args.chapters, *places, args.jobs, args.limit
                )
                return bool(failures)
    except (ChapterError, LookupError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, LookupError) else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted: what had ended is stored", file=sys.stderr)
        return 130
    stale, _, failures = sort_out(paths, *places)
    for failure in failures:
        print(failure, file=sys.stderr)
    for chapter in stale:
        print(chapter.name)
    return bool(failures)
