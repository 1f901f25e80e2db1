import shutil
from pathlib import Path

import pytest

from _config.site.browser import MODES, check_site
from _config.site.site_files import Problem, broken_links, too_heavy

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

    found = [(it.page, it.check, it.element) for it in broken_links(tmp_path)]

    assert found == [
        ("index.html", "broken link", "no.html"),
        ("index.html", "no such anchor", "#gone"),
        ("index.html", "broken link", "no.png"),
    ]


def test_a_page_is_weighed_as_sent_alone_and_with_shared_files_cached(
    tmp_path: Path,
):
    (tmp_path / "text.css").write_text("a" * 1_000_000)  # gzip: 1 kB
    (tmp_path / "font.woff2").write_bytes(bytes(300_000))
    (tmp_path / "own.png").write_bytes(bytes(80_000))
    loaded = {
        "light.html": {"text.css", "font.woff2"},
        "heavy.html": {"text.css", "font.woff2", "own.png"},
    }

    found = [
        (it.page, it.check, it.element) for it in too_heavy(tmp_path, loaded)
    ]

    assert found == [
        ("heavy.html", "first view", "font.woff2"),
        ("heavy.html", "next page", "own.png"),
    ]


def test_a_problem_names_page_mode_and_element():
    problem = Problem("a.html", "phone dark", "cut", "p.note", "on the left")

    assert str(problem) == "a.html [phone dark]: cut: p.note: on the left"


# What each check that needs a browser must find: its line, and the fault.
BAD = {
    "overflow: body": '<div style="width: 2000px">wide</div>',
    'cut: div "right': '<div style="overflow: hidden; width: 90px; white-space: nowrap">right side is cut</div>',
    'cut: p "left': '<div style="overflow: auto; width: 300px" tabindex="0"><p style="margin-left: -90px">left</p></div>',
    'cut: div "below': '<div style="overflow: hidden; height: 9px">below</div>',
    "cut: text": '<svg width="90" height="40" role="img" aria-label="a"><text x="60" y="20">label</text></svg>',
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
    "not found by: Heading": "",
}
BARE = '<html lang="en"><head><title>Bare</title></head><body><h1>Bare</h1><main></main></body></html>'
FOUND = '<p class="search-summary">found</p><p id="search-results"><a href="good.html">good</a></p>'


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    pytest.importorskip("playwright")
    if not shutil.which("chromium"):
        pytest.skip("no Chromium")
    site = tmp_path_factory.mktemp("site")
    write(site, good="<p>fine</p>", bad="".join(BAD.values()), search=FOUND)
    (site / "bare.html").write_text(BARE)
    return check_site(site)


@pytest.mark.parametrize("line", BAD)
def test_each_check_finds_what_was_made_wrong(
    problems: list[Problem], line: str
):
    found = [str(it) for it in problems if it.page == "bad.html"]

    assert any(f"]: {line}" in it for it in found), found


def test_without_scripts_an_empty_or_colourless_page_is_found(
    problems: list[Problem],
):
    found = {
        it.check
        for it in problems
        if (it.page, it.mode) == ("bare.html", "no scripts")
    }

    assert found >= {"no text", "no colours"}


def test_a_page_without_faults_has_no_problem_in_any_mode(
    problems: list[Problem],
):
    assert [str(it) for it in problems if it.page == "good.html"] == []
    assert {it.mode for it in problems} >= set(MODES)
