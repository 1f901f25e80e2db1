"""Wires the book into Sphinx.  Nothing is executed or imported here.

``groundup_root`` holds ``src``, ``tests`` and ``_build``, if not conf.py's
folder.  ``groundup_draft`` (for previews) shows chapters that have not run
without outputs instead of refusing them; ``groundup_only`` names the one
chapter to build: others stay as they are, or a bare title if never built.
"""

import json
import sys
from functools import cache
from pathlib import Path

import nbformat
from docutils import nodes
from filelock import FileLock
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from _config.chapters.parse import ChapterError, read_book, shown
from _config.library.modules import exports
from _config.runs import ratios as bench
from _config.runs import records as record
from _config.runs import store
from _config.runs.notebook import notebook
from _config.runs.reach import digest
from _config.site import api, links, markup, page, receipts
from _config.site import ledger_page as ledger
from _config.site.warned import Warned

logger = logging.getLogger(__name__)


class Site:
    """The handlers of one build, and what they share: the book as a whole."""

    def inspect(self, app: Sphinx) -> None:
        """Parse the book, find its links, write the generated pages."""
        book, root = (
            Path(app.srcdir),
            Path(app.confdir, app.config.groundup_root),
        )
        self.src, self.store = root / "src", root / "_build/store"
        self.only = app.config.groundup_only
        self.draft = app.config.groundup_draft or bool(self.only)
        try:
            chapters = read_book(book)
            self.library = exports(chapters)
            self.links = {
                each.name: links.links(each, self.library) for each in chapters
            }
            pages = api.pages(chapters, self.library, self.links)
            # A preview keeps the ledger it has: reading the proofs takes long.
            if not (self.draft and (book / "ledger.md").exists()):
                measured = bench.read(root / "_build/bench.json")
                rows = ledger.page(chapters, root / "tests", measured)
                pages["ledger.md"] = rows
        except ChapterError as error:
            sys.exit(str(error))
        self.chapters = {each.name: each for each in chapters}
        if self.only and self.only not in self.chapters:
            sys.exit(
                f"no chapter {self.only!r}, but {', '.join(self.chapters)}"
            )
        write(book, pages)

    @cache  # noqa: B019  a Site lives as long as its build
    def entry(self, name: str) -> store.Entry | None:
        """What the store keeps of a chapter as it is now."""
        return store.load(self.chapters[name], self.src, self.store)

    @cache  # noqa: B019
    def stamp(self, name: str) -> str:
        """Changes with whatever a page shows that is not in its own file."""
        chapter = self.chapters[name]
        used = {link.name for link in self.links[name]}
        records = record.status(chapter, self.src)
        parts = [
            store.key(chapter, self.src),
            sorted((each, self.library[each].summary) for each in used),
            [(each.status, each.kept) for each in records],
        ]
        return digest(json.dumps(parts))

    def outdated(
        self, app: Sphinx, env: BuildEnvironment, *_: set[str]
    ) -> list[str]:
        """The known chapters whose outputs, links or records changed."""
        return [
            name
            for name in self.chapters.keys() & env.all_docs.keys()
            if env.metadata[name].get("stamp") != self.stamp(name)
            and (self.entry(name) or not self.draft)
        ]

    def select(
        self, app: Sphinx, env: BuildEnvironment, docnames: list[str]
    ) -> None:
        """Refuse chapters that have not run; in a draft, leave others alone."""
        chapters = [name for name in docnames if name in self.chapters]
        if self.only:
            known = {name for name in chapters if name in env.all_docs}
            docnames[:] = sorted(set(docnames) - known | {self.only})
        elif not self.draft:
            missing = [
                f"{shown(self.chapters[name].path)}: "
                "not executed: run nox -s build"
                for name in chapters
                if not self.entry(name)
            ]
            if missing:
                sys.exit("\n".join(missing))

    def read(self, app: Sphinx, docname: str, content: list[str]) -> None:
        """Give MyST-NB the chapter as a notebook; keep it for downloading."""
        if docname not in self.chapters:
            return
        chapter = self.chapters[docname]
        title = nbformat.v4.new_markdown_cell(f"# {chapter.title}")
        content[0] = nbformat.writes(nbformat.v4.new_notebook(cells=[title]))
        if self.only not in ("", docname):
            return
        try:
            book = notebook(chapter, self.entry(docname), self.src)
        except ChapterError as error:
            logger.warning(error.message, location=f"{error.path}:{error.line}")
            return
        download = self.download(app, docname)
        download.parent.mkdir(parents=True, exist_ok=True)
        download.write_text(nbformat.writes(book), "utf-8")
        page.prepare(chapter, book)
        content[0] = nbformat.writes(book)

    def download(self, app: Sphinx, docname: str) -> Path:
        """Where the theme looks for it: beside the copy of the source."""
        return Path(app.outdir, "_sources", f"{docname}.ipynb")

    def decorate(self, app: Sphinx, doctree: nodes.document) -> None:
        """Add to a page what the build knows about it."""
        docname = app.env.docname
        page.number(docname, doctree)
        if docname not in self.chapters:
            return
        page.decorate(
            self.chapters[docname], doctree, self.links[docname], self.library
        )
        entry = self.entry(docname)
        complete = entry and self.only in ("", docname)
        app.env.metadata[docname]["stamp"] = (
            self.stamp(docname) if complete else ""
        )
        html = receipts.receipt(entry.receipt) if complete else receipts.MISSING
        doctree[-1].append(nodes.raw("", html, format="html"))

    def offer(
        self,
        app: Sphinx,
        pagename: str,
        template: str,
        context: dict,
        doctree: nodes.document | None,
    ) -> None:
        """Describe the page to search engines; name its notebook, if any."""
        if doctree:
            context["metatags"] += page.description(doctree)
        if pagename in self.chapters and self.download(app, pagename).exists():
            context["ipynb_source"] = f"{pagename}.ipynb"


def write(book: Path, pages: dict[str, str]) -> None:
    """Bring generated pages up to date; those that stay the same are left."""
    (book / "api").mkdir(exist_ok=True)
    for old in (book / "api").glob("*.md"):
        if f"api/{old.name}" not in pages:
            old.unlink()
    for name, text in pages.items():
        path = book / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the handlers of a build, once no other writes to its folder."""
    site, lock = Site(), FileLock(f"{app.outdir}.lock")
    lock.acquire()
    app.connect("build-finished", lambda *_: lock.release())
    app.add_config_value("groundup_root", "", "")
    app.add_config_value("groundup_draft", False, "")
    app.add_config_value("groundup_only", "", "")
    app.connect("builder-inited", site.inspect)
    app.connect("env-get-outdated", site.outdated)
    app.connect("env-before-read-docs", site.select)
    app.connect("source-read", site.read)
    app.connect(
        "doctree-read", site.decorate, priority=400
    )  # before titles are collected
    app.connect(
        "html-page-context", site.offer, priority=400
    )  # before the theme's buttons
    markup.setup(app)
    Warned(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
