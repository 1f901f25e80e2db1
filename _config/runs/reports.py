"""What the execution of chapters says, while it goes on and in the end."""

import re
from pathlib import Path

from _config.chapters.files import shown
from _config.chapters.parse import Cell, Chapter
from _config.runs import records, store


def progress(chapter: Chapter, what: str) -> None:
    """Print what happens to a chapter."""
    print(f"{chapter.number} {chapter.title} … {what}", flush=True)


def warnings(chapter: Chapter, src: Path, folder: Path) -> list[str]:
    """What an author should see: output to stderr, records to be renewed."""
    found = []
    entry = store.load(chapter, src, folder)
    outputs = entry.outputs if entry else []
    cells = store.executed(chapter)
    for cell, cell_outputs in zip(cells, outputs, strict=False):
        for output in cell_outputs:
            if output.get("name") == "stderr":
                found += noted(cell, output["text"])
    for kept in records.status(chapter, src):
        if (state := kept.state) != records.CURRENT:
            found.append((kept.cell.line, f"record {kept.name!r} is {state}"))
    at = shown(chapter.path)
    return [f"{at}:{line}: warning: {text}" for line, text in found]


def noted(cell: Cell, text: str) -> list[tuple[int, str]]:
    """How a cell's stderr begins, and each warning in it at its line."""
    places = re.findall(r"^cell:(\d+): (.*)", text, re.MULTILINE)
    placed = [(cell.first_line + int(line) - 1, what) for line, what in places]
    first = text.strip().partition("\n")[0]
    return placed if first[:5] == "cell:" else [(cell.line, first), *placed]
