"""Where the book's files are, in which order, and the error that names one."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
SRC = ROOT / "src"
PACKAGE = "groundup"
NUMBERED = re.compile(r"(\d+)_\w+")


class ChapterError(Exception):
    """A mistake in the book, with the place to mend it."""

    def __init__(self, path: Path, line: int, message: str):
        super().__init__(f"{shown(path)}:{line}: {message}")
        self.path, self.line, self.message = Path(path), line, message


def shown(path: Path) -> str:
    """The path as people write it: from the repository's root if inside."""
    path = Path(path).resolve()
    return (
        str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    )


def refuse(errors: list[ChapterError]) -> None:
    """Raise all mistakes at once, in the book's order, each of them once."""
    if errors:
        unique = {str(error): error for error in errors}.values()
        ordered = sorted(unique, key=lambda e: (e.path, e.line, e.message))
        raise ExceptionGroup("the book is refused", ordered)


def chapter_paths(book: Path = BOOK) -> list[Path]:
    """Every chapter of the book, in reading order: ``N_part/N_chapter.py``."""
    found = []
    for path in scripts(book):
        pieces = path.relative_to(book).with_suffix("").parts
        numbers = [NUMBERED.fullmatch(piece) for piece in pieces]
        if len(pieces) != 2 or not all(numbers):
            message = "a chapter is called N_part/N_name.py; this is none"
            raise ChapterError(path, 1, message)
        if not path.is_file():
            raise ChapterError(path, 1, "not a file, so it is no chapter")
        found.append((*(int(match[1]) for match in numbers), path))
    for (*one, taken), (*other, path) in pairwise(sorted(found)):
        if one == other or (one[0] == other[0] and taken.parent != path.parent):
            number = ".".join(map(str, other if one == other else other[:1]))
            message = f"number {number} is taken by {shown(taken)}: change one"
            raise ChapterError(path, 1, message)
    return [path for *_, path in sorted(found)]


def scripts(folder: Path) -> Iterator[Path]:
    """Whatever is called ``*.py`` in a folder; hidden and cached apart."""
    entries = os.scandir(folder) if folder.is_dir() else ()
    for entry in sorted(entries, key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.name.startswith((".", "__pycache__")):
            continue
        if path.suffix == ".py":
            yield path
        elif entry.is_dir():
            yield from scripts(path)


def fingerprint(paths: Iterable[Path]) -> str:
    """Changes with the names and the bytes of files."""
    found = sha256()
    for path in sorted(paths):
        data = path.read_bytes() if path.is_file() else b"\0"
        found.update(f"{path} {len(data)}\n".encode() + data)
    return found.hexdigest()


def write(path: Path, data: bytes) -> None:
    """Write a file so that others see all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def recall(path: Path) -> dict:
    """What ``keep`` kept; empty if there is nothing, or it is damaged."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        known = {}
    return known if isinstance(known, dict) else {}


def keep(path: Path, known: dict) -> None:
    """Write down what saves time; a disk that refuses costs time, not more."""
    try:
        write(path, json.dumps(known, indent=1).encode())
    except OSError as error:
        print(f"{shown(path)}: {error}", file=sys.stderr)
