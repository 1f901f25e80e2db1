"""The one parser: the text of a chapter -> Chapter(cells).

A chapter is a Jupytext ``py:percent`` script.  A marker line starts a cell::

    # %% Title of the cell tags=["export"] module="nn.linear"
    # %% [markdown] alt="..."

Values are JSON.  A markdown cell is one string literal, ``r\"\"\" ... \"\"\"``.
Cells keep their raw text and their line in the file, so that every later step
can slice instead of re-generate and can name the line that is wrong.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
SRC = ROOT / "src"

MARKER = re.compile(r"# %%(?:[ \t]+(?P<rest>.*))?")
# What Jupytext, or a hurried author, also takes for a marker.
NEAR_MARKER = re.compile(r"\s*#\s*(%%|<codecell>\s*$|In\[[\d ]*\]:?\s*$)")
# A marker inside a string is text; ``own`` is a comment on a line of its own.
TOKEN = re.compile(
    r'''("""|\'\'\')(?:\\.|[^\\])*?\1'''
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
    r"""|(?P<own>(?m:^)[ \t]*\#[^\n]*)|\#[^\n]*""",
    re.DOTALL,
)
MAGIC = re.compile(r"\s*[%!?]|\s*[\w., ]+=\s*[%!]|.*\w\?+\s*$")
KEY = re.compile(r"(?<!\S)(?P<key>[A-Za-z_]\w*)=")
TEXT_KEYS = {"module", "earns", "loans", "repaid", "alt", "record"}
KEYS = TEXT_KEYS | {"tags", "namespace", "limit", "mystnb"}
# Metadata that KEY does not match would be read as a title and lost.
NEAR_KEY = re.compile(rf'\b({"|".join(KEYS)})\s*[=:]\s*["\[]')
TAGS = {
    "export",  # copied into src/groundup/
    "reference",  # the real thing, for comparison: exempt from the ledger
    "answer",  # code that answers a question: folded
    "solution",  # code that solves an exercise: folded
    "record",  # a long measurement, run by `nox -s record`
    "hide-input",
    "hide-output",
    "hide-cell",
    "remove-input",
    "remove-output",
    "remove-cell",
    "raises-exception",
}
# Characters that str.splitlines() takes for line ends but Python does not:
# a round trip through Jupytext would change a text that holds one of them.
FOREIGN = re.compile("[\0\ufeff\v\f\x1c-\x1e\x85\u2028\u2029]")


class ChapterError(Exception):
    """A mistake in the book, with the place to mend it."""

    def __init__(self, path: Path, line: int, message: str):
        super().__init__(f"{shown(path)}:{line}: {message}")
        self.path, self.line, self.message = Path(path), line, message


@dataclass(frozen=True)
class Cell:
    """One cell: ``line`` is its marker's, ``first_line`` its text's, from 1."""

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


@dataclass(frozen=True)
class Chapter:
    """A parsed chapter; ``name`` is its path in the book without suffix."""

    path: Path
    name: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def code(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.kind == "code")

    @property
    def part(self) -> str:
        return self.name.split("/")[0]

    @property
    def number(self) -> str:
        """``"2.1"`` for ``2_backward/1_matmul``."""
        return ".".join(piece.split("_")[0] for piece in self.name.split("/"))

    @property
    def title(self) -> str:
        for cell in self.cells:
            if match := re.search(r"^# (.+)$", prose(cell), re.MULTILINE):
                return match[1].strip()
        return self.name

    def module(self, cell: Cell) -> str | None:
        """The dotted destination of an exported cell, without ``groundup.``."""
        default = self.cells[0].metadata.get("module")
        return cell.metadata.get("module", default)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of all code, with the file's line numbers."""
        nodes = [node for cell in self.code for node in self.statements(cell)]
        return ast.Module(nodes, type_ignores=[])

    def statements(self, cell: Cell) -> list[ast.stmt]:
        """The statements of a code cell, with the file's line numbers."""
        return parse_cell(self.path, cell.source, cell.first_line)


@lru_cache(maxsize=4096)
def parse_cell(path: Path, source: str, first_line: int) -> list[ast.stmt]:
    try:
        return ast.parse("\n" * (first_line - 1) + source).body
    except SyntaxError as error:
        lines = source.split("\n")
        at = min((error.lineno or first_line) - first_line, len(lines) - 1)
        message = f"syntax error: {error.msg}"
        magics = [i for i, line in enumerate(lines) if line[:1] in ("%", "!")]
        if MAGIC.match(lines[at]) or magics:
            at = at if MAGIC.match(lines[at]) else magics[0]
            message = (
                f"notebook magic {lines[at].strip()!r}: a chapter is plain "
                "Python, write it as a call or leave it out"
            )
        raise ChapterError(path, first_line + at, message) from None


def shown(path: Path) -> str:
    """The path as people write it: from the repository's root if inside."""
    path = Path(path).resolve()
    return (
        str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    )


def prose(cell: Cell) -> str:
    """The text of a markdown cell, out of its string literal; else empty."""
    if cell.kind != "markdown":
        return ""
    return ast.literal_eval(cell.source).strip("\n")


def chapter_paths(book: Path = BOOK) -> list[Path]:
    """Every chapter of the book, in reading order: ``N_part/N_chapter.py``."""
    order = {
        reading_order(path, book): path for path in book.glob("[0-9]*/[!.]*.py")
    }
    return [order[key] for key in sorted(order)]


def reading_order(path: Path, book: Path) -> tuple[tuple[int, str], ...]:
    pieces = path.relative_to(book).with_suffix("").parts
    if not all(re.fullmatch(r"\d+_\w+", piece) for piece in pieces):
        raise ChapterError(path, 1, "a chapter is called N_part/N_name.py")
    return tuple((int(piece.split("_")[0]), piece) for piece in pieces)


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
    if match := FOREIGN.search(text):
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
    return Chapter(path, name, text, tuple(split(text, path)))


def split(text: str, path: Path) -> Iterator[Cell]:
    lines = text.split("\n")
    starts = list(marker_lines(text, path))
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        match = MARKER.fullmatch(lines[start])
        kind, title, metadata = read_marker(
            match["rest"] or "", path, start + 1
        )
        body = lines[start + 1 : end]
        skipped = next(
            (i for i, line in enumerate(body) if line.strip()), len(body)
        )
        source = "\n".join(body[skipped:]).rstrip()
        cell = Cell(
            kind, title, metadata, source, start + 1, start + 2 + skipped
        )
        if kind == "markdown":
            check_prose(cell, path)
        yield cell


def marker_lines(text: str, path: Path) -> Iterator[int]:
    """The index of each line that starts a cell."""
    for match in TOKEN.finditer(text):
        comment = match["own"] or ""
        if not NEAR_MARKER.match(comment):
            continue
        line = text.count("\n", 0, match.start())
        if MARKER.fullmatch(comment) is None:
            message = (
                f"{comment.strip()!r}: a cell starts with `# %%` and a "
                "space, at the start of the line"
            )
            raise ChapterError(path, line + 1, message)
        yield line


def check_prose(cell: Cell, path: Path) -> None:
    """One triple-quoted string, which Jupytext and Python read alike."""
    source, quotes = cell.source, '"""'
    whole = source.count(quotes) == 2 and source.endswith(quotes)
    if not (
        whole and len(source) >= 6 and source.startswith((quotes, "r" + quotes))
    ):
        message = 'a markdown cell holds one string: r""" ... """'
        raise ChapterError(path, cell.first_line, message)
    if source.startswith(quotes) and "\\" in source:
        line = cell.first_line + source[: source.index("\\")].count("\n")
        raise ChapterError(
            path, line, 'a backslash in prose: start the string with r"""'
        )


def read_marker(rest: str, path: Path, line: int) -> tuple[str, str, dict]:
    """``[markdown] title key=json ...`` -> kind, title, metadata."""

    def wrong(message: str) -> ChapterError:
        return ChapterError(path, line, message)

    kind = "code"
    if rest.startswith("[markdown]"):
        kind, rest = "markdown", rest.removeprefix("[markdown]").lstrip()
    elif rest.startswith(("[", "{")):
        raise wrong(
            f"unknown kind of cell: {rest.split()[0]} (only [markdown])"
        )
    match = KEY.search(rest)
    title, rest = (
        (rest, "")
        if match is None
        else (rest[: match.start()], rest[match.start() :])
    )
    metadata = {}
    while rest:
        match = KEY.match(rest)
        if match is None:
            raise wrong(
                f"cannot read {rest!r}: expected key=value, the value in JSON"
            )
        key = match["key"]
        try:
            value, end = json.JSONDecoder().raw_decode(rest, match.end())
        except json.JSONDecodeError as error:
            raise wrong(
                f"{key}= is not followed by JSON ({error.msg}): {rest!r}"
            ) from None
        if key in metadata:
            raise wrong(f"{key}= is given twice")
        metadata[key] = check_value(key, value, wrong)
        rest = rest[end:].lstrip()
    if near := NEAR_KEY.search(title):
        raise wrong(f"{near[0]!r} in a title: write {near[1]}= and its value")
    if title.strip().split(" ")[0].rstrip(":") in TAGS:
        raise wrong(
            f"{title.strip()!r} is a title; "
            f'for a tag write tags=["{title.strip()}"]'
        )
    return kind, title.strip(), metadata


def check_value(key: str, value: object, wrong) -> object:
    if key not in KEYS:
        raise wrong(f"unknown key {key}= (known: {', '.join(sorted(KEYS))})")
    if key in TEXT_KEYS and not isinstance(value, str):
        raise wrong(f"{key}= takes a string, got {json.dumps(value)}")
    if key == "namespace" and not isinstance(value, bool):
        raise wrong(f"namespace= takes true or false, got {json.dumps(value)}")
    if key == "limit" and (type(value) not in (int, float) or not value > 0):
        raise wrong(
            f"limit= takes a number of seconds, got {json.dumps(value)}"
        )
    if key == "tags":
        if not isinstance(value, list) or not all(
            isinstance(tag, str) for tag in value
        ):
            raise wrong(
                f"tags= takes a list of strings, got {json.dumps(value)}"
            )
        if unknown := [tag for tag in value if tag not in TAGS]:
            raise wrong(
                f"unknown tag {unknown[0]!r} (known: {', '.join(sorted(TAGS))})"
            )
    return value
