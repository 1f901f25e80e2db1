"""Tagged cells -> the modules of ``src/groundup/``.

Source is located with ast and sliced from the chapter, so that comments and
strings survive; ruff formats.  All files are written or none; a mistake in the
book leaves them as they were, and what has not changed costs nothing.
"""

import tomllib
from pathlib import Path

from _config.chapters.files import (
    BOOK,
    PACKAGE,
    ROOT,
    SRC,
    ChapterError,
    chapter_paths,
    refuse,
    scripts,
)
from _config.chapters.parse import read_chapter
from _config.library.loading import cycles, dotted
from _config.library.modules import Module, collect
from _config.library.needs import analyse
from _config.library.output import Output
from _config.library.reading import Reading
from _config.library.refusals import refusals
from _config.library.ruff import findings, formatted
from _config.library.text import Lines, module_lines, package_texts

# What makes the library out of the book, beside the book itself.
TOOLS = [
    ROOT / "_config/constraints.txt",
    ROOT / "pyproject.toml",
    *sorted(ROOT.glob("_config/chapters/*.py")),
    *sorted(ROOT.glob("_config/library/*.py")),
]


def extract(
    book: Path = BOOK,
    src: Path = SRC,
    through: str | None = None,
    check: bool = False,
) -> list[Path]:
    """Bring the library up to date; the files that changed, or would.

    Raises an ExceptionGroup of every ChapterError in the book.
    """
    output = Output(src)
    inputs = [] if through else [*scripts(book), *TOOLS]
    with output.locked():
        stamp = output.stamp(inputs)
        if inputs and stamp == output.known.get("stamp"):
            return []
        changed = output.changes(library(book, through, version(src)))
        if not check:
            output.write(changed)
            output.remember(output.stamp(inputs))
    return sorted(changed)


def version(src: Path) -> str:
    """The version that the project beside ``src`` states, if it is ours."""
    project = src.parent / "pyproject.toml"
    if not project.exists():
        return ""
    stated = tomllib.loads(project.read_text("utf-8")).get("project", {})
    return stated.get("version", "") if stated.get("name") == PACKAGE else ""


def library(
    book: Path = BOOK, through: str | None = None, version: str = ""
) -> dict[str, bytes]:
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
    texts = {file: as_text(each) for file, each in lines.items()}
    files = formatted(texts | package_texts(modules, version))
    refuse([*cycles(files, modules)])
    return files


def as_text(lines: Lines) -> str:
    return "".join(f"{line}\n" for line, _ in lines)


def linted(
    lines: dict[str, Lines], modules: dict[str, Module]
) -> list[ChapterError]:
    """What ruff finds in the modules, at the lines of their chapters."""
    found = []
    texts = {file: as_text(each) for file, each in lines.items()}
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
