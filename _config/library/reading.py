"""What a chapter's names mean: its bindings, imports, and exported uses.

Extraction asks nothing else, so a name means the same in the library as it
does in the chapter at the cell that uses it, or the book is refused.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from _config.chapters.files import PACKAGE
from _config.chapters.names import Binding, Resolver, Use
from _config.chapters.parse import Cell, Chapter


@dataclass(frozen=True)
class Bound:
    """A binding of a chapter's top level, and the cell that makes it."""

    binding: Binding
    cell: Cell = field(repr=False)

    @property
    def line(self) -> int:
        return self.binding.node.lineno

    @property
    def exported(self) -> bool:
        return "export" in self.cell.tags


@dataclass(frozen=True)
class Import:
    """A name that a cell imports, and the statement that does it."""

    node: ast.stmt = field(repr=False)
    alias: ast.alias = field(repr=False)
    path: str
    cell: Cell = field(repr=False)
    top: bool = True  # and not in a function, which needs it alone

    @property
    def name(self) -> str:
        return self.alias.asname or self.alias.name.split(".")[0]

    @property
    def marked(self) -> bool:
        """Whether it says that it is for its effect, not for its name."""
        lines = self.cell.source.split("\n")
        return (
            "noqa: F401" in lines[self.node.end_lineno - self.cell.first_line]
        )


class Reading(Resolver):
    """A chapter, read cell by cell."""

    def __init__(self, chapter: Chapter) -> None:
        super().__init__()
        self.chapter = chapter
        self.bindings: dict[str, list[Bound]] = defaultdict(list)
        self.imported: list[Import] = []
        self.used: dict[int, list[tuple[Use, Bound | None]]] = defaultdict(list)
        self.reached: list[tuple[Cell, int, str]] = []  # groundup's, by chains
        self.names: set[str] = set()  # whatever is read anywhere
        for self.cell in chapter.code:
            self.walk(self.cell.sound)

    def bound(self, binding: Binding) -> None:
        """Keep every binding, in order."""
        self.bindings[binding.name].append(Bound(binding, self.cell))

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        """Keep the import; in a function it is that function's own."""
        top = not self.inner
        self.imported.append(Import(node, alias, path, self.cell, top))

    def use(self, use: Use) -> None:
        """Keep the uses of the chapter's names by exported cells."""
        binding = use.binding
        self.names.add(use.name)
        if binding and binding.imported and "." in use.path:
            if use.path.startswith(f"{PACKAGE}."):
                self.reached.append((self.cell, use.node.lineno, use.path))
        if binding is not None and self.globals.get(use.name) is not binding:
            return  # a local name
        if "export" in self.cell.tags:
            bound = self.bindings[use.name][-1] if binding else None
            self.used[self.cell.line].append((use, bound))

    def first(self, name: str) -> Bound | None:
        """The first binding of a name."""
        return next(iter(self.bindings.get(name, ())), None)
