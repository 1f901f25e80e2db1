"""Names in a chapter's code that are the library's become links to its API.

Only names that certainly are the library's: what the chapter exports itself and
what it imports from ``groundup``.  Variables, parameters and methods of objects
stay plain.  Nothing is imported, so a page costs no ``import torch``.
"""

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from _config.chapters.files import PACKAGE
from _config.chapters.parse import Chapter
from _config.library.modules import Export

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp,
          ast.ListComp, ast.SetComp, ast.DictComp)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """Characters ``start`` to ``end`` of a code cell are the entry ``name``."""

    cell: int
    start: int
    end: int
    name: str


def links(chapter: Chapter, library: dict[str, Export]) -> list[Link]:
    """Where the chapter's code names the library, in reading order."""
    finder = Finder(chapter, library)
    finder.visit(chapter.tree)
    return sorted(finder.links(), key=lambda link: (link.cell, link.start))


class Finder(ast.NodeVisitor):
    """Walks a chapter and keeps the spans whose name is an entry's."""

    def __init__(self, chapter: Chapter, library: dict[str, Export]) -> None:
        self.chapter = chapter
        self.entries = {
            alias: home
            for home, export in library.items()
            for alias in (home, export.path)
        }
        self.names = {
            export.name: home
            for home, export in library.items()
            if export.chapter.name == chapter.name
        }
        self.hidden: set[str] = set()
        self.spans: list[tuple[int, int, int, str]] = []

    def keep(self, line: int, start: int, end: int, name: str | None) -> None:
        if entry := self.entries.get(name or ""):
            self.spans.append((line, start, end, entry))

    def full_name(self, node: ast.expr) -> str | None:
        """``nn.Linear`` -> ``groundup.nn.Linear`` if ``nn`` is imported."""
        if isinstance(node, ast.Name) and node.id not in self.hidden:
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute) and (
            value := self.full_name(node.value)
        ):
            return f"{value}.{node.attr}"
        return None

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == PACKAGE:
                self.names[alias.asname or PACKAGE] = (
                    alias.name if alias.asname else PACKAGE
                )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] != PACKAGE:
            return
        for alias in node.names:
            name = self.names[alias.asname or alias.name] = (
                f"{node.module}.{alias.name}"
            )
            end = alias.col_offset + len(alias.name)
            self.keep(alias.lineno, alias.col_offset, end, name)

    def visit_Name(self, node: ast.Name | ast.Attribute) -> None:
        if (
            self.full_name(node) in self.entries
            and node.lineno == node.end_lineno
        ):
            self.keep(
                node.lineno,
                node.col_offset,
                node.end_col_offset,
                self.full_name(node),
            )
        else:
            self.generic_visit(node)

    visit_Attribute = visit_Name

    def generic_visit(self, node: ast.AST) -> None:
        outer = self.hidden
        if isinstance(node, SCOPES):
            self.hidden = outer | set(local_names(node))
        super().generic_visit(node)
        self.hidden = outer

    def links(self) -> Iterator[Link]:
        """The spans, which count bytes of the file, as characters of a cell."""
        for index, cell in enumerate(self.chapter.cells):
            lines = cell.source.split("\n")
            for line, start, end, name in self.spans:
                row = line - cell.first_line
                if cell.kind == "code" and 0 <= row < len(lines):
                    before = sum(len(text) + 1 for text in lines[:row])
                    text = lines[row].encode()
                    first = before + len(text[:start].decode())
                    yield Link(
                        index,
                        first,
                        first + len(text[start:end].decode()),
                        name,
                    )


def local_names(scope: ast.AST) -> Iterator[str]:
    """The parameters and variables inside a function or comprehension."""
    for node in ast.walk(scope):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def weave(highlighted: str, spans: dict[tuple[int, int], str]) -> str:
    """Put ``<a ...>`` tags around spans of the text inside highlighted code."""
    starts = {start: (end, tag) for (start, end), tag in spans.items()}
    pieces, offset, closing = [], 0, None
    for piece in re.findall(r"<[^>]*>|&[^;]+;|[^<&]+", highlighted):
        if piece.startswith("<span") and closing is None and offset in starts:
            closing, tag = starts.pop(offset)
            pieces.append(tag)
        pieces.append(piece)
        if not piece.startswith("<"):
            offset += len(html.unescape(piece))
        elif piece == "</span>" and offset == closing:
            pieces.append("</a>")
            closing = None
    return "".join(pieces)
