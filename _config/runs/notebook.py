"""A chapter as a notebook, for MyST-NB, for downloads and for the kernel."""

import re
from pathlib import Path

import nbformat

from _config.chapters.files import SRC, ChapterError
from _config.chapters.parse import Cell, Chapter
from _config.runs.records import Record, quote, record_table, status
from _config.runs.store import Entry, executed

METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python", "file_extension": ".py"},
}
ROLE = re.compile(
    r"\{record\}`(?P<name>\w+)\.(?P<value>.+?)(:(?P<form>[^`:]*))?`"
)


def notebook(
    chapter: Chapter, entry: Entry | None = None, src: Path = SRC
) -> nbformat.NotebookNode:
    """The chapter's cells, with the stored outputs if there are any.

    Cell ids are counted, so that the same chapter gives the same file, and
    ``source_map`` holds each cell's marker line, from 0, for warnings.
    """
    records = {kept.name: kept for kept in status(chapter, src)}
    outputs = iter(entry.outputs if entry else ())
    running = executed(chapter)
    cells, count = [], 0
    for number, cell in enumerate(chapter.cells):
        metadata = dict(cell.metadata)
        if cell.title:
            metadata["title"] = cell.title
        common = {"id": f"c{number:03d}", "metadata": metadata}
        if cell.kind == "markdown":
            text = interpolate(chapter, cell, records)
            cells.append(nbformat.v4.new_markdown_cell(text, **common))
            continue
        new = nbformat.v4.new_code_cell(cell.source, **common)
        if entry and cell in running:
            count += 1
            new.execution_count = count
            results = next(outputs, ())
            new.outputs = [nbformat.from_dict(one) for one in results]
        if entry and (kept := records.get(cell.metadata.get("record"))):
            data = {"text/markdown": record_table(kept)}
            new.outputs.append(
                nbformat.v4.new_output("display_data", data=data)
            )
        cells.append(new)
    lines = {"source_map": [cell.line - 1 for cell in chapter.cells]}
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA | lines)


def interpolate(
    chapter: Chapter, cell: Cell, records: dict[str, Record]
) -> str:
    """Put kept results in the place of ``{record}`name.value:.1%```."""

    def result(match: re.Match) -> str:
        before = cell.source.partition(match[0])[0]
        at = cell.first_line + before.count("\n")
        if (kept := records.get(match["name"])) is None:
            message = f"no cell of this chapter records {match['name']!r}"
            raise ChapterError(chapter.path, at, message)
        try:
            return quote(kept, match["value"], match["form"] or ".3g")
        except (KeyError, ValueError) as error:
            message = f"cannot quote {match[0]}: {error}"
            raise ChapterError(chapter.path, at, message) from None

    return ROLE.sub(result, cell.prose)
