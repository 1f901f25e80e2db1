"""Wires the book into Sphinx.  Nothing is executed or imported here.

``groundup_root`` holds ``src``, ``tests`` and ``_build``, if not conf.py's
folder.  ``groundup_draft`` (for previews) shows chapters that have not run
without outputs instead of refusing them.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
from docutils import nodes
from filelock import FileLock
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from _config.chapters.files import ChapterError, fingerprint, shown
from _config.runs import ratios
from _config.runs.notebook import notebook
from _config.site import addresses, api, ledger_page, markup, page, receipts
from _config.site.book import open_book, workshop
from _config.site.warned import Warned


class Site:
    """The handlers of one build."""

    def inspect(self, app: Sphinx) -> None:
        """Write the generated pages, if what they show has changed."""
        root = Path(app.confdir, app.config.groundup_root)
        self.book = open_book(root.resolve(), Path(app.srcdir))
        self.draft = app.config.groundup_draft
        self.warned = Warned(app)
        try:
            self.generate()
        except ChapterError as error:
            sys.exit(str(error))

    def generate(self) -> None:
        """Bring the pages of the API and of the ledger up to date."""
        book = self.book
        here = [*book.folder.glob("api/*.md"), book.folder / "ledger.md"]
        touched = book.known.get("generated") != fingerprint(here)
        if book.due("api", book.texts, book.around) or touched:
            chapters = [*book.chapters.values()]
            used = {name: book.facts(name)["used"] for name in book.paths}
            pages = api.pages(chapters, book.library, used)
            for path in here[:-1]:
                if f"api/{path.name}" not in pages:
                    path.unlink(missing_ok=True)
            write_pages(book.folder, pages)
        if book.due("ledger page", book.code, book.measured) or touched:
            measured = ratios.read(book.bench)
            keys = ratios.keys(book.src, book.tests / "benchmarks")
            text = ledger_page.written(book.ledger, measured, keys)
            write_pages(book.folder, {"ledger.md": text})
        here = [*book.folder.glob("api/*.md"), book.folder / "ledger.md"]
        book.known["generated"] = fingerprint(here)

    def outdated(
        self, app: Sphinx, env: BuildEnvironment, *_: set[str]
    ) -> list[str]:
        """The known chapters whose outputs, links or records changed, and the
        pages with warnings, which every build repeats."""
        changed = [
            name
            for name in self.book.paths.keys() & env.all_docs.keys()
            for facts in [self.book.facts(name)]
            if env.metadata[name].get("stamp") != facts["stamp"]
            and (facts["ran"] or not self.draft)
        ]
        return changed + self.book.known.get("warned", [])

    def select(
        self, app: Sphinx, env: BuildEnvironment, docnames: list[str]
    ) -> None:
        """Refuse chapters that have not run."""
        chapters = [name for name in docnames if name in self.book.paths]
        if not self.draft:
            missing = [
                f"{shown(self.book.paths[name])}: "
                "not executed: run nox -s build"
                for name in chapters
                if not self.book.facts(name)["ran"]
            ]
            if missing:
                sys.exit("\n".join(missing))
        if len(docnames) < FEW:
            app.parallel = 1
        elif chapters:
            self.book.library  # once, before the readers are forked

    def read(self, app: Sphinx, docname: str, content: list[str]) -> None:
        """Give MyST-NB the chapter as a notebook."""
        if docname not in self.book.paths:
            return
        chapter = self.book.chapters[docname]
        title = nbformat.v4.new_markdown_cell(f"# {chapter.title}")
        content[0] = nbformat.writes(nbformat.v4.new_notebook(cells=[title]))
        try:
            book = self.notebook(docname)
            page.prepare(chapter, book)
        except ChapterError as error:
            where = f"{error.path}:{error.line}"
            logging.getLogger(__name__).warning(error.message, location=where)
            return
        content[0] = nbformat.writes(book)

    def decorate(self, app: Sphinx, doctree: nodes.document) -> None:
        """Add to a page what the build knows about it."""
        docname = app.env.docname
        book = self.book
        chapter = docname in book.paths and book.chapters[docname]
        page.number(docname, doctree, bool(chapter and chapter.starred))
        if not chapter:
            return
        if chapter.starred:
            page.lift_banner(doctree)
        page.decorate(chapter, doctree, book.links(docname), book.library)
        entry = book.entry(docname)
        app.env.metadata[docname]["stamp"] = book.facts(docname)["stamp"]
        html = receipts.receipt(entry.receipt) if entry else receipts.MISSING
        doctree[-1].append(nodes.raw("", html, format="html"))

    def navigation(self, app: Sphinx, env: BuildEnvironment) -> list[str]:
        """All pages, if what stands in each one's sidebar has changed."""
        shown = {
            name: [title.astext(), env.toctree_includes.get(name)]
            for name, title in sorted(env.titles.items())
        }
        if self.draft or not self.book.due("navigation", json.dumps(shown)):
            return []
        return sorted(env.found_docs)

    def offer(
        self,
        app: Sphinx,
        pagename: str,
        template: str,
        context: dict,
        doctree: nodes.document | None,
    ) -> None:
        """Describe a page to search engines; offer a chapter as a notebook."""
        if doctree:
            context["metatags"] += page.description(doctree)
        if pagename not in self.book.paths:
            return
        # Where the theme looks for it: beside the copy of the source.
        path = Path(app.outdir, "_sources", f"{pagename}.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(ChapterError):  # which reading has told
            path.write_text(nbformat.writes(self.notebook(pagename)), "utf-8")
            context["ipynb_source"] = f"{pagename}.ipynb"

    def notebook(self, name: str) -> nbformat.NotebookNode:
        """A chapter with its outputs."""
        chapter, entry = self.book.chapters[name], self.book.entry(name)
        return notebook(chapter, entry, self.book.src)

    def finish(self, app: Sphinx, exception: Exception | None) -> None:
        """Keep what was found out for the next build."""
        if exception is None:
            warned = self.warned.pages & app.env.found_docs
            self.book.known["warned"] = sorted(warned)
            self.book.save()


FEW = 6  # pages that are read sooner than others can be started to read them


def write_pages(folder: Path, pages: dict[str, str]) -> None:
    """Bring generated pages up to date; those that stay the same are left."""
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the handlers of a build, once no other writes to its folder."""
    site, lock = Site(), FileLock(f"{app.outdir}.lock")
    lock.acquire()
    app.connect("build-finished", site.finish)
    app.connect("build-finished", lambda *_: lock.release(), priority=900)
    app.add_config_value("groundup_root", "", "")
    app.add_config_value("groundup_draft", False, "")
    # Where the workshop has changed, all pages are made anew.
    app.add_config_value("groundup_workshop", workshop(), "env")
    app.connect("builder-inited", site.inspect)
    app.connect("env-get-outdated", site.outdated)
    app.connect("env-before-read-docs", site.select)
    app.connect("source-read", site.read)
    app.connect("env-updated", site.navigation)
    app.connect(
        "doctree-read", site.decorate, priority=400
    )  # before titles are collected
    app.connect(
        "html-page-context", site.offer, priority=400
    )  # before the theme's buttons
    markup.setup(app)
    addresses.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
