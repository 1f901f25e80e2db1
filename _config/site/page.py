"""A chapter's page: the notebook MyST-NB reads, and what its tree gains."""

import ast
import textwrap
from collections.abc import Iterable
from html import escape

from docutils import nodes
from nbformat import NotebookNode
from sphinx import addnodes

from _config.chapters.files import PACKAGE, ChapterError
from _config.chapters.parse import Cell, Chapter
from _config.library.classes import kept
from _config.library.modules import Export, bound
from _config.site import figures
from _config.site.changes import rewritten
from _config.site.entries import anchor
from _config.site.links import Link
from _config.site.markup import Fold

FOLDS = {"answer": "Answer", "solution": "Solution"}


def prepare(chapter: Chapter, page: NotebookNode) -> None:
    """Make a notebook fit for the page: figures inline, true line numbers."""
    page.metadata["language_info"]["pygments_lexer"] = "python"
    page.metadata["source_map"] = [  # MyST-NB adds 2
        text_line(cell) - 2 for cell in chapter.cells
    ]
    for index, (cell, node) in enumerate(
        zip(chapter.cells, page.cells, strict=True)
    ):
        alt = cell.metadata.get("alt", "")
        for count, output in enumerate(node.get("outputs", ())):
            data = output.get("data", {})
            html = data.get("text/html", "")
            if image := figures.image(data, alt, f"c{index}-{count}"):
                html = figures.figure(image, cell.title)
            elif figures.SILENT.search(html):
                html = figures.described(html, alt)
            else:
                continue
            if not alt:
                message = 'shows an image: say what is on it, alt="..."'
                raise ChapterError(chapter.path, cell.line, message)
            output["data"] = {"text/html": html}


def text_line(cell: Cell) -> int:
    """Where warnings count from: a code cell's marker, prose's first line."""
    if cell.kind == "code":
        return cell.line
    text = ast.literal_eval(cell.source)
    return cell.first_line + len(text) - len(text.lstrip("\n"))


def decorate(
    chapter: Chapter,
    doctree: nodes.document,
    links: Iterable[Link],
    library: dict[str, Export],
) -> None:
    """Add margin labels, changes, folds and the links of the code."""
    changes = rewritten(chapter)
    for box in list(doctree.findall(is_code_cell)):
        index = box["cell_index"]
        cell = chapter.cells[index]
        if cell.title and "alt" not in cell.metadata:  # else it is the caption
            box["prompt_show"] = cell.title
        link(box, cell, [each for each in links if each.cell == index], library)
        for block in box.findall(is_one_line_output):
            block["classes"].append("gu-wrap")
        around = [folded(cell, box)]
        if "export" in cell.tags:
            around.insert(0, label(chapter, cell, box, library))
        around += [change_fold(*change) for change in changes.get(index, ())]
        at = box.parent.index(box)
        box.parent[at : at + 1] = around


def is_code_cell(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.container)
        and node.get("nb_element") == "cell_code"
    )


def is_one_line_output(node: nodes.Node) -> bool:
    """Whether wrapping cannot tear columns apart."""
    return (
        isinstance(node, nodes.literal_block)
        and "output" in node["classes"]
        and "\n" not in node.astext().strip("\n")
    )


def link(
    box: nodes.Element,
    cell: Cell,
    links: list[Link],
    library: dict[str, Export],
) -> None:
    """Leave a cell's links on its code, for ``markup.visit_code``."""
    for block in box.findall(nodes.literal_block):
        if links and block.astext() == cell.source:
            block["links"] = [
                (each.start, each.end, each.name, library[each.name].summary)
                for each in links
            ]


def label(
    chapter: Chapter, cell: Cell, box: nodes.Element, library: dict[str, Export]
) -> nodes.Element:
    """The margin label of an exported cell: where its code goes, or which
    classes it continues; it leads to their entries."""
    module = f"{PACKAGE}.{chapter.module(cell)}"
    new, continued = [], []
    for node in cell.statements:
        for name in bound(node):
            export = library.get(f"{module}.{name}")
            if export:
                parts = [part.node for part in export.parts]
                number = 1 + parts.index(node) if node in parts else 1
                box["ids"].append(anchor(export.home, number))
            if kept(node):
                target = export.home if export else module
                continued.append(
                    reference(f"continues {name}", target, chapter)
                )
            elif export:
                new.append(export.home)
    if new or not continued:
        first = reference(module, (new or [module])[0], chapter)
        continued.insert(0, first)
    paragraphs = (nodes.paragraph("", "", each) for each in continued)
    return nodes.container("", *paragraphs, classes=["gu-dest"])


def reference(text: str, target: str, chapter: Chapter) -> nodes.Element:
    """A link to an entry of the API."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", text),
        refdomain="py",
        reftype="obj",
        reftarget=target,
        refdoc=chapter.name,
    )


def folded(cell: Cell, box: nodes.Element) -> nodes.Element:
    """The cell, in a fold if it answers a question or solves an exercise."""
    for tag in FOLDS.keys() & set(cell.tags):
        return Fold("", box.deepcopy(), summary=FOLDS[tag], classes=["gu-fold"])
    return box


def change_fold(name: str, difference: str) -> Fold:
    """The folded difference from the last version of a definition."""
    code = nodes.literal_block(difference, difference, language="diff")
    return Fold(
        "", code, summary=f"What changed in {name}", classes=["gu-changed"]
    )


def number(docname: str, doctree: nodes.document, starred: bool) -> None:
    """``2_backward/1_matmul`` is chapter 2.1, ``2_backward/index`` part 2; a
    chapter that may be skipped has a star, wherever its title stands."""
    pieces = docname.removesuffix("/index").split("/")
    numbers = [piece.partition("_")[0] for piece in pieces]
    title = next(doctree.findall(nodes.title), None)
    if title and all(each.isdigit() for each in numbers):
        before = [nodes.inline("", ".".join(numbers), classes=["gu-number"])]
        if starred:
            star = nodes.inline("", "★", classes=["gu-star"])
            said = '<span class="visually-hidden"> starred:</span>'
            before += [
                nodes.Text(" "),
                star,
                nodes.raw("", said, format="html"),
            ]
        title[:0] = [*before, nodes.Text(" ")]


def lift_banner(doctree: nodes.document) -> None:
    """Put on top what a starred chapter says of itself: what it finishes, and
    that one may go on without it."""
    for each in doctree.findall(nodes.paragraph):
        if "go on without it" in " ".join(each.astext().split()):
            each.parent.remove(each)
            doctree[0].insert(1, each)
            each["classes"].append("gu-starred")
            return


def description(doctree: nodes.document) -> str:
    """A meta element that holds how the page begins."""
    found = doctree.findall(nodes.paragraph)
    own = (each for each in found if "gu-starred" not in each["classes"])
    if (first := next(own, None)) is None:
        return ""
    text = textwrap.shorten(first.astext(), 160, placeholder=" …")
    return f'<meta name="description" content="{escape(text)}">\n'
