"""Which chapter puts what where: exported cells -> modules and their names.

Nothing is written here and nothing raised: mistakes are collected, so that an
author sees all of them at once.
"""

import ast
import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from _config.chapters.files import PACKAGE, ChapterError, shown
from _config.chapters.names import Function, names_in
from _config.chapters.parse import Cell, Chapter
from _config.library.classes import Part, joined, kept, mistakes

# What an exported cell holds, beside imports.
HELD = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign,
        ast.AnnAssign, getattr(ast, "TypeAlias", ast.Assign))  # fmt: skip
LONGEST = 60  # characters of a module's name: more is a file no disk takes


@dataclass(frozen=True)
class Export:
    """One exported name: where users find it and where it was written.

    A class that grows over cells has a part for each of them.
    """

    name: str
    module: str  # "nn.linear"
    path: str  # what users import: "groundup.nn.Linear"
    chapter: Chapter = field(repr=False)
    parts: list[Part] = field(repr=False)
    internal: bool = False

    @property
    def home(self) -> str:
        """Where it is defined: ``"groundup.nn.linear.Linear"``."""
        return f"{PACKAGE}.{self.module}.{self.name}"

    @property
    def public(self) -> bool:
        """Whether its package offers it."""
        return not self.internal and not self.name.startswith("_")

    @property
    def cell(self) -> Cell:
        return self.parts[0].cell

    @cached_property
    def node(self) -> ast.stmt:
        """Its definition; of a class that grew, with the members of all."""
        return joined(self.parts)

    @property
    def line(self) -> int:
        return self.parts[0].node.lineno

    @property
    def summary(self) -> str:
        """The first line of the docstring, if there is one."""
        node = self.parts[0].node
        documented = isinstance(node, Function | ast.ClassDef)
        docstring = ast.get_docstring(node) if documented else None
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
    sound: bool = True  # its classes can be put together

    @property
    def path(self) -> str:
        return f"{PACKAGE}.{self.name}"

    @property
    def package(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def namespace(self) -> bool:
        return any(cell.metadata.get("namespace") for cell in self.cells)

    @property
    def docstring(self) -> ast.stmt | None:
        """The string that stands first in the first exported cell."""
        match self.cells[0].sound[:1]:
            case [ast.Expr(ast.Constant(str())) as node]:
                return node
        return None

    def part_of(self, node: ast.stmt) -> Export | None:
        """The class that a statement continues."""
        export = self.names.get(getattr(node, "name", ""))
        later = export.parts[1:] if export else ()
        return export if any(part.node is node for part in later) else None


def exports(chapters: list[Chapter]) -> dict[str, Export]:
    """The public names of the library by where they are defined."""
    modules, _ = collect(chapters)
    found = [e for m in modules.values() for e in m.names.values()]
    return {e.home: e for e in found if not e.name.startswith("_")}


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
        for message, line in enter_names(module, public, modules):
            errors.append(ChapterError(module.chapter.path, line, message))
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
        if "internal" in cell.tags:
            return 'internal goes with export: tags=["export", "internal"]'
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
        dunder = piece.startswith("__") and piece.endswith("__")
        if not piece.isidentifier() or keyword.iskeyword(piece) or dunder:
            wrong = f"{piece!r} cannot name a module"
            return f"module={name!r}: {wrong}, write it like nn.linear"
        if len(piece) > LONGEST:
            wrong = f"{len(piece)} letters, at most {LONGEST}"
            return f"module={piece[:20]}…: a name of {wrong}"
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


def enter_names(
    module: Module, public: dict[str, Export], modules: dict[str, Module]
) -> Iterator[tuple[str, int]]:
    """Enter the names that a module's cells bind; yield what is wrong."""
    chapter = module.chapter
    offered = module.name if module.namespace else module.package or module.name
    for cell in module.cells:
        internal = "internal" in cell.tags
        home = module.name if internal else offered
        for node in cell.sound:
            for name in bound(node):
                part = Part(cell, node)
                other = module.names.get(name)
                if other and kept(node):
                    found = list(mistakes(other.parts, part))
                    module.sound = module.sound and not found
                    yield from found
                    other.parts.append(part)
                    continue
                path = f"{PACKAGE}.{home}.{name}"
                export = Export(
                    name, module.name, path, chapter, [part], internal
                )
                if message := clash(export, other, public, modules):
                    yield message, export.line
                module.names.setdefault(name, export)
                if export.public:
                    public.setdefault(name, export)


def clash(
    export: Export,
    other: Export | None,
    public: dict[str, Export],
    modules: dict[str, Module],
) -> str | None:
    """What is wrong with a definition's name, if anything."""
    name = export.name
    if name == "_":  # the usual name of what is registered, not called
        return None
    if other:
        wrong = f"{name!r} is already in {other.module!r} ({other.place})"
        return f"{wrong}: export its last version only"
    if export.public and (other := public.get(name)):
        wrong = f"{name!r} is already public in {other.module!r}"
        return f"{wrong} ({other.place}): one public name, one definition"
    if any(f"{PACKAGE}.{m}.".startswith(f"{export.path}.") for m in modules):
        return f"{export.path} is a module, {name!r} would hide it: rename one"
    return None


def bound(node: ast.stmt) -> list[str]:
    """The names that a definition or a constant binds; overloads bind none."""
    empty = getattr(node, "value", node) is None  # a bare annotation
    overload = isinstance(node, Function) and is_overload(node)
    held = isinstance(node, HELD) and not (empty or overload)
    return names_in([node]) if held else []


def is_overload(node: Function) -> bool:
    return any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
