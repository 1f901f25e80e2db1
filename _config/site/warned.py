"""The pages with warnings, which are read again: a build repeats its warnings.

Sphinx warns when it reads or writes a page and takes an unchanged page for
good: a build that failed because of a warning would succeed the second time.
"""

import logging

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.logging import NAMESPACE, get_node_location


class Warned(logging.Handler):
    """Collects the pages of one build that have warnings."""

    def __init__(self, app: Sphinx) -> None:
        super().__init__(logging.WARNING)
        self.project = app.project
        self.pages: set[str | None] = set()
        logging.getLogger(NAMESPACE).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note the page; Sphinx replays what its parallel readers log."""
        location = getattr(record, "location", None)
        if isinstance(location, nodes.Node):
            location = get_node_location(location)
        if isinstance(location, tuple):
            self.pages.add(location[0])
        elif location:
            self.pages.add(self.project.path2doc(location.split(":")[0]))
