"""One process for a build, which does again only what has changed."""

import json
import re
import shutil
from pathlib import Path

import pytest

from _config.chapters import parse
from _config.site import steps
from _config.site.book import Book
from tests.workshop.site.small_book import (
    Built,
    fork,
    pretend_to_run,
    write_book,
)

MEASURED = {"keys": {}, "versions": {}, "date": "", "hardware": "a desk"}
FIRST, SECOND = "book/1_one/1_first.py", "book/2_two/1_second.py"


def build_book(root: Path, only: str = "") -> int:
    return steps.build_book(only, root)


def extract(root: Path) -> None:
    """Extract, and pretend that the chapters ran against the library."""
    steps.extract(root / "book", root / "src")
    pretend_to_run(root)


def count_parsed(root: Path) -> int:
    """Build, and say how many chapters were looked into."""
    build_book(root)
    return parse.parse.cache_info().misses


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    root = write_book(tmp_path_factory.mktemp("a whole book"))
    edit(root / FIRST, "a @ b", "a * b")  # which need not be earned
    (root / "_build/bench.json").write_text(json.dumps(MEASURED))
    fork(root, extract, root)
    outcome = fork(root, build_book, root)
    shutil.copytree(root, root.with_suffix(".built"))
    return root, outcome


@pytest.fixture
def root(first_run: tuple[Path, Built]) -> Path:
    """A book that was built, in its place and as it was then."""
    root, _ = first_run
    shutil.rmtree(root)
    return shutil.copytree(root.with_suffix(".built"), root)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def html(root: Path, name: str) -> str:
    return (root / f"_build/html/{name}.html").read_text("utf-8")


def test_a_build_goes_from_chapters_to_pages_and_shows_what_it_does(first_run):
    root, outcome = first_run
    assert outcome.returncode == 0, outcome.stderr
    assert "Matrix product" in html(root, "api/linalg")
    lines = outcome.stdout.splitlines()
    assert any(line.startswith("reading sources... [") for line in lines)
    assert any(line.startswith("writing output... [") for line in lines)
    assert not [*(root / "_build/html").rglob("*.doctree")]


def test_an_unchanged_book_is_not_looked_into_and_its_warnings_return(root):
    again = fork(root, count_parsed, root)

    assert again.returncode == 0, again.stdout
    assert "no targets are out of date" in again.stdout
    assert re.fullmatch(
        r".*1_second\.py:\d+: warning: record 'worth' is stale\n", again.stderr
    )


def test_prose_is_shown_and_nothing_else_is_done(root):
    before = (root / "_build/src.json").stat().st_mtime_ns
    edit(root / SECOND, "# Functions", "# Functions\n\nA new word.")

    built = fork(root, build_book, root)

    assert built.returncode == 0, built.stderr
    assert "A new word." in html(root, "2_two/1_second")
    read = re.findall(r"reading sources.*\] (.*)", built.stdout)
    assert read[0] == "2_two/1_second" and "1_one/1_first" not in read
    assert (root / "_build/src.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("affine([[1]", "syntax error"),
        ("import torch; torch.mm([[1]]", "torch.mm is not allowed here"),
        ("affin([[1]]", "NameError: name 'affin' is not defined"),
    ],
)
def test_what_is_wrong_is_said_at_its_line_in_every_build(
    root: Path, new: str, message: str
):
    edit(root / SECOND, "affine([[1]]", new)

    for built in (fork(root, build_book, root), fork(root, build_book, root)):
        assert built.returncode == 1
        assert f"1_second.py:20: {message}" in built.stderr
        assert "Traceback" not in built.stderr.split("NameError")[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "page", "shown"),
    [
        ("", "", "[[7]]", "2_two/1_second", "[[7]]"),  # outputs
        ("book/2_two/*.json", "a desk", "a lap", "2_two/1_second", "a lap"),
        ("_build/bench.json", "a desk", "a lap", "ledger", "a lap"),
        ("book/ledger.md", "# The ledger", "# Gone", "ledger", "The ledger"),
        ("book/api/linalg.md", "Matrix", "Gone", "api/linalg", "Matrix"),
    ],
)
def test_a_page_follows_whatever_it_shows(
    root: Path, file: str, old: str, new: str, page: str, shown: str
):
    if file:
        (path,) = root.glob(file)
        edit(path, old, new)
    else:
        fork(root, pretend_to_run, root, new)

    built = fork(root, build_book, root)

    assert built.returncode == 0, built.stderr
    assert shown in html(root, page)


def test_one_chapter_is_run_alone_and_what_has_not_run_is_a_draft(root: Path):
    edit(root / FIRST, "matmul(2)", "matmul(3)")
    edit(root / SECOND, "# Functions", "# Functions\n\nA new word.")

    built = fork(root, build_book, root, f"{root}/{SECOND}")
    again = fork(root, build_book, root, "2_two/1_second")

    assert built.returncode == again.returncode == 0, built.stderr
    assert "A new word." in html(root, "2_two/1_second")
    assert "ran in 2 s" in html(root, "2_two/1_second")
    assert "this code has not run yet" in html(root, "1_one/1_first")
    assert "1_second" in built.stdout and "1_second" not in again.stdout


def test_an_unknown_chapter_is_named(root: Path):
    built = fork(root, build_book, root, "9_none")
    assert built.returncode == 1
    assert "no chapter '9_none'" in built.stderr
    assert "1_one/1_first" in built.stderr


def test_a_new_chapter_stands_in_every_sidebar_and_a_damaged_note_is_none(
    root: Path,
):
    (root / "_build/book.json").write_text("{")
    text = (root / SECOND).read_text("utf-8").replace("affine", "shear")
    text = text.replace("nn.functional", "nn.shears")
    text = text.replace('tags=["record"] record="worth"', "")
    path = root / "book/2_two/2_third.py"
    path.write_text(text.replace("# Functions", "# Thirds"))
    fork(root, extract, root)

    built = fork(root, build_book, root)

    assert built.returncode == 0, built.stderr
    assert "Thirds" in html(root, "1_one/1_first")


def test_what_a_step_was_done_for_is_kept_where_all_went_well(tmp_path: Path):
    first = Book(tmp_path)
    assert first.due("step", "a")
    assert Book(tmp_path).due("step", "a")  # not saved
    first.save()
    assert not Book(tmp_path).due("step", "a")
    assert Book(tmp_path).due("step", "b")
