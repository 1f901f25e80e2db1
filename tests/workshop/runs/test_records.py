"""Records: what is measured, what makes it stale, how prose quotes it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from _config.chapters.files import ROOT, ChapterError
from _config.chapters.parse import parse, read_book, read_chapter
from _config.runs import measure, reach, records, reports
from _config.runs.notebook import notebook

TEXT = '''# %% [markdown]
r"""
# A record

It is {record}`speed.fast:.1%` or {record}`speed.slow`.
"""

# %%
from lib.one import scale

# %%
import random
unrelated = 1

# %%
def noise(seed):
    return seed * unit

# %%
unit = 0.5
unit *= scale()

# %% tags=["record"] record="speed"
def speed(seed: int) -> dict[str, float]:
    return {"fast": 0.25 + noise(seed), "slow": 1.0}

# %%
unit = 7
'''


def lay_out(root: Path) -> tuple[Path, Path]:
    """A book without chapters, and the library that they use."""
    book, src = root / "book", root / "src"
    (book / "1_a").mkdir(parents=True)
    (src / "lib").mkdir(parents=True)
    (src / "lib/__init__.py").write_text("")
    (src / "lib/one.py").write_text("def scale(): return 2\n")
    return book, src


@pytest.fixture
def write(tmp_path):
    """Write the chapter, with some text replaced, and read it."""
    book, src = lay_out(tmp_path)

    def chapter(old: str = "", new: str = ""):
        assert old in TEXT
        path = book / "1_a/1_x.py"
        path.write_text(TEXT.replace(old, new) if old else TEXT)
        return read_chapter(path, book)

    chapter.src = src
    return chapter


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What ``python -m _config.record`` keeps of the chapter, of three seeds."""
    book, src = lay_out(tmp_path_factory.mktemp("kept"))
    (book / "1_a/1_x.py").write_text(TEXT)
    command = [sys.executable, "-m", "_config.record", "1_a/1_x", "--seeds=3"]
    places = [f"--book={book}", f"--src={src}"]
    done = subprocess.run(
        [*command, *places], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return (book / "1_a/1_x.speed.json").read_text()


@pytest.fixture
def measured(write, kept):
    """The chapter, with its record beside it."""
    write().path.with_name("1_x.speed.json").write_text(kept)
    return write


def test_seeds_that_run_side_by_side_are_kept_as_one_after_another(write, kept):
    chapter = write()
    (cell,) = records.record_cells(chapter)
    done = measure.measure_record(chapter, cell, 3, write.src, jobs=2)
    assert done.kept["values"] == json.loads(kept)["values"]


def status(measured, old: str = "", new: str = "") -> str:
    (kept,) = records.status(measured(old, new), measured.src)
    return kept.status


def test_a_record_holds_each_seed_and_where_it_comes_from(measured):
    path = measured().path.with_name("1_x.speed.json")
    kept = json.loads(path.read_text())
    fast = {seed: row["fast"] for seed, row in kept["values"].items()}
    assert fast == {"0": 0.25, "1": 1.25, "2": 2.25}
    assert kept["mean"] == {"fast": 1.25, "slow": 1.0}
    assert kept["deviation"] == {"fast": 1.0, "slow": 0.0}
    assert {"key", "hardware", "versions", "date", "seconds"} <= set(kept)
    assert "core" in kept["hardware"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", "current"),
        ("# A record", "# Another title", "current"),
        ("unrelated = 1", "unrelated = 2", "current"),
        ("unit = 7", "unit = 8", "current"),
        ("# %%\ndef noise", "# %% A title\n# A comment.\ndef noise", "current"),
        ("seed * unit", "(\n        seed * unit)  # noise", "current"),
        (
            "-> dict[str, float]:",
            '-> dict[str, float]:\n    """Two."""',
            "current",
        ),
        (
            "def noise",
            '# %% Another cell\n"""Noise."""\n\n\n# %%\ndef noise',
            "current",
        ),
        ("seed * unit", "seed - unit", "stale"),
        ("unit = 0.5", "unit = 0.25", "stale"),
        ('"slow": 1.0', '"slow": 2.0', "stale"),
    ],
)
def test_a_record_is_stale_if_code_that_it_reaches_changed(
    measured, old, new, expected
):
    assert status(measured, old, new) == expected


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("x.sort()", True),
        ("x[0] = 1", True),
        ("for i in x:\n    x.append(i)", True),
        ("import other as x", True),
        ("plt.plot(x)", False),
        ("def g(x):\n    x = 1", False),
        ("[y for y in x]", False),
    ],
)
def test_a_cell_is_reached_if_it_changes_what_is_used(tmp_path, code, reached):
    cells = ["import matplotlib.pyplot as plt", "x = [1]", code, "plt, x"]
    text = "\n".join(f"# %%\n{cell}" for cell in cells)
    chapter = parse(text, tmp_path / "1_x.py", "1_a/1_x")
    needed = [cell.source for cell in reach.cells(chapter, chapter.code[-1])]
    assert (code in needed) == reached


def test_a_record_is_stale_if_a_module_that_it_reaches_changed(measured):
    assert status(measured) == "current"
    (measured.src / "lib/one.py").write_text("def scale(): return 3\n")
    assert status(measured) == "stale"


def test_a_comment_or_a_docstring_of_a_module_leaves_a_record(measured):
    text = '"""Ones."""\ndef scale():\n    "Two."\n    return 2  # not 3\n'
    (measured.src / "lib/one.py").write_text(text)
    assert status(measured) == "current"


def test_a_renamed_chapter_keeps_its_records_and_an_orphan_says_so(measured):
    path = measured().path
    book, record = path.parents[1], path.with_name("1_x.speed.json")

    def orphans() -> list[str]:
        return [*records.orphans(book)]

    assert orphans() == []
    path.rename(path.with_name("2_y.py"))
    (chapter,), (line,) = read_book(book), orphans()
    assert [each.status for each in records.status(chapter)] == ["missing"]
    assert f"{record}:1: warning: no cell of 1_x.py records it" in line
    assert "rename it with its chapter or cell" in line

    record.rename(path.with_name("2_y.speed.json"))
    (chapter,) = read_book(book)
    (kept,) = records.status(chapter, measured.src)
    assert (kept.status, orphans()) == ("current", [])


def page(chapter, src) -> tuple[str, str]:
    """The first cell's prose, and the table under the record's cell."""
    prose, *_, cell, _ = notebook(chapter, ENTRY, src).cells
    return prose.source, cell.outputs[0].data["text/markdown"]


class ENTRY:
    """As little of a store's entry as a notebook needs."""

    outputs = ((), (), (), (), (), ())


def test_the_page_quotes_a_record(measured):
    prose, table = page(measured(), measured.src)
    assert "It is 125.0% ± 100.0% or 1 ± 0." in prose
    assert "| fast | 1.250 ± 1.0 |" in table
    assert "3 seeds" in table
    assert "Stale" not in table


def test_the_page_says_that_a_record_is_stale_or_missing(measured):
    prose, table = page(measured("seed * unit", "0"), measured.src)
    assert "1 ± 0 (stale)." in prose
    assert "`nox -s record -- 1_a/1_x speed`" in table
    measured().path.with_name("1_x.speed.json").unlink()
    prose, table = page(measured(), measured.src)
    assert "It is (not measured yet) or" in prose
    assert "Not measured yet" in table


@pytest.mark.parametrize(
    ("old", "new"),
    [("speed.fast", "sped.fast"), ("speed.fast", "speed.quick"), (".1%", "1x")],
)
def test_what_prose_cannot_quote_is_refused_with_its_line(measured, old, new):
    with pytest.raises(ChapterError, match=r"1_x\.py:5: "):
        notebook(measured(old, new), src=measured.src)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('tags=["record"] ', ""),
        (' record="speed"', ""),
        ("def speed(seed: int)", "def velocity(seed: int)"),
        ("def speed(seed: int)", "def speed(seeds: int)"),
        ("def speed(", "x = 1\ndef speed("),
    ],
)
def test_a_record_cell_defines_its_function_alone(write, old, new):
    with pytest.raises(ChapterError, match=r"1_x\.py:23: "):
        records.record_cells(write(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '{"fast"',
            '3; {"fast"',
            "seed 0: expected a dict of numbers.*, got 3",
        ),
        (
            '"slow": 1.0',
            '"slow": float("nan")',
            "seed 0: expected .*'slow': nan",
        ),
        (
            '"slow": 1.0',
            'f"{seed}": 1.0',
            "seed 1: expected .* the same names for every seed",
        ),
    ],
)
def test_what_is_not_a_record_is_refused(write, old, new, message):
    chapter = write(old, new)
    (cell,) = records.record_cells(chapter)
    with pytest.raises(ChapterError, match=message):
        measure.measure_record(chapter, cell, 2, write.src)
    (kept,) = records.status(chapter, write.src)
    whole = [] if message.startswith("seed 0") else ["0"]
    assert [*kept.kept.get("values", ())] == whole


STOPS = 'return {"fast"', 'assert seed != 2 or GO\n    return {"fast"'


def test_a_record_goes_on_where_it_stopped(write, monkeypatch, capsys):
    monkeypatch.setattr("builtins.GO", 0, raising=False)
    chapter = write(*STOPS)
    (cell,) = records.record_cells(chapter)
    with pytest.raises(AssertionError):
        measure.measure_record(chapter, cell, 4, write.src)
    (begun,) = records.status(chapter, write.src)
    assert (begun.status, [*begun.kept["values"]]) == ("current", ["0", "1"])
    (warning,) = reports.warnings(chapter, write.src, write.src)
    assert warning.endswith(
        "1_x.py:23: warning: record 'speed' is begun, not whole"
    )
    table = records.record_table(begun)
    assert "*2 of 4 seeds" in table
    assert "**Not whole:** `nox -s record -- 1_a/1_x speed` goes on" in table

    monkeypatch.setattr("builtins.GO", 1)
    capsys.readouterr()
    whole = measure.measure_record(chapter, cell, None, write.src)
    printed = capsys.readouterr().out
    assert "speed(0)" not in printed and "speed(3)" in printed
    assert [*whole.kept["values"]] == ["0", "1", "2", "3"]
    assert whole.kept["mean"] == {"fast": 1.75, "slow": 1.0}
    assert whole.kept["seconds"] >= begun.kept["seconds"]
    assert "Not whole" not in records.record_table(whole)

    measure.measure_record(chapter, cell, None, write.src)
    assert "speed(0)" in capsys.readouterr().out  # a whole one begins anew


def test_seeds_of_other_code_are_not_gone_on_with(write, capsys):
    chapter = write()
    (cell,) = records.record_cells(chapter)
    measure.measure_record(chapter, cell, 2, write.src)
    chapter = write("seed * unit", "seed - unit")
    (cell,) = records.record_cells(chapter)
    capsys.readouterr()
    measure.measure_record(chapter, cell, 4, write.src)
    assert "speed(0)" in capsys.readouterr().out


def test_one_seed_is_shown_beside_what_is_kept(measured, capsys):
    chapter = measured()
    before = chapter.path.with_name("1_x.speed.json").read_bytes()
    (cell,) = records.record_cells(chapter)
    measure.run_again(chapter, cell, 1, measured.src)
    assert "fast: 1.25, kept 1.25" in capsys.readouterr().out
    measure.run_again(chapter, cell, 7, measured.src)
    assert "fast: 7.25, kept nothing" in capsys.readouterr().out
    assert chapter.path.with_name("1_x.speed.json").read_bytes() == before


@pytest.mark.parametrize("text", ['{"key": ', "[" * 100_000, "{}", "[]"])
def test_a_damaged_record_is_named(measured, text):
    measured().path.with_name("1_x.speed.json").write_text(text)
    with pytest.raises(ChapterError, match=r"1_x\.speed\.json:1: not a record"):
        status(measured)
