"""Measure a record: call its function once a seed and keep what it returns."""

import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from _config.chapters.files import SRC, ChapterError, write
from _config.chapters.parse import Cell, Chapter
from _config.runs.machine import hardware, versions
from _config.runs.reach import cells
from _config.runs.records import Record, look_up, record_key


def measure(
    chapter: Chapter, cell: Cell, seeds: int | None = None, src: Path = SRC
) -> Record:
    """Run a record's function for seeds 0, 1, … and keep what it returns."""
    name = cell.metadata["record"]
    before, key = look_up(chapter, cell, src), record_key(chapter, cell, src)
    seeds = seeds or len(before.kept.get("values", ())) or 5
    function = define(chapter, cell, src)
    values, start = {}, time.monotonic()
    for seed in range(seeds):
        values[seed] = function(seed)
        check(chapter, cell, values)
        print(f"{name}({seed}) = {values[seed]}", flush=True)
    columns = {one: [values[seed][one] for seed in values] for one in values[0]}
    kept = {
        "key": key,
        "values": values,
        "mean": {k: statistics.fmean(v) for k, v in columns.items()},
        "deviation": {
            k: statistics.stdev(v) if seeds > 1 else None
            for k, v in columns.items()
        },
        "seconds": round(time.monotonic() - start, 1),
        "hardware": hardware(),
        "versions": versions(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    write(before.path, f"{text}\n".encode())
    return look_up(chapter, cell, src)


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


def check(chapter: Chapter, cell: Cell, values: dict[int, object]) -> None:
    """Refuse what is not a dict of finite floats, the same for every seed."""
    seed, latest = list(values.items())[-1]
    if not isinstance(latest, dict) or not latest:
        message = f"seed {seed}: expected a dict of floats, got {latest!r}"
    elif latest.keys() != values[0].keys():
        message = f"seed {seed} gave {[*latest]}, seed 0 {[*values[0]]}"
    elif bad := [k for k, v in latest.items() if not finite(v)]:
        message = f"seed {seed}: {bad[0]} is {latest[bad[0]]!r}, not a number"
    else:
        return
    raise ChapterError(chapter.path, cell.line, message)


def finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < float("inf")
