"""The live preview: what it watches, and what it does for a saved chapter."""

from pathlib import Path

from _config.site.serve import THEME, rebuild, unwatched
from tests.workshop.site.small_book import fork

SECOND = "2_two/1_second"


def test_a_hidden_folder_is_watched_and_what_is_hidden_in_it_is_not(
    tmp_path: Path,
):
    book = tmp_path / ".work/a book"
    ignored = unwatched(book)

    for name in ("1_one/1_first.py", "index.md", "references.bib"):
        assert not ignored(str(book / name)), name
    for name in ("1_one/.1_first.py.swp", ".git/x", "api/a.md", "ledger.md"):
        assert ignored(str(book / name)), name
    assert not ignored(str(THEME / "static/groundup.css"))


def saved(root: Path, name: str) -> None:
    rebuild(root, [root / f"book/{name}.py"])


def test_a_saved_chapter_is_shown_also_where_the_library_is_refused(
    book: Path,
):
    path = book / f"book/{SECOND}.py"
    text = path.read_text("utf-8")
    path.write_text(text.replace("# Functions", "# Functions\n\nA new word."))
    shown = fork(book, saved, book, SECOND)
    page = (book / f"_build/html/{SECOND}.html").read_text("utf-8")
    assert "A new word." in page and "rebuilt in" in shown.stdout

    path.write_text(path.read_text("utf-8").replace("-> list:", ":"))
    refused = fork(book, saved, book, SECOND)
    path.rename(path.with_name("second.py"))
    lost = fork(book, saved, book, SECOND)

    assert refused.returncode == lost.returncode == 0
    assert "1_second.py:13: Missing return type annotation" in refused.stderr
    assert "second.py:1: a chapter is called N_part/N_name.py" in lost.stderr
    assert "Traceback" not in refused.stderr + lost.stderr
