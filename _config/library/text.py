"""The text of the library's files, each line with its line in the chapter."""

import ast
import re
from collections.abc import Iterator
from itertools import accumulate

from _config.chapters.files import PACKAGE
from _config.chapters.parse import Chapter
from _config.library.classes import Part, merged
from _config.library.modules import Export, Module
from _config.library.needs import Needs, statements
from _config.library.reading import Import

HEADER = "# Extracted from book/"
# What may follow a statement on its line.
REST = re.compile(rb"[ \t;]*(#[^\n]*)?")
COMMENT = re.compile(r"[ \t]*(#.*)")
Lines = list[tuple[str, int]]  # text, and its line in the chapter or 0


class Slicer:
    """Cuts a chapter's text at its statements; nothing between is lost."""

    def __init__(self, chapter: Chapter) -> None:
        self.chapter = chapter
        self.raw = chapter.text.encode()
        lines = self.raw.split(b"\n")
        sizes = (len(line) + 1 for line in lines)
        self.starts = [0, *accumulate(sizes)]

    def cut(
        self, nodes: list[ast.stmt], first: int, last: int
    ) -> Iterator[tuple[ast.stmt | None, Lines]]:
        """Each statement with the text since the one before; None: the rest.

        ``first`` and ``last`` are lines of the chapter, from 1.
        """
        at = self.starts[first - 1]
        for node in nodes:
            end = self.starts[node.end_lineno - 1] + node.end_col_offset
            end = REST.match(self.raw, end).end()
            yield node, self.lines(at, end)
            at = end + (self.raw[end : end + 1] == b"\n")
        yield None, self.lines(at, max(at, self.starts[last] - 1))

    def lines(self, start: int, end: int) -> Lines:
        number = self.raw.count(b"\n", 0, start) + 1
        text = self.raw[start:end].decode().split("\n")
        return [(line, number + i) for i, line in enumerate(text)]

    def grown(self, parts: list[Part]) -> Lines:
        """A class that continues over cells, as one."""
        pieces, found = {}, []
        for part in parts:
            node = part.node
            head = self.head_end(node)
            cuts = list(self.cut(node.body, head + 1, node.end_lineno))
            if part is parts[0]:
                begin = min(d.lineno for d in [node, *node.decorator_list])
                found += self.lines(
                    self.starts[begin - 1], self.starts[head] - 1
                )
            for statement, lines in cuts:
                pieces[id(statement)] = trimmed(lines)
        wide = " " * parts[0].node.body[0].col_offset
        begun = {id(parts[0])}
        for statement, part in merged(parts):
            if id(part) not in begun:
                begun.add(id(part))
                above = comments_above(self.chapter, part.node)
                found += [("", 0), *((wide + text, n) for text, n in above)]
            found += pieces[id(statement)]
        return found

    def head_end(self, node: ast.ClassDef) -> int:
        """The line on which the head of a class ends, with its colon."""
        inner = [node.lineno]
        inner += [each.end_lineno for each in [*node.bases, *node.keywords]]
        line = max(inner)
        while not re.search(r":\s*(#.*)?$", self.chapter.lines[line - 1]):
            line += 1
        return line


def trimmed(lines: Lines) -> Lines:
    """Lines without empty ones in front but one."""
    first = next((i for i, (text, _) in enumerate(lines) if text.strip()), 0)
    return lines[max(0, first - 1) :]


def comments_above(chapter: Chapter, node: ast.stmt) -> Lines:
    """The comments that stand directly above a statement."""
    line, found = node.lineno - 1, []
    while chapter.lines[line - 1].startswith("#"):
        if chapter.lines[line - 1].startswith("# %%"):
            break
        found.insert(0, (chapter.lines[line - 1], line))
        line -= 1
    return found


def module_lines(module: Module, needs: Needs, homes: dict[str, str]) -> Lines:
    """A module before it is formatted."""
    slicer = Slicer(module.chapter)
    docstring, code = [], []
    grown = {
        id(part.node): export
        for export in module.names.values()
        for part in export.parts
        if len(export.parts) > 1
    }
    for cell in module.cells:
        last = cell.first_line + cell.source.count("\n")
        block: Lines = []
        for node, lines in slicer.cut(cell.sound, cell.first_line, last):
            if node is not None and node is module.docstring:
                docstring = lines
            elif isinstance(node, ast.Import | ast.ImportFrom):
                pass
            elif export := grown.get(id(node)):
                block += placed(export, node, lines, slicer)
            else:
                block += lines
        if block := stripped(block):
            code += [*block, ("", 0)]
    header = f"{HEADER}{module.chapter.name}.py; edit it there."
    imports = [
        (line, 0)
        for code_, _, each in statements(needs, homes)
        for line in with_comments(slicer, code_, each).split("\n")
    ]
    future = [each for each in imports if "__future__" in each[0]]
    rest = [each for each in imports if each not in future]
    gap = [("", 0)]
    return [
        (header, 0),
        *(each for each in docstring if each[0].strip()),
        *gap,
        *future,
        *rest,
        *gap,
        *code,
    ]


def stripped(lines: Lines) -> Lines:
    """Lines without empty ones at the ends."""
    full = [i for i, (text, _) in enumerate(lines) if text.strip()]
    return lines[full[0] : full[-1] + 1] if full else []


def placed(
    export: Export, node: ast.stmt, lines: Lines, slicer: Slicer
) -> Lines:
    """A part of a class that grows: all of it for the first, else nothing."""
    if node is not export.parts[0].node:
        return [("", 0)]
    begin = min(each.lineno for each in [node, *node.decorator_list])
    above = [each for each in lines if each[1] < begin]
    return [*above, *slicer.grown(export.parts)]


def with_comments(slicer: Slicer, code: str, each: Import | None) -> str:
    """An import with the comments above and beside it."""
    if each is None:
        return code
    node, chapter = each.node, slicer.chapter
    above = ""
    if each.alias is node.names[0]:
        found = comments_above(chapter, node)
        above = "".join(f"{text}\n" for text, _ in found)
    rows = {each.alias.end_lineno}
    rows |= {node.lineno} if each.alias is node.names[0] else set()
    rows |= {node.end_lineno} if each.alias is node.names[-1] else set()
    beside = []
    for row in sorted(rows):
        start = slicer.starts[row - 1]
        if row == node.end_lineno:
            start += node.end_col_offset
            text = slicer.raw[start : slicer.starts[row] - 1].decode()
            match = COMMENT.match(text)
        else:  # within the brackets there is no string
            text = slicer.raw[start : slicer.starts[row] - 1].decode()
            match = COMMENT.match(text, max(text.find("#"), 0))
        if match:
            beside.append(match[1])
    return f"{above}{code}{''.join(f'  {text}' for text in beside)}"


def package_texts(
    modules: dict[str, Module], version: str = ""
) -> dict[str, str]:
    """The ``__init__.py`` of each package: explicit re-exports."""
    inside: dict[str, list[str]] = {"": []} if modules else {}
    for module in modules.values():
        pieces = module.name.split(".")[:-1]
        for i, piece in enumerate(pieces):
            inside.setdefault(".".join(pieces[:i]), []).append(
                reexport(pieces[:i], piece)
            )
        if not pieces:
            continue
        lines = inside.setdefault(module.package, [])
        if module.namespace:
            lines.append(reexport(pieces, module.name.rpartition(".")[2]))
        else:
            lines += [
                reexport(module.name.split("."), each.name)
                for each in module.names.values()
                if each.public
            ]
    texts = {}
    for package, lines in inside.items():
        about = f"The public names of {PACKAGE}.{package}."
        if not package:
            about = "The library that the book Ground Up builds."
        folder = package.replace(".", "/") + "/" * bool(package)
        imports = "\n".join(dict.fromkeys(lines))
        head = f'{HEADER}; edit the chapters.\n"""{about}"""'
        constant = f'\n__version__ = "{version}"\n'
        tail = constant if version and not package else ""
        texts[f"{folder}__init__.py"] = f"{head}\n\n{imports}\n{tail}"
    return texts


def reexport(pieces: list[str], name: str) -> str:
    return f"from {'.'.join([PACKAGE, *pieces])} import {name} as {name}"
