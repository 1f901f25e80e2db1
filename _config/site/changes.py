"""What changed: the difference whenever a chapter rewrites a definition."""

import ast
from difflib import ndiff

from _config.chapters.parse import Chapter

SKIPPED = {"answer", "solution", "reference"}


def changes(chapter: Chapter) -> dict[int, list[tuple[str, str]]]:
    """For each cell that rewrites functions or classes: (name, difference)."""
    last: dict[str, list[str]] = {}
    found: dict[int, list[tuple[str, str]]] = {}
    lines = chapter.text.split("\n")
    for index, cell in enumerate(chapter.cells):
        if cell.kind != "code" or SKIPPED & set(cell.tags):
            continue
        for node in chapter.statements(cell):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            new = lines[
                min(d.lineno for d in [node, *node.decorator_list])
                - 1 : node.end_lineno
            ]
            old = last.get(node.name, new)
            if old != new:
                found.setdefault(index, []).append(
                    (node.name, difference(old, new))
                )
            last[node.name] = new
    return found


def difference(old: list[str], new: list[str]) -> str:
    """All lines of both, marked with -, + or a space."""
    marked = (line for line in ndiff(old, new) if not line.startswith("?"))
    return "\n".join(line[0] + line[2:] for line in marked)
