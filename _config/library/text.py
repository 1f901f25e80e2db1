"""The text of the library's files, each line with its line in the chapter."""

import ast
from collections.abc import Iterable, Iterator

from _config.chapters.files import PACKAGE
from _config.chapters.names import begin
from _config.chapters.parse import Chapter
from _config.library.classes import Part, merged
from _config.library.modules import Module
from _config.library.needs import Needs, statements

HEADER = "# Extracted from book/"
Lines = list[tuple[str, int]]  # text, and its line in the chapter or 0
GAP = ("", 0)


def module_lines(module: Module, needs: Needs, homes: dict[str, str]) -> Lines:
    """A module before it is formatted."""
    chapter, docstring = module.chapter, []
    if node := module.docstring:
        docstring = taken(chapter, module.cells[0].first_line, node.end_lineno)
    imports = [(code, 0) for code in statements(needs, homes)]
    header = f"{HEADER}{chapter.name}.py; edit it there."
    return [
        (header, 0),
        *(line for line in docstring if line[0].strip()),
        GAP,
        *sorted(imports, key=lambda line: "__future__" not in line[0]),
        *definitions(module),
    ]


def definitions(module: Module) -> Lines:
    """All but the docstring and the imports, cell by cell."""
    chapter, found = module.chapter, []
    cells = [
        [*cut(chapter, cell.sound, cell.first_line, cell.last_line)]
        for cell in module.cells
    ]
    pieces = {id(node): lines for cell in cells for node, lines in cell}
    for export in module.names.values():
        first, *others = export.parts
        if others:
            pieces[id(first.node)] = grown(chapter, export.parts, pieces)
            pieces |= {id(part.node): [] for part in others}
    for cell in cells:
        block = [GAP]
        for node, rest in cell:
            apart = isinstance(node, ast.Import | ast.ImportFrom)
            if node is None:
                block += rest
            elif node is not module.docstring and not apart:
                block += pieces[id(node)]
        found += trimmed(block)
    return found


def taken(chapter: Chapter, first: int, last: int) -> Lines:
    """Lines of a chapter, from 1."""
    return [(chapter.lines[i - 1], i) for i in range(first, last + 1)]


def cut(
    chapter: Chapter, nodes: Iterable[ast.stmt], first: int, last: int
) -> Iterator[tuple[ast.stmt | None, Lines]]:
    """Each statement with the lines since the one before; None: the rest."""
    for node in nodes:
        yield node, taken(chapter, first, node.end_lineno)
        first = node.end_lineno + 1
    yield None, taken(chapter, first, last)


def grown(
    chapter: Chapter, parts: list[Part], pieces: dict[int, Lines]
) -> Lines:
    """A class that continues over cells, as one."""
    first, members, above = parts[0].node, {}, {}
    wide = " " * first.body[0].col_offset
    for part in parts:
        node, lines = part.node, pieces[id(part.node)]
        cuts = cut(chapter, node.body, body(chapter, node), node.end_lineno)
        members |= {id(each): trimmed(piece) for each, piece in cuts}
        comments = [(wide + t, n) for t, n in lines if n < begin(node)]
        above[id(part)] = [GAP, *comments]
    del above[id(parts[0])]
    head = body(chapter, first)
    found = [line for line in pieces[id(first)] if line[1] < head]
    for statement, part in merged(parts):
        found += above.pop(id(part), []) + members[id(statement)]
    return found


def body(chapter: Chapter, node: ast.ClassDef) -> int:
    """The line after the head of a class, with its colon."""
    line = begin(node.body[0])
    while chapter.lines[line - 2].strip()[:1] in ("", "#"):
        line -= 1
    return line


def trimmed(lines: Lines) -> Lines:
    """Lines without empty ones in front but one."""
    first = next((i for i, (text, _) in enumerate(lines) if text.strip()), 0)
    return lines[max(0, first - 1) :]


def package_texts(
    modules: dict[str, Module], version: str = ""
) -> dict[str, str]:
    """The ``__init__.py`` of each package: explicit re-exports."""
    inside: dict[tuple[str, ...], list[str]] = {(): []} if modules else {}
    for module in modules.values():
        *pieces, last = module.name.split(".")
        for i, piece in enumerate(pieces):
            lines = inside.setdefault((*pieces[:i],), [])
            lines.append(reexport(pieces[:i], piece))
        lines = inside.setdefault((*pieces,), [])
        if pieces and module.namespace:
            lines.append(reexport(pieces, last))
        elif pieces:
            public = (e.name for e in module.names.values() if e.public)
            lines += [reexport([*pieces, last], name) for name in public]
    return {
        "/".join([*package, "__init__.py"]): package_text(
            package, lines, "" if package else version
        )
        for package, lines in inside.items()
    }


def package_text(
    package: tuple[str, ...], lines: list[str], version: str
) -> str:
    """An ``__init__.py``; ``version`` is that of the outermost."""
    about = "The library that the book Ground Up builds."
    if package:
        about = f"The public names of {'.'.join([PACKAGE, *package])}."
    text = [f"{HEADER}; edit the chapters.", f'"""{about}"""', ""]
    text += dict.fromkeys(lines)
    if version:
        text += ["", f'__version__ = "{version}"']
    return "\n".join([*text, ""])


def reexport(pieces: list[str], name: str) -> str:
    return f"from {'.'.join([PACKAGE, *pieces])} import {name} as {name}"
