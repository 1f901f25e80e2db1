"""The site's modules on small inputs, and one small book through Sphinx."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from sphinx.cmd.build import build_main

from _config.chapters.files import ROOT, ChapterError
from _config.library.modules import exports
from _config.runs.notebook import notebook
from _config.runs.store import Entry
from _config.site import api, changes, entries, figures, links, markup, receipts
from _config.site.page import prepare, text_line
from tests.workshop.site.small_book import (
    FIRST,
    SECOND,
    SERVER,
    SVG,
    Built,
    arguments,
    build,
    chapter,
    page,
    pretend_to_run,
    run,
)


def test_a_build_wires_chapters_library_and_store_together(
    first_build: tuple[Path, Built], built: Path
):
    book, (_, outcome) = built, first_build
    assert outcome.returncode == 0, outcome.stderr

    first, second = page(book, "1_one/1_first"), page(book, "2_two/1_second")
    assert first.h1.get_text() == "1.1 Products#"
    label = first.select(".gu-dest a")[-1]
    assert label.get_text() == "groundup.linalg"
    assert label["href"] == "../api/linalg.html#groundup.linalg.matmul"
    assert [
        each.summary.get_text() for each in first.select("details.gu-changed")
    ] == ["What changed in matmul"]
    assert first.select_one("details.gu-fold summary").get_text() == "Solution"
    assert first.select_one("details.hide summary").get_text() == "Show code"
    assert second.select_one("details.hide summary").get_text() == "Imports"
    assert (
        first.select_one("figure.gu-figure svg")["aria-label"]
        == "A line that rises"
    )
    assert "torch 2.13.0" in first.select_one("footer.gu-receipt").get_text()
    assert "[[6]]" in second.select_one(".cell_output .gu-wrap").get_text()
    row = second.select_one(".cell_output table tbody tr").get_text(" ")
    assert row.split() == ["ours", "0.1235", "±", "0.012", "(stale)"]
    assert [each.get_text() for each in second.select("a.gu-link")] == [
        "matmul", "matmul", "affine", "matmul",
    ]  # fmt: skip
    entry = page(book, "api/linalg").find(id="groundup.linalg.matmul").parent
    where, user = entry.select(".gu-built a")
    assert where.get_text() == "1.1 Products, line 16"
    assert first.find(id=where["href"].partition("#")[2]) is not None
    assert user["href"] == "../2_two/1_second.html"
    for kind in ("py", "ipynb"):
        link = first.select_one(f'a[href$="1_first.{kind}"]')["href"]
        assert (book / "html/1_one" / link).resolve().is_file()


def test_the_sidebar_names_its_folds_and_unfolds_the_library_in_itself(
    built: Path,
):
    book = built
    index = book / "book/index.md"
    reference = "\n```{toctree}\n:caption: Reference\n\napi/index\n```\n"
    index.write_text(index.read_text().replace("api/index\n", "") + reference)
    build(book)

    for name, inside in (("1_one/1_first", False), ("api/linalg", True)):
        menu = page(book, name).select_one("nav.bd-links")
        titled = {
            each.find_parent("li").a.get_text(): each
            for each in menu.select("details")
        }
        assert "The library" in [link.get_text() for link in menu.select("a")]
        package = titled.pop("groundup.nn", None)
        assert (package is not None) == inside == ("The library" in titled)
        assert not (inside and package.has_attr("open"))
        assert all(each.has_attr("open") for each in titled.values()) and titled
        assert all(
            each.summary["aria-label"] for each in menu.select("details")
        )


def test_a_page_is_described_by_its_beginning_and_sends_no_spare_icons(
    built: Path,
):
    book = built
    (book / "book/bibliography.md").write_text(
        "---\norphan: true\n---\n# Sources\n\nBy *authors*, of $x$.\n\n"
        "```{bibliography}\n:all:\n```\n"
    )
    build(book)
    soup = page(book, "bibliography")

    described = soup.select_one('meta[name="description"]')["content"]
    assert described == "By authors, of x."
    assert soup.select_one("div.citation") and not soup.select(
        '[role="list"], [role="doc-biblioentry"]'
    )
    style = book / "html/_static/styles/pydata-sphinx-theme.css"
    assert ".fa-bars," in style.read_text()
    assert ".fa-ghost{" not in style.read_text()


@pytest.mark.parametrize(
    "data",
    [
        {"image/svg+xml": SVG},
        {"image/png": "QQ=="},
        {"text/html": "<b>a</b><img src='data:'>"},
    ],
)
def test_a_figure_without_words_is_refused_with_its_line(data: dict):
    text = FIRST.replace(' alt="A line that rises"', "")
    drawn = [{"output_type": "display_data", "data": data, "metadata": {}}]
    outputs = [[], [], [], drawn, []]
    wordless = chapter(text)
    entry = Entry("key", outputs, {})
    with pytest.raises(ChapterError, match=r'1_first\.py:20: .*alt="..."'):
        prepare(wordless, notebook(wordless, entry))
    said = chapter(FIRST)
    prepare(said, notebook(said, entry))


def test_no_page_asks_another_host_for_anything(built: Path):
    for path in (built / "html").rglob("*.html"):
        text = path.read_text("utf-8")
        assert "mathjax@" not in text and "require.js" not in text
        soup = BeautifulSoup(text, "html.parser")
        loads = soup.select("script[src], img[src], link[rel=stylesheet]")
        assert not [
            each for each in loads if "//" in (each.get("src") or each["href"])
        ]


def test_only_pages_that_show_a_change_are_read_again(built: Path):
    book = built
    unchanged = build(book, "-W").stdout
    pretend_to_run(book, "[[7]]")  # the outputs differ under the same keys
    path = book / "book/1_one/1_first.py"
    path.write_text(FIRST.replace("Matrix product:", "The product:"), "utf-8")
    pretend_to_run(book)

    renamed = build(book, "-W").stdout

    assert "0 added, 0 changed" in unchanged
    assert "0 added, 3 changed" in renamed, (
        renamed
    )  # the chapter, its API, its reader
    assert (
        "The product:"
        in page(book, "2_two/1_second").select_one("a.gu-link")["title"]
    )


def test_a_chapter_is_read_again_when_only_its_store_key_changed(built: Path):
    book = built
    module = book / "src/groundup/linalg.py"
    module.parent.mkdir()
    module.write_text("X = 2\n")
    pretend_to_run(book, "new\nand two lines", "2_two")

    built = build(book, "-W").stdout

    assert "0 added, 1 changed" in built, built
    output = page(book, "2_two/1_second").select(".cell_output")[-1]
    assert "new" in output.get_text()
    assert not output.select(".gu-wrap")  # only a single line may be wrapped


def test_a_chapter_that_has_not_run_is_refused_by_name(book: Path):
    path = book / "book/2_two/1_second.py"
    path.write_text(SECOND.replace("[[3]]", "[[4]]"), "utf-8")

    built = build(book, "-W")

    assert built.returncode != 0
    assert "2_two/1_second.py: not executed: run nox -s build" in built.stderr
    assert "1_first" not in built.stderr
    assert "Traceback" not in built.stderr


def test_a_draft_shows_a_chapter_that_has_not_run(built: Path):
    book = built
    path = book / "book/2_two/1_second.py"
    path.write_text(SECOND.replace("[[3]]", "[[4]]"), "utf-8")

    draft = build(book, "-D", "groundup_draft=1")
    pretend_to_run(book)
    after = build(book, "-W")

    assert draft.returncode == after.returncode == 0
    receipt = page(book, "2_two/1_second").select_one(".gu-receipt").get_text()
    assert "torch 2.13.0" in receipt  # the draft was not taken for the page


def test_a_build_waits_for_another_of_the_same_folder(built: Path):
    book = built
    command = (book, build_main, [arguments(book, "-q")])
    second = SERVER.Process(target=run, args=command)
    with FileLock(book / "html.lock"):
        second.start()
        second.join(4)
        assert second.is_alive()
    second.join()
    assert second.exitcode == 0 and page(book, "index").h1


def test_a_warning_names_its_line_and_fails_every_build_until_mended(
    built: Path,
):
    book = built
    path = book / "book/2_two/1_second.py"
    wrong = SECOND + '\n# %% [markdown]\n"""\n\nSee {doc}`/nowhere`.\n"""\n'
    path.write_text(wrong, "utf-8")
    line = wrong[: wrong.index("See")].count("\n") + 1

    first, second = build(book, "-W"), build(book, "-W")
    path.write_text(SECOND, "utf-8")
    mended = build(book, "-W")

    for built in (first, second):
        assert built.returncode != 0
        assert f"1_second.py:{line}: WARNING: unknown document" in built.stderr
    assert mended.returncode == 0, mended.stderr


def test_links_are_names_of_the_library_and_nothing_else():
    first, second = chapter(FIRST), chapter(SECOND, "2_two/1_second")
    library = exports([first, second])

    found = links.find_links(second, library)

    names = [
        (each.name, second.cells[each.cell].source[each.start : each.end])
        for each in found
    ]
    matmul, affine = (
        ("groundup.linalg.matmul", "matmul"),
        ("groundup.nn.functional.affine", "affine"),
    )
    assert names == [matmul, matmul, affine, matmul]
    assert (
        links.find_links(first, library) == []
    )  # twice's parameter is not the function


@pytest.mark.parametrize(
    ("statement", "linked"),
    [
        (
            "import groundup\ngroundup.linalg.matmul(1)",
            "groundup.linalg.matmul",
        ),
        ("from groundup import linalg\nlinalg.matmul(1)", "linalg.matmul"),
        ("import groundup.linalg as la\nla.matmul(1)", "la.matmul"),
    ],
)
def test_links_follow_modules(statement: str, linked: str):
    user = chapter(f"# %%\n{statement}\n", "3_three/1_third")
    (found,) = links.find_links(user, exports([chapter(FIRST)]))
    assert user.cells[0].source[found.start : found.end] == linked


def test_weave_wraps_whole_tokens_and_counts_entities_as_characters():
    code = (
        '<pre><span></span><span class="s">&lt;&#39;</span> '
        '<span class="n">f</span><span class="p">(</span></pre>'
    )
    woven = links.weave(code, {(3, 4): '<a href="x">'})
    assert '<a href="x"><span class="n">f</span></a><span class="p">' in woven
    assert links.weave(code, {(1, 2): '<a href="x">'}) == code  # inside a token


def test_changes_show_the_rewritten_definition_only():
    ((index, [(name, difference)]),) = changes.rewritten(chapter(FIRST)).items()
    assert (index, name) == (3, "matmul")
    marks = [line[0] for line in difference.split("\n")]
    assert marks.count("-") == 2 and marks.count("+") == 3


GROWN = '''# %% [markdown] module="nn.module" starred=true
"""
# Module, finished

What else?

This finishes what {doc}`/1_one/1_first` began. You may go
on without it.
"""

# %% What it is tags=["export"]
"""Modules."""
class Module:
    """A module."""

    def forward(self) -> int:
        """Forward."""
        return 1

# %% tags=["export"]
class Module(Module):
    @property
    def size(self) -> int:
        """Its size."""
        return 1

    def _hidden(self) -> int:
        return 1

# %% tags=["export"]
class Module(Module):
    def forward(self) -> int:
        """Forward."""
        return 2

class Other:
    """Another."""

# %%
class Module(Module):
    def forward(self) -> int:
        return 3

# %%
class Module:
    @property
    def size(self) -> int:
        return 2

    def forward(self) -> int:
        return 3
'''


def test_changes_of_a_class_that_grows_are_its_methods():
    found = changes.rewritten(chapter(GROWN))
    names = {i: [name for name, _ in each] for i, each in found.items()}
    assert names == {
        3: ["Module.forward"],
        4: ["Module.forward"],
        5: ["Module.size"],
    }
    assert found[3][0][1].split("\n") == [
        " def forward(self) -> int:", '     """Forward."""',
        "-    return 1", "+    return 2",
    ]  # fmt: skip


def test_a_class_that_grew_is_one_entry_that_leads_to_each_cell(built: Path):
    (built / "book/1_one/2_module.py").write_text(GROWN)
    pretend_to_run(built)

    outcome = build(built, "-W")

    assert outcome.returncode == 0, outcome.stderr
    soup = page(built, "1_one/2_module")
    labels = [
        [link.get_text() for link in each.select("a")]
        for each in soup.select(".gu-dest")
    ]
    assert labels == [
        ["groundup.nn.module"], ["continues Module"],
        ["groundup.nn.module", "continues Module"],
    ]  # fmt: skip
    href = "../api/nn.module.html#groundup.nn."
    targets = [a["href"].removeprefix(href) for a in soup.select(".gu-dest a")]
    assert targets == ["Module", "Module", "Other", "Module"]
    entry = page(built, "api/nn.module").find(id="groundup.nn.Module").parent
    methods = [each["id"] for each in entry.select(":scope > dd dt")]
    assert methods == ["groundup.nn.Module.forward", "groundup.nn.Module.size"]
    places = [
        a for a in entry.select(":scope > dd > .gu-built a") if "#" in a["href"]
    ]
    assert [a.get_text() for a in places] == [
        "1.2 Module, finished, line 13", "line 21", "line 31",
    ]  # fmt: skip
    for place in places:
        cell = soup.find(id=place["href"].partition("#")[2])
        assert "Module" in (cell.get_text() or cell.parent.get_text())


def test_a_starred_chapter_says_so_wherever_it_is_listed(built: Path):
    (built / "book/1_one/2_module.py").write_text(GROWN)
    pretend_to_run(built)
    build(built)

    soup = page(built, "1_one/2_module")
    assert soup.h1.get_text() == "1.2 ★ starred: Module, finished#"
    assert soup.h1.select_one(".visually-hidden").get_text() == " starred:"
    banner = soup.select_one(".gu-starred")
    assert " ".join(banner.get_text().split()) == (
        "This finishes what 1.1 Products began. You may go on without it."
    )
    assert banner.find_previous_sibling().name == "h1"
    assert soup.get_text().count("began. You may") == 1
    assert banner.a["href"] == "1_first.html"
    described = soup.select_one('meta[name="description"]')["content"]
    assert described == "What else?"
    listed = page(built, "1_one/index")
    for where in ("article li a", "nav.bd-links li li a"):
        names = [a.get_text() for a in listed.select(where)]
        assert "1.2 ★ starred: Module, finished" in names
    after = page(built, "1_one/1_first").select_one("a.right-next")
    assert "1.2 ★ starred: Module, finished" in after.get_text()
    assert not page(built, "1_one/1_first").select(".gu-starred")


def test_a_figure_keeps_only_the_ids_it_uses_and_follows_the_theme():
    svg = figures.svg(SVG, 'a "line"', "c4-0")
    assert svg.startswith('<svg role="img" aria-label="a &quot;line&quot;"')
    assert (
        "metadata" not in svg and "DejaVu" not in svg and "patch_1" not in svg
    )
    assert 'id="c4-0-tick"' in svg and 'href="#c4-0-tick"' in svg
    assert "url(#c4-0-p1)" in svg and 'id="c4-0-p1"' in svg
    assert "stroke: var(--gu-ink)" in svg and "fill: var(--gu-paper)" in svg
    assert "#123456" in svg


def test_a_figure_is_rounded_except_for_its_scales_and_its_text():
    path = '<path d="M 7.2 19.278125" transform="matrix(0.07143 0)"/>'
    text = '<text y="3.25">0.09625</text>'
    assert figures.svg(f"<svg><g/>{path}{text}</svg>", "a", "c1-0") == (
        '<svg role="img" aria-label="a">'
        f'<path d="M 7.2 19.28" transform="matrix(0.07143 0)"/>{text}</svg>'
    )


def test_a_figure_never_writes_what_is_invisible():
    text = "<text style=\"font-size: 9px; font-family: 'A', 'B'\" x=\"3\">0"
    turned = text.replace(">0", ' transform="rotate(-0 3.12345 4)">0')
    shown = '<path d="M 0 0" style="fill: none; stroke: #123456"/>'
    hidden = '<path d="M 0 0" style="fill: none"/>'
    svg = figures.svg(f"<svg>{shown}{hidden}{turned}</svg>", "a", "c1")
    assert svg == (
        f'<svg role="img" aria-label="a">{shown}'
        '<text style="font-size: 9px;" x="3">0</svg>'
    )


def test_tokens_without_a_colour_have_no_element():
    css = (ROOT / "_config/site/theme/static/groundup.css").read_text()
    coloured = "".join(re.findall(r"\.highlight span:is\((.*?)\)", css))
    plain = markup.PLAIN.pattern.split("(?:")[1].split(")")[0].split("|")
    assert ".kn" in coloured and "n" in plain
    assert not {*re.findall(r"\w+", coloured)} & {*plain}
    code = '<span class="k">if</span> <a><span class="n">x</span></a>'
    assert markup.PLAIN.sub(r"\1", code) == (
        '<span class="k">if</span> <a>x</a>'
    )


def test_api_pages_describe_classes_without_importing_them():
    text = '''# %% module="nn.linear" tags=["export"]
from no_such_package import Base

class Linear(Base):
    """An affine map."""

    def __init__(self, d_in: int, bias: bool = True) -> None:
        self.d_in = d_in

    @property
    def size(self) -> int:
        """The width."""
        return self.d_in

    @staticmethod
    def of(weight: list) -> "Linear":
        return Linear(len(weight))

    def forward(self, input: list) -> list:
        return input

    def _hidden(self) -> None: ...
'''
    linear = chapter(text)
    pages = api.pages([linear], exports([linear]), {linear.name: []})
    described = pages["api/nn.linear.md"]
    assert "{py:class} Linear(d_in: int, bias: bool=True)" in described
    assert "{py:property} size" in described
    assert (
        "{py:method} of(weight: list)" in described
        and ":staticmethod:" in described
    )
    assert "{py:method} forward(input: list) -> list" in described
    assert "_hidden" not in described


KINDS = '''# %% [markdown] module="nn.zoo"
"""
# Kinds
"""

# %% tags=["export"]
"""What a reference has to show."""
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self, overload

# %% tags=["export"]
@overload
def pick(x: int) -> int: ...
@overload
def pick(x: str, *, at: int = 0) -> str: ...
def pick(x: int | str, *, at: int = 0) -> int | str:
    """One *of* many::

        a * b_c

    >>> pick(1)
    1
    """
    return x

class Kinds:
    """Every `kind` of method, `x_y` and :class:`Z` and <b> and {doc}`nowhere`."""

    @overload
    def get(self, x: int) -> int: ...
    @overload
    def get(self, x: str) -> str: ...
    def get(self, x: int | str) -> int | str:
        """Get it."""
        return x

    @functools.cached_property
    def once(self) -> int:
        """Found once."""
        return 1

    @property
    def width(self) -> int:
        """The width."""
        return 1

    @width.setter
    def width(self, value: int) -> None: ...

    async def go(self: Self, *, far: bool = True) -> None:
        """Go."""

    @classmethod
    def make(cls, /, a: int) -> Self:
        """Make."""
        return cls()

    def __len__(self) -> int:
        return 1

async def steps() -> Iterator[int]:
    """Steps."""

@dataclass(frozen=True)
class Row(Kinds):
    """A row."""
    a: int
    b: list = field(default_factory=list)
    count: ClassVar[int] = 0

class KINDS:
    """Another name in capitals."""

kinds = 1
'''


def test_api_pages_show_every_kind_of_definition(built: Path):
    path = built / "book/1_one/2_kinds.py"
    path.write_text(KINDS)
    pretend_to_run(built)

    outcome = build(built, "-W")

    assert outcome.returncode == 0, outcome.stderr
    soup = page(built, "api/nn.zoo")
    signatures = [
        each.get_text(" ", strip=True).replace(" #", "").split(" ¶")[0]
        for each in soup.select("dt.sig")
    ]
    flat = [re.sub(r"\s+|#$", "", each) for each in signatures]
    assert flat == [
        "pick(x:int)→int", "pick(x:str,*,at:int=0)→str",
        "classKinds", "get(x:int)→int", "get(x:str)→str", "propertyonce:int",
        "propertywidth:int", "asyncgo(*,far:bool=True)→None",
        "classmethodmake(a:int)→Self", "asyncsteps()→Iterator[int]",
        "classRow(a:int,b:list=field(default_factory=list))",
        "classKINDS", "kinds=1",
    ]  # fmt: skip
    text = soup.select_one("article").get_text()
    assert "One *of* many:" in text and "and Z and <b> and {doc}nowhere" in text
    assert "a * b_c" in [each.get_text().strip() for each in soup.select("pre")]
    assert soup.select_one("pre .gp").get_text().startswith(">>>")
    assert "It may be set." in text and "Bases: Kinds" in text
    for name in ("Kinds", "KINDS", "kinds"):  # they differ in case alone
        entry = soup.find(id=f"groundup.nn.{name}")
        place = entry.parent.select_one(".gu-built a")["href"].partition("#")[2]
        cell = page(built, "1_one/2_kinds").find(id=place)
        assert name in (cell.get_text() or cell.parent.get_text())
    assert soup.find(id="groundup.nn.Kinds") != soup.find(
        id="groundup.nn.KINDS"
    )


def test_the_library_is_listed_by_package_with_its_public_paths(built: Path):
    listed = page(built, "api/index")
    (title,) = [h for h in listed.select("h2") if "groundup.nn" in h.get_text()]
    link = title.parent.select_one("p a")
    assert link.get_text() == "affine"
    assert link["href"] == "nn.functional.html#groundup.nn.affine"
    package = page(built, "api/nn")
    assert package.h1.get_text() == "groundup.nn#"
    assert package.select_one("article p a")["href"] == link["href"]


def test_api_escapes_a_star_outside_code():
    assert entries.markdown("(n, h*d), `h*d`") == r"(n, h\*d), `h*d`"


def test_text_line_is_where_the_prose_begins():
    cells = chapter('# %% [markdown]\n"""\n\n\nHere\n"""\n# %%\n1\n').cells
    assert [text_line(cell) for cell in cells] == [5, 7]


def test_a_receipt_states_time_versions_and_commit(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(receipts, "commit", lambda: "abc1234")
    text = receipts.receipt({"seconds": 12.3, "versions": {"torch": "2.13.0"}})
    assert all(part in text for part in ("12 s", "torch 2.13.0", "abc1234"))


def test_a_receipt_without_a_repository_names_no_commit(monkeypatch, tmp_path):
    receipts.commit.cache_clear()
    monkeypatch.setattr(receipts, "ROOT", tmp_path)
    assert "commit" not in receipts.receipt({"seconds": 0.1, "versions": {}})
    receipts.commit.cache_clear()


def test_downloads_are_notebooks_with_outputs(built: Path):
    path = built / "html/_sources/2_two/1_second.ipynb"
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert cells[-1]["outputs"][0]["text"] == ["[[6]]"]
