"""One small book for the tests of the site, and Sphinx over it in a fork.

Sphinx and its extensions keep state in the process that ran them, and KaTeX's
engine has threads: each build is a fork of a server that has only imported them.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.cmd.build import build_main

from _config.chapters.files import ROOT
from _config.chapters.parse import parse, read_book
from _config.runs import store

FIRST = '''# %% [markdown] module="linalg"
r"""
# Products

What is a product?
"""

# %% tags=["export"]
"""Products of tensors."""

# %%
def matmul(a, b):
    return [[sum(x * y for x, y in zip(r, c)) for c in zip(*b)] for r in a]

# %% The product tags=["export"]
def matmul(a: list, b: list, *, fast: bool = True) -> list:
    """Matrix product: (n, k), (k, m*m) -> (n, m*m)."""
    return a @ b

# %% A line tags=["hide-input"] alt="A line that rises"
plot([0, 1])

# %% tags=["solution"]
def twice(matmul):
    return matmul(2)
'''

SECOND = '''# %% [markdown] module="nn.functional"
r"""
# Functions
"""

# %% Imports tags=["hide-input"]
from groundup.linalg import matmul

# %% tags=["export"]
"""Functions of layers."""
def affine(x: list, w: list) -> list:
    """A product: (n, d), (d, k) -> (n, k)."""
    return matmul(x, w)

# %% tags=["record"] record="worth"
def worth(seed):
    return {"ours": 1.0}

# %%
é = "ü"; affine([[1]], matmul([[2]], [[3]]))
'''

RECORD = {
    "key": "of older code", "values": {"0": {"ours": 0.123456}},
    "mean": {"ours": 0.123456}, "deviation": {"ours": 0.012345},
    "seconds": 2.0, "hardware": "a desk", "versions": {"torch": "2.13.0"},
    "date": "2026-01-01",
}  # fmt: skip

SVG = """<?xml version="1.0"?><!DOCTYPE svg>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt">
<metadata>x</metadata>
<defs><path id="tick" style="stroke: #000000"/></defs>
<g id="patch_1"><use xlink:href="#tick" style="stroke: #123456"/></g>
<text style="font: 10px 'DejaVu Sans', sans-serif; fill: #ffffff">0</text>
<g clip-path="url(#p1)"/><clipPath id="p1"/></svg>"""


def chapter(text: str, name: str = "1_one/1_first"):
    return parse(text, Path(f"book/{name}.py"), name)


def toctree(title: str, *names: str) -> str:
    pages = "\n".join(names)
    return f"# {title}\n\n```{{toctree}}\n:glob:\n\n{pages}\n```\n"


def write_book(root: Path) -> Path:
    """A book of two parts with one chapter each, as if it had been executed."""
    for name, text in {
        "index.md": toctree("Tiny", "[0-9]*/index", "api/index", "ledger"),
        "references.bib": "",
        "redirects.txt": "",
        "1_one/index.md": toctree("Beginnings", "[0-9]*"),
        "2_two/index.md": toctree("Endings", "[0-9]*"),
        "1_one/1_first.py": FIRST,
        "2_two/1_second.py": SECOND,
        "2_two/1_second.worth.json": json.dumps(RECORD),
    }.items():
        path = root / "book" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for folder in ("src", "tests"):
        (root / folder).mkdir(parents=True)
    pretend_to_run(root)
    return root


def pretend_to_run(root: Path, printed: str = "[[6]]", part: str = "") -> None:
    """Store outputs for each chapter (of a part): a figure, or text."""
    for each in read_book(root / "book"):
        if not each.name.startswith(part):
            continue
        outputs = []
        for cell in each.code:
            data = (
                {"image/svg+xml": SVG}
                if "alt" in cell.metadata
                else {"text/plain": printed}
            )
            output = {
                "output_type": "display_data",
                "data": data,
                "metadata": {},
            }
            outputs.append(
                [output] if "(" in cell.source.split("\n")[0][:9] else []
            )
        outputs[-1] = [
            {"output_type": "stream", "name": "stdout", "text": printed}
        ]
        receipt = {"seconds": 2.0, "versions": {"torch": "2.13.0"}}
        entry = store.Entry(store.key(each, root / "src"), outputs, receipt)
        store.save(entry, root / "_build/store")


@dataclass
class Built:
    """How a process ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["_config.site.sphinx_ext", __name__])


def fork(root: Path, function: Callable, *arguments: object) -> Built:
    """Call a function in a process of its own, which ends with what it returns."""
    process = SERVER.Process(target=run, args=(root, function, arguments))
    process.start()
    process.join()
    texts = [(root / name).read_text("utf-8") for name in ("stdout", "stderr")]
    return Built(process.exitcode, *texts)


def run(root: Path, function: Callable, arguments: tuple) -> None:
    sys.stdout = (root / "stdout").open("w", encoding="utf-8")
    sys.stderr = (root / "stderr").open("w", encoding="utf-8")
    os.environ["NO_COLOR"] = "1"  # whatever CI says
    try:
        sys.exit(function(*arguments))
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            stop.code = 1
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def build(root: Path, *options: str) -> Built:
    """Run Sphinx over a book."""
    return fork(root, build_main, arguments(root, *options))


def arguments(root: Path, *options: str) -> list[str]:
    places = [
        "-c",
        ROOT,
        "-d",
        root / "doctrees",
        "-D",
        f"groundup_root={root}",
    ]
    places += [*options, root / "book", root / "html"]
    return [str(each) for each in places]


def page(root: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup(
        (root / "html" / f"{name}.html").read_text("utf-8"), "html.parser"
    )
