"""The small machinery of chapter 0.1, run over the whole book."""

import runpy

import matplotlib
import pytest

from _config.chapters.files import BOOK
from _config.chapters.parse import read_book

CHAPTERS = {chapter.name: chapter for chapter in read_book()}


@pytest.fixture(scope="module")
def toys():
    matplotlib.use("Agg")
    return runpy.run_path(str(BOOK / "0_workshop/1_library.py"))


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_toy_reads_the_cells_that_the_parser_reads(toys, name):
    read = toys["read_cells"](CHAPTERS[name].text)
    assert [cell.source.lstrip("\n") for cell in read] == [
        cell.source for cell in CHAPTERS[name].cells
    ]
    assert [cell.keys for cell in read] == [
        {**cell.metadata, "tags": [*cell.tags]}
        if cell.tags
        else {**cell.metadata}
        for cell in CHAPTERS[name].cells
    ]
    assert [cell.line - 1 for cell in read] == [
        cell.line for cell in CHAPTERS[name].cells
    ]


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_toy_finds_no_name_exported_twice(toys, name):
    toys["check_names"](CHAPTERS[name].text)


@pytest.mark.parametrize(
    "marker, tags",
    [
        ('# %% Imports tags=["hide-input"] alt="said tags=[] once"', 1),
        ('# %% alt="a tags=[\\"export\\"] in it" tags=["answer", "x"]', 2),
        ('# %% [markdown] module="testing"', 0),
        ("# %%", 0),
    ],
)
def test_the_toy_reads_all_keys_of_a_marker(toys, marker, tags):
    assert len(toys["read_keys"](marker).get("tags", [])) == tags


def test_the_toy_joins_a_class_as_the_library_does(toys):
    """One class, whose methods stand in the order of the cells."""
    source = toys["extract"](toys["growing"])
    assert source.count("class ") == 1 and "(Tally)" not in source
    names = {}
    exec(source, names)
    tally = names["Tally"]()
    tally.add(5)
    tally.take(2)
    assert tally.total == 3 and len(names["Tally"].__mro__) == 2
