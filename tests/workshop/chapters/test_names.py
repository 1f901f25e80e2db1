"""The resolver: what a name means is what Python finds under it."""

import ast
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _config.chapters.names import Binding, Resolver, Use


class Listing(Resolver):
    """Keeps all that a resolver tells."""

    def __init__(self, package: str = "") -> None:
        super().__init__(package)
        self.uses: list[Use] = []
        self.paths: list[str] = []
        self.tops: list[str] = []

    def use(self, use: Use) -> None:
        self.uses.append(use)

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        self.paths.append(path)

    def bound(self, binding: Binding) -> None:
        self.tops.append(binding.name)


def listing(text: str, package: str = "") -> Listing:
    found = Listing(package)
    found.walk(ast.parse(text).body)
    return found


# Values are line numbers: @ is the line that it stands on.
SNIPPETS = """\
X = @
X, Y = @, @
X: int = @
for X in [@]: probe(X)
with holds(@) as X: probe(X)
[probe(X) for X in [@]]
[probe(X) for Y in [@] for X in [@]]
{X: probe(Y) for X, Y in [(@, @)]}
[(X := @) for Y in [@]]
probe(X)
(lambda X=@: probe(X))
def f(X=@): probe(X)
def f(*, X=@, **Y): probe(X); Y = @; probe(Y)
def f(): X = @; probe(X)
def f(): probe(X)
def f(): global X; X = @
async def f(): probe(X); Y = @; probe(Y)
class X: value = @; Y = @; probe(Y)
class C: X = @; f = lambda self: probe(X)
class C: probe(X); X = @; probe(X)
try: raise Held(@ + 1)|except Held as X: probe(X)|X = @
match @ + 1:|    case X: probe(X)
match [@ + 1]:|    case [*X]: pass
def f():|    X = @|    def g(): probe(X); probe(Y)|    keep(g)
def f():|    X = @|    def g(): nonlocal X; probe(X)|    keep(g)
def f():|    X = @|    class C: Y = @; g = lambda self: probe(X); probe(Y)
def f():|    keep(lambda: probe(X))|    X = @
def X(): pass
import os as X
""".splitlines()


@st.composite
def programs(draw):
    chosen = draw(st.lists(st.sampled_from(SNIPPETS), min_size=2, max_size=9))
    lines = []
    for text in chosen:
        x, y = draw(st.sampled_from(["ab", "ba", "ac"]))
        text = text.replace("X", x).replace("Y", y).replace("|", "\n")
        lines += text.split("\n")
    return "\n".join(
        line.replace("@", str(number)) for number, line in enumerate(lines, 1)
    )


def line_of(value: object) -> int | None:
    """The line that made a value."""
    if isinstance(value, type) or callable(value):
        code = getattr(value, "__code__", None)
        return code.co_firstlineno if code else getattr(value, "value", None)
    if isinstance(value, list):
        return value[0]
    return value.args[0] if isinstance(value, Exception) else value


class Held(Exception):
    """Holds a line."""


@contextmanager
def holds(line):
    yield line


@settings(max_examples=400)
@given(programs())
def test_a_name_means_what_python_finds(text):
    """Every probe that runs gets the value of the line that is named."""
    resolver = listing(text)
    named = {
        (use.node.lineno, use.node.col_offset): use
        for use in resolver.uses
        if use.name in "abc"
    }
    tree, found, kept = ast.parse(text), [], []
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("probe"), [ast.Name() as name]):
                key = ast.Constant((name.lineno, name.col_offset))
                node.args = [key, name]
    namespace = {
        "probe": lambda key, value: found.append((key, value)),
        "keep": kept.append,
        "holds": holds,
        "Held": Held,
    }
    whole = ast.fix_missing_locations(tree)
    for statement in whole.body:
        code = compile(ast.Module([statement], []), "program", "exec")
        try:
            exec(code, namespace)
        except (NameError, UnboundLocalError):
            return  # no meaning at all: the chapter does not run
        made = namespace.get("f")
        if made is not None and made not in kept:
            kept.append(made)
    asked = len(found)
    for function in kept:
        try:
            function()
        except (NameError, UnboundLocalError, TypeError):
            continue
    changed = "global" in text  # a function may rebind what others read
    for index, (key, value) in enumerate(found):
        if changed and index >= asked:
            continue
        binding = named[key].binding
        expected = line_of(value)
        assert binding is not None, (key, text)
        if isinstance(expected, int):
            assert binding.node.lineno == expected, (key, value, text)


@pytest.mark.parametrize(
    "text, path",
    [
        ("import torch; torch.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn as nn; nn.Linear", "torch.nn.Linear"),
        ("import torch.nn; torch.nn.Linear", "torch.nn.Linear"),
        ("from torch import nn as n; n.Linear.weight", "torch.nn.Linear.weight"),
        ("import torch; F = torch.nn.functional; F.relu", "torch.nn.functional.relu"),
        ("class A: pass\nA.f", ".A.f"),
        ("def f(): pass\nf", ".f"),
        ("A = 1\nA.real", ""),
        ("from .a import b; b.c", "pack.a.b.c"),
        ("len", "len"),
    ],
)  # fmt: skip
def test_a_chain_stands_for_a_dotted_path(text, path):
    assert listing(text, package="pack").uses[-1].path == path


def test_what_stands_in_quotes_is_read_later():
    found = listing("def f(x: 'A', y: list['B']) -> 'C.d': ...\nz: 'E'")
    assert [(u.name, u.later) for u in found.uses if u.name != "list"] == [
        ("C", True),
        ("A", True),
        ("B", True),
        ("E", True),
    ]


def test_words_in_quotes_are_no_names():
    text = "x: Literal['a b', 'c-d', 'e'] = 1\ny: list[t.Literal['f']]"
    assert [u.name for u in listing(text).uses] == ["Literal", "list", "t"]


def test_defaults_decorators_and_bodies_are_read_in_pythons_order():
    text = "@d\ndef f(x: t = v) -> r:\n    b\nclass C(p, m=k):\n    q\ns"
    found = listing(text).uses
    assert "".join(use.name for use in found) == "drvtpkqsb"
    assert [use.name for use in found if use.later] == ["b"]


def test_top_level_bindings_are_told_in_order():
    text = (
        "a = 1\nimport b.c\nfor d, e in ():\n    f = 1\ndef g(h): i = 1\na += 1"
    )
    assert listing(text).tops == ["a", "b", "d", "e", "f", "g", "a"]
    assert listing(text).paths == ["b.c"]
