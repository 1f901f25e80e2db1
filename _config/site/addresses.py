"""Which addresses the site has: pages in reading order, and none that are gone.

A globbed list of pages is in the order of the chapters' numbers, ten after
nine.  A page that is gone leaves nothing behind.
"""

import re
from pathlib import Path

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree


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


class Written:
    """The pages that a build has written; what else is there is deleted."""

    def __init__(self, app: Sphinx) -> None:
        self.pages: set[str] = set()
        app.connect("html-page-context", self.note)
        # before sphinxext-rediraffe leads on from former addresses
        app.connect("build-finished", self.sweep, priority=400)

    def note(self, app: Sphinx, pagename: str, *_: object) -> None:
        """Generated pages are written in this process, by every build."""
        self.pages.add(pagename)

    def sweep(self, app: Sphinx, exception: Exception | None) -> None:
        """Delete the pages that are gone."""
        if exception is not None:
            return
        pages = self.pages | app.env.found_docs
        site, sources = Path(app.outdir), Path(app.outdir, "_sources")
        for folder, files in ((site, "*.html"), (sources, "*.*")):
            for path in folder.rglob(files):
                name = path.relative_to(folder).with_suffix("").as_posix()
                if name not in pages and not name.startswith("_static/"):
                    path.unlink()


def setup(app: Sphinx) -> None:
    """Take over the lists of pages, and look after their addresses."""
    app.add_directive("toctree", ReadingOrder, override=True)
    Written(app)
