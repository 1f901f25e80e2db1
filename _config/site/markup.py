"""What the book adds to Sphinx's HTML: native folds, and links inside code."""

import re
from collections.abc import Iterator
from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from _config.site.links import weave

# Tokens to which the theme gives no colour: names, operators, brackets, spaces.
# With their elements a chapter would be half as long again.
PLAIN = re.compile(r'<span class="(?:n|nn|nb|ne|bp|vm|o|p|w)">([^<]*)</span>')


class Fold(nodes.General, nodes.Element):
    """A native ``details`` element with its ``summary``."""


def visit_fold(self: HTML5Translator, node: Fold) -> None:
    """Open a fold: ours, or that of MyST-NB, which says what it hides."""
    summary, classes = node.get("summary"), node["classes"]
    if isinstance(node, HideCodeCellNode):
        summary = node["prompt_show"].replace("source", "code")
        classes = ["hide", *classes]
    self.body.append(f'<details class="{" ".join(classes)}">')
    self.body.append(f"<summary>{escape(summary)}</summary>\n")


def depart_fold(self: HTML5Translator, node: Fold) -> None:
    """Close a fold."""
    self.body.append("</details>\n")


def visit_code(self: HTML5Translator, node: nodes.literal_block) -> None:
    """Write code as Sphinx does, the library's names as links, without spans
    that have no colour."""
    try:
        type(self).visit_literal_block(self, node)
    except nodes.SkipNode:
        if "links" in node:
            self.body[-1] = weave(self.body[-1], dict(anchors(self, node)))
        self.body[-1] = PLAIN.sub(r"\1", self.body[-1])
        raise


def anchors(
    self: HTML5Translator, node: nodes.literal_block
) -> Iterator[tuple[tuple[int, int], str]]:
    """Span -> opening tag, for each link whose entry has a page."""
    builder = self.builder
    objects = builder.env.domains.python_domain.objects
    for start, end, name, summary in node["links"]:
        if entry := objects.get(name):
            uri = builder.get_relative_uri(
                builder.current_docname, entry.docname
            )
            title = escape(f"{name}: {summary}" if summary else name)
            href = f"{uri}#{entry.node_id}"
            tag = f'<a class="gu-link" href="{href}" title="{title}">'
            yield (start, end), tag


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Write an entry of the bibliography, without docutils' obsolete roles."""
    self.body.append(self.starttag(node, "div", CLASS="citation"))


def depart_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Close an entry."""
    self.body.append("</div>\n")


def setup(app: Sphinx) -> None:
    """Register the node and take over three that exist."""
    app.add_node(
        nodes.citation, override=True, html=(visit_citation, depart_citation)
    )
    app.add_node(Fold, html=(visit_fold, depart_fold))
    app.add_node(
        HideCodeCellNode, override=True, html=(visit_fold, depart_fold)
    )
    app.add_node(nodes.literal_block, override=True, html=(visit_code, None))
