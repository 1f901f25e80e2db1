"""The book's files: what is a chapter, in which order, and what is refused."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _config.chapters.files import ChapterError, chapter_paths, write


@pytest.fixture
def book(tmp_path):
    def make(*names: str):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("# %%\n")
        return tmp_path

    return make


def test_the_order_is_by_number_beyond_nine(book):
    parts = [f"{part}_p/{n}_c.py" for part in (10, 2, 1) for n in (11, 9, 2)]
    folder = book(*parts)
    found = [str(p.relative_to(folder)) for p in chapter_paths(folder)]
    assert found == [
        f"{part}_p/{n}_c.py" for part in (1, 2, 10) for n in (2, 9, 11)
    ]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8, unique=True))
def test_any_numbers_are_ordered_as_numbers(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("book")
    (folder / "1_p").mkdir()
    for number in numbers:
        (folder / f"1_p/{number}_c.py").write_text("# %%\n")
    found = [int(p.stem.split("_")[0]) for p in chapter_paths(folder)]
    assert found == sorted(numbers)


@pytest.mark.parametrize(
    "names, wrong, number",
    [
        (("1_a/1_x.py", "1_a/1_y.py"), "1_a/1_y.py", "number 1.1 is taken"),
        (("1_a/1_x.py", "1_a/01_y.py"), "1_a/1_x.py", "number 1.1 is taken"),
        (("1_a/1_x.py", "1_b/1_y.py"), "1_b/1_y.py", "number 1.1 is taken"),
        (("1_a/1_x.py", "1_b/2_y.py"), "1_b/2_y.py", "number 1 is taken"),
    ],
)
def test_a_number_is_taken_once(book, names, wrong, number):
    with pytest.raises(ChapterError) as caught:
        chapter_paths(book(*names))
    assert str(caught.value).startswith(f"{book() / wrong}:1: {number}")


@pytest.mark.parametrize(
    "name",
    [
        "notes.py",
        "1_a/notes.py",
        "1_a/1-x.py",
        "1_a/1_x/2_y.py",
        "tools/1_x.py",
        "1_a/x_1.py",
    ],
)
def test_a_script_that_is_no_chapter_is_refused(book, name):
    with pytest.raises(ChapterError, match=r"N_part/N_name\.py") as caught:
        chapter_paths(book("1_a/1_x.py", name))
    assert caught.value.path == book() / name


def test_what_editors_and_python_leave_is_passed_over(book):
    left = (
        "1_a/.#1_x.py",
        "1_a/__pycache__/1_x.py",
        "1_a/.ipynb_checkpoints/1_x-checkpoint.py",
        ".hidden/1_y.py",
    )
    assert len(chapter_paths(book("1_a/1_x.py", *left))) == 1


def test_what_is_no_file_is_refused(book):
    (book("1_a/1_x.py") / "1_a/2_y.py").mkdir()
    with pytest.raises(ChapterError, match="2_y.py:1: not a file"):
        chapter_paths(book())
    (book() / "1_a/2_y.py").rmdir()
    os.mkfifo(book() / "1_a/3_z.py")
    with pytest.raises(ChapterError, match="3_z.py:1: not a file"):
        chapter_paths(book())


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a/b.json"
    write(path, b"one")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("_config.chapters.files.os.replace", full)
    with pytest.raises(OSError, match="no space"):
        write(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]
