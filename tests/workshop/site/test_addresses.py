"""Pages in reading order, and what becomes of those that are gone."""

from pathlib import Path

import pytest

from _config.site.addresses import by_number
from tests.workshop.site.small_book import (
    build,
    page,
    pretend_to_run,
    toctree,
)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A book of eleven parts, of which the first has eleven pages."""
    names = [f"1_one/{n}_page" for n in range(1, 12)]
    names += [f"{n}_part/index" for n in range(2, 12)]
    for name in names:
        write(tmp_path, name, f"# Page {name}\n")
    write(tmp_path, "1_one/index", toctree("One", "[0-9]*"))
    write(
        tmp_path, "index", toctree("All", "[0-9]*/index", "api/index", "ledger")
    )
    for name in ("references.bib", "redirects.txt"):
        (tmp_path / "book" / name).touch()
    for folder in ("src", "tests"):
        (tmp_path / folder).mkdir()
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / f"book/{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_parts_and_chapters_are_listed_ten_after_nine(long: Path):
    built = build(long, "-W")

    assert built.returncode == 0, built.stderr
    listed = [
        link["href"]
        for link in page(long, "1_one/index").select("article li a")
    ]
    assert listed == [f"{n}_page.html" for n in range(1, 12)]
    parts = [
        link["href"]
        for link in page(long, "index").select("article li.toctree-l1 > a")
    ]
    assert parts[1:11] == [f"{n}_part/index.html" for n in range(2, 12)]
    after = page(long, "1_one/9_page").select_one("a.right-next")
    assert after["href"] == "10_page.html"


def test_numbers_sort_as_numbers():
    names = ["10_b/1_a", "9_a/10_a", "9_a/9_b", "index"]
    assert sorted(reversed(names), key=by_number) == [
        "9_a/9_b", "9_a/10_a", "10_b/1_a", "index",
    ]  # fmt: skip


def test_a_page_that_is_gone_leaves_nothing_and_leads_on(built: Path):
    html, old, new = built / "html", "2_two/1_second", "2_two/2_second"
    for end in (".py", ".worth.json"):
        path = built / f"book/{old}{end}"
        path.rename(built / f"book/{new}{end}")
    (built / "book/redirects.txt").write_text(f"# moved\n{old} {new}\n\n")
    pretend_to_run(built)
    moved = build(built, "-W")
    text = (html / f"{old}.html").read_text()
    (built / "book/redirects.txt").write_text("")
    forgotten = build(built, "-W")

    assert moved.returncode == forgotten.returncode == 0, moved.stderr
    assert 'location.replace("2_second.html" +' in text
    assert not (html / f"{old}.html").exists()
    assert {path.name for path in html.glob("_sources/2_two/*")} == {
        "2_second.py", "2_second.ipynb", "index.md",
    }  # fmt: skip
    assert page(built, new).h1.get_text() == "2.2 Functions#"
    for path in html.rglob("*.html"):  # nor does a sidebar name it
        assert "2_two/1_second" not in path.read_text(), path
    assert {path.name for path in html.glob("*.html")} == {
        "404.html", "genindex.html", "index.html", "ledger.html",
        "py-modindex.html", "search.html",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("a/b", "line 1 of the redirects is invalid"),
        ("a/b index\na/b ledger", "a/b is redirected multiple times"),
        ("index 1_one/1_first", "index.html already exists"),
        ("a/b 1_one/9_none", "1_one/9_none.html does not exist"),
    ],
)
def test_a_wrong_redirect_ends_a_build(built: Path, lines: str, wrong: str):
    (built / "book/redirects.txt").write_text(f"{lines}\n")
    outcome = build(built)
    assert outcome.returncode
    assert wrong in outcome.stderr
