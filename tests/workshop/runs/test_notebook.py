"""Chapters as notebooks."""

import matplotlib
import nbformat
import pytest

from _config.chapters.parse import parse
from _config.runs.notebook import notebook
from _config.runs.store import KERNEL, Entry
from _config.site.figures import CYCLE, INK, VARIABLES

TEXT = '''# %% [markdown] module="lib"
r"""
# Héllo

$\\nabla$
"""

# %% A title tags=["hide-input"] alt="A ☃"
# %timeit is a comment
x = 1

# %%

# %% [markdown]
r"""More."""

# %%
x
'''
RESULT = {
    "output_type": "execute_result",
    "data": {"text/plain": "1"},
    "metadata": {},
    "execution_count": 2,
}


@pytest.fixture
def chapter(tmp_path):
    return parse(TEXT, tmp_path / "1_x.py", "1_a/1_x")


def test_a_notebook_is_valid_and_always_the_same(chapter):
    entry = Entry("key", [[], [RESULT]], {})
    one, two = notebook(chapter, entry), notebook(chapter, entry)
    nbformat.validate(one)
    assert nbformat.writes(one) == nbformat.writes(two)


def test_cells_keep_text_kind_and_metadata(chapter):
    prose, code, empty, _, last = notebook(chapter).cells
    assert prose.source == "# Héllo\n\n$\\nabla$"
    assert code.source == "# %timeit is a comment\nx = 1"
    assert code.metadata == {
        "title": "A title",
        "tags": ["hide-input"],
        "alt": "A ☃",
    }
    assert [prose.id, code.id, empty.id, last.id] == [
        "c000",
        "c001",
        "c002",
        "c004",
    ]
    assert [prose.cell_type, code.cell_type] == ["markdown", "code"]


def test_the_source_map_holds_marker_lines_from_0(chapter):
    book = notebook(chapter)
    lines = TEXT.split("\n")
    assert len(book.metadata.source_map) == len(book.cells)
    assert all(lines[i].startswith("# %%") for i in book.metadata.source_map)
    assert book.metadata.kernelspec.name == "python3"


def test_stored_outputs_stand_under_their_cells(chapter):
    book = notebook(chapter, Entry("key", [[], [RESULT]], {}))
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[], [], [RESULT]]
    assert [cell.execution_count for cell in code] == [1, None, 2]


def test_the_styles_colours_have_variables():
    assert [VARIABLES[each] for each in CYCLE] == [
        f"--gu-{i}" for i in range(6)
    ]
    assert VARIABLES[f"#{INK}"] == "--gu-ink"


@pytest.mark.parametrize("paper", ["#ffffff", "#14181e"])
def test_the_palette_is_readable_on_light_and_dark(paper):
    for colour in CYCLE:
        assert contrast(colour, paper) >= 3, colour


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2)."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [((c + 0.055) / 1.055) ** 2.4 for c in channels]
        red, green, blue = linear
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted(map(luminance, (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_matplotlib_reads_the_style():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", pytest.fail)
        style = matplotlib.rc_params_from_file(KERNEL / "matplotlibrc")
    cycle = style["axes.prop_cycle"].by_key()["color"]
    assert [f"#{colour.lstrip('#')}" for colour in cycle] == CYCLE
