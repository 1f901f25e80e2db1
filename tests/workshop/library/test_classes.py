"""A class that grows over cells is one class in the library, or refused."""

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _config.chapters.parse import parse
from _config.library.extraction import library
from _config.library.modules import collect

HEAD = '''\
# %% [markdown] module="box"
r"""
# Boxes
"""

# %% tags=["export"]
"""Boxes."""
from functools import cached_property, total_ordering
from dataclasses import dataclass
from typing import NamedTuple, overload

'''
FIRST = '''\
# %% A box tags=["export"]
# Why it is so.
class Box:
    """A box."""

    size = 1  # set once

    def __init__(self, n: int) -> None:
        # kept
        self._n = n

    def show(self) -> str:
        """As text."""
        return f"{self._n}"
'''
EXPORT = '# %% tags=["export"]\n'
AT = (HEAD + FIRST).count("\n")


@pytest.fixture
def extracted(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "book/1_one/1_x.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + textwrap.dedent(text))
        return library(tmp_path / "book")["box.py"].decode()

    return write


def test_the_library_holds_one_class_in_order(extracted):
    text = (
        FIRST
        + '''
# %% [markdown]
r"""
Words between.
"""

# %%
class Other:
    pass

# %% tags=["export"]
LIMIT = 3

# above the second part
class Box(Box):
    # above a method
    def more(self) -> int:
        """More of it."""
        return self._n + LIMIT  # beside

    # above the one that takes its place
    def show(self) -> str:
        """As other text."""
        return f"<{self.more()}>"

# %% tags=["export"]
class Box(Box):
    @property
    def n(self) -> int:
        """How much."""
        return self._n

    @n.setter
    def n(self, value: int) -> None:
        self._n = value
'''
    )
    assert (
        extracted(text).partition('"""Boxes."""\n')[2]
        == '''

# Why it is so.
class Box:
    """A box."""

    size = 1  # set once

    def __init__(self, n: int) -> None:
        # kept
        self._n = n

    # above the second part

    # above the one that takes its place
    def show(self) -> str:
        """As other text."""
        return f"<{self.more()}>"

    # above a method
    def more(self) -> int:
        """More of it."""
        return self._n + LIMIT  # beside

    @property
    def n(self) -> int:
        """How much."""
        return self._n

    @n.setter
    def n(self, value: int) -> None:
        self._n = value


LIMIT = 3
'''
    )


PART = "class Box(Box):\n"
METHOD = '    def more(self) -> int:\n        """More."""\n        return 1\n'
# cells after FIRST: the line among them that is named, words of the message
REFUSED = {
    "other base": (
        EXPORT + "class Box(Box, dict):\n" + METHOD, 2, "bases, keywords"),
    "generic": (EXPORT + "class Box(Box[int]):\n" + METHOD, 2, "bases, key"),
    "keyword": (
        EXPORT + "class Box(Box, metaclass=type):\n" + METHOD, 2, "bases, key"),
    "decorator": (
        EXPORT + "@total_ordering\n" + PART + METHOD, 3, "bases, keywords"),
    "docstring": (
        EXPORT + PART + '    """More."""\n' + METHOD, 3, "its docstring"),
    "one line": (EXPORT + "class Box(Box): more = 1\n", 2, "on a new line"),
    "indent": (EXPORT + PART + "  more = 1\n", 3, "indent its body by 4"),
    "attribute": (EXPORT + PART + "    size = 2\n", 3, "size is set in line"),
    "method as value": (
        EXPORT + PART + "    show = None\n", 3, "show is set in line"),
    "super replaced": (
        EXPORT + PART + '    def show(self) -> str:\n        """."""\n'
        "        return super().show()\n", 5, "super() finds line"),
    "super init": (
        EXPORT + PART + "    def __init__(self) -> None:\n"
        "        super().__init__(1)\n", 4, "super() finds line"),
    "super of another": (
        EXPORT + PART + METHOD.replace("1\n", "super().show()\n"), 5,
        "super() finds line"),
    "super two": (
        EXPORT + PART + METHOD.replace("1\n", "super(Box, self).show()\n"), 5,
        "super() finds line"),
    "super kept": (
        EXPORT + PART + METHOD.replace("1\n", "[super()]\n"), 5, "super()"),
    "class level": (
        EXPORT + PART + "    twice = size * 2\n", 3, "would be that of line"),
    "default": (
        EXPORT + PART + '    def more(self, n: int = size) -> int:\n'
        '        """."""\n        return n\n', 3, "would be that of line"),
    "annotation": (
        EXPORT + PART + '    def more(self) -> show:\n'
        '        """."""\n        return 1\n', 3, "would be that of line"),
    "setter": (
        EXPORT + PART + METHOD.replace("    def", "    @property\n    def", 1)
        + EXPORT + PART + "    @Box.more.setter\n"
        "    def more(self, n: int) -> None:\n        self._n = n\n", 9,
        "a property stands whole in one cell"),
    "moved up": (
        EXPORT + PART + "    limit = 3\n\n"
        '    def show(self, n: int = limit) -> str:\n        """."""\n'
        "        return ''\n", 5, "show takes the place of an earlier one"),
    "defined below": (
        EXPORT + "LIMIT = 3\n" + EXPORT + PART + "    top = LIMIT\n", 5,
        "'LIMIT' is used before its definition"),
    "slots": (
        EXPORT + PART + '    __slots__ = ("a",)\n', 3, "__slots__ stands"),
    "subclass between": (
        EXPORT + 'class Small(Box):\n    """Small."""\n' + EXPORT + PART
        + METHOD, 2, "Box goes on in line"),
    "plain part between": (
        "# %%\n" + PART + METHOD + EXPORT + PART + "    a = 1\n", 7,
        "'Box' is that of line"),
    "other module": (
        '# %% tags=["export"] module="crate"\n"""Crates."""\n' + PART + METHOD,
        3, "Box continues the class of line"),
    "no class": (
        EXPORT + "A = Box\n" + EXPORT + "class A(A):\n" + METHOD, 4,
        "A of line"),
    "nothing before": (
        EXPORT + "class New(New):\n" + METHOD, 2,
        "New continues a class that is not there"),
    "plain before": (
        "# %%\nclass New:\n    pass\n" + EXPORT + "class New(New):\n" + METHOD,
        5, "New continues the class of line"),
    "imported before": (
        "# %%\nfrom collections import Counter\n" + EXPORT
        + "class Counter(Counter):\n" + METHOD, 4,
        "Counter continues the class of line"),
}  # fmt: skip


@pytest.mark.parametrize("cells, line, words", REFUSED.values(), ids=REFUSED)
def test_what_would_mean_something_else_is_refused(
    extracted, cells, line, words
):
    with pytest.raises(ExceptionGroup) as caught:
        extracted(FIRST + cells)
    found = [(e.line - AT, e.message) for e in caught.value.exceptions]
    assert any(at == line and words in message for at, message in found), found


KINDS = {
    "named tuple": (
        'class Row(NamedTuple):\n    """A row."""\n    a: int\n',
        "class Row(Row):\n    b: int\n", "a NamedTuple cannot grow"),
    "slots": (
        'class Row:\n    """A row."""\n    __slots__ = ("a",)\n',
        "class Row(Row):\n    b = 1\n", "Row cannot grow: line"),
    "hook": (
        'class Row:\n    """A row."""\n'
        "    def __init_subclass__(cls) -> None:\n        pass\n",
        "class Row(Row):\n    b = 1\n", "Row cannot grow: line"),
    "field": (
        '@dataclass\nclass Row:\n    """A row."""\n    a: int\n',
        "class Row(Row):\n    b: int = 1\n", "misses this field"),
}  # fmt: skip


@pytest.mark.parametrize("first, more, words", KINDS.values(), ids=KINDS)
def test_classes_that_are_made_as_a_whole_do_not_grow(
    extracted, first, more, words
):
    with pytest.raises(ExceptionGroup) as caught:
        extracted(EXPORT + first + EXPORT + more)
    (error,) = caught.value.exceptions
    assert words in error.message


# Random classes: what they do in the notebook they do in the library


NAMES = ["a", "b", "_c", "__d"]
METHOD_KINDS = {
    "plain": "def {name}(self):\n    return ({value}, {call})",
    "static": "@staticmethod\ndef {name}():\n    return {value}",
    "property": "@property\ndef {name}(self):\n    return {value}",
    "setter": "@property\ndef {name}(self):\n    return {value}\n"
    "@{name}.setter\ndef {name}(self, x):\n    self.set = x",
    "class": "class {name}:\n    value = {value}",
    "attribute": "{name} = {value}",
}


@st.composite
def bodies(draw):
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        pieces = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from([*METHOD_KINDS]))
            other = draw(st.sampled_from([None, *NAMES]))
            call = f"hasattr(self, '{other}')" if other else "None"
            pieces.append(
                METHOD_KINDS[kind].format(
                    name=draw(st.sampled_from(NAMES)),
                    value=draw(st.integers(0, 99)),
                    call=call,
                )
            )
        parts.append("\n".join(pieces))
    return parts


def behaviour(made: type) -> dict:
    """What each attribute of an instance is or gives."""
    one, found = made(), {}
    for name in [n for n in dir(made) if not n.startswith("__")]:
        value = getattr(one, name)
        found[name] = value() if callable(value) else value
        found[name] = getattr(found[name], "value", found[name])
        kind = next(vars(c)[name] for c in made.__mro__ if name in vars(c))
        found[name] = found[name], type(kind).__name__
        if isinstance(kind, property):
            found[name] += (kind.fset is not None,)
    return found


@given(bodies())
def test_a_random_class_does_the_same_in_both(parts):
    cells = []
    for i, body in enumerate(parts):
        base = "(Thing)" if i else ""
        cells.append(f"class Thing{base}:\n{textwrap.indent(body, '    ')}\n")
    text = HEAD + "".join(EXPORT + cell for cell in cells)
    chapter = parse(text, __file__, "1_one/1_x")
    modules, errors = collect([chapter])
    if errors:  # refused: an attribute that is set again
        assert all("is set in line" in e.message for e in errors)
        return
    notebook, module = {}, {}
    for cell in cells:
        exec(cell, notebook)
    node = modules["box"].names["Thing"].node
    exec(ast.unparse(ast.fix_missing_locations(node)), module)
    assert behaviour(module["Thing"]) == behaviour(notebook["Thing"])
