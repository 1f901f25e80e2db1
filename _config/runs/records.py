"""Records: long measurements, run on demand and kept beside their chapter.

A cell tagged ``record`` defines one function, ``def name(seed: int) ->
dict[str, float]``.  Its result lies in ``1_chapter.NAME.json``, with the key
of the code that it was made by: that of the cells that the function needs, and
of no others, and of the library that they see.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _config.chapters.files import SRC, ChapterError, shown
from _config.chapters.parse import Cell, Chapter
from _config.runs.digests import digest
from _config.runs.reach import cells, code_key

MISSING, STALE, CURRENT = "missing", "stale", "current"
BEGUN = "begun, not whole"


@dataclass(frozen=True)
class Record:
    """A kept measurement; ``status`` is missing, stale or current."""

    name: str
    cell: Cell
    path: Path
    status: str
    kept: dict = field(default_factory=dict)

    @property
    def wanted(self) -> int:
        """How many seeds it has when it is whole."""
        return self.kept.get("seeds", len(self.kept.get("values", ())))

    @property
    def state(self) -> str:
        """Its status, and ``begun`` where seeds are still wanted."""
        begun = len(self.kept.get("values", ())) < self.wanted
        return BEGUN if begun and self.status == CURRENT else self.status


def status(chapter: Chapter, src: Path = SRC) -> list[Record]:
    """Every record of a chapter, compared with the code as it is now."""
    return [look_up(chapter, cell, src) for cell in record_cells(chapter)]


def look_up(chapter: Chapter, cell: Cell, src: Path) -> Record:
    name = cell.metadata["record"]
    path = chapter.path.with_suffix(f".{name}.json")
    if not path.exists():
        return Record(name, cell, path, MISSING)
    kept = read_kept(path)
    current = kept["key"] == record_key(chapter, cell, src)
    return Record(name, cell, path, CURRENT if current else STALE, kept)


def read_kept(path: Path) -> dict:
    """What a record's file holds."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"key", "values", "mean", "deviation"} - {*kept}:
            raise ValueError(f"{missing.pop()} is missing")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ChapterError(path, 1, f"not a record: {error!r}") from None
    return kept


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
        match cell.statements:
            case [ast.FunctionDef(name=defined, args=arguments)] if (
                defined == name and [a.arg for a in arguments.args] == ["seed"]
            ):
                found.append(cell)
            case _:
                message = f"the cell must define one function, {name}(seed)"
                raise ChapterError(chapter.path, cell.line, message)
    return found


def record_key(chapter: Chapter, cell: Cell, src: Path = SRC) -> str:
    """The digest of the code that a record is made by."""
    return digest(json.dumps(code_key(cells(chapter, cell), src)))[:32]


def orphans(book: Path) -> Iterator[str]:
    """A line for each kept measurement that no cell of a chapter makes."""
    for path in sorted(book.glob("[0-9]*/*.*.json")):
        stem, name, _ = path.name.split(".", 2)
        home = path.with_name(f"{stem}.py")
        cell = re.compile(rf'^# %%.*\brecord="{re.escape(name)}"', re.MULTILINE)
        if not (home.is_file() and cell.search(home.read_text("utf-8"))):
            text = f"no cell of {home.name} records it"
            mend = "rename it with its chapter or cell, or delete it"
            yield f"{shown(path)}:1: warning: {text}: {mend}"


def quote(record: Record, value: str, form: str, spread: str = "") -> str:
    """A result as prose shows it: ``97.4% ± 0.3%``."""
    if record.status == MISSING:
        return "(not measured yet)"
    text = format(record.kept["mean"][value], form)
    if (deviation := record.kept["deviation"][value]) is not None:
        text += f" ± {format(deviation, spread or form)}"
    return text + (" (stale)" if record.status == STALE else "")


def record_table(record: Record) -> str:
    """A record as Markdown: its values and where they come from."""
    stem = record.path.name.removesuffix(f".{record.name}.json")
    chapter = f"{record.path.parent.name}/{stem}"
    command = f"nox -s record -- {chapter} {record.name}"
    if record.status == MISSING:
        return f"*Not measured yet:* `{command}`"
    kept = record.kept
    rows = [
        f"| {name} | {quote(record, name, '#.4g', '#.2g')} |"
        for name in kept["mean"]
    ]
    n_seeds, wanted = len(kept["values"]), record.wanted
    share = f"{n_seeds} of {wanted}" if n_seeds < wanted else n_seeds
    source = (
        f"*{share} {'seed' if wanted == 1 else 'seeds'}, "
        f"{kept['seconds']:.0f} s on {kept['hardware']}, "
        f"torch {kept['versions']['torch']}, {kept['date']}.*"
    )
    if record.state == BEGUN:
        source += f"\n\n**Not whole:** `{command}` goes on with it"
    if record.status == STALE:
        source += f"\n\n**Stale:** its code has changed since; `{command}`"
    head = ["| measured | mean ± deviation |", "| --- | --- |"]
    return "\n".join([*head, *rows, "", source])
