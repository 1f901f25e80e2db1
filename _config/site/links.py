"""Names in a chapter's code that are the library's become links to its API.

Only names that certainly are the library's: what the chapter exports itself and
what it imports from ``groundup``.  Variables, parameters and methods of objects
stay plain.  Nothing is imported, so a page costs no ``import torch``.

sphinx-codeautolink was tried: it imports the library, takes 40 s more for the
book, and finds 4 of these 2,253 links.
"""

import ast
import html
import re
from dataclasses import dataclass

from _config.chapters.names import Binding, Resolver, Use, root
from _config.chapters.parse import Chapter
from _config.library.modules import Export


@dataclass(frozen=True)
class Link:
    """Characters ``start`` to ``end`` of a code cell are the entry ``name``."""

    cell: int
    start: int
    end: int
    name: str


def find_links(chapter: Chapter, library: dict[str, Export]) -> list[Link]:
    """Where the chapter's code names the library, in reading order."""
    finder = LinkFinder(chapter, library)
    return sorted(finder.found, key=lambda link: (link.cell, link.start))


class LinkFinder(Resolver):
    """Walks a chapter and keeps the spans whose name is an entry's."""

    def __init__(self, chapter: Chapter, library: dict[str, Export]) -> None:
        super().__init__()
        self.entries = {
            alias: home
            for home, export in library.items()
            for alias in (home, export.path)
        } | {
            f".{export.name}": home
            for home, export in library.items()
            if export.chapter.name == chapter.name
        }
        self.found: list[Link] = []
        for self.index, self.cell in enumerate(chapter.cells):
            self.walk(self.cell.sound)

    def use(self, use: Use) -> None:
        """Keep a name, or the longest part of a chain, that is an entry."""
        binding, node, path = use.binding, use.node, use.path
        if binding is not self.globals.get(use.name):
            return  # a local name
        if not (binding and binding.imported):  # of this chapter, or to come
            node, path = root(node), f".{use.name}"
        while path not in self.entries and isinstance(node, ast.Attribute):
            node, path = node.value, path.rpartition(".")[0]
        if path in self.entries and node.lineno == node.end_lineno:
            self.keep(node, path)

    def bound(self, binding: Binding) -> None:
        """Keep the place that defines a constant."""
        node, path = binding.node, f".{binding.name}"
        if isinstance(node, ast.Name) and path in self.entries:
            self.keep(node, path)

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        """Keep the name that a statement imports from the library."""
        if isinstance(node, ast.ImportFrom) and path in self.entries:
            self.keep(alias, path)

    def keep(self, node: ast.expr | ast.alias, path: str) -> None:
        """Bytes of a line of the file, as characters of a cell."""
        lines = self.cell.source.split("\n")
        row = node.lineno - self.cell.first_line
        text = lines[row].encode()
        name = getattr(node, "name", "").encode()  # an alias goes on: as x
        end = node.col_offset + len(name) if name else node.end_col_offset
        before = sum(len(line) + 1 for line in lines[:row])
        first = before + len(text[: node.col_offset].decode())
        last = before + len(text[:end].decode())
        self.found.append(Link(self.index, first, last, self.entries[path]))


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
