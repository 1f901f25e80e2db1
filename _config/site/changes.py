"""What changed: the difference whenever a chapter rewrites a definition.

A class that grows over cells is compared method by method: a cell that goes on
with it leaves the rest as it is.
"""

import ast
from difflib import ndiff
from textwrap import dedent

from _config.chapters.names import Function, begin
from _config.chapters.parse import Chapter
from _config.library.classes import kept

SKIPPED = {"answer", "solution", "reference"}


def rewritten(chapter: Chapter) -> dict[int, list[tuple[str, str]]]:
    """For each cell that rewrites functions, methods or classes: (name,
    difference)."""
    last: dict[str, list[str]] = {}
    grown: set[str] = set()
    found: dict[int, list[tuple[str, str]]] = {}
    for index, cell in enumerate(chapter.cells):
        if SKIPPED & set(cell.tags):
            continue
        for node in cell.statements:
            if not isinstance(node, Function | ast.ClassDef):
                continue
            parts = method_lines(chapter, node)
            whole = {} if kept(node) else {node.name: lines_of(chapter, node)}
            compared = parts if kept(node) or node.name in grown else whole
            for name, new in compared.items():
                if (old := last.get(name, new)) != new:
                    change = (name, difference(old, new))
                    found.setdefault(index, []).append(change)
            last |= whole | parts
            (grown.add if kept(node) else grown.discard)(node.name)
    return found


def method_lines(chapter: Chapter, node: ast.stmt) -> dict[str, list[str]]:
    """The lines of each method of a class; a property has its setter's too."""
    found: dict[str, list[str]] = {}
    for each in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(each, Function):
            name = f"{node.name}.{each.name}"
            found[name] = found.get(name, []) + lines_of(chapter, each)
    return found


def lines_of(chapter: Chapter, node: Function | ast.ClassDef) -> list[str]:
    """The lines of a definition, its decorators first."""
    text = "\n".join(chapter.lines[begin(node) - 1 : node.end_lineno])
    return dedent(text).split("\n")


def difference(old: list[str], new: list[str]) -> str:
    """All lines of both, marked with -, + or a space."""
    marked = (line for line in ndiff(old, new) if not line.startswith("?"))
    return "\n".join(line[0] + line[2:] for line in marked)
