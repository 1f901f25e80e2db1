"""From chapters to pages in one process: ``python -m _config.build [CHAPTER]``.

The library is extracted, the ledger judged, what changed executed, stale
benchmarks measured, and Sphinx builds the pages.  The steps share one Book,
which knows what need not be done again; the first that fails ends the build.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from _config.chapters.files import ROOT, ChapterError, shown
from _config.library.extraction import extract
from _config.runs import execution, ratios, records
from _config.site.book import Book, open_book


def build_book(only: str = "", root: Path = ROOT) -> int:
    """All steps, for the book or for one chapter; 0 if all is well."""
    try:
        book = open_book(root, root / "book")
        for path in renew(book):
            print(shown(path))
        paths = execution.chosen([only] if only else [], book.folder)
        errors = judge(book)
    except ExceptionGroup as group:
        errors = group.exceptions
    except (ChapterError, LookupError, ValueError) as error:
        errors = [error]
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 1
    names = [name for name, path in book.paths.items() if path in paths]
    if failed := execute_stale(book, names):
        return failed
    if not only:
        time_stale(book)
    book.save()
    return (
        sphinx(root, "-D", "groundup_draft=1") if only else sphinx(root, "-W")
    )


def renew(book: Book) -> list[Path]:
    """Extract the library, where code has changed; the files that changed."""
    try:
        if not book.due("library", book.code, book.sources):
            return []
    except ChapterError:
        pass  # extraction tells all that is wrong
    changed = extract(book.folder, book.src)
    book.due("library", book.code, book.sources)
    return changed


def judge(book: Book) -> Sequence[ChapterError]:
    """What the ledger refuses, where code or proofs have changed."""
    due = book.due("ledger", book.code, book.proofs)
    return book.ledger.errors if due else []


def execute_stale(book: Book, names: Iterable[str]) -> int:
    """Execute what has not run as it is now; repeat the others' warnings."""
    stale = []
    for name in names:
        try:
            facts = book.facts(name)
        except ChapterError:  # execution says it, and runs the others
            facts = {"ran": False}
        if facts["ran"]:
            for warning in facts["warnings"]:
                print(warning, file=sys.stderr)
        else:
            stale.append(name)
    places = f"--book={book.folder}", f"--src={book.src}"
    places += (f"--store={book.store}",)
    if stale:
        return execution.main([*stale, *places])
    for warning in records.orphans(book.folder):
        print(warning, file=sys.stderr)
    return 0


def time_stale(book: Book) -> None:
    """Time what has changed, so that the ledger's page has its ratios."""
    folder = book.tests / "benchmarks"
    if folder.exists() and book.due("benchmarks", book.measured):
        places = f"--benchmarks={folder}", f"--store={book.bench}"
        ratios.main(["--stale", *places, f"--src={book.src}"])
        book.due("benchmarks", book.measured)


def sphinx(root: Path, *options: str) -> int:
    """The pages, by Sphinx, which shows what it does."""
    from sphinx.cmd.build import build_main  # here, to refuse a chapter at once

    build = root / "_build"
    places = ["-c", ROOT, "-d", build / "doctrees", root / "book"]
    settings = ["-j", "2", "-D", f"groundup_root={root}", *options]
    return build_main([*settings, *map(str, [*places, build / "html"])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", nargs="?", default="")
    help = "holds book, src and tests"
    parser.add_argument("--root", type=Path, default=ROOT, help=help)
    options = parser.parse_args()
    return build_book(options.chapter, options.root.resolve())
