"""Measure a record: call its function once a seed and keep what it returns."""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, shown, write
from _config.chapters.parse import Cell, Chapter, read_chapter
from _config.runs.execution import chosen
from _config.runs.machine import hardware, versions
from _config.runs.reach import cells
from _config.runs.records import (
    CURRENT,
    Record,
    look_up,
    record_cells,
    record_key,
)


def measure_record(
    chapter: Chapter,
    cell: Cell,
    seeds: int | None = None,
    src: Path = SRC,
    jobs: int = 1,
) -> Record:
    """Run a record's function for seeds 0, 1, … and keep what it returns.

    Each seed is kept as it comes; a record that has fewer seeds than are
    wanted, of the same code and versions, goes on where it stopped.
    """
    name = cell.metadata["record"]
    before, key = look_up(chapter, cell, src), record_key(chapter, cell, src)
    seeds = seeds or before.wanted or 5
    values, seconds = begun(before, seeds), 0.0
    if values:
        print(f"{shown(before.path)} goes on after {len(values)} seeds")
        seconds = before.kept["seconds"]
    start, wanted = time.monotonic(), range(len(values), seeds)
    for seed, found in seed_by_seed(chapter, cell, src, wanted, jobs):
        values[str(seed)] = found
        check(chapter, cell, values)
        print(f"{name}({seed}) = {values[str(seed)]}", flush=True)
        taken = round(seconds + time.monotonic() - start, 1)
        kept = {"key": key, **summary(values), "seconds": taken, **made_by()}
        text = json.dumps(kept | {"seeds": seeds}, indent=2, ensure_ascii=False)
        write(before.path, f"{text}\n".encode())
    return look_up(chapter, cell, src)


def seed_by_seed(
    chapter: Chapter, cell: Cell, src: Path, seeds: range, jobs: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Each seed and what the function returns for it, in order."""
    if jobs == 1:
        yield from zip(
            seeds, map(define(chapter, cell, src), seeds), strict=True
        )
        return
    one = partial(one_seed, chapter, cell, src)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from zip(seeds, pool.map(one, seeds), strict=True)


def one_seed(
    chapter: Chapter, cell: Cell, src: Path, seed: int
) -> dict[str, float]:
    """A seed in a process of its own."""
    return define(chapter, cell, src)(seed)


def begun(before: Record, seeds: int) -> dict[str, dict[str, float]]:
    """The seeds that a record begun earlier need not run again."""
    same = before.status == CURRENT and before.kept["versions"] == versions()
    values = before.kept["values"] if same else {}
    return dict(values) if len(values) < seeds else {}


def summary(values: dict[str, dict[str, float]]) -> dict:
    """The values with their mean and deviation, by name."""
    names = next(iter(values.values()))
    columns = {name: [one[name] for one in values.values()] for name in names}
    mean = {name: statistics.fmean(column) for name, column in columns.items()}
    deviation = {
        name: statistics.stdev(column) if len(column) > 1 else None
        for name, column in columns.items()
    }
    return {"values": values, "mean": mean, "deviation": deviation}


def made_by() -> dict:
    return {
        "hardware": hardware(),
        "versions": versions(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def run_again(chapter: Chapter, cell: Cell, seed: int, src: Path = SRC) -> None:
    """Print what one seed gives now beside what is kept; keep nothing."""
    kept = look_up(chapter, cell, src).kept.get("values", {}).get(str(seed), {})
    found = define(chapter, cell, src)(seed)
    for name, value in found.items():
        print(f"{name}: {value}, kept {kept.get(name, 'nothing')}", flush=True)


def define(chapter: Chapter, cell: Cell, src: Path) -> object:
    """Run the cells that the record needs; the function that it defines."""
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.path.insert(0, str(src))
    names = {"__name__": "__main__", "__file__": str(chapter.path)}
    for one in cells(chapter, cell):
        # the empty lines give tracebacks the chapter's own line numbers
        text = "\n" * (one.first_line - 1) + one.source
        exec(compile(text, str(chapter.path), "exec"), names)
    return names[cell.metadata["record"]]


def check(chapter: Chapter, cell: Cell, values: dict[str, object]) -> None:
    """Refuse what is not a dict of finite floats, the same for every seed."""
    seed, latest = list(values.items())[-1]
    same = isinstance(latest, dict) and latest.keys() == values["0"].keys()
    if not (latest and same and all(map(finite, latest.values()))):
        wanted = "a dict of numbers, with the same names for every seed"
        message = f"seed {seed}: expected {wanted}, got {latest!r}"
        raise ChapterError(chapter.path, cell.line, message)


def finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < float("inf")


def main() -> int:
    """The command: 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m _config.record")
    parser.add_argument("chapter", metavar="CHAPTER")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, help="by default as many as kept, or 5"
    )
    parser.add_argument(
        "--seed", type=int, help="run this one beside what is kept, no more"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="how many seeds run side by side"
    )
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    args = parser.parse_args()
    try:
        (path,) = chosen([args.chapter], args.book)
        chapter = read_chapter(path, args.book)
        found = record_cells(chapter)
        if args.name:
            found = [c for c in found if c.metadata["record"] == args.name]
        if not found:
            wanted = f"record {args.name!r}" if args.name else "record"
            raise ChapterError(chapter.path, 1, f"the chapter has no {wanted}")
        for cell in found:
            if args.seed is not None:
                run_again(chapter, cell, args.seed, args.src)
                continue
            done = measure_record(
                chapter, cell, args.seeds, args.src, args.jobs
            )
            print(f"wrote {shown(done.path)}")
    except (ChapterError, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
