"""Each check finds what was made wrong, and nothing on a page that is right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import checks
from tests.site.conftest import Visit, served
from tests.site.files import broken_links, page_names, too_heavy

GOOD = """<!doctype html><html lang="en"><head><title>Good</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
<style>body {{ background: #fff; color: #222 }}</style>
</head><body><main><h1>Heading</h1>{}</main></body></html>"""


def write(site: Path, **pages: str) -> Path:
    for name, text in pages.items():
        (site / f"{name}.html").write_text(GOOD.format(text))
    return site


def test_links_and_anchors_inside_the_site_must_exist(tmp_path: Path):
    (tmp_path / "part").mkdir()
    write(
        tmp_path,
        index='<h2 id="here"></h2><a href="#here">1</a><a href="part/">2</a>'
        '<a href="no.html">3</a><a href="#gone">4</a><img src="no.png">'
        '<a href="https://example.org/no">5</a><a href="mailto:a@b">6</a>',
    )
    write(
        tmp_path / "part",
        index='<a href="../index.html#here">7</a><a href="/index.html">8</a>',
    )

    assert [*broken_links(tmp_path)] == [
        "index.html: broken link: no.html",
        "index.html: no such anchor: #gone",
        "index.html: broken link: no.png",
    ]


def test_a_page_is_weighed_as_sent_alone_and_with_shared_files_cached(
    tmp_path: Path,
):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/text.css").write_text("a" * 1_000_000)  # gzip: 1 kB
    (tmp_path / "_static/font.woff2").write_bytes(bytes(300_000))
    (tmp_path / "own.png").write_bytes(bytes(80_000))
    shared = {"_static/text.css", "_static/font.woff2"}

    light = [*too_heavy(tmp_path, "light.html", shared)]
    heavy = [*too_heavy(tmp_path, "heavy.html", shared | {"own.png"})]

    assert light == []
    assert [it.rpartition(": ")[0] for it in heavy] == [
        "first view: _static/font.woff2",
        "next page: own.png",
    ]


def test_a_page_that_leads_on_is_no_page_to_look_at(tmp_path: Path):
    write(tmp_path, index="", old='<meta http-equiv="refresh" content="0">')
    assert page_names(tmp_path) == ["index.html"]


# What each check that needs a browser must find: its line, and the fault.
BAD = {
    "overflow: body": '<div style="width: 2000px">wide</div>',
    'cut: div "right': '<div style="overflow: hidden; width: 90px; white-space: nowrap">right side is cut</div>',
    'cut: p "left': '<div style="overflow: auto; width: 300px" tabindex="0"><p style="margin-left: -90px">left</p></div>',
    'cut: div "below': '<div style="overflow: hidden; height: 9px">below</div>',
    "cut: text": '<svg width="90" height="40" role="img" aria-label="a"><text x="60" y="20">label</text></svg>',
    "broken word: span": '<table style="width: 50px; table-layout: fixed"><tr><td style="overflow-wrap: anywhere"><code><span class="pre">Variable</span></code></td></tr></table>',
    "code scrolls: pre": '<div class="highlight"><pre style="overflow: auto; width: 90px">import torch, einops</pre></div>',
    "no alt text: img": '<article><img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></article>',
    "no alt text: svg": '<figure><svg width="9" height="9"></svg></figure>',
    "request to another host: https://example.org/a.js": '<script src="https://example.org/a.js"></script>',
    "error 404: ": '<img alt="a" src="none.png">',
    "console error: wrong": "<script>console.error('wrong')</script>",
    "script error: ": "<script>undefined.no</script>",
    "axe color-contrast: .faint": '<p class="faint" style="color: #ccc">faint</p>',
    "axe color-contrast: .unseen": '<p class="unseen" style="color: #fff">unseen</p>',
    "axe color-contrast: .folded": '<details><summary>a</summary><p class="folded" style="color: #ccc">folded</p></details>',
    "code is not highlighted": '<div class="highlight"><span class="k">def</span></div>',
    "formula not rendered": '<span class="math">\\(x\\)</span>',
    "formula without its font": '<span class="math"><span class="katex"><span class="katex-html">x</span></span></span>',
}
PAPER = {
    "folded on paper: Title": "<details><summary>Title</summary><p>text</p></details>",
    "dark on paper: div.night": '<article><div class="night" style="background: #123">dark</div></article>',
}
BARE = '<html lang="en"><head><title>Bare</title></head><body><h1>Bare</h1><main></main></body></html>'
FORMULA = f'<span class="katex">{"x" * 99}</span>'
FORMULAS = f"""<style>.katex {{ display: inline-block; overflow: hidden; width: 9px }}</style>
<div tabindex="-1" style="overflow-x: auto; width: 300px">{2 * FORMULA}</div>"""
FOUND = '<p class="search-summary">found</p><p id="search-results"><a href="good.html">good</a></p>'


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = tmp_path_factory.mktemp("site")
    write(
        site,
        good="<p>fine</p>" + FORMULAS,
        bad="".join(BAD.values()),
        search=FOUND,
    )
    write(site, lost="", paper="".join(PAPER.values()))
    write(
        site,
        buttons="<button class='search-button__button'>a</button><button class='primary-toggle' style='color: #ccc'>menu</button>",
    )
    (site / "bare.html").write_text(BARE)
    with served(site) as address:
        yield address


def problems(visit: Visit, address: str, name: str) -> list[str]:
    """What all checks find on a page, in all modes."""
    found = []
    for mode in checks.MODES:
        page, watch = visit(address, name, mode)
        found += checks.shown(page, dark=mode.endswith("dark"))
        found += watch.problems
    page, watch = visit(address, name, java_script_enabled=False)
    found += [*checks.without_scripts(page), *watch.problems]
    return found


def test_each_check_finds_what_was_made_wrong(visit: Visit, address: str):
    found = problems(visit, address, "bad.html")
    missed = [line for line in BAD if not any(line in it for it in found)]
    assert missed == [], found


def test_without_scripts_an_empty_or_colourless_page_is_found(
    visit: Visit, address: str
):
    found = problems(visit, address, "bare.html")
    assert {*found} >= {"no text: main", "no colours: body"}


def test_a_page_without_faults_has_no_problem_in_any_mode(
    visit: Visit, address: str
):
    assert problems(visit, address, "good.html") == []
    page, _ = visit(address, "good.html")
    assert [*checks.on_paper(page)] == []


def test_what_the_search_does_not_find_is_named(visit: Visit, address: str):
    page, _ = visit(address, "good.html")
    assert [*checks.searched(page, address, "good.html")] == []
    assert [*checks.searched(page, address, "lost.html")] == [
        "not found by: Heading"
    ]


def test_what_is_dark_or_folded_on_paper_is_found(visit: Visit, address: str):
    page, _ = visit(address, "paper.html")
    assert {*checks.on_paper(page)} == {*PAPER}


def test_faults_behind_the_buttons_are_found(visit: Visit, address: str):
    page, _ = visit(address, "buttons.html")
    (first, *_) = checks.pressed(page)
    assert first.startswith("axe color-contrast: .primary-toggle")
