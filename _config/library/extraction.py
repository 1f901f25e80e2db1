"""Tagged cells -> the modules of ``src/groundup/``.

    python -m _config.extract [--check] [--through PART]

Source is located with ast and sliced from the chapter, so that comments and
strings survive; ruff finds out which imports a module needs, and formats.
All files are written or none; a mistake in the book leaves them as they were.
"""

import argparse
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from _config.chapters.files import (
    BOOK,
    PACKAGE,
    SRC,
    ChapterError,
    chapter_paths,
    refuse,
    shown,
)
from _config.chapters.parse import read_chapter
from _config.library.loading import cycles, dotted
from _config.library.modules import Module, collect
from _config.library.needs import analyse
from _config.library.reading import Reading
from _config.library.refusals import refusals
from _config.library.ruff import findings, formatted
from _config.library.text import HEADER, Lines, module_lines, package_texts


def extract(
    book: Path = BOOK,
    src: Path = SRC,
    through: str | None = None,
    check: bool = False,
) -> list[Path]:
    """Bring the library up to date; the files that changed, or would.

    Raises an ExceptionGroup of every ChapterError in the book.
    """
    files = library(book, through)
    root = src / PACKAGE
    if check:
        return changes(files, root)
    lock = src.parent / "_build" / f"{src.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        changed = changes(files, root)
        write(changed, files, root)
    return changed


def library(book: Path = BOOK, through: str | None = None) -> dict[str, bytes]:
    """The library's files, by their path in the package.

    The whole book is read, to know what comes later; mistakes count, and
    modules are made, up to ``through``.
    """
    paths = chapter_paths(book)
    if not paths:
        raise ValueError(f"no chapters in {book}")
    kept = up_to(paths, through)
    chapters, errors = [], []
    for path in paths:
        try:
            chapters.append(read_chapter(path, book))
        except ChapterError as error:
            errors.append(error)
    readings = {chapter.name: Reading(chapter) for chapter in chapters}
    modules, mistakes = collect(chapters)
    errors += [*mistakes, *refusals(chapters, modules, readings)]
    broken = {error.path for error in errors if "syntax" in error.message}
    modules = {
        name: module
        for name, module in modules.items()
        if module.chapter.path in kept and module.chapter.path not in broken
    }
    needs, mistakes = analyse(modules, readings)
    errors += mistakes
    homes = {
        export.path: module.path
        for module in modules.values()
        for export in module.names.values()
    }
    lines = {
        f"{name.replace('.', '/')}.py": module_lines(module, needs[name], homes)
        for name, module in modules.items()
        if module.sound
    }
    errors += linted(lines, modules)
    refuse([error for error in errors if error.path in kept])
    texts = {file: text(each) for file, each in lines.items()}
    files = formatted(texts | package_texts(modules))
    refuse([*cycles(files, modules)])
    return files


def text(lines: Lines) -> str:
    return "".join(f"{line}\n" for line, _ in lines)


def linted(
    lines: dict[str, Lines], modules: dict[str, Module]
) -> list[ChapterError]:
    """What ruff finds in the modules, at the lines of their chapters."""
    found = []
    texts = {file: text(each) for file, each in lines.items()}
    for file, row, message in findings(texts):
        module = modules[dotted(file).removeprefix(f"{PACKAGE}.")]
        rows = [at for _, at in lines[file][:row] if at]
        line = rows[-1] if rows else module.cells[0].line
        found.append(ChapterError(module.chapter.path, line, message))
    return found


def up_to(paths: list[Path], through: str | None) -> list[Path]:
    """Chapters up to ``1_pixels``, for short ``1``, or ``1_pixels/1_zero``."""
    if through is None:
        return paths
    wanted = through.rstrip("/").removesuffix(".py")
    parts = [path.parent.name for path in paths]
    for i in reversed(range(len(paths))):
        name = f"{parts[i]}/{paths[i].stem}"
        if wanted in (name, parts[i], parts[i].split("_")[0]):
            return paths[: i + 1]
    known = ", ".join(dict.fromkeys(parts))
    raise ValueError(f"no part or chapter {through!r} (parts: {known})")


def changes(files: dict[str, bytes], root: Path) -> list[Path]:
    """The files to write or delete; refuses to touch what is not extracted."""
    found = {path: path.read_bytes() for path in root.rglob("*.py")}
    foreign = [p for p in found if not found[p].startswith(HEADER.encode())]
    message = "not extracted from a chapter: move it elsewhere, or delete it"
    refuse([ChapterError(path, 1, message) for path in foreign])
    wanted = {root / name: text for name, text in files.items()}
    return sorted(p for p in wanted | found if wanted.get(p) != found.get(p))


def write(changed: list[Path], files: dict[str, bytes], root: Path) -> None:
    """Replace, and delete what no chapter exports any more."""
    fresh = {}
    try:
        for path in changed:
            text = files.get(path.relative_to(root).as_posix())
            if text is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                fresh[path] = path.with_name(f".{path.name}.new")
                fresh[path].write_bytes(text)
        for path, new in fresh.items():
            new.replace(path)
    finally:
        for new in fresh.values():
            new.unlink(missing_ok=True)
    gone = [path for path in changed if path not in fresh]
    for path in gone:
        path.unlink()
    for folder in sorted({path.parent for path in gone}, reverse=True):
        if all(path.name == "__pycache__" for path in folder.iterdir()):
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m _config.extract",
        description="Extract the library from the book.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing, fail if the library is stale",
    )
    parser.add_argument(
        "--through",
        metavar="PART",
        help="only up to a part (1_pixels, 1) or a chapter",
    )
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    options = parser.parse_args()
    try:
        changed = extract(**vars(options))
    except ValueError as error:
        parser.error(str(error))
    except ChapterError as error:
        sys.exit(str(error))
    except ExceptionGroup as group:
        sys.exit("\n".join(map(str, group.exceptions)))
    for path in changed:
        print(shown(path) + ": stale" * options.check)
    sys.exit(options.check and bool(changed))
