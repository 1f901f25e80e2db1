"""A chapter that JupyterLab opens as a notebook, and saves."""

from pathlib import Path

import jupytext
import pytest
from jupytext.config import load_jupytext_config

from _config.chapters.files import BOOK
from _config.chapters.markers import KEYS
from _config.chapters.parse import parse

CHAPTER = '''# %% [markdown]
r"""
# A chapter
"""

# %% A cell
x = 1
'''
FORMAT = {"extension": ".py", "format_name": "percent"}
CONFIG = load_jupytext_config(str(BOOK / "1_one/1_chapter.py"))


def saved(text: str, change) -> str:
    """What is saved after a change, by a server that has our settings."""
    notebook = jupytext.reads(text, FORMAT, config=CONFIG)
    change(notebook)
    return jupytext.writes(notebook, FORMAT, config=CONFIG)


def test_what_is_added_to_a_cell_is_kept_and_what_jupyter_adds_is_not():
    def change(notebook) -> None:
        notebook.cells[1].metadata |= {
            "tags": ["export"], "module": "nn.linear", "collapsed": True,
            "ExecuteTime": {"start_time": "2026"},
        }  # fmt: skip
        notebook.metadata["widgets"] = {}

    cell = parse(saved(CHAPTER, change), Path("a.py"), "a").cells[1]

    assert cell.title == "A cell"
    assert cell.metadata == {"tags": ["export"], "module": "nn.linear"}


def test_a_new_cell_of_prose_is_written_as_chapters_write_it():
    def change(notebook) -> None:
        cell = jupytext.reads("# %% [markdown]\n# new $\\\\x$\n", FORMAT)
        notebook.cells += cell.cells

    text = saved(CHAPTER, change)
    assert parse(text, Path("a.py"), "a").cells[-1].prose == r"new $\\x$"


def test_what_is_not_changed_is_saved_as_it_was():
    assert saved(CHAPTER, lambda notebook: None) == CHAPTER


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_of_a_marker_may_be_saved(key: str):
    assert key in CONFIG.cell_metadata_filter.split(",")
