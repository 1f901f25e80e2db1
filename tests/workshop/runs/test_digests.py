"""Digests of code."""

import ast

import pytest

from _config.runs.digests import is_quiet, syntax


def words(text: str, **options) -> str:
    return " ".join(syntax(ast.parse(text).body, **options))


def test_the_words_of_a_tree_are_those_of_every_python():
    assert words("x: int = 255") == (
        "1 AnnAssign(target,annotation,value,simple) Name(id) 'x' "
        "Name(id) 'int' Constant(value) 255 1"
    )
    assert words("def f(a): return a.b") == (
        "1 FunctionDef(name,args,body) 'f' arguments(args) 1 arg(arg) 'a' "
        "1 Return(value) Attribute(value,attr) Name(id) 'a' 'b'"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 'a'", 'x = (\n  "a"  # b\n)', True),
        ("def f():\n  '''a'''\n  x", "def f(): x", True),
        ("class A:\n  a = 1\n  'the a'", "class A: a = 1", True),
        ("x = 1", "x = True", False),
        ("x = 1", "x = 1.0", False),
        ("f(a, b)", "f(a)(b)", False),
        ("f(*[a, b])", "f(*[a], b)", False),
        ("if a: b\nelse: c", "if a: b\nc", False),
        ("x = None", "x = 'None'", False),
        ("f'{a}b'", "f'{a}' 'b'", True),
        ("x = {**a}", "x = {None: a}", False),
    ],
)
def test_trees_that_differ_have_other_words(one, other, same):
    assert (words(one) == words(other)) == same


def test_the_last_value_of_a_cell_is_shown_even_if_it_is_a_string():
    assert words("'a'\nx") == words("x")
    assert words("x\n'a'", shows=True) != words("x", shows=True)
    assert words("'b'\nx", shows=True) == words("x", shows=True)


def test_a_sum_of_many_terms_has_words():
    assert words("+".join(["x"] * 500)).count("BinOp") == 499


@pytest.mark.parametrize(
    ("source", "quiet"),
    [("x;", True), ("x ; # c\n", True), ("x; y", False), ("';'", False)],
)
def test_a_semicolon_at_the_end_makes_a_cell_quiet(source, quiet):
    assert is_quiet(source) == quiet
