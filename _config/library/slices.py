"""Slices of a chapter's source, and the imports that each of them needs."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from _config.chapters.parse import Cell, Chapter
from _config.chapters.syntax import statements
from _config.library.modules import Module

# What may follow a statement on its line.
REST = re.compile(rb"[ \t;]*(#[^\n]*)?")


@dataclass(frozen=True)
class Import:
    """One imported name, as a statement with the comments it came with."""

    name: str  # the name that it binds
    path: str  # what it stands for: "groundup.nn.linear.Linear"
    code: str
    above: str = ""
    beside: str = ""
    line: int = 0

    @property
    def text(self) -> str:
        return f"{self.above}{self.code}{self.beside}"


def slices(
    chapter: Chapter, cell: Cell
) -> Iterator[tuple[ast.stmt | None, str]]:
    """Each statement with the text since the last one; None for the tail."""
    raw = cell.source.encode()
    starts = [0, *(match.end() for match in re.finditer(b"\n", raw))]
    end = 0
    for node in statements(chapter, cell):
        stop = starts[node.end_lineno - cell.first_line] + node.end_col_offset
        stop = REST.match(raw, stop).end()
        yield node, raw[end:stop].decode()
        end = stop
    yield None, raw[end:].decode()


def body(module: Module) -> tuple[str, str]:
    """The docstring and the definitions of a module, in chapter order."""
    docstring, blocks = "", []
    for cell in module.cells:
        block = ""
        for node, text in slices(module.chapter, cell):
            if node is not None and node is module.docstring:
                docstring = text.strip("\n")
            elif not isinstance(node, ast.Import | ast.ImportFrom):
                block += text
        blocks.append(block.strip("\n"))
    return docstring, "\n\n".join(filter(None, blocks))


def chapter_imports(
    chapter: Chapter, homes: dict[str, str]
) -> Iterator[Import]:
    """The names imported at the top level of a chapter's code cells.

    ``homes`` leads from a re-exported path to the module that defines it, so
    that the library's modules import each other without their packages.
    """
    for cell in chapter.code:
        if "reference" in cell.tags:
            continue
        for node, text in slices(chapter, cell):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            above = "".join(re.findall(r"^#.*\n", text, re.MULTILINE))
            for alias in node.names:
                beside = comment_beside(chapter, node, alias)
                path = alias.name
                code = f"import {path}"
                if isinstance(node, ast.ImportFrom):
                    home = homes.get(f"{node.module}.{path}", node.module)
                    path, code = f"{home}.{path}", f"from {home} {code}"
                if alias.asname:
                    code += f" as {alias.asname}"
                name = alias.asname or alias.name.split(".")[0]
                yield Import(name, path, code, above, beside, node.lineno)
                above = ""


def comment_beside(chapter: Chapter, node: ast.stmt, alias: ast.alias) -> str:
    """The comments on the lines of an alias, as one."""
    lines = {alias.end_lineno}
    if alias is node.names[0]:
        lines.add(node.lineno)
    if alias is node.names[-1]:
        lines.add(node.end_lineno)
    texts = (chapter.text.split("\n")[line - 1] for line in sorted(lines))
    comments = [text[text.index("#") :] for text in texts if "#" in text]
    return "  " + "  ".join(comments) if comments else ""
