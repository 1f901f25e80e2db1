"""The parser: what a chapter is, where it is refused, and Jupytext's view."""

import ast
from pathlib import Path

import jupytext
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _config.chapters.files import BOOK, ROOT, ChapterError, chapter_paths
from _config.chapters.parse import (
    Cell,
    Chapter,
    parse,
    read_book,
    read_chapter,
)

TEXT = '''\
# %% [markdown] module="nn.linear"
r"""
# Linear layers

How wide is $\\alpha$?

```python
# %% An example tags=["export"]
```
"""

# %%

x = """
# %% kept
"""
# %% A title: with = and é tags=["export", "hide-input"] earns="torch.a torch.b"
def f():
    # comment
    return 1


# %% [markdown]
"""End."""
'''


def chapter(text: str) -> Chapter:
    return parse(text, BOOK / "2_backward/10_x.py", "2_backward/10_x")


def refusal(text: str) -> tuple[int, str]:
    with pytest.raises(ChapterError) as caught:
        chapter(text).tree
    error = caught.value
    assert (
        str(error) == f"book/2_backward/10_x.py:{error.line}: {error.message}"
    )
    return error.line, error.message


def test_cells_keep_their_text_and_their_lines():
    found = chapter(TEXT)
    assert [(c.kind, c.title, c.line, c.first_line) for c in found.cells] == [
        ("markdown", "", 1, 2),
        ("code", "", 12, 14),
        ("code", "A title: with = and é", 17, 18),
        ("markdown", "", 23, 24),
    ]
    assert found.cells[1].source == 'x = """\n# %% kept\n"""'
    assert found.cells[2].tags == ("export", "hide-input")
    assert found.cells[2].words("earns") == ("torch.a", "torch.b")
    assert found.cells[3].words("earns") == ()


def test_a_chapter_knows_its_name_title_and_destination():
    found = chapter(TEXT)
    assert (found.part, found.number) == ("2_backward", "2.10")
    assert found.title == "Linear layers"
    assert found.module(found.cells[2]) == "nn.linear"
    assert found.cells[3].prose == "End."
    assert found.cells[1].prose == ""


def test_statements_have_the_lines_of_the_file():
    found = chapter(TEXT)
    (assign,), (function,) = (cell.statements for cell in found.code)
    assert (assign.lineno, assign.end_lineno) == (14, 16)
    assert (function.lineno, function.end_lineno) == (18, 20)
    assert [node.lineno for node in found.tree.body] == [14, 18]
    assert ast.unparse(found.tree).startswith("x = ")


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_do_not_matter(ends):
    assert chapter(TEXT.replace("\n", ends)).cells == chapter(TEXT).cells


def test_reading_order_is_by_number(tmp_path):
    for name in ("10_b/1_a", "2_a/10_b", "2_a/9_c", "2_a/.#9_c"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("# %%\n")
    names = [found.name for found in read_book(tmp_path)]
    assert names == ["2_a/9_c", "2_a/10_b", "10_b/1_a"]


@pytest.mark.parametrize(
    "name", ["2_a/notes.py", "2a/1_a.py", "2_a/1.py", "2_a/1-a.py"]
)
def test_refuses_a_chapter_with_another_name(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text("# %%\n")
    with pytest.raises(ChapterError, match="N_part/N_name.py"):
        chapter_paths(tmp_path)


def test_refuses_what_is_not_utf8(tmp_path):
    path = tmp_path / "1_a/1_a.py"
    path.parent.mkdir()
    path.write_bytes(b"# %%\nx = 1\ny = '\xe9'\n")
    with pytest.raises(ChapterError, match="1_a.py:3: not UTF-8"):
        read_chapter(path, tmp_path)


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("", 1, "starts with a cell marker"),
        ("x = 1\n# %%\n", 1, "starts with a cell marker"),
        ("# %%\n#%% title\n", 2, "a cell starts with `# %%`"),
        ("# %%\n# %%title\n", 2, "a cell starts with `# %%`"),
        ("# %%\n# %%% title\n", 2, "a cell starts with `# %%`"),
        ("# %%\n    # %% title\n", 2, "a cell starts with `# %%`"),
        ("# %%\n# In[3]:\n", 2, "a cell starts with `# %%`"),
        ("# %%\n# <codecell>\n", 2, "a cell starts with `# %%`"),
        ("# %%\n# %% [md]\n", 2, "unknown kind"),
        ("# %%\n# %% [raw]\n", 2, "unknown kind"),
        ("# %%\n# %% A [raw] title\n", 2, "unknown kind"),
        ("# %%\n# %% [markdown] [md]\n", 2, "unknown kind"),
        ('# %%\n# %% {"tags": ["export"]}\n', 2, "takes what is in braces"),
        ('# %%\n# %% A {"tags": []}\n', 2, "takes what is in braces"),
        ("# %%\n# %% %sub\n", 2, "does not start with %"),
        ("# %%\n# %% limit=Infinity\n", 2, "limit= takes a number"),
        ("# %%\n# %% starred=1\n", 2, "starred= takes true or false"),
        ("# %%\n# %% starred=true\n", 2, "stands on the first cell"),
        ('# %%\n# %% tags=["export"\n', 2, "tags= is not followed by JSON"),
        ("# %%\n# %% tags=[export]\n", 2, "tags= is not followed by JSON"),
        ("# %%\n# %% module=nn\n", 2, "module= is not followed by JSON"),
        ('# %%\n# %% module="nn" title\n', 2, "cannot read 'title'"),
        ('# %%\n# %% tags="export"\n', 2, "takes a list of strings"),
        ("# %%\n# %% tags=[1]\n", 2, "takes a list of strings"),
        ('# %%\n# %% tags=["exprot"]\n', 2, "unknown tag 'exprot'"),
        ("# %%\n# %% modul=1\n", 2, "unknown key modul="),
        ("# %%\n# %% module=1\n", 2, "module= takes a string"),
        ('# %%\n# %% namespace="true"\n', 2, "namespace= takes true or false"),
        ('# %%\n# %% limit="60"\n', 2, "limit= takes a number"),
        ('# %%\n# %% alt="" alt=""\n', 2, "alt= is given twice"),
        ("# %%\n# %% limit=0\n", 2, "limit= takes a number"),
        ("# %%\n# %% limit=true\n", 2, "limit= takes a number"),
        ('# %%\n# %% A tags = ["export"]\n', 2, "write tags= and its value"),
        ('# %%\n# %% A tags: ["export"]\n', 2, "write tags= and its value"),
        ('# %%\n# %% (module="nn")\n', 2, "write module= and its value"),
        ("# %%\n# %% export\n", 2, "'export' is a title"),
        ("# %%\n# %% [markdown]\nprose\n", 3, "holds one string"),
        ('# %%\n# %% [markdown]\nr"""\nprose\n', 3, "holds one string"),
        ('# %%\n# %% [markdown]\n\n"prose"\n', 4, "holds one string"),
        ("# %%\n# %% [markdown]\n'''prose'''\n", 3, "holds one string"),
        ('# %%\n# %% [markdown]\nf"""prose"""\n', 3, "holds one string"),
        ('# %%\n# %% [markdown]\n"""a""" """b"""\n', 3, "holds one string"),
        ('# %%\n# %% [markdown]\n"""a"""  # b\n', 3, "holds one string"),
        (
            '# %%\n# %% [markdown]\n"""\na\n$\\beta$"""\n',
            5,
            "a backslash in prose",
        ),
        ("# %%\nx = 1\n\f\n", 3, "'\\x0c' would not survive"),
        ("# %%\nx = '\x85'\n", 2, "'\\x85' would not survive"),
        ("# %%\nx = '\u2028'\n", 2, "'\\u2028' would not survive"),
        ("\ufeff# %%\n", 1, "'\\ufeff' would not survive"),
        ("# %%\nx = '\0'\n", 2, "'\\x00' would not survive"),
        ("# %%\nx = 1\n# %%\n\ny = (\n", 5, "syntax error"),
        ("# %%\nif x:\n# %%\n    y = 1\n", 2, "syntax error"),
        (
            "# %%\nx\n%matplotlib inline\n",
            3,
            "notebook magic '%matplotlib inline'",
        ),
        ("# %%\nx??\n", 2, "notebook magic 'x??'"),
    ],
)
def test_refuses(text, line, words):
    found, message = refusal(text)
    assert found == line
    assert words in message


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "+".join(["x"] * 600),
        "if x:\n    1\n" + "elif x:\n    1\n" * 600,
        "x = " + "not " * 1_000 + "1",
        "x = " + "x." * 1_000 + "y",
    ],
)
def test_code_that_is_nested_too_deeply_is_refused(code):
    line, message = refusal(f"# %%\nx = 1\n# %%\n{code}\n")
    assert line == 4
    assert "nested too deeply" in message


def test_long_code_is_not_deep():
    code = "x = [" + "1 + 1, " * 500 + "]\n" + "x.y(1)\n" * 200
    assert len(chapter(f"# %%\n{code}").tree.body) == 201


# Jupytext reads the same cells


def ours(cell: Cell) -> tuple:
    source = cell.prose if cell.kind == "markdown" else cell.source
    return cell.kind, cell.title, cell.tags, source.strip()


def theirs(text: str) -> list[tuple]:
    percent = {"extension": ".py", "format_name": "percent"}
    notebook = jupytext.reads(text, fmt=percent | {"comment_magics": False})
    return [
        (
            cell.cell_type,
            cell.metadata.get("title", ""),
            tuple(cell.metadata.get("tags", ())),
            cell.source.strip(),
        )
        for cell in notebook.cells
    ]


@pytest.mark.parametrize(
    "path", chapter_paths(), ids=lambda p: str(p.relative_to(ROOT))
)
def test_jupytext_reads_the_same_cells_of_a_chapter(path: Path):
    found = read_chapter(path)
    assert list(map(ours, found.cells)) == theirs(found.text)


PIECES = """\
# %%|# %% A title|# %% tags=["export"]|# %% Two words: é tags=["hide-input"]
# %%	tab|  # %% indented|#%%|# %%% sub|# %%none|#  %% two|# In[2]:|# <codecell>
# %% [markdown]|# %% [markdown] Named|# %% Named [markdown]|# %% a [b] [markdown] c
# %% [raw]|# %% A {x}|# %% A title {"tags": ["export"]}|# %% %s|# %% a=b [md]|r\"\"\"|\"\"\"|'''|"|'|# comment " '|#'''
x = 1|x = "# %%"|x = '''a'''|x = '\\\\''|x = r"\\" + '|f(|)|def f():|    return 1
%magic|# !ls|# + cell|# ---||  |```|\\|é = "ü"|prose # %% inside|"a" "b"|\"\"\"one\"\"\"
""".replace("\n", "|").split("|")


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_jupytext_reads_the_same_cells_of_what_is_not_refused(pieces):
    text = "\n".join(["# %%", *pieces])
    try:
        found = chapter(text)
        found.tree
    except ChapterError:
        return
    assert list(map(ours, found.cells)) == theirs(text)


BODIES = [
    'r"""\n# Title\n\n$\\alpha$\n```\n# %% example\n```\n"""',
    '"""one line"""',
    'r"""It\'s "quoted": \'\'\' # %%\n"""',
]
CODE = [
    "",
    "# only a comment",
    'x = """\n# %% kept\n"""',
    "x = '''\n\"\"\"\n# %% kept\n'''",
    "def f():\n    '''It's.'''\n    return \"# %%\"  # \"",
    "x = r'\\''\ny = '\\\\'",
    "# it's\nx = 1\n\n\n# !ls\n# %time x",
    "x = f\"{'a'}\"  # '''",
]
MARKERS = [
    "",
    " A title",
    " A [title]",
    ' tags=["export"]',
    ' é: b alt="x" tags=["answer"]',
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(MARKERS),
            st.one_of(st.sampled_from(CODE), st.sampled_from(BODIES)),
            st.sampled_from(["", "\n", "\n\n"]),
        ),
        min_size=1,
    )
)
def test_jupytext_reads_the_same_cells_of_a_good_chapter(cells):
    text = ""
    for marker, body, after in cells:
        kind = " [markdown]" * (body in BODIES)
        text += f"# %%{kind}{marker}\n{body}\n{after}"
    found = chapter(text)
    assert len(found.cells) == len(cells)
    assert list(map(ours, found.cells)) == theirs(text)
