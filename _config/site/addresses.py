"""Which addresses the site has: pages in reading order, and former ones.

A globbed list of pages is in the order of the chapters' numbers, ten after
nine.  A page that is gone leaves nothing behind; ``book/redirects.txt`` says
where those who ask for it are led: ``OLD NEW``, a line each, as in ``{doc}``.
"""

import re
import sys
from collections.abc import Set
from html import escape
from pathlib import Path
from posixpath import dirname, relpath

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree
from sphinx.environment import BuildEnvironment

from _config.chapters.files import ChapterError

MOVED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>This page has moved</title>
<script>location.replace("{url}" + location.search + location.hash)</script>
<noscript><meta http-equiv="refresh" content="0; url={url}"></noscript>
<link rel="canonical" href="{url}"></head>
<body><main><h1>This page has moved</h1>
<p>It is <a href="{url}">here</a> now.</p></main></body></html>
"""


class ReadingOrder(TocTree):
    """A list of pages whose numbers are numbers."""

    def parse_content(self, toctree: addnodes.toctree) -> None:
        """Sort what a pattern has found."""
        super().parse_content(toctree)
        if toctree["glob"]:
            toctree["entries"].sort(key=lambda entry: by_number(entry[1]))
            toctree["includefiles"].sort(key=by_number)


def by_number(name: str) -> list[int | str]:
    """What sorts ``2_two/10_ten`` behind ``2_two/9_nine``."""
    pieces = re.split(r"(\d+)", name)
    return [int(each) if each.isdigit() else each for each in pieces]


class Addresses:
    """The pages that a build has written, and those that it leads on to."""

    def __init__(self, app: Sphinx) -> None:
        self.written: set[str] = set()
        self.moved: dict[str, str] = {}
        app.connect("env-before-read-docs", self.read)
        app.connect("html-page-context", self.note)
        app.connect("build-finished", self.sweep)

    def read(self, app: Sphinx, env: BuildEnvironment, *_: object) -> None:
        """Read the list of former addresses."""
        path = Path(app.srcdir, "redirects.txt")
        try:
            self.moved = redirects(path, env.found_docs)
        except ChapterError as error:
            sys.exit(str(error))

    def note(self, app: Sphinx, pagename: str, *_: object) -> None:
        """Generated pages are written in this process, by every build."""
        self.written.add(pagename)

    def sweep(self, app: Sphinx, exception: Exception | None) -> None:
        """Delete the pages that are gone, and lead on from former addresses."""
        if exception is not None:
            return
        pages = self.written | app.env.found_docs
        site, sources = Path(app.outdir), Path(app.outdir, "_sources")
        for folder, files in ((site, "*.html"), (sources, "*.*")):
            for path in folder.rglob(files):
                name = path.relative_to(folder).with_suffix("").as_posix()
                if name not in pages and not name.startswith("_static/"):
                    path.unlink()
        for old, new in self.moved.items():
            path = Path(app.outdir, f"{old}.html")
            path.parent.mkdir(parents=True, exist_ok=True)
            url = relpath(f"{new}.html", dirname(old) or ".")
            path.write_text(MOVED.format(url=escape(url)), "utf-8")


def redirects(path: Path, pages: Set[str]) -> dict[str, str]:
    """Former address -> page; ChapterError says which line is wrong."""
    found: dict[str, str] = {}
    lines = path.read_text("utf-8").split("\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        match line.partition("#")[0].split():
            case []:
                continue
            case [old, new] if not re.fullmatch(r"\w+(/\w+)*", old):
                wrong = f"{old!r} is no address: write it like 2_two/1_name"
            case [old, new] if old in pages:
                wrong = f"there is a page {old}: it needs no other"
            case [old, new] if old in found:
                wrong = f"{old} leads to {found[old]} already"
            case [old, new] if new not in pages:
                wrong = f"there is no page {new}"
            case [old, new]:
                found[old] = new
                continue
            case _:
                wrong = "a line is a former address and a page: OLD NEW"
        raise ChapterError(path, number, wrong)
    return found


def setup(app: Sphinx) -> None:
    """Take over the lists of pages, and look after their addresses."""
    app.add_directive("toctree", ReadingOrder, override=True)
    Addresses(app)
