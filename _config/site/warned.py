"""Pages with warnings are read again, so that every build repeats its warnings.

Sphinx warns when it reads or writes a page and takes an unchanged page for
good: a build that failed because of a warning would succeed the second time.
"""

import json
import logging
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.logging import NAMESPACE, get_node_location


class Warned(logging.Handler):
    """Collects the pages of one build that have warnings; see ``setup``."""

    def __init__(self, app: Sphinx) -> None:
        super().__init__(logging.WARNING)
        self.app = app
        self.file = Path(app.doctreedir, "warned.json")
        self.pages: set[str | None] = set()
        self.left: set[str] = set()
        logging.getLogger(NAMESPACE).addHandler(self)
        app.connect("env-get-outdated", lambda *_: sorted(self.before()))
        app.connect("env-before-read-docs", self.note_left, priority=900)
        app.connect("build-finished", self.keep)

    def before(self) -> set[str]:
        """The pages that the last build warned about."""
        return (
            set(json.loads(self.file.read_text()))
            if self.file.exists()
            else set()
        )

    def note_left(self, app: Sphinx, env: object, docnames: list[str]) -> None:
        """Some may not be read this time: in a preview of one chapter."""
        self.left = self.before() - set(docnames)

    def emit(self, record: logging.LogRecord) -> None:
        """Note the page; Sphinx replays what its parallel readers log."""
        location = getattr(record, "location", None)
        if isinstance(location, nodes.Node):
            location = get_node_location(location)
        if isinstance(location, tuple):
            self.pages.add(location[0])
        elif location:
            self.pages.add(self.app.project.path2doc(location.split(":")[0]))

    def keep(self, app: Sphinx, exception: Exception | None) -> None:
        """Write the pages down for the next build."""
        if exception is None:
            pages = (self.pages | self.left) & app.env.found_docs
            self.file.write_text(json.dumps(sorted(pages)))
