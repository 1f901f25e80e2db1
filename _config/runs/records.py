"""Records: long measurements, run on demand and kept beside their chapter.

``python -m _config.record CHAPTER [NAME] [--seeds N]``

A cell tagged ``record`` defines one function, ``def name(seed: int) ->
dict[str, float]``.  This runs the cells that the function needs, and no
others, calls it once a seed and writes ``1_chapter.NAME.json``.
"""

import argparse
import ast
import json
import os
import platform
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, shown
from _config.chapters.parse import Cell, Chapter, read_chapter
from _config.runs import reach, store

MISSING, STALE, CURRENT = "missing", "stale", "current"


@dataclass(frozen=True)
class Record:
    """A kept measurement; ``status`` is missing, stale or current."""

    name: str
    cell: Cell
    path: Path
    status: str
    kept: dict = field(default_factory=dict)


def status(chapter: Chapter, src: Path = SRC) -> list[Record]:
    """Every record of a chapter, compared with the code as it is now."""
    return [look_up(chapter, cell, src) for cell in record_cells(chapter)]


def look_up(chapter: Chapter, cell: Cell, src: Path) -> Record:
    name = cell.metadata["record"]
    path = chapter.path.with_suffix(f".{name}.json")
    if not path.exists():
        return Record(name, cell, path, MISSING)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        current = kept["key"] == key(chapter, cell, src)
    except (ValueError, KeyError, TypeError) as error:
        raise ChapterError(path, 1, f"not a record: {error!r}") from None
    return Record(name, cell, path, CURRENT if current else STALE, kept)


def record_cells(chapter: Chapter) -> list[Cell]:
    """The cells tagged ``record``, each checked to define its function."""
    found = []
    for cell in chapter.code:
        name = cell.metadata.get("record")
        if ("record" in cell.tags) != (name is not None):
            message = 'a record takes both: tags=["record"] record="name"'
            raise ChapterError(chapter.path, cell.line, message)
        if name is None:
            continue
        match chapter.statements(cell):
            case [ast.FunctionDef(name=defined, args=arguments)] if (
                defined == name and [a.arg for a in arguments.args] == ["seed"]
            ):
                found.append(cell)
            case _:
                message = f"the cell must define one function, {name}(seed)"
                raise ChapterError(chapter.path, cell.line, message)
    return found


def key(chapter: Chapter, cell: Cell, src: Path = SRC) -> str:
    """The digest of the code that a record is made by."""
    cells = reach.cells(chapter, cell)
    trees = [tree for one in cells for tree in chapter.statements(one)]
    parts = [[one.source for one in cells], reach.modules(trees, src)]
    return reach.digest(json.dumps(parts, sort_keys=True))[:32]


def measure(
    chapter: Chapter, cell: Cell, seeds: int | None = None, src: Path = SRC
) -> Record:
    """Run a record's function for seeds 0, 1, … and keep what it returns."""
    name = cell.metadata["record"]
    before = look_up(chapter, cell, src)
    seeds = seeds or len(before.kept.get("values", ())) or 5
    function = define(chapter, cell, src)
    values, start = {}, time.monotonic()
    for seed in range(seeds):
        values[seed] = function(seed)
        check(chapter, cell, values)
        print(f"{name}({seed}) = {values[seed]}", flush=True)
    columns = {one: [values[seed][one] for seed in values] for one in values[0]}
    kept = {
        "chapter": chapter.name,
        "record": name,
        "key": key(chapter, cell, src),
        "values": values,
        "mean": {k: statistics.fmean(v) for k, v in columns.items()},
        "deviation": {
            k: statistics.stdev(v) if seeds > 1 else None
            for k, v in columns.items()
        },
        "seconds": round(time.monotonic() - start, 1),
        "hardware": hardware(),
        "versions": store.versions(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    store.write(before.path, f"{text}\n".encode())
    return look_up(chapter, cell, src)


def define(chapter: Chapter, cell: Cell, src: Path) -> object:
    """Run the cells that the record needs; the function that it defines."""
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.path.insert(0, str(src))
    names = {"__name__": "__main__", "__file__": str(chapter.path)}
    for one in reach.cells(chapter, cell):
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


def hardware() -> str:
    """The processor and, if a measurement could use one, the GPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        processor = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)[1]
    except (OSError, TypeError):
        processor = platform.processor() or platform.machine()
    parts = [f"{os.cpu_count()} cores of {processor}"]
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def quote(record: Record, value: str, form: str, spread: str = "") -> str:
    """A result as prose shows it: ``97.4% ± 0.3%``."""
    if record.status == MISSING:
        return "(not measured yet)"
    text = format(record.kept["mean"][value], form)
    if (deviation := record.kept["deviation"][value]) is not None:
        text += f" ± {format(deviation, spread or form)}"
    return text + (" (stale)" if record.status == STALE else "")


def table(record: Record) -> str:
    """A record as Markdown: its values and where they come from."""
    command = f"nox -s record -- {chapter_name(record)} {record.name}"
    if record.status == MISSING:
        return f"*Not measured yet:* `{command}`"
    kept = record.kept
    rows = [
        f"| {name} | {quote(record, name, '#.4g', '#.2g')} |"
        for name in kept["mean"]
    ]
    n_seeds = len(kept["values"])
    source = (
        f"*{n_seeds} {'seed' if n_seeds == 1 else 'seeds'}, "
        f"{kept['seconds']:.0f} s on {kept['hardware']}, "
        f"torch {kept['versions']['torch']}, {kept['date']}.*"
    )
    if record.status == STALE:
        source += f"\n\n**Stale:** its code has changed since; `{command}`"
    head = ["| measured | mean ± deviation |", "| --- | --- |"]
    return "\n".join([*head, *rows, "", source])


def chapter_name(record: Record) -> str:
    stem = record.path.name.removesuffix(f".{record.name}.json")
    return f"{record.path.parent.name}/{stem}"


def main() -> int:
    from _config.runs.execution import chosen

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", metavar="CHAPTER")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, help="by default as many as kept, or 5"
    )
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    args = parser.parse_args()
    try:
        (path,) = chosen([args.chapter], args.book)
        chapter = read_chapter(path, args.book)
        cells = record_cells(chapter)
        if args.name:
            cells = [c for c in cells if c.metadata["record"] == args.name]
        if not cells:
            wanted = f"record {args.name!r}" if args.name else "record"
            raise ChapterError(chapter.path, 1, f"the chapter has no {wanted}")
        for cell in cells:
            done = measure(chapter, cell, args.seeds, args.src)
            print(f"wrote {shown(done.path)}")
    except (ChapterError, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
