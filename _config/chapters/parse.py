"""The one parser: the text of a chapter -> Chapter(cells).

A chapter is a Jupytext ``py:percent`` script.  A markdown cell is one string
literal in triple quotes.  Cells keep their raw text and their line in the file,
so that every later step can slice instead of re-generate and can name the line
that is wrong.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from _config.chapters.files import BOOK, ChapterError, chapter_paths
from _config.chapters.markers import marker_lines, read_marker

MAGIC = re.compile(r"\s*[%!?]|\s*[\w., ]+=\s*[%!]|.*\w\?+\s*$")
# What may nest code; fewer of them than DEEPEST cannot nest it too deeply.
NESTING = re.compile(r"[-+*/|&^%@.(\[{~<>=,?:]|\b(?:not|and|or|if|else|elif)\b")
DEEPEST = 100
# Characters that str.splitlines() takes for line ends but Python does not:
# a round trip through Jupytext would change a text that holds one of them.
UNPRINTED = re.compile("[\0\ufeff\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True)
class Cell:
    """One cell: ``line`` is its marker's, ``first_line`` its text's, from 1."""

    path: Path = field(repr=False, compare=False)
    kind: str  # "code" or "markdown"
    title: str
    metadata: dict = field(hash=False)
    source: str
    line: int
    first_line: int

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.metadata.get("tags", ()))

    def words(self, key: str) -> tuple[str, ...]:
        """The space-separated names under ``key``, such as ``earns``."""
        return tuple(self.metadata.get(key, "").split())

    @property
    def last_line(self) -> int:
        return self.first_line + self.source.count("\n")

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """The statements of a code cell, with the file's line numbers."""
        return parse_code(self) if self.kind == "code" else []

    @cached_property
    def sound(self) -> list[ast.stmt]:
        """The statements; none if the cell does not parse."""
        try:
            return self.statements
        except ChapterError:
            return []

    @cached_property
    def prose(self) -> str:
        """The text of a markdown cell, out of its string literal."""
        if self.kind != "markdown":
            return ""
        return ast.literal_eval(self.source).strip("\n")


@dataclass(frozen=True)
class Chapter:
    """A parsed chapter; ``name`` is its path in the book without suffix."""

    path: Path
    name: str
    text: str = field(repr=False)
    cells: tuple[Cell, ...] = field(repr=False)

    @cached_property
    def code(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.kind == "code")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def errors(self) -> list[ChapterError]:
        """What is wrong with the cells that do not parse."""
        found = []
        for cell in self.code:
            try:
                cell.statements
            except ChapterError as error:
                found.append(error)
        return found

    @property
    def part(self) -> str:
        return self.name.split("/")[0]

    @property
    def number(self) -> str:
        """``"2.1"`` for ``2_backward/1_matmul``."""
        return ".".join(piece.split("_")[0] for piece in self.name.split("/"))

    @property
    def starred(self) -> bool:
        """Whether it finishes what a story began, and may be skipped."""
        return bool(self.cells[0].metadata.get("starred"))

    @cached_property
    def title(self) -> str:
        for cell in self.cells:
            if match := re.search(r"^# (.+)$", cell.prose, re.MULTILINE):
                return match[1].strip()
        return self.name

    def module(self, cell: Cell) -> str | None:
        """The dotted destination of an exported cell, without ``groundup.``."""
        default = self.cells[0].metadata.get("module")
        return cell.metadata.get("module", default)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of all code, with the file's line numbers."""
        nodes = [node for cell in self.code for node in cell.statements]
        return ast.Module(nodes, type_ignores=[])


def parse_code(cell: Cell) -> list[ast.stmt]:
    source, first = cell.source, cell.first_line
    try:
        statements = ast.parse("\n" * (first - 1) + source).body
        if len(NESTING.findall(source)) > DEEPEST:
            check_depth(statements)
        return statements
    except SyntaxError as error:
        lines = source.split("\n")
        at = min((error.lineno or first) - first, len(lines) - 1)
        message = f"syntax error: {error.msg}"
        magics = [i for i, line in enumerate(lines) if line[:1] in ("%", "!")]
        if MAGIC.match(lines[at]) or magics:
            at = at if MAGIC.match(lines[at]) else magics[0]
            message = (
                f"notebook magic {lines[at].strip()!r}: a chapter is plain "
                "Python, write it as a call or leave it out"
            )
        raise ChapterError(cell.path, first + at, message) from None
    except (RecursionError, MemoryError):
        message = "this code is nested too deeply for Python: take it apart"
        raise ChapterError(cell.path, first, message) from None


def check_depth(nodes: list[ast.AST]) -> None:
    """Raise a RecursionError where Python's own walks would end in one."""
    for _ in range(2 * DEEPEST):
        nodes = [n for node in nodes for n in ast.iter_child_nodes(node)]
        if not nodes:
            return
    raise RecursionError


def read_book(book: Path = BOOK) -> list[Chapter]:
    """Parse every chapter, in reading order."""
    return [read_chapter(path, book) for path in chapter_paths(book)]


def read_chapter(path: Path, book: Path = BOOK) -> Chapter:
    """Parse one chapter's file; CRLF line ends are read as LF."""
    name = path.resolve().relative_to(book.resolve()).with_suffix("")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ChapterError(path, line, "not UTF-8: save it as UTF-8") from None
    return parse(text, path, name.as_posix())


@lru_cache(maxsize=256)  # so that all that is asked of a text is asked once
def parse(text: str, path: Path, name: str) -> Chapter:
    """Split a chapter's text into its cells and check each marker line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if match := UNPRINTED.search(text):
        line = text[: match.start()].count("\n") + 1
        message = (
            f"character {match[0]!r} would not survive Jupytext: "
            "write it as an escape"
        )
        raise ChapterError(path, line, message)
    if not text.startswith("# %%"):
        raise ChapterError(
            path, 1, "a chapter starts with a cell marker, `# %%`"
        )
    chapter = Chapter(path, name, text, tuple(split(text, path)))
    for cell in chapter.cells[1:]:
        if "starred" in cell.metadata:
            message = "starred= stands on the first cell of a chapter"
            raise ChapterError(path, cell.line, message)
    return chapter


def split(text: str, path: Path) -> Iterator[Cell]:
    lines = text.split("\n")
    starts = list(marker_lines(text, path))
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        marker = read_marker(lines[start], path, start + 1)
        body = lines[start + 1 : end]
        skipped = next(
            (i for i, line in enumerate(body) if line.strip()), len(body)
        )
        source = "\n".join(body[skipped:]).rstrip()
        cell = Cell(path, *marker, source, start + 1, start + 2 + skipped)
        if cell.kind == "markdown":
            check_prose(cell)
        yield cell


def check_prose(cell: Cell) -> None:
    """One triple-quoted string, which Jupytext and Python read alike."""
    source, quotes = cell.source, '"""'
    whole = source.count(quotes) == 2 and source.endswith(quotes)
    if not (
        whole and len(source) >= 6 and source.startswith((quotes, "r" + quotes))
    ):
        message = 'a markdown cell holds one string: r""" ... """'
        raise ChapterError(cell.path, cell.first_line, message)
    if source.startswith(quotes) and "\\" in source:
        line = cell.first_line + source[: source.index("\\")].count("\n")
        message = 'a backslash in prose: start the string with r"""'
        raise ChapterError(cell.path, line, message)
