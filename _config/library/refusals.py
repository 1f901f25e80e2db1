"""What the library refuses of a chapter, beyond destinations and names."""

import ast
from collections.abc import Iterator
from itertools import pairwise

from _config.chapters.files import PACKAGE, ChapterError
from _config.chapters.names import Function
from _config.chapters.parse import Chapter
from _config.library.classes import kept
from _config.library.modules import Module, bound
from _config.library.reading import Reading


def refusals(
    chapters: list[Chapter],
    modules: dict[str, Module],
    readings: dict[str, Reading],
) -> Iterator[ChapterError]:
    """Every mistake in the chapters' code, in no particular order."""
    order = {chapter.name: i for i, chapter in enumerate(chapters)}
    owners = known_paths(modules)
    for chapter in chapters:
        reading = readings[chapter.name]
        found = [*broken(chapter), *wrong_imports(reading, owners, order)]
        for module in modules.values():
            if module.chapter is chapter:
                found += check_module(module, reading)
        yield from (
            ChapterError(chapter.path, *at) for at in dict.fromkeys(found)
        )


def broken(chapter: Chapter) -> Iterator[tuple[int, str]]:
    """Cells that do not parse, or a chapter that is not a script."""
    yield from ((error.line, error.message) for error in chapter.errors)
    if not chapter.errors:
        try:
            compile(chapter.text, str(chapter.path), "exec", dont_inherit=True)
        except SyntaxError as error:
            yield error.lineno or 1, f"syntax error: {error.msg}"


def known_paths(modules: dict[str, Module]) -> dict[str, Chapter]:
    """The chapter that first makes each dotted path of the library exist."""
    owners: dict[str, Chapter] = {}
    for module in modules.values():
        pieces = module.path.split(".")
        paths = [".".join(pieces[: i + 1]) for i in range(len(pieces))]
        for export in module.names.values():
            paths += [export.home] + [export.path] * export.public
        for path in paths:
            owners.setdefault(path, module.chapter)
    return owners


def wrong_imports(
    reading: Reading, owners: dict[str, Chapter], order: dict[str, int]
) -> Iterator[tuple[int, str]]:
    """Imports that are not exact, come too early, or lead nowhere."""
    here = order[reading.chapter.name]
    asked = [
        (each.cell, each.node.lineno, each.path) for each in reading.imported
    ]
    for cell, line, path in [*asked, *reading.reached]:
        if "raises-exception" in cell.tags:
            continue
        owner = owners.get(path)
        if path.endswith(".*") and "reference" not in cell.tags:
            yield line, "import *: name what you import"
        elif path.startswith("."):
            yield line, f"relative import: write {PACKAGE} in full"
        elif owner and order[owner.name] > here:
            wrong = f"{path} is built later, in {owner.name}"
            yield line, f"{wrong}: a chapter uses what came before it"
        elif not owner and path.split(".")[0] == PACKAGE:
            if (cell, line, path) in asked:
                wrong = f"no chapter exports {path}"
                yield line, f"{wrong}: correct the name, or export it"


def check_module(module: Module, reading: Reading) -> Iterator[tuple[int, str]]:
    """Statements that do not belong in a library."""
    for cell in module.cells:
        for one, other in pairwise(cell.sound):
            if one.end_lineno == other.lineno:
                yield (
                    other.lineno,
                    "two statements on a line: give each its own",
                )
        for node in cell.sound:
            if kept(node) and not module.part_of(node):
                yield node.lineno, orphan(node, reading)
            elif isinstance(node, ast.Import | ast.ImportFrom) or bound(node):
                yield from half_made(module, node)
            elif node is not module.docstring and not isinstance(
                node, Function
            ):
                yield node.lineno, wrong_statement(node)


def wrong_statement(node: ast.stmt) -> str:
    """What to do about a statement that a library's module cannot hold."""
    held = "an exported cell holds imports, constants, def and class"
    mend = "move it to a cell of its own"
    inner = {type(each) for each in ast.walk(node)}
    if inner & {ast.Import, ast.ImportFrom}:
        mend = "import it inside the function that needs it"
    return f"{held}, not {type(node).__name__}: {mend}"


def orphan(node: ast.ClassDef, reading: Reading) -> str:
    """What to do about a class that continues nothing of its module."""
    first = reading.first(node.name)
    mend = "the same module and chapter hold all of a class"
    if first is None or first.line == node.lineno:
        return f"{node.name} continues a class that is not there: {mend}"
    place = f"line {first.line}"
    if not first.exported:
        mend = 'tag that cell ["export"], or name the class otherwise'
    return f"{node.name} continues the class of {place}: {mend}"


def half_made(module: Module, node: ast.stmt) -> Iterator[tuple[int, str]]:
    """A subclass that here, unlike in the library, misses later methods."""
    for base in getattr(node, "bases", ()):
        export = module.names.get(getattr(base, "id", ""))
        for part in export.parts[1:] if export else ():
            if part.node.lineno > node.lineno and export.name != node.name:
                wrong = f"{export.name} goes on in line {part.node.lineno}"
                yield node.lineno, f"{wrong}: finish it before its subclasses"
                break
