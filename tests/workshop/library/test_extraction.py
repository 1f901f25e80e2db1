"""Extraction: what is written, what is refused, and where it points."""

import shutil
import subprocess
import sys
import tempfile
import time
import unittest.mock
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruff import find_ruff_bin

from _config.chapters.files import ROOT
from _config.chapters.parse import read_book
from _config.library.extraction import extract, library
from _config.library.modules import exports
from _config.library.output import Output
from _config.library.text import HEADER

GOOD = '''\
# %% [markdown] module="linalg"
r"""
# Products
"""

# %% tags=["export"]
"""Products of arrays."""
from torch import Tensor

# %% tags=["export"]
def double(x: Tensor) -> Tensor:
    """Twice the input."""
    return 2 * x
'''
LATER = '''\
# %% [markdown] module="nn.layer"
r"""
# Layers
"""

# %% tags=["export"]
"""A layer."""
class Layer:
    """Does nothing."""
'''
END = GOOD.count("\n")


@pytest.fixture
def book(tmp_path):
    def write(*chapters: str, **named: str) -> Path:
        names = {f"1_one/{i}_x": text for i, text in enumerate(chapters, 1)}
        for name, text in (names | named).items():
            path = tmp_path / "book" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return tmp_path / "book"

    return write


def mistakes(book: Path, **options) -> list[str]:
    """The errors of an extraction, each as ``NAME:LINE: message``."""
    with pytest.raises(ExceptionGroup) as caught:
        library(book, **options)
    return [
        f"{e.path.relative_to(book).with_suffix('')}:{e.line}: {e.message}"
        for e in caught.value.exceptions
    ]


def modules(book: Path, **options) -> dict[str, str]:
    return {k: v.decode() for k, v in library(book, **options).items()}


def lint(folder: Path) -> subprocess.CompletedProcess:
    settings = [f"--config={ROOT / 'pyproject.toml'}", "--no-cache", "--quiet"]
    command = [find_ruff_bin(), "check", *settings, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


# What is written


def test_a_module_reads_as_if_written_by_hand(book):
    text = '''\
# %% [markdown] module="linalg"
r"""
# Products
"""

# %%
# plots first
import matplotlib.pyplot as plt
from torch import (
    Tensor,  # the array
    nn,
)
from __future__ import annotations

# %% The parts tags=["export"]
r"""Products of größe $\\alpha$."""
import os
# fast
import torch  # the engine

# Above a constant.
SCALE = 0x10
LIMIT = 1_000  # both

# %%
def product(a, b):
    return 0

# %% The last version tags=["export"]
# Why it is so.
@torch.no_grad()
def product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product: (n, k), (k, m) -> (n, m)."""
    text = """
  ragged   \u0020
# %% kept
"""
    return SCALE * a @ b  # é
    # the end
'''
    future = "from __future__ import annotations\n"
    text = text.replace(future, "").replace("# plots first\n", future, 1)
    assert (
        modules(book(text))["linalg.py"]
        == '''\
# Extracted from book/1_one/1_x.py; edit it there.
r"""Products of größe $\\alpha$."""

from __future__ import annotations

import torch
from torch import Tensor

# Above a constant.
SCALE = 0x10
LIMIT = 1_000  # both


# Why it is so.
@torch.no_grad()
def product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product: (n, k), (k, m) -> (n, m)."""
    text = """
  ragged   \u0020
# %% kept
"""
    return SCALE * a @ b  # é
    # the end
'''
    )


def test_modules_of_one_chapter_import_each_other(book):
    text = (
        GOOD
        + '''
# %% tags=["export"] module="nn.functional" namespace=true
"""Functions."""
def quadruple(x: Tensor) -> Tensor:
    """Four times the input."""
    return double(double(x))
'''
    )
    files = modules(book(text))
    expected = (
        "from torch import Tensor\n\nfrom groundup.linalg import double\n"
    )
    assert expected in files["nn/functional.py"]
    assert "functional as functional" in files["nn/__init__.py"]
    assert "quadruple" not in files["nn/__init__.py"]


def test_packages_reexport_public_names_only(book):
    files = modules(book(LATER + "\n_HIDDEN = 1\n", GOOD))
    assert files["nn/__init__.py"].endswith(
        "\nfrom groundup.nn.layer import Layer as Layer\n"
    )
    assert files["__init__.py"].endswith("\nfrom groundup import nn as nn\n")


def test_library_modules_import_from_the_defining_module(book):
    more = '''\
# %% [markdown] module="nn.more"
r"""
# More
"""

# %%
from groundup.nn import Layer as Base

# %% tags=["export"]
"""More layers."""
class More(Base):
    """Does more of it."""
'''
    text = modules(book(LATER, more))["nn/more.py"]
    assert "from groundup.nn.layer import Layer as Base\n" in text


@pytest.mark.parametrize(
    "used, kept",
    [
        ("os.getcwd()", ["import os"]),
        ("os.path.sep", ["import os", "import os.path"]),
    ],
)
def test_dotted_imports_follow_their_use(book, used, kept):
    text = GOOD + (
        "# %%\nimport os\nimport os.path\nimport xml.dom\n"
        f'# %% tags=["export"]\nHERE = {used}\n'
    )
    found = modules(book(text))["linalg.py"].split("\n")
    assert [line for line in found if line.startswith("import")] == kept


def test_of_two_imports_of_a_name_the_one_that_holds_is_taken(book):
    cells = "# %%\nfrom math import pi\nfrom cmath import pi\n"
    text = modules(book(GOOD + cells + EXPORT + "A = pi\n"))["linalg.py"]
    assert "from cmath import pi\n" in text and "from math" not in text


def test_quoted_annotations_import_nothing_when_the_library_runs(book):
    cells = '''
# %%
from matplotlib.axes import Axes

# %% tags=["export"]
def plot(ax: "Axes") -> None:
    """Draw."""
'''
    text = modules(book(GOOD + cells))["linalg.py"]
    assert "if TYPE_CHECKING:\n    from matplotlib.axes import Axes\n" in text
    assert "\nfrom torch import Tensor\n" in text


def test_strings_of_literal_types_are_no_names(book):
    text = GOOD + (
        "# %%\nfrom typing import Literal\n"
        '# %% tags=["export"]\nMode = Literal["train", "eval"]\n'
    )
    assert 'Mode = Literal["train", "eval"]' in modules(book(text))["linalg.py"]


def test_overloads_setters_and_registered_functions_may_repeat(book):
    text = (
        GOOD
        + '''
# %% tags=["export"]
from functools import singledispatch
from typing import overload

@overload
def size(x: int) -> int: ...
@overload
def size(x: str) -> str: ...
def size(x: int | str) -> int | str:
    """Its size."""
    return x

@singledispatch
def show(x: object) -> str:
    """As text."""
    return str(x)

@show.register
def _(x: int) -> str:
    return "int"

@show.register
def _(x: str) -> str:
    return "str"

class Box:
    """A box."""

    def __init__(self, n: int):
        self._n = n

    def __len__(self):
        return self._n

    @property
    def n(self) -> int:
        """How much it holds."""
        return self._n

    @n.setter
    def n(self, value: int) -> None:
        self._n = value

    @staticmethod
    def empty(n: int) -> "Box":
        """A box of zeros."""
        return Box(n)

    def _private(self, x: int) -> int:
        return x
'''
    )
    files = modules(book(text))
    assert files["linalg.py"].count("def _(") == 2


def test_output_passes_ruff_and_imports(book, tmp_path):
    extract(book(GOOD, LATER), tmp_path / "src")
    linted = lint(tmp_path / "src")
    assert linted.returncode == 0, linted.stdout
    code = "import groundup; print(groundup.nn.Layer.__module__)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "src",
        capture_output=True,
        text=True,
    )
    assert run.stdout == "groundup.nn.layer\n", run.stderr


def test_crlf_gives_the_same_bytes(book, tmp_path):
    plain = library(book(GOOD))
    assert library(book(GOOD.replace("\n", "\r\n"))) == plain
    assert not any(b"\r" in text for text in plain.values())


def test_the_same_book_gives_the_same_bytes(book):
    path = book(GOOD, LATER)
    command = (
        "from _config.library.extraction import *; print(library(Path({!r})))"
    )
    command = command.format(str(path))
    runs = [
        subprocess.run(
            [sys.executable, "-c", command],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
        )
        for seed in "12"
    ]
    assert runs[0].stdout == runs[1].stdout != b"", runs[0].stderr
    assert eval(runs[0].stdout) == library(path)


def test_extraction_imports_nothing_heavy():
    code = (
        "import sys, _config.library.extraction;"
        "print({'torch', 'jupytext', 'nbformat', 'IPython'} & {*sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert run.stdout == "set()\n", run.stderr


def test_exports_lead_from_home_to_chapter(book):
    found = exports(read_book(book(GOOD, LATER)))
    assert list(found) == ["groundup.linalg.double", "groundup.nn.layer.Layer"]
    layer = found["groundup.nn.layer.Layer"]
    assert layer.path == "groundup.nn.Layer"
    assert (layer.module, layer.chapter.name) == ("nn.layer", "1_one/2_x")
    assert (layer.line, layer.cell.line) == (8, 6)


# What is refused: cells after GOOD, the line among them, words of the message

EXPORT = '# %% tags=["export"]\n'
REFUSED = {
    "same name": (
        EXPORT + 'def double(x: int) -> int:\n    """Twice."""\n    return x\n',
        2,
        "'double' is already in 'linalg'",
    ),
    "same constant": (EXPORT + "A = 1\nB = A = 2\n", 3, "'A' is already"),
    "public twice": (
        '# %% tags=["export"] module="other"\n"""Other."""\ndouble = 1\n',
        3,
        "'double' is already public in 'linalg'",
    ),
    "hides module": (
        '# %% tags=["export"] module="nn.relu"\n"""Other."""\n\nrelu = 1\n',
        4,
        "groundup.nn.relu is a module",
    ),
    "expression": (EXPORT + "double(1)\n", 2, "not Expr"),
    "second docstring": (EXPORT + '"""More."""\n', 2, "not Expr"),
    "loop": (EXPORT + "for i in ():\n    pass\n", 2, "not For"),
    "condition": (EXPORT + "\nif double:\n    A = 1\n", 3, "not If"),
    "patching": (EXPORT + "double.name = 1\n", 2, "not Assign"),
    "augmented": (EXPORT + "A = 1\nA += 1\n", 3, "not AugAssign"),
    "function docstring": (
        EXPORT + "def f() -> int:\n    return 1\n",
        2,
        "Missing docstring in public function",
    ),
    "class docstring": (
        EXPORT + "class C:\n    pass\n",
        2,
        "Missing docstring in public class",
    ),
    "method docstring": (
        EXPORT
        + 'class C:\n    """C."""\n    def f(self) -> int:\n        return 1\n',
        4,
        "Missing docstring in public method",
    ),
    "nested class": (
        EXPORT + 'class C:\n    """C."""\n    class D:\n        n = 1\n',
        4,
        "Missing docstring in public nested class",
    ),
    "return": (
        EXPORT + 'def f():\n    """F."""\n',
        2,
        "Missing return type annotation for public function `f`",
    ),
    "parameter": (
        EXPORT + 'def f(a: int, /, b: int,\n  c=1) -> int:\n    """F."""\n',
        3,
        "annotation for function argument `c`",
    ),
    "keyword": (
        EXPORT + 'def f(*, k) -> int:\n    """F."""\n',
        2,
        "argument `k`",
    ),
    "star": (EXPORT + 'def f(*args) -> int:\n    """F."""\n', 2, "`*args`"),
    "stars": (EXPORT + 'def f(**kw) -> int:\n    """F."""\n', 2, "`**kw`"),
    "dunder": (
        EXPORT
        + 'class C:\n    """C."""\n    def __init__(self, n):\n        pass\n',
        4,
        "annotation for function argument `n`",
    ),
    "static": (
        EXPORT
        + 'class C:\n    """C."""\n    @staticmethod\n'
        + '    def f(n) -> int:\n        """F."""\n',
        5,
        "annotation for function argument `n`",
    ),
    "semicolon": (EXPORT + "import os; A = 1\n", 2, "two statements on a line"),
    "import star": ("# %%\n\nfrom math import *\n", 3, "import *"),
    "relative": ("# %%\nfrom .linalg import double\n", 2, "relative import"),
    "print": (
        EXPORT + 'def f() -> None:\n    """F."""\n    print(1)\n',
        4,
        "`print` found",
    ),
    "line magic": ("# %%\n1\n%timeit 1\n", 3, "notebook magic '%timeit 1'"),
    "cell magic": ("# %%\n%%html\nit's\n", 2, "notebook magic '%%html'"),
    "shell": ("# %%\n\n!ls 'x\n", 3, "notebook magic"),
    "captured": ("# %%\nfiles = !ls\n", 2, "notebook magic 'files = !ls'"),
    "help": ("# %%\ndouble?\n", 2, "notebook magic 'double?'"),
    "syntax": ("# %%\n1\ndef f(:\n", 3, "syntax error"),
    "split cells": (
        "# %%\ndef f():\n    a = 1\n# %%\n    return a\n",
        5,
        "unexpected indent",
    ),
    "not a script": ("# %%\n1\nreturn\n", 3, "'return' outside function"),
    "late future": (
        "# %%\nfrom __future__ import annotations\n",
        2,
        "from __future__ imports must occur at the beginning",
    ),
    "undefined": (
        EXPORT + "\nA = [b for c in ()]\n",
        3,
        "'b' is neither defined nor imported",
    ),
    "class scope": (
        EXPORT
        + 'class C:\n    """C."""\n    n = 1\n'
        + '    def f(self) -> int:\n        """F."""\n        return n\n',
        7,
        "'n' is neither",
    ),
    "not exported": (
        "# %%\nscale = 2\n" + EXPORT + "A = scale\n",
        4,
        "'scale' is defined in a cell that is not exported (line {2})",
    ),
    "reference import": (
        '# %% tags=["reference"]\nimport numpy\n' + EXPORT + "A = numpy.pi\n",
        4,
        "'numpy' is neither",
    ),
    "early default": (
        EXPORT + 'def f(x: int = A) -> int:\n    """F."""\nA = 1\n',
        2,
        "'A' is used before its definition in line {4}",
    ),
    "early base": (
        EXPORT + 'class C(D):\n    """C."""\nclass D:\n    """D."""\n',
        2,
        "'D' is used before its definition",
    ),
    "early decorator": (
        EXPORT + '@g\ndef f() -> int:\n    """F."""\n\ng = f\n',
        2,
        "'g' is used before its definition",
    ),
    "early constant": (EXPORT + "A = B\nB = 1\n", 2, "'B' is used before"),
    "two imports": (
        EXPORT
        + "from math import pi\nA = lambda: pi\n"
        + EXPORT
        + "from cmath import pi\n",
        5,
        "'pi' is rebound, but line {3}, which is exported",
    ),
    "cycle": (
        '# %% tags=["export"] module="a"\n"""A."""\nclass A:\n    """A."""\n'
        "    b = lambda: B\n"
        '# %% tags=["export"] module="b"\n"""B."""\nB = A\n',
        6,
        "modules import each other",
    ),
    "leading groundup": (
        '# %% tags=["export"] module="groundup.a"\n',
        1,
        "leading",
    ),
    "path": (
        '# %% tags=["export"] module="nn/linear"\n',
        1,
        "cannot name a module",
    ),
    "empty": ('# %% tags=["export"] module=""\n', 1, "cannot name a module"),
    "keyword module": (
        '# %% tags=["export"] module="nn.in"\n',
        1,
        "'in' cannot",
    ),
    "init": (
        '# %% tags=["export"] module="nn.__init__"\n',
        1,
        "'__init__' cannot",
    ),
    "package": (
        '# %% tags=["export"] module="linalg.solve"\n',
        1,
        "'linalg' cannot be a module and, for 'linalg.solve', a package",
    ),
    "no docstring": (
        '# %% tags=["export"] module="other"\nA = 1\n',
        1,
        "Missing docstring in public module",
    ),
    "markdown": (
        '# %% [markdown] tags=["export"]\nr"""\nprose\n"""\n',
        1,
        "only code can be exported",
    ),
    "reference": ('# %% tags=["export", "reference"]\n', 1, "never exported"),
    "stray module": (
        '# %% module="nn.linear"\nA = 1\n',
        1,
        "not exported: add",
    ),
    "unknown module": (
        "# %%\nfrom groundup.algebra import double\n",
        2,
        "no chapter exports groundup.algebra.double",
    ),
    "unknown name": (
        "# %%\nfrom groundup.linalg import triple\n",
        2,
        "no chapter exports groundup.linalg.triple",
    ),
}


@pytest.mark.parametrize("cells, line, words", REFUSED.values(), ids=REFUSED)
def test_refuses(book, cells, line, words):
    for shift in range(9):  # {2} is a line of the cells
        words = words.replace(f"{{{shift}}}", str(END + shift))
    (found,) = mistakes(book(GOOD + cells))
    place, message = found.split(": ", 1)
    assert place == f"1_one/1_x:{END + line}"
    assert words in message


def test_refuses_a_cell_without_destination(book):
    (found,) = mistakes(
        book(GOOD.replace(' module="linalg"', "").replace(EXPORT, "# %%\n", 1))
    )
    assert found.startswith("1_one/1_x:10: no destination")


def test_refuses_a_module_of_two_chapters(book):
    (found,) = mistakes(book(GOOD, LATER.replace("nn.layer", "linalg")))
    assert found.startswith("1_one/2_x:6: module 'linalg' belongs to")
    assert "1_one/1_x.py:6" in found


def test_refuses_a_public_name_of_two_chapters(book):
    (found,) = mistakes(book(GOOD, LATER + "double = 1\n"))
    assert found.startswith("1_one/2_x:10: 'double' is already public")


@pytest.mark.parametrize(
    "code",
    [
        "from groundup.nn.layer import Layer",
        "from groundup.nn import Layer",
        "from groundup import nn",
        "import groundup.nn.layer",
        "import groundup; groundup.nn.Layer",
        "import groundup as g; g.nn",
    ],
)
@pytest.mark.parametrize("through", [None, "1", "1_one", "1_one/1_x"])
def test_refuses_what_a_later_chapter_builds(book, code, through):
    path = book(GOOD + "# %%\n" + code + "\n", **{"2_two/1_y": LATER})
    found = mistakes(path, through=through)[0]
    assert found.startswith(f"1_one/1_x:{END + 2}: groundup.nn")
    assert "is built later, in 2_two/1_y" in found


def test_a_shown_import_error_may_reach_ahead(book):
    cell = '# %% tags=["raises-exception"]\nfrom groundup.nn import Layer\n'
    assert "linalg.py" in library(book(GOOD + cell, LATER))


def test_refuses_a_module_that_imports_its_own_package(book):
    text = "# %%\nfrom groundup import nn\n" + EXPORT + "A = nn\n"
    (found,) = mistakes(book(LATER + text))
    assert found.startswith("1_one/1_x:6: modules import each other")


def test_a_comment_is_no_docstring(book):
    text = LATER.replace('"""A layer."""', '# A layer.\n# %% tags=["export"]')
    (found,) = mistakes(book(text))
    assert found.startswith("1_one/1_x:6: Missing docstring in public module")


def test_reports_every_mistake_at_once(book):
    bad = GOOD + "# %%\n%ls\n# %%\n(\n" + EXPORT + "f()\n"
    found = mistakes(book(bad, "# %% tags=[\n", LATER + "print(1)\n"))
    assert [text.split(": ")[0] for text in found] == [
        f"1_one/1_x:{END + 2}",
        f"1_one/1_x:{END + 4}",
        f"1_one/1_x:{END + 6}",
        "1_one/2_x:1",
        "1_one/3_x:10",
        "1_one/3_x:10",
    ]


# Chapter and library agree


AGREE = {
    "plain over own": (
        EXPORT + "A = 1\n# %%\nA = 2\n" + EXPORT + "B = A\n", 6,
        "'A' is that of line {4} here, but that of line {2} in the library",
    ),
    "plain over an import": (
        "# %%\nfrom math import pi\n# %%\npi = 3\n" + EXPORT + "A = pi\n", 6,
        "'pi' is defined in a cell that is not exported (line {4})",
    ),
    "import over own": (
        "# %%\nfrom math import prod as double\n" + EXPORT + "A = double\n", 4,
        "'double' is that of line {2} here, but that of line 11 in the module",
    ),
    "own over an import": (
        "# %%\nfrom math import pi\n" + EXPORT + "A = pi\n" + EXPORT
        + "pi = 3\n", 4, "'pi' is that of line {2} here",
    ),
    "in a function": (
        "# %%\nfrom math import prod as double\n" + EXPORT
        + 'def f() -> int:\n    """F."""\n    return double([1])\n', 6,
        "'double' is that of line {2} here",
    ),
    "by a loop": (
        "# %%\nfor double in ():\n    pass\n" + EXPORT + "A = double\n", 5,
        "'double' is that of line {2} here",
    ),
    "by a with": (
        "# %%\nwith open('a') as double:\n    pass\n" + EXPORT
        + "A = double\n", 5, "'double' is that of line {2} here",
    ),
    "by a walrus": (
        "# %%\n[double := 1 for _ in ()]\n" + EXPORT + "A = double\n", 4,
        "'double' is that of line {2} here",
    ),
    "later, in a function": (
        EXPORT + 'def f() -> int:\n    """F."""\n    return double(1)\n'
        + "# %%\ndef double(x): ...\n", 6, "but line {4}, which is exported, goes on",
    ),
    "of another module": (
        '# %% tags=["export"] module="b"\n"""B."""\nB = 1\n# %%\nB = 2\n'
        + EXPORT + "C = B\n", 7, "'B' is that of line {5} here",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cells, line, words", AGREE.values(), ids=AGREE)
def test_a_name_means_the_same_in_both(book, cells, line, words):
    for shift in range(9):
        words = words.replace(f"{{{shift}}}", str(END + shift))
    found = mistakes(book(GOOD + cells))
    place = f"1_one/1_x:{END + line}: "
    assert any(f.startswith(place) and words in f for f in found), found


@pytest.mark.parametrize(
    "cells",
    [
        "# %%\ndef double(x): ...\n",  # nothing exported uses it afterwards
        "# %%\n[double for double in ()]\n" + EXPORT + "A = double\n",
        "# %%\ndef f(double): ...\n" + EXPORT + "A = double\n",
        "# %%\nclass C:\n    double = 1\n" + EXPORT + "A = double\n",
        EXPORT + 'def f() -> int:\n    """F."""\n    return LATE\n\nLATE = 1\n',
        "# %%\nLATE = 2\n" + EXPORT + "LATE = 1\n" + EXPORT + "A = LATE\n",
    ],
)
def test_what_changes_no_meaning_passes(book, cells):
    assert library(book(GOOD + cells))


INTERLEAVED = (
    '# %% tags=["export"] module="one.a"\n"""A."""\nA = 1\n'
    '# %% tags=["export"] module="two.b"\n"""B."""\nB = A\n'
    '# %% tags=["export"] module="one.c"\n"""C."""\nC = B\n'
    '# %% tags=["export"] module="two.d"\n"""D."""\nD = C\n'
)


def imports(src: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "import groundup"]
    return subprocess.run(command, cwd=src, capture_output=True, text=True)


def test_packages_may_interleave_where_python_can_import_them(book, tmp_path):
    cells = INTERLEAVED[
        : INTERLEAVED.index('# %% tags=["export"] module="two.d"')
    ]
    extract(book(GOOD + cells), tmp_path / "src")
    run = imports(tmp_path / "src")
    assert run.returncode == 0, run.stderr
    (found,) = mistakes(book(GOOD + INTERLEAVED))
    assert "groundup.two.d needs 'C' of groundup.one.c before" in found


MODULES = ["one.a", "one.b", "one.deep.c", "two.d", "two.e", "three"]


@st.composite
def books(draw):
    """Cells in modules of several packages that use earlier cells' names."""
    cells, names = [], []
    for number in range(draw(st.integers(2, 7))):
        module, name = draw(st.sampled_from(MODULES)), f"N{number}"
        used = draw(st.sampled_from(["1", *names]))
        head = '"""Of it."""\n' if module not in str(cells) else ""
        way = draw(st.sampled_from(["{0}", "lambda: {0}"]))
        cells.append(
            f'# %% tags=["export"] module="{module}"\n{head}'
            f"{name} = {way.format(used)}\n"
        )
        names.append(name)
    return "".join(cells)


@settings(max_examples=25)
@given(books())
def test_a_library_is_written_if_and_only_if_python_imports_it(cells):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "book/1_one/1_x.py")
        path.parent.mkdir(parents=True)
        path.write_text(GOOD + cells)
        src = Path(folder, "src")
        try:
            extract(path.parents[1], src)
        except ExceptionGroup as group:
            assert all("import each other" in str(e) for e in group.exceptions)
            with unittest.mock.patch(
                "_config.library.extraction.cycles", lambda *_: ()
            ):
                extract(path.parents[1], src)
            assert "ImportError" in imports(src).stderr
        else:
            assert imports(src).returncode == 0, imports(src).stderr


def test_internal_names_are_not_offered(book):
    text = GOOD + (
        '# %% tags=["export", "internal"] module="nn.layer"\n"""Layers."""\n'
        'def helper(n: int) -> int:\n    """It."""\n    return n\n'
        '# %% tags=["export"] module="nn.layer"\nLAYER = helper(1)\n'
        '# %% tags=["export"] module="nn.other"\n"""Others."""\nN = helper(2)\n'
    )
    files = modules(book(text))
    assert "helper" not in files["nn/__init__.py"]
    assert "LAYER as LAYER" in files["nn/__init__.py"]
    assert "from groundup.nn.layer import helper\n" in files["nn/other.py"]
    (found,) = mistakes(book(text + "# %%\nfrom groundup.nn import helper\n"))
    assert "no chapter exports groundup.nn.helper" in found


def test_what_is_imported_for_its_effect_stays(book):
    cell = EXPORT + "import this  # noqa: F401\nimport os\n"
    text = modules(book(GOOD + cell))["linalg.py"]
    assert "import this  # noqa: F401\n" in text
    assert "import os" not in text


def test_a_comment_sign_in_a_string_is_no_comment(book):
    cells = '# %%\nimport os; x = "# no comment"\n' + EXPORT + "A = os.name\n"
    assert "\nimport os\n" in modules(book(GOOD + cells))["linalg.py"]


def test_an_import_that_may_fail_is_told_where_to_stand(book):
    cell = EXPORT + "try:\n    import os\nexcept ImportError:\n    os = None\n"
    (found,) = mistakes(book(GOOD + cell))
    assert "import it inside the function that needs it" in found


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 900 + ")" * 900,
        "x = " + "-" * 5_000 + "1",
        "if x:\n    pass\n" + "elif x:\n    pass\n" * 3_000,
    ],
)
def test_very_deep_code_is_refused_with_its_chapter(book, code):
    found = mistakes(book(GOOD + f"# %%\nx = 1\n{code}\n"))
    assert found[0].startswith("1_one/1_x:")
    assert "deep" in found[0] or "nested" in found[0]


def test_a_very_long_module_is_refused(book):
    name = "a" * 300
    (found,) = mistakes(book(GOOD + f'# %% tags=["export"] module="{name}"\n'))
    assert "300 letters, at most 60" in found


# All or nothing


def snapshot(root: Path) -> dict:
    return {
        p: (p.read_bytes(), p.stat().st_mtime_ns) for p in root.rglob("*.*")
    }


def test_a_mistake_leaves_the_library_alone(book, tmp_path):
    src = tmp_path / "src"
    extract(book(GOOD, LATER), src)
    before = snapshot(src)
    with pytest.raises(ExceptionGroup):
        extract(book(GOOD.replace("2 * x", "3 * x"), LATER + "oops\n"), src)
    assert snapshot(src) == before


def test_a_failing_disk_leaves_the_library_alone(book, tmp_path, monkeypatch):
    src = tmp_path / "src"
    extract(book(GOOD, LATER), src)
    before = snapshot(src)
    whole = Path.write_bytes

    def full(path, data):
        if path.name == ".layer.py.new":
            whole(path, data[:10])
            raise OSError("no space left")
        return whole(path, data)

    changed = book(GOOD.replace("2 *", "3 *"), LATER.replace("Does", "Do"))
    files = library(changed)
    monkeypatch.setattr("_config.library.extraction.library", lambda *_: files)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        extract(changed, src)
    assert snapshot(src) == before


def test_writes_only_what_changed(book, tmp_path):
    src = tmp_path / "src"
    extract(book(GOOD, LATER), src)
    before = snapshot(src)
    changed = extract(book(GOOD.replace("2 * x", "3 * x"), LATER), src)
    assert changed == [src / "groundup/linalg.py"]
    assert {p for p, s in snapshot(src).items() if s != before[p]} == {*changed}
    assert extract(tmp_path / "book", src) == []


def test_deletes_what_no_chapter_exports(book, tmp_path):
    src = tmp_path / "src"
    extract(book(GOOD, LATER), src)
    (src / "groundup/nn/__pycache__").mkdir()
    extract(tmp_path / "book", src, through="1_one/1_x")
    assert sorted(p.name for p in src.rglob("*")) == [
        "__init__.py",
        "groundup",
        "linalg.py",
    ]


@pytest.mark.parametrize("name", ["mine.py", "linalg.py", "nn/mine.py"])
def test_refuses_to_touch_a_hand_made_file(book, tmp_path, name):
    mine = tmp_path / "src/groundup" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("A = 1\n")
    with pytest.raises(ExceptionGroup) as caught:
        extract(book(GOOD), tmp_path / "src")
    (error,) = caught.value.exceptions
    assert (error.path, error.line) == (mine, 1)
    assert mine.read_text() == "A = 1\n"
    assert [p for p in (tmp_path / "src").rglob("*.py")] == [mine]


def test_an_edited_module_is_restored_and_the_edit_kept(book, tmp_path, capsys):
    src = tmp_path / "src"
    (path,) = [p for p in extract(book(GOOD), src) if p.name == "linalg.py"]
    good = path.read_text()
    path.write_text(good + "# edited\n")
    assert extract(tmp_path / "book", src) == [path]
    assert path.read_text() == good
    kept = tmp_path / "_build/edited/linalg.py"
    assert kept.read_text() == good + "# edited\n"
    assert f"kept in {kept}" in capsys.readouterr().err
    extract(book(GOOD.replace("2 *", "3 *")), src)  # not by other hands
    assert kept.read_text() == good + "# edited\n"
    assert capsys.readouterr().err == ""


def test_what_git_holds_needs_no_keeping(book, tmp_path, capsys):
    src = tmp_path / "src"
    extract(book(GOOD), src)
    path = src / "groundup/linalg.py"
    path.write_text(path.read_text() + "# merged\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=b"]
    for words in (["init", "-q"], ["add", "src"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert extract(tmp_path / "book", src) == [path]
    assert capsys.readouterr().err == ""


def test_an_unchanged_book_is_not_read_again(book, tmp_path, monkeypatch):
    src, path = tmp_path / "src", book(GOOD, LATER)
    extract(path, src)
    found = []
    monkeypatch.setattr(
        "_config.library.extraction.library",
        lambda *given: found.append(given) or {},
    )
    assert extract(path, src) == extract(path, src, check=True) == []
    assert not found
    book(GOOD + "\n# %%\n")
    with pytest.raises(ValueError, match="asked"):
        monkeypatch.setattr("_config.library.extraction.library", asked)
        extract(path, src)
    (src / "groundup/linalg.py").write_text("")
    with pytest.raises(ValueError, match="asked"):
        extract(path, src)


def asked(*_):
    raise ValueError("asked")


def test_what_a_killed_extraction_left_is_swept(book, tmp_path):
    src = tmp_path / "src"
    left = src / "groundup/nn/.layer.py.new"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    extract(book(GOOD, LATER), src)
    assert not left.exists()


def test_a_current_library_that_cannot_be_written_passes(
    book, tmp_path, monkeypatch
):
    src, path = tmp_path / "src", book(GOOD)
    extract(path, src)
    shutil.rmtree(tmp_path / "_build")

    def full(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("_config.library.output.FileLock.acquire", full)
    monkeypatch.setattr("_config.chapters.files.write", full)
    assert extract(path, src) == []
    monkeypatch.setattr("_config.library.output.Output.keep_edited", full)
    book(GOOD.replace("2 *", "3 *"))
    with pytest.raises(OSError, match="Read-only"):
        extract(path, src)


def test_the_library_states_the_projects_version(book, tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "groundup"\nversion = "7.8.9"\n')
    extract(book(GOOD), tmp_path / "src")
    text = (tmp_path / "src/groundup/__init__.py").read_text()
    assert text.endswith('\n__version__ = "7.8.9"\n')
    project.write_text('[project]\nname = "other"\nversion = "7.8.9"\n')
    assert "version" not in library(tmp_path / "book")["__init__.py"].decode()


def test_two_extractions_at_once(book, tmp_path, monkeypatch):
    path, src = book(GOOD, LATER), tmp_path / "src"

    write = Output.write

    def slow(*arguments):
        time.sleep(1)  # long enough for the other to look
        write(*arguments)

    monkeypatch.setattr("_config.library.output.Output.write", slow)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(extract, path, src) for _ in range(2)]
    assert sorted(len(run.result()) for run in runs) == [0, 4]
    assert extract(path, src, check=True) == []


# The command


def command(tmp_path: Path, *options: str) -> subprocess.CompletedProcess:
    where = ["--book", str(tmp_path / "book"), "--src", str(tmp_path / "src")]
    return subprocess.run(
        [sys.executable, "-m", "_config.extract", *where, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_check_lists_stale_files_and_writes_nothing(book, tmp_path):
    book(GOOD)
    fresh = command(tmp_path, "--check")
    assert fresh.returncode == 1
    assert "src/groundup/linalg.py: stale\n" in fresh.stdout
    assert not (tmp_path / "src").exists()
    assert command(tmp_path).returncode == 0
    assert command(tmp_path, "--check").returncode == 0
    (tmp_path / "src/groundup/old.py").write_text(HEADER)
    assert "old.py: stale" in command(tmp_path, "--check").stdout


def test_the_command_prints_every_mistake(book, tmp_path):
    book(GOOD + EXPORT + "oops\n", LATER + "oops\n")
    run = command(tmp_path)
    lines = run.stderr.splitlines()
    assert run.returncode == 1
    assert f"book/1_one/1_x.py:{END + 2}: " in lines[0]
    assert "book/1_one/2_x.py:10: " in lines[-1]
    assert "Traceback" not in run.stderr


def test_an_unknown_part_is_refused_with_the_known_ones(book, tmp_path):
    book(GOOD, **{"2_two/1_y": LATER})
    run = command(tmp_path, "--through", "3")
    assert run.returncode == 2
    assert "no part or chapter '3' (parts: 1_one, 2_two)" in run.stderr


def test_a_book_without_chapters_deletes_nothing(book, tmp_path):
    extract(book(GOOD), tmp_path / "src")
    run = command(tmp_path, "--book", str(tmp_path / "bok"))
    assert run.returncode == 2
    assert "no chapters in" in run.stderr
    assert (tmp_path / "src/groundup/linalg.py").exists()


def test_a_misnamed_chapter_is_refused(book, tmp_path):
    book(GOOD, **{"2_two/notes": LATER})
    run = command(tmp_path)
    assert run.returncode == 1
    assert "book/2_two/notes.py:1: a chapter is called" in run.stderr


@pytest.mark.parametrize(
    "through, expected",
    [
        ("1", {"linalg.py", "__init__.py"}),
        ("1_one", {"linalg.py", "__init__.py"}),
        ("1_one/1_x", {"linalg.py", "__init__.py"}),
        ("2", {"linalg.py", "__init__.py", "nn/__init__.py", "nn/layer.py"}),
    ],
)
def test_through_stops_after_a_part(book, through, expected):
    path = book(GOOD, **{"2_two/1_y": LATER, "3_three/1_z": "# %%\n)\n"})
    assert library(path, through=through).keys() == expected


def test_through_reports_a_chapter_that_cannot_be_read(book):
    path = book("# %% tags=[\n", **{"2_two/1_y": "# %% tags=[\n"})
    assert [text.split(": ")[0] for text in mistakes(path, through="1")] == [
        "1_one/1_x:1"
    ]


# This repository


def test_the_library_in_the_repository_is_extracted():
    assert extract(check=True) == []


def test_the_library_in_the_repository_passes_ruff():
    linted = lint(ROOT / "src")
    assert linted.returncode == 0, linted.stdout
