"""Formulas at build time: KaTeX runs inside the build, pages need only its CSS.

A formula is rendered when its page is read and kept in the page's doctree.  So
an unchanged page costs nothing, a wrong formula is a warning with its line, and
the writers, which Sphinx forks, never start the JavaScript engine.
"""

import re
from functools import cache
from html import escape
from pathlib import Path

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

# Sphinx numbers the equations, so KaTeX must not.
OWN_NUMBERS = re.compile(r"\\(begin|end){(align|alignat|equation|gather)}")
# An error is an error, but a line break in a displayed formula breaks the line.
RENDER = """(latex, displayMode) => katex.renderToString(latex, {
    displayMode,
    strict: code => code == "newLineInDisplayMode" ? "ignore" : "error"
})"""
SCRIPT = Path(__file__).parent / "theme/katex/katex.min.js"


@cache
def engine() -> MiniRacer:
    """KaTeX in a JavaScript engine, one a process."""
    context = MiniRacer()
    context.eval(f"{SCRIPT.read_text('utf-8')}; const render = {RENDER}")
    return context


@cache
def render(latex: str, display: bool) -> str:
    """HTML and, for screen readers, MathML; ValueError says what is wrong."""
    try:
        return engine().call("render", latex, display)
    except JSEvalException as error:
        message = str(error).splitlines()[0]
        raise ValueError(message.partition("Error: ")[2] or message) from None


class RenderMath(SphinxTransform):
    """Add the rendered ``html`` to every formula of a page."""

    default_priority = 800

    def apply(self, **kwargs: object) -> None:
        """Render; what KaTeX refuses is a warning and stays LaTeX."""
        for node in self.document.findall(is_math):
            latex = OWN_NUMBERS.sub(r"\\\1{\2*}", node.astext())
            try:
                node["html"] = render(latex, isinstance(node, nodes.math_block))
            except ValueError as error:
                log = logging.getLogger(__name__)
                log.warning("%s", error, location=node, type="katex")
                node["html"] = f"<code>{escape(latex)}</code>"


def is_math(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of a sentence."""
    self.body.append(self.starttag(node, "span", "", CLASS="math"))
    self.body.append(node["html"] + "</span>")
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, its number to the right of it."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(
        f'<div class="gu-formula" tabindex="0">{node["html"]}</div>'
    )
    if node.get("number"):
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which takes precedence over MathJax."""
    app.add_transform(RenderMath)
    app.add_html_math_renderer(
        "katex", (visit_inline, None), (visit_block, None)
    )
    app.add_css_file("katex/katex.min.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
