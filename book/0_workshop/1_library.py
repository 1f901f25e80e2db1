# %% [markdown] module="testing"
r"""
# The book is a library

How can one text be a chapter that you read, a library that you import, and a
test that fails when either is wrong? Keep three copies, and they drift apart:
the printed code is older than the package, and nobody has run it since. This
book has one copy. Every page is a Python file; some of its
cells are copied into the package `groundup`; all of them are run before the
page is built.

This chapter builds a small version of that machinery, and one real module: the
checks that every other chapter uses.

| name | what it is |
| --- | --- |
| `toy` | the text of a whole chapter, in one string |
| `Cell` | a piece of it: line, keys, source |
| `extract` | from a chapter's text to a module's text |
| `actual`, `expected` | what a calculation gave, and what it should have given |

## For whom, and in what order

You program in Python. You need no course in machine learning, and of
mathematics the derivative of $x^2$ and the patience to follow a sum. If you
would rather see a network learn first, begin with {doc}`/1_pixels/1_similarity`
and come back when you wonder how these pages are made: of this chapter, the
others use only the checks, `assert_equal` and its kin, and those do what they
say.

A chapter is either a story or a **starred** chapter. A story builds the small
version of a thing, looks at it, and goes on. What a library needs beyond that,
every option, every error, worker processes, saving, stands in a chapter with a
star at the end of the part. On a first reading skip the stars. A story may use
what a starred chapter has built, as you use Python without reading its source;
it never asks you to have read it.

A folded cell, here the imports, is one that you may leave closed.
"""

# %% Imports tags=["hide-input"]
import argparse
import ast
import importlib.util
import json
import re
import tempfile
from pathlib import Path
from textwrap import dedent
from traceback import extract_tb
from typing import NamedTuple

import matplotlib.pyplot as plt

# %% [markdown]
r"""
## A chapter is a script

Here is a chapter. Lines that start with `# %%` divide it into {term}`cells
<cell>`. Prose is a cell that holds a string, so that the whole file stays
plain Python. The tag `export` on the second cell asks for a copy in the
library. The last cell is a check.
"""

# %%
toy = dedent('''\
    # %% [markdown]
    r"""
    # Twice
    """

    # %% Twice a number tags=["export"]
    def double(x):
        """Twice x."""
        return 2 * x

    # %% A check
    assert double(21) == 42
    ''')

# %% [markdown]
r"""
Editors show such a file as a notebook and as a script. Git shows its changes
line by line, which it cannot do for a notebook's JSON. And Python runs it as it
is:
"""

# %%
namespace = {}
exec(compile(toy, "toy.py", "exec"), namespace)
namespace["double"](4)

# %% [markdown]
r"""
## Reading the cells

A marker line has a title and, behind it, keys whose values are JSON. JSON,
because then a forgotten bracket is an error and not a tag that is lost in
silence. `raw_decode` reads one value and says where it ends; there the search
for the next key goes on.
"""


# %%
def read_keys(marker: str) -> dict[str, object]:
    keys, place = {}, 0
    while match := re.compile(r" (\w+)=").search(marker, place):
        value = json.JSONDecoder().raw_decode(marker, match.end())
        keys[match[1]], place = value
    return keys


read_keys('# %% Twice a number tags=["export"] module="numbers"')

# %%
try:
    read_keys('# %% Twice a number tags=["export"')
except json.JSONDecodeError as error:
    message = str(error)
message

# %% [markdown]
r"""
A cell runs from its marker to the next one. We keep the number of its first
line, to be able to say where a mistake is.
"""


# %%
class Cell(NamedTuple):
    line: int
    keys: dict[str, object]
    source: str

    @property
    def exported(self) -> bool:
        return "export" in self.keys.get("tags", [])


def read_cells(text: str) -> list[Cell]:
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    cells = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        source = "\n".join(lines[start + 1 : end]).rstrip()
        cells.append(Cell(start + 2, read_keys(lines[start]), source))
    return cells


[(cell.line, cell.keys) for cell in read_cells(toy)]

# %% [markdown]
r"""
## From cells to a module

Now copy the tagged cells, in order, below a line that says where they come
from. The text is sliced and not written anew, so comments and layout survive.
"""


# %%
def extract(text: str) -> str:
    exported = [c.source for c in read_cells(text) if c.exported]
    return "\n\n\n".join(["# Extracted from toy.py.", *exported]) + "\n"


extract(toy).splitlines()

# %% [markdown]
r"""
So the same cells go three ways. The page shows all of them. The library takes
those that are tagged. And a run of the file, from top to bottom, is the test.
"""

# %% The same cells go three ways alt="Three boxes on the left, the cells of a chapter: prose, exported code, a check. Three on the right: page, library, test. Arrows lead from all three cells to the page, from the exported code alone to the library, and from the code and the check to the test." tags=["hide-input"]
cells, edges = ["prose", "exported code", "a check"], [0.3, 0.65, 0.4]
products = {"page": [0, 1, 2], "library": [1], "test": [1, 2]}
figure, axes = plt.subplots(figsize=(5, 2.4))
look = {"ha": "center", "va": "center", "fontsize": 10}
for row, (product, taken) in enumerate(products.items()):
    box = {"boxstyle": "round,pad=0.5", "fc": "none"}
    axes.text(0, -row, cells[row], **look, bbox=box | {"ec": "0.5"})
    axes.text(3, -row, product, **look, bbox=box | {"ec": f"C{row}"})
    for cell in taken:
        arrow = {"arrowstyle": "->", "color": f"C{row}"}
        axes.annotate("", (2.6, -row), (edges[cell], -cell), arrowprops=arrow)
axes.set(xlim=(-0.7, 3.5), ylim=(-2.5, 0.5))
axes.axis("off")
plt.show()

# %% [markdown]
r"""
Prose and checks stay out of the library. Rewrite them as often as you like: the
module's bytes stay the same, and nobody who uses it has to hear of it.
"""

# %%
rewritten = toy.replace("# Twice", "# Doubling").replace("21) == 42", "4) == 8")
assert rewritten != toy
assert extract(rewritten) == extract(toy)

# %% [markdown]
r"""
An extractor that guesses is worse than none. The method of this book is to
write a function again and again under one name, better each time. Only the last
version may be exported; two of them in one module would be a mistake, since the
second silently wins. So it is refused, with file and line:
"""


# %%
def check_names(text: str) -> None:
    seen = {}
    for cell in [c for c in read_cells(text) if c.exported]:
        for node in ast.parse(cell.source).body:
            name = getattr(node, "name", None)  # of a function or a class
            line = cell.line + node.lineno - 1
            if name in seen:
                where = f"toy.py:{line}: {name} is already exported"
                raise ValueError(f"{where}, in line {seen[name]}")
            if name:
                seen[name] = line


check_names(toy)

# %%
again = '\n# %% Once more tags=["export"]\ndef double(x):\n    return x + x\n'
try:
    check_names(toy + again)
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## A class grows

A class is often too long for one cell, and too much for one thought. There is a
way to go on with it in plain Python: a class of the same name whose base is the
class so far. Between the two cells there is room for prose, and for a look at
what the first half can do.
"""

# %%
growing = dedent('''\
    # %% A sum that is kept tags=["export"]
    class Tally:
        """Keeps a sum."""

        def __init__(self):
            self.total = 0

        def add(self, x):
            self.total += x

    # %% And taking away tags=["export"]
    class Tally(Tally):
        def take(self, x):
            self.total -= x
    ''')
exec(growing, namespace)
tally = namespace["Tally"]()
tally.add(5)
tally.take(2)
tally.total

# %% [markdown]
r"""
It runs at once: the name now means the second class, which inherits the rest.
But nobody would write a library like that, so extraction joins the bodies. A
cell that begins with `class Tally(Tally):` *continues* `Tally`. In a regular
expression `\1` stands for what the first group matched.
"""


# %%
def join(sources: list[str]) -> list[str]:
    joined = {}
    for source in sources:
        match = re.match(r"class (\w+)(\(\1\):\n)?", source)
        if match and match[2]:
            joined[match[1]] += "\n\n" + source[match.end() :]
        else:
            joined[match[1] if match else source] = source
    return list(joined.values())


def extract(text: str) -> str:
    exported = join([c.source for c in read_cells(text) if c.exported])
    return "\n\n\n".join(["# Extracted from toy.py.", *exported]) + "\n"


extract(growing).splitlines()

# %% [markdown]
r"""
One class, in one place. The toy chapter comes out as before, and `check_names`
has to let a continuation pass. While we are at it: a chapter may fill several
modules, so a name has to be new in its own.
"""


# %%
def check_names(text: str) -> None:
    seen = {}
    for cell in [c for c in read_cells(text) if c.exported]:
        for node in ast.parse(cell.source).body:
            name = getattr(node, "name", None)
            bases = [ast.unparse(base) for base in getattr(node, "bases", [])]
            if not name or bases == [name]:
                continue
            key = (cell.keys.get("module"), name)
            line = cell.line + node.lineno - 1
            if key in seen:
                where = f"toy.py:{line}: {name} is already exported"
                raise ValueError(f"{where}, in line {seen[key]}")
            seen[key] = line


check_names(growing)
assert extract(toy) == "\n\n\n".join(
    ["# Extracted from toy.py.", read_cells(toy)[1].source + "\n"]
)
refused = ""
try:
    check_names(toy + again)
except ValueError as error:
    refused = str(error)
assert refused == message

# %% [markdown]
r"""
## A command

The extractor has to run in a terminal and on a server, so it becomes a command.
Python's `argparse` turns a list of words into options and writes the help. With
`--check` the command changes nothing and only answers, by its exit status,
whether the module is {term}`stale`. A server that runs this makes sure that
nobody edits the library by hand.
"""


# %%
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Make a chapter's module.")
    parser.add_argument("chapter", type=Path)
    parser.add_argument("module", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    made = extract(options.chapter.read_text())
    stale = not options.module.exists() or options.module.read_text() != made
    if stale and not options.check:
        options.module.write_text(made)
    return int(stale and options.check)


# %%
temporary = tempfile.TemporaryDirectory()  # gone when the chapter ends
folder = Path(temporary.name)
chapter, module = folder / "toy.py", folder / "doubling.py"
chapter.write_text(toy)
main([str(chapter), str(module), "--check"]), module.exists()

# %% [markdown]
r"""
Stale, as it must be: the module does not exist yet. Now write it, and write it
again. The second time nothing changes, not even the file's date.
"""

# %%
main([str(chapter), str(module)])
first = module.read_bytes(), module.stat().st_mtime_ns
main([str(chapter), str(module)])
assert (module.read_bytes(), module.stat().st_mtime_ns) == first

# %%
module.write_text(module.read_text().replace("2 * x", "3 * x"))
main([str(chapter), str(module), "--check"])

# %% [markdown]
r"""
The hand-made change was caught. Make the module once more and import it, as any
program would:
"""

# %%
main([str(chapter), str(module)])
spec = importlib.util.spec_from_file_location("doubling", module)
doubling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doubling)
doubling.double(4), doubling.double.__doc__

# %% [markdown]
r"""
The real one is `python -m _config.extract`. It adds what a library needs that
should pass for hand-written: a module for each cell to go to, exactly the
imports that each module uses, docstrings and annotations demanded, formatting,
and all files written or none.

The idea is older than this book. A course {cite:p}`howard2019` marked cells of
its notebooks with a comment, `#export`; a script called `notebook2script`
copied each notebook's cells into a module named after it, `nb_01`, and the
next notebook began with `from exp.nb_01 import *`. It proved that a library
can grow in notebooks. Here is what we do differently, and why:

| there | here | why |
| --- | --- | --- |
| `#export` inside the cell | a tag on its marker line, in JSON | a misspelt tag is an error |
| one module a notebook | one module a concept | you look for `linear`, not for lesson 2 |
| `import *` | each name imported by name | a reader sees where it comes from |
| notebooks in JSON | scripts | readable changes, any editor |
| `run_notebook`, with `fire` for its command line | `python -m _config.execute`, with `argparse` | nothing to install; runs only what changed |
| `test`, `test_eq`, `test_near` | `groundup.testing` | messages that name the worst element |

## A check is a test

A chapter that runs from its first line to its last has passed all its checks.
So running the book is testing it. When a check fails, Python knows the line,
and since nothing was generated it is the line in the chapter. All the values
that led to it are still there to look at.
"""

# %%
wrong = toy.replace("2 * x", "2 + x")
try:
    exec(compile(wrong, "toy.py", "exec"), {})
except AssertionError as error:
    failed = extract_tb(error.__traceback__)[-1].lineno
failed, wrong.splitlines()[failed - 1]

# %% [markdown]
r"""
We know where, but not what. A plain `assert` keeps both values to itself. Hence
one rule for the whole book:

* Where a value is *expected*, a check names it and says what came instead:
  `assert_equal(double(21), 42)`.
* A plain `assert` is left for what is true or false and has no second value to
  show, such as an inequality: `assert gain > 2`. (`python -O` skips it; the book
  is run without.)

The checks above were plain for want of better ones. Let us write those. A helper for this chapter shows what one says:
"""


# %%
def said(check, *values) -> str:
    try:
        check(*values)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "passed"


# %%
def assert_equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"got {actual!r}, expected {expected!r}")


said(assert_equal, 2 + 21, 42), said(assert_equal, [1, 2], [1, 2])

# %% [markdown]
r"""
That is all it takes, until a tensor comes. A tensor is a table of numbers, and
{doc}`/1_pixels/1_similarity` introduces it properly. Comparing two of them gives
a table of truth values, and Python does not know which of them you mean.
"""

# %% tags=["export"]
"""Checks whose failure shows both values."""

import math

import torch
from torch import Tensor

# %%
ones = torch.ones(3)
said(assert_equal, ones, ones)

# %% [markdown]
r"""
All of them, then. But this goes wrong in a way that is much worse, because
nothing is raised:
"""


# %%
def assert_equal(actual, expected):
    if not (actual == expected).all():
        raise AssertionError(f"got {actual!r}, expected {expected!r}")


said(assert_equal, ones, torch.ones(3, 1)), said(assert_equal, ones, 1)

# %% [markdown]
r"""
A row of three passes for a column of three, and for the number 1. Torch
stretched one to fit the other; {doc}`/1_pixels/1_similarity` explains how. In a
calculation that is a gift, in a check it hides just the mistake that is
easiest to make. Python has a trap of the same kind: `True == 1`. So the shapes
must agree, and the types of the elements, and a truth value equals no number.
A plain number has no type to compare: it may stand for a tensor's only element.
"""


# %% The same kind of value tags=["export"]
def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return repr(value)


def _refuse(actual: object, expected: object) -> None:
    message = f"got {_describe(actual)}, expected {_describe(expected)}"
    raise AssertionError(message)


def _kind(value: object) -> tuple[torch.dtype | None, tuple[int, ...]]:
    """What must agree: the dtype, None for a plain number, and the shape."""
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape)
    return torch.bool if isinstance(value, bool) else None, ()


def _check_kind(actual: object, expected: object) -> None:
    (dtype, shape), (wanted, wanted_shape) = _kind(actual), _kind(expected)
    plain = None in (dtype, wanted) and torch.bool not in (dtype, wanted)
    if shape != wanted_shape or not (dtype == wanted or plain):
        _refuse(actual, expected)


# %% [markdown]
r"""
When elements differ, a large tensor is too much to print. The message counts
them and shows the worst one: its index and both values. The difference is taken
in double precision, since bytes would wrap around below zero.
"""


# %% The worst element tags=["export"]
def _widen(value: object) -> Tensor:
    """The value in double precision, where no difference wraps around."""
    if not isinstance(value, Tensor):
        return torch.tensor(value, dtype=torch.float64)
    wide = torch.promote_types(value.dtype, torch.float64)
    return value.to(wide)


def _check_elements(same: Tensor, actual: Tensor, expected: Tensor) -> None:
    """Raise unless ``same`` holds everywhere, and name the worst element."""
    if same.all():
        return
    error = (_widen(actual) - _widen(expected)).abs()
    worst = error.where(~same, -1.0).flatten().argmax()  # NaN is the largest
    count = f"{(~same).sum()} of {same.numel()} elements differ, the worst"
    index = tuple(i.item() for i in torch.unravel_index(worst, same.shape))
    got, wanted = (torch.as_tensor(v)[index].item() for v in (actual, expected))
    where = f"{count} at {index}: " if index else ""
    raise AssertionError(f"{where}got {got}, expected {wanted}")


# %% Equal tags=["export"]
def assert_equal(actual: object, expected: object) -> None:
    """Raise unless the values agree, and for tensors dtype and shape too."""
    _check_kind(actual, expected)
    same = actual == expected
    if isinstance(same, Tensor):
        _check_elements(same, actual, expected)
    elif not same:
        _refuse(actual, expected)


# %% [markdown]
r"""
The same checks as before, and what was wrong with them is gone:
"""

# %%
assert_equal(ones, torch.ones(3))
said(assert_equal, ones, torch.ones(3, 1)), said(assert_equal, ones, 1)

# %%
said(assert_equal, True, 1), said(assert_equal, ones, torch.ones(3).long())

# %%
table = torch.arange(6).view(2, 3)
said(assert_equal, table, torch.tensor([[0, 1, 9], [3, 4, 6]]))

# %% [markdown]
r"""
## Nearly equal

Sums of floats depend on the order of summing, so a fast kernel and a plain loop
hardly ever agree to the last bit.
"""

# %%
(0.1 + 0.2) + 0.3 == 0.1 + (0.2 + 0.3)

# %% [markdown]
r"""
Two values are close if

$$\begin{aligned} &|\text{actual} - \text{expected}| \\
&\quad \le \text{atol} + \text{rtol} \cdot |\text{expected}|. \end{aligned}$$

The relative {term}`tolerance` `rtol` grows with the value expected. Near zero
it is worthless, and the absolute one, `atol`, takes over. The defaults are
those of the course's `near`, 0.001 and 0.00001.
"""


# %% Close tags=["export"]
def assert_close(
    actual: object, expected: object, rtol: float = 1e-3, atol: float = 1e-5
) -> None:
    """Raise unless |actual - expected| <= atol + rtol * |expected|."""
    _check_kind(actual, expected)
    actual, expected = _widen(actual), _widen(expected)
    _check_kind(actual, expected)  # lists have a shape by now
    error = (actual - expected).abs()
    close = (error <= atol + rtol * expected.abs()) & (error < math.inf)
    _check_elements(close | (actual == expected), actual, expected)


# %% Near zero tags=["export"]
def assert_near_zero(value: object, atol: float = 1e-3) -> None:
    """Raise unless every element lies within atol of zero."""
    value = _widen(value)
    assert_close(value, torch.zeros_like(value), rtol=0, atol=atol)


# %%
assert_close(0.1 + 0.2, 0.3)
assert_near_zero(torch.tensor([1e-4, -1e-4]))
said(assert_close, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))

# %% [markdown]
r"""
What is infinite is close to the same infinity only. {term}`NaN`, the result of
an operation without a result, is close to nothing, itself included: a check
that lets it pass would miss the one number that spoils everything after it.
"""

# %%
nan, inf = torch.tensor(torch.nan), torch.tensor(torch.inf)
assert_close(inf, inf)
said(assert_close, nan, nan), said(assert_close, ones[0], inf)

# %% [markdown]
r"""
These checks serve twice. In a chapter they stand beside the idea that they
prove; in `tests/` they compare our functions with torch's, over many inputs,
each time anything changes.

## The rule and its ledger

The book has one rule: *use a thing only after you have built it.* At the start
you have Python, its standard library, tensors that can be created, indexed,
reshaped, added and summed, random numbers, and plots. Everything else of torch
has to be {term}`earned <earn>`: a chapter builds its own, a test shows that
ours and torch's agree, and from that cell on the real one may be used.

A rule that nobody checks is a wish. A machine can check this one, because
Python can read Python: parse the text, walk the tree, and collect each name
that starts with `torch`.
"""


# %%
def torch_names(source: str) -> dict[str, int]:
    nodes = ast.walk(ast.parse(source))
    uses = [node for node in nodes if isinstance(node, ast.Attribute)]
    names = {ast.unparse(node): node.lineno for node in uses}
    return {name: names[name] for name in names if name.startswith("torch.")}


draft = dedent("""\
    import torch
    scores = torch.stack([torch.tensor(1.0), torch.tensor(2.0)])
    shares = torch.softmax(scores, 0)
    """)
torch_names(draft)

# %%
allowed = {"torch.tensor", "torch.stack"}
[
    f"toy.py:{line}: {name} is not earned yet"
    for name, line in torch_names(draft).items()
    if name not in allowed
]

# %% [markdown]
r"""
Sometimes a chapter needs a thing before its time: the next part trains a
network long before we can differentiate. Then it takes a {term}`loan`, and the
ledger notes the chapter that pays it back. And at times we only want to look
at the real thing, to compare: a cell tagged `reference` may use anything and
is never exported.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `assert_equal` | `testing` | same values, and for tensors same dtype and shape |
| `assert_close` | `testing` | the same, within a tolerance |
| `assert_near_zero` | `testing` | every element within `atol` of zero |

The toy extractor, its command and the toy ledger were throwaways. The real
ones are in `_config/`, and they read this chapter like any other. So do the toys:
a test runs them over the whole book.

## Questions

:::{dropdown} What becomes of a cell tagged export?
Its text is copied into a module of the library, under the imports that it
needs. In the chapter it runs like every other cell.
:::

:::{dropdown} Why must extracting twice give the same bytes?
Otherwise each build would change the library, and `--check` could not tell a
change that somebody made from one that the tool made by itself.
:::

:::{dropdown} What did notebook2script and run_notebook do, and what do the same jobs here?
The first copied the cells marked `#export` of a notebook into a Python module;
the second ran a notebook from the command line so that its assertions became
tests. Here `_config.extract` makes the modules and `_config.execute` runs the
chapters.
:::

:::{dropdown} When is a plain assert enough, and when is it not?
It is enough for a condition, such as an inequality. Where a value is expected
it would not show the value that came; `assert_equal` does.
:::

:::{dropdown} What does a class look like in the library whose methods stand in five cells?
Like any other class: one `class`, with its methods in the order of the cells. In
the chapter each cell after the first makes a subclass of the same name.
:::

:::{dropdown} Why does assert_equal compare shapes before it compares elements?
Because torch stretches shapes that differ until they fit, so that a row can
equal a column and a tensor a number.
:::
"""

# %% tags=["answer"]
row, column = torch.ones(3), torch.ones(3, 1)
assert (row == column).all() and (row == 1).all()
for expected in (column, 1):
    assert "of shape (3,), expected" in said(assert_equal, row, expected)

# %% [markdown]
r"""
:::{dropdown} When does rtol decide, and when atol?
For large expected values `rtol`, near zero `atol`. With the defaults they weigh
the same at 0.01.
:::
"""


# %% tags=["answer"]
def passes(actual: float, expected: float, **tolerances: float) -> bool:
    try:
        assert_close(actual, expected, **tolerances)
    except AssertionError:
        return False
    return True


for expected, off, needs_rtol, needs_atol in (
    (1000.0, 0.9, True, False),
    (0.0, 0.9e-5, False, True),
    (0.01, 1.9e-5, True, True),  # each allows 1e-5 here: both are needed
):
    actual = expected + off
    assert passes(actual, expected)
    assert passes(actual, expected, rtol=0) != needs_rtol
    assert passes(actual, expected, atol=0) != needs_atol

# %% [markdown]
r"""
:::{dropdown} In which three ways may a chapter use a name of torch?
It is allowed from the start; it has been earned; or it is on loan from a later
chapter. (A fourth, for comparison only: a cell tagged `reference`.)
:::

## Exercises

**1. The tag that was a title.** Somebody writes `# %% export` and wonders why
the function is missing from the library. Why is it? Write a `read_keys` that
refuses such a line.
"""


# %% tags=["solution"]
def careful_keys(marker: str) -> dict[str, object]:
    title = marker.removeprefix("# %%").strip()
    if title.split(" ")[0] == "export":  # with no tags=, a title like any other
        raise ValueError(f'{title!r} is a title: write tags=["export"]')
    return read_keys(marker)


assert_equal(read_keys("# %% export"), {})
assert "is a title" in said(careful_keys, "# %% export")
assert_equal(careful_keys('# %% Twice tags=["export"]'), {"tags": ["export"]})

# %% [markdown]
r"""
**2. Lists of tensors.** `assert_equal` on two lists of tensors raises an error
of another kind. Write `assert_all_equal`, which goes through two lists and also
notices if one is longer.
"""


# %% tags=["solution"]
def assert_all_equal(actual: list, expected: list) -> None:
    assert_equal(len(actual), len(expected))
    for a, b in zip(actual, expected, strict=True):
        assert_equal(a, b)


tensors = [torch.zeros(2), torch.ones(3)]
assert "RuntimeError" in said(assert_equal, tensors, [torch.zeros(2)] * 2)
assert_all_equal(tensors, [torch.zeros(2), torch.ones(3)])
message = "AssertionError: got 2, expected 1"
assert_equal(said(assert_all_equal, tensors, tensors[:1]), message)

# %% [markdown]
r"""
**3. Which way round?** Find two numbers for which `assert_close(a, b)` passes
and `assert_close(b, a)` fails. Is that a mistake?
"""

# %% tags=["solution"]
a, b = 1000.0, 1001.0005
assert_close(a, b)  # allowed: 1e-5 + 1e-3 * 1001.0005 = 1.0010105
assert said(assert_close, b, a) != "passed"  # allowed: 1e-5 + 1.0
# No: the tolerance belongs to the value that is expected. Say which one it is.

# %% [markdown]
r"""
**4. A borrowed name.** `torch_names` misses a name that was imported by itself,
as in `from torch import softmax`. Extend it to those imports.
"""


# %% tags=["solution"]
def all_torch_names(source: str) -> dict[str, int]:
    names = torch_names(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            names |= {f"torch.{name.name}": node.lineno for name in node.names}
    return names


line = "from torch import softmax\n"
assert_equal(torch_names(line), {})
assert_equal(all_torch_names(line), {"torch.softmax": 1})

# %% [markdown]
r"""
The tools are laid out. {doc}`/1_pixels/1_similarity` puts them to work on
seventy thousand handwritten digits; how those arrive unharmed is told in the
starred chapter before it, {doc}`/0_workshop/2_data`.
"""
