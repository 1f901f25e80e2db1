"""Which chapter puts what where: tagged cells -> modules and their names.

Nothing is written here and nothing raised: mistakes are collected, so that an
author sees all of them at once.
"""

import ast
import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field

from _config.chapters.parse import Cell, Chapter, ChapterError, shown
from _config.chapters.syntax import (
    Function,
    bound,
    is_dunder,
    is_public,
    is_string,
    statements,
)

PACKAGE = "groundup"


@dataclass(frozen=True)
class Export:
    """One exported name: where users find it and where it was written."""

    name: str
    module: str  # "nn.linear"
    path: str  # what users import: "groundup.nn.Linear"
    chapter: Chapter = field(repr=False)
    cell: Cell = field(repr=False)
    node: ast.stmt = field(repr=False)

    @property
    def home(self) -> str:
        """Where it is defined: ``"groundup.nn.linear.Linear"``."""
        return f"{PACKAGE}.{self.module}.{self.name}"

    @property
    def line(self) -> int:
        return self.node.lineno

    @property
    def summary(self) -> str:
        """The first line of the docstring, if there is one."""
        documented = isinstance(self.node, Function | ast.ClassDef)
        docstring = ast.get_docstring(self.node) if documented else None
        return (docstring or "").partition("\n")[0]

    @property
    def place(self) -> str:
        return f"{shown(self.chapter.path)}:{self.line}"


@dataclass
class Module:
    """A module of the library: the cells of one chapter, in their order."""

    name: str
    chapter: Chapter
    cells: list[Cell] = field(default_factory=list)
    names: dict[str, Export] = field(default_factory=dict)

    @property
    def package(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def namespace(self) -> bool:
        return any(cell.metadata.get("namespace") for cell in self.cells)

    @property
    def parses(self) -> bool:
        try:
            return bool(self.chapter.tree)
        except ChapterError:
            return False

    @property
    def docstring(self) -> ast.stmt | None:
        """The string that stands first in the first exported cell."""
        nodes = statements(self.chapter, self.cells[0])
        return nodes[0] if nodes and is_string(nodes[0]) else None


def exports(chapters: list[Chapter]) -> dict[str, Export]:
    """The public names of the library by where they are defined."""
    modules, _ = collect(chapters)
    found = [e for m in modules.values() for e in m.names.values()]
    return {e.home: e for e in found if is_public(e.name)}


def collect(
    chapters: list[Chapter],
) -> tuple[dict[str, Module], list[ChapterError]]:
    """The library's modules by name, and every mistake in their making."""
    modules: dict[str, Module] = {}
    errors: list[ChapterError] = []
    for chapter in chapters:
        for cell in chapter.cells:
            if message := misplaced(chapter, cell, modules):
                errors.append(ChapterError(chapter.path, cell.line, message))
            elif "export" in cell.tags:
                name = chapter.module(cell)
                module = modules.setdefault(name, Module(name, chapter))
                module.cells.append(cell)
    public: dict[str, Export] = {}
    for module in modules.values():
        for export in definitions(module):
            if message := clash(export, module.names, public, modules):
                path = module.chapter.path
                errors.append(ChapterError(path, export.line, message))
            module.names.setdefault(export.name, export)
            if is_public(export.name):
                public.setdefault(export.name, export)
    return modules, errors


def misplaced(
    chapter: Chapter, cell: Cell, modules: dict[str, Module]
) -> str | None:
    """What is wrong with a cell's destination, if anything."""
    if "export" not in cell.tags:
        first = cell is chapter.cells[0]
        stray = {"namespace"} | (set() if first else {"module"})
        if key := next((key for key in cell.metadata if key in stray), None):
            mend = 'add tags=["export"] or drop it'
            return f"{key}= on a cell that is not exported: {mend}"
        return None
    if cell.kind != "code":
        return "only code can be exported: drop the tag of this markdown cell"
    if "reference" in cell.tags:
        return "a reference cell is never exported: drop one of the two tags"
    name = chapter.module(cell)
    if name is None:
        return 'no destination: add module="...", here or on the first cell'
    pieces = name.split(".")
    if pieces[0] == PACKAGE:
        return f"module={name!r}: leave out the leading {PACKAGE!r}"
    for piece in pieces:
        if (
            not piece.isidentifier()
            or keyword.iskeyword(piece)
            or is_dunder(piece)
        ):
            wrong = f"{piece!r} cannot name a module"
            return f"module={name!r}: {wrong}, write it like nn.linear"
    owner = modules.get(name)
    if owner and owner.chapter is not chapter:
        place = f"{shown(owner.chapter.path)}:{owner.cells[0].line}"
        return f"module {name!r} belongs to {place}: one chapter feeds a module"
    for other in modules:
        for package, inner in ((name, other), (other, name)):
            if inner.startswith(package + "."):
                wrong = f"cannot be a module and, for {inner!r}, a package"
                return f"{package!r} {wrong}: rename one"
    return None


def clash(
    export: Export, names: dict, public: dict, modules: dict[str, Module]
) -> str | None:
    """What is wrong with a definition's name, if anything."""
    name = export.name
    if name == "_":  # the usual name of what is registered, not called
        return None
    if other := names.get(name):
        wrong = f"{name!r} is already in {other.module!r} ({other.place})"
        return f"{wrong}: export its last version only"
    if other := public.get(name):
        wrong = f"{name!r} is already public in {other.module!r}"
        return f"{wrong} ({other.place}): one public name, one definition"
    if any(f"{PACKAGE}.{m}.".startswith(f"{export.path}.") for m in modules):
        return f"{export.path} is a module, {name!r} would hide it: rename one"
    return None


def definitions(module: Module) -> Iterator[Export]:
    """The names that a module's cells bind, overloads left out."""
    chapter, outer = module.chapter, module.package or module.name
    if module.namespace:
        outer = module.name
    for cell in module.cells:
        for node in statements(chapter, cell):
            for name in bound(node):
                path = f"{PACKAGE}.{outer}.{name}"
                yield Export(name, module.name, path, chapter, cell, node)
