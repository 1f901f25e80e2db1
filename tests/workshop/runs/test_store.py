"""What makes a chapter stale, and what the store keeps: no kernel is needed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from _config.chapters.files import ROOT, ChapterError
from _config.runs import store
from _config.runs.execution import main
from _config.runs.reach import refuse_hidden_imports
from tests.workshop.runs.books import Book


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.fixture
def chain(book):
    """one <- two <- 1_a/2_two; one <- 1_a/1_one; nobody <- 1_a/3_alone."""
    book.module("lib.__init__", "")
    book.module("lib.one", "def one(): return 1\n")
    book.module(
        "lib.two", "from lib.one import one\ndef two(): return one() + 1\n"
    )
    book.chapter("1_a/1_one", "from lib.one import one\none()")
    book.chapter("1_a/2_two", "from lib.two import two\ntwo()")
    book.chapter("1_a/3_alone", "def one(): return 1\none()")
    book.pretend_to_run()
    assert book.stale() == []
    return book


# Modules


def test_a_changed_module_reaches_those_that_import_it_at_any_depth(chain):
    chain.module("lib.one", "def one(): return 100\n")
    assert chain.stale() == ["1_a/1_one", "1_a/2_two"]


def test_a_changed_module_does_not_reach_what_it_imports(chain):
    chain.module("lib.two", "def two(): return 2\n")
    assert chain.stale() == ["1_a/2_two"]


@pytest.mark.parametrize(
    "text",
    [
        "# Extracted from book/9_z/1_z.py; edit it there.\n"
        'def one(): return 1\n"""Only text."""\n',
        '"""Ones."""\n\ndef one():\n    """The number one."""\n    return (1)\n',
        "def one():\n\n    return 1  # and nothing else\n",
    ],
    ids=["header", "docstrings", "comment"],
)
def test_comments_docstrings_and_layout_of_a_module_run_nothing(chain, text):
    chain.module("lib.one", text)
    assert chain.stale() == []


@pytest.mark.parametrize("text", ["def one(:\n", "def one(): return 1 +\n"])
def test_of_a_module_that_does_not_parse_the_text_counts(chain, text):
    chain.module("lib.one", text)
    chain.pretend_to_run()
    assert chain.stale() == []
    chain.module("lib.one", f"# another\n{text}")
    assert chain.stale() == ["1_a/1_one", "1_a/2_two"]


def test_going_back_to_an_earlier_version_runs_nothing(chain):
    before = (chain.src / "lib/one.py").read_text()
    chain.module("lib.one", "def one(): return 100\n")
    chain.pretend_to_run()
    chain.module("lib.one", before)
    assert chain.stale() == []


@pytest.mark.parametrize(
    "code",
    [
        "from lib.nn import Linear\nLinear()",
        "from lib import nn\nnn.Linear()",
        "import lib\nlib.nn.Linear()",
        "import lib.nn as layers\nlayers.Linear()",
        "def f():\n    from lib.nn.linear import Linear as L\n    return L()",
    ],
)
def test_packages_are_looked_through(book, code):
    book.module("lib.__init__", "from lib import nn as nn\n")
    reexport = "from lib.nn.{0} import {1} as {1}\n"
    both = reexport.format("linear", "Linear") + reexport.format("conv", "Conv")
    book.module("lib.nn.__init__", both)
    book.module("lib.nn.linear", "class Linear: ...\n")
    book.module("lib.nn.conv", "class Conv: ...\n")
    book.chapter("1_a/1_x", code)
    book.chapter("1_a/2_all", "from lib import nn\ndir(nn)")
    book.chapter("1_a/3_root", "import lib\nvars(lib)")
    book.pretend_to_run()

    book.module("lib.nn.conv", "class Conv:\n    kernel_size = 3\n")
    assert book.stale() == ["1_a/2_all", "1_a/3_root"]
    book.module("lib.nn.linear", "class Linear:\n    bias = None\n")
    assert book.stale() == ["1_a/1_x", "1_a/2_all", "1_a/3_root"]


def test_a_module_that_appears_is_seen(book):
    book.module("lib.__init__", "")
    book.chapter("1_a/1_x", "from lib.new import f\nf()")
    book.pretend_to_run()
    book.module("lib.new", "def f(): ...\n")
    assert book.stale() == ["1_a/1_x"]


@pytest.mark.parametrize(
    "code",
    [
        'import importlib\nimportlib.import_module("lib.one")',
        'from importlib import import_module\nimport_module("lib.one").one()',
        '__import__("lib.one")',
        '__import__("lib")',
        'import runpy\nrunpy.run_module("lib.one")',
        'exec("from lib.one import one")',
        'text = """\nimport sys\nimport lib.one as o\n"""',
        'run("python", "-m", "lib.one")',
    ],
)
def test_a_module_that_a_string_names_is_seen(book, code):
    book.module("lib.__init__", "from lib.one import one\n")
    book.module("lib.one", "def one(): return 1\n")
    book.chapter("1_a/1_x", code)
    book.pretend_to_run()
    assert book.stale() == []
    book.module("lib.one", "def one(): return 100\n")
    assert book.stale() == ["1_a/1_x"]


@pytest.mark.parametrize(
    "code",
    [
        "importlib.import_module(name)",
        'import_module(f"lib.{name}")',
        'import_module(".one", package="lib")',
        "load = __import__",
        "from importlib import import_module as load",
        "[*map(importlib.import_module, names)]",
    ],
)
def test_an_import_that_cannot_be_followed_is_refused_with_its_line(book, code):
    book.chapter("1_a/1_x", "x = 1", f"# a comment\n\n{code}")
    with pytest.raises(ChapterError, match=r"1_x\.py:12: what \w+ imports"):
        refuse_hidden_imports(book.read("1_a/1_x"))
    assert len(book.sorted()[2]) == 1


# The chapter itself


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# 1_a/3_alone", "# Alone, again\n\nMore prose."),
        ("# %%\ndef", '# %% A title tags=["hide-input"]\ndef'),
        ("def one(): return 1", "def one():  # one\n    return (1)"),
        ("return 1", '"""The number one."""; return 1'),
        ("def one", '"""Ones."""\n\ndef one'),
        ("\none()", "\none()\n# That is all."),
        ("# %%\ndef", "# %% Only a comment\n# x\n\n# %%\ndef"),
        ("# %%\ndef", '# %% [markdown]\n"""More."""\n\n# %%\ndef'),
    ],
    ids=[
        "prose", "title", "layout", "docstring", "module-docstring", "comment",
        "cell-of-comments", "cell-of-prose",
    ],
)  # fmt: skip
def test_what_cannot_change_a_result_runs_nothing(chain, old, new):
    chain.edit("1_a/3_alone", old, new)
    assert chain.stale() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\none()", "\none() + 0"),
        ("\none()", "\none();"),
        ("\none()", "\none()\n'text'"),
        ("\none()", "\n\n# %%\none()"),
        ("# %%\ndef", '# %% tags=["raises-exception"]\ndef'),
    ],
)
def test_code_and_what_it_must_do_run_the_chapter(chain, old, new):
    chain.edit("1_a/3_alone", old, new)
    assert chain.stale() == ["1_a/3_alone"]


def test_a_comment_after_a_semicolon_or_a_shown_string_run_nothing(chain):
    chain.edit("1_a/3_alone", "\none()", "\none();\n\n# %%\n'text'")
    chain.pretend_to_run()
    chain.edit("1_a/3_alone", "one();", "one() ; # a; comment")
    assert chain.stale() == []
    chain.edit("1_a/3_alone", "'text'", "'other'")
    assert chain.stale() == ["1_a/3_alone"]


def test_renaming_or_inserting_a_chapter_runs_no_other(chain):
    old, new = chain.book / "1_a", chain.book / "2_b"
    old.rename(new)
    (new / "1_one.py").rename(new / "7_first.py")
    chain.chapter("2_b/1_new", "'new'")
    assert chain.stale() == ["2_b/1_new"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("1_a/1_one", "one()", "one(), one.__doc__"),
        ("1_a/1_one", "one()", "help(one)"),
        ("1_a/1_one", "one()", "import inspect\ninspect.getsource(one)"),
        ("1_a/1_one", "one()", "from inspect import getdoc as d\nd(one)"),
        ("lib/one", "return 1", "return 1, one.__code__.co_firstlineno"),
    ],
)
def test_where_code_asks_for_text_comments_and_docstrings_count(
    chain, name, old, new
):
    chain.edit(name, old, new)
    chain.pretend_to_run()
    chain.edit("lib/one", "return", '"""One."""; return')
    assert "1_a/1_one" in chain.stale()
    chain.pretend_to_run()
    chain.edit("1_a/1_one", "from lib", "# a comment\nfrom lib")
    assert chain.stale() == ["1_a/1_one"]
    chain.edit("1_a/3_alone", "def", "# a comment\ndef")
    assert chain.stale() == ["1_a/1_one"]


def test_an_output_that_quotes_lines_holds_for_their_text_alone(book):
    book.module("lib.one", "def one(): return 1\n")
    book.chapter("1_a/1_x", "from lib.one import one", "one()", "one() + 1")
    chapter = book.read("1_a/1_x")
    places = {"1": "", "lib/one.py": ""}
    quotes = {
        each: store.text_digest(each, chapter, book.src) for each in places
    }
    book.pretend_to_run(**quotes)
    assert book.stale() == []
    book.edit("1_a/1_x", "one() + 1", "one() + 1  # two")
    assert book.stale() == []
    book.edit("1_a/1_x", "one()\n", "# a comment\none()\n")
    assert book.stale() == ["1_a/1_x"]
    book.edit("1_a/1_x", "# a comment\n", "")
    book.edit("lib/one", "def", "# a comment\ndef")
    assert book.stale() == ["1_a/1_x"]


def test_a_kernel_setting_and_a_version_run_everything(chain, monkeypatch):
    newer = store.versions() | {"torch": "99"}
    monkeypatch.setattr(store, "versions", lambda: newer)
    assert len(chain.stale()) == 3
    monkeypatch.undo()
    monkeypatch.setattr(store, "KERNEL_SETTINGS", (chain.src / "lib/one.py",))
    assert len(chain.stale()) == 3


def test_list_stale_prints_names_and_nothing_else(chain, capsys):
    chain.module("lib.one", "def one(): return 100\n")
    assert not main(["--list-stale", *chain.options])
    assert capsys.readouterr().out == "1_a/1_one\n1_a/2_two\n"


def test_looking_for_what_is_stale_imports_no_torch_and_no_jupyter(chain):
    code = (
        "import sys; sys.argv[0] = 'execute'; from _config.runs.execution import main;"
        "main(); print({'torch', 'zmq', 'nbclient'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "--list-stale", *chain.options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


# Entries


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"receipt": {}', '"receipt": {"seconds": 1}'),
        lambda text: "",
        lambda text: "[1]",
        lambda text: "[" * 100_000,
    ],
    ids=["truncated", "altered", "empty", "foreign", "deep"],
)
def test_a_damaged_entry_is_reported_and_not_used(chain, caplog, damage):
    path = chain.entry("1_a/3_alone")
    assert path.read_text() != damage(path.read_text())
    path.write_text(damage(path.read_text()))
    assert chain.stale() == ["1_a/3_alone"]
    assert str(path) in caplog.text
    assert "3_alone.py" in caplog.text
    assert "damaged" in caplog.text


def test_another_chapters_entry_is_not_used(chain, caplog):
    shutil.copy(chain.entry("1_a/1_one"), chain.entry("1_a/3_alone"))
    assert chain.stale() == ["1_a/3_alone"]
    assert "another chapter's" in caplog.text


def test_a_folder_in_the_place_of_an_entry_is_replaced(chain):
    path = chain.entry("1_a/3_alone")
    path.unlink()
    (path / "deep").mkdir(parents=True)
    assert chain.stale() == ["1_a/3_alone"]
    store.prune(chain.store, 0)
    chain.pretend_to_run()
    assert chain.stale() == []


def test_the_entries_not_used_for_longest_are_dropped(book):
    book.chapter("1_a/2_other", "1")
    for number in range(3 * store.KEEP):
        book.chapter("1_a/1_x", str(number))
        book.pretend_to_run()
        os.utime(book.entry("1_a/1_x"), (0, number))
        os.utime(book.entry("1_a/2_other"), (0, 0))
        book.load("1_a/2_other")
        store.prune(book.store, 2)
    assert len([*book.store.iterdir()]) == 2 * store.KEEP
    assert book.stale() == []


def test_what_a_killed_writer_left_is_swept_when_it_is_old(chain):
    torn = chain.store / ".a.json.12345678"
    torn.write_text("")
    store.prune(chain.store, 3)
    assert torn.exists()  # it may just be written
    os.utime(torn, (0, 0))
    store.prune(chain.store, 3)
    assert not torn.exists()


def test_entries_are_plain_json(chain):
    entry = json.loads(chain.entry("1_a/1_one").read_text())
    assert set(entry) == {"checksum", "entry"}
