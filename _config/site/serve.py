"""Live preview: save a chapter, see its page.

``python -m _config.site.serve [CHAPTER] [--port PORT] [--root DIR]``

Saving extracts the library, runs the saved chapter if its code changed, and
renders what changed.  Other chapters that the change reaches keep their old
outputs until the next ``nox -s build``.  CHAPTER is run before the first look.

The server and the watcher are sphinx-autobuild's.  The build is ours: its
pre-build commands do not learn which chapter was saved, end without a page
where one fails, and import Sphinx anew each time (1.5 s of the 5 s at most).
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import uvicorn
from sphinx_autobuild.__main__ import _create_app
from sphinx_autobuild.filter import IgnoreFilter

import _config.site.sphinx_ext  # noqa: F401  a rebuild is a fork: import once
from _config.chapters.files import ROOT, ChapterError
from _config.site.book import open_book
from _config.site.steps import execute_stale, renew, sphinx

THEME = ROOT / "_config/site/theme"


def rebuild(root: Path, changed_paths: Sequence[Path]) -> None:
    """Bring the library, the saved chapters and the pages up to date."""
    start, refused = time.monotonic(), ""
    try:
        book = open_book(root, root / "book")
        renew(book)
        paths = book.paths.items()
        execute_stale(
            book, [name for name, path in paths if path in changed_paths]
        )
    except (ExceptionGroup, ChapterError, ValueError) as error:
        # The page still shows what was saved.
        refused = "\n".join(map(str, getattr(error, "exceptions", [error])))
        print(refused, file=sys.stderr)
    try:
        sphinx(root, "-D", "groundup_draft=1")
    except SystemExit as error:  # what is wrong with the book
        if str(error) not in refused:
            print(error, file=sys.stderr)
    print(f"rebuilt in {time.monotonic() - start:.1f} s", flush=True)


def unwatched(book: Path) -> IgnoreFilter:
    """What is generated, and what is hidden in the watched folders; these may
    themselves lie in a hidden one."""
    folders = [re.escape(str(folder.resolve())) for folder in (book, THEME)]
    hidden = [rf"^{folder}/(.*/)?[.]" for folder in folders]
    return IgnoreFilter([book / "api", book / "ledger.md"], hidden)


def main() -> None:
    """Build, then serve and rebuild until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", nargs="?", default="")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="holds book and src"
    )
    options = parser.parse_args()
    root = options.root.resolve()
    book, html = root / "book", root / "_build/html"
    build = partial(rebuild, root)
    with ProcessPoolExecutor(1) as pool:  # as the watcher does
        pool.submit(
            build, changed_paths=[book / f"{options.chapter}.py"]
        ).result()
    html.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{options.port}"
    app = _create_app([book, THEME], unwatched(book), build, html, host)
    print(f"http://{host}", flush=True)
    uvicorn.run(app, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
