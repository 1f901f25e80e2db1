"""Digests of code that stay the same where only its layout changes.

A comment, a docstring, a line break or other quotes cannot change what code
does.  Where it asks for its own text, as ``help`` does, they can: ``asks``.
"""

import ast
import hashlib
import tokenize
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import StringIO

ASKS = {
    "__doc__", "help", "pydoc", "doctest", "getsource", "getsourcelines",
    "getdoc", "getcomments", "findsource", "linecache", "co_firstlineno",
    "co_lines", "co_positions", "f_lineno", "tb_lineno", "currentframe",
    "_getframe", "In", "_ih",
}  # fmt: skip
LAYOUT = {"ctx", "kind", "type_comment", "type_ignores"}
BLANK = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER,
    tokenize.INDENT, tokenize.DEDENT,
}  # fmt: skip


def digest(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def syntax(nodes: Sequence[ast.stmt], shows: bool = False) -> Iterator[str]:
    """The tree of statements in words, without strings that do nothing.

    The last statement of a cell does something: its value is shown.  Empty
    fields are left out, so that the words are those of every Python.
    """
    last = nodes[-1] if nodes and shows else None
    todo: list = [[*nodes]]
    while todo:  # not by recursion: a sum of a thousand terms is deep
        node = todo.pop()
        if isinstance(node, list):
            kept = [one for one in node if one is last or not is_text(one)]
            yield str(len(kept))
            todo += reversed(kept)
        elif isinstance(node, ast.AST):
            fields = {
                name: value
                for name, value in ast.iter_fields(node)
                if value is not None and value != [] and name not in LAYOUT
            }
            yield f"{type(node).__name__}({','.join(fields)})"
            todo += reversed(fields.values())
        else:
            yield repr(node)


def is_text(node: object) -> bool:
    """Whether it is a statement that is a string, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_quiet(source: str) -> bool:
    """Whether a cell ends in a semicolon, after which no value is shown."""
    if ";" not in source:
        return False
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    *_, last = (token for token in tokens if token.type not in BLANK)
    return last.string == ";"


@lru_cache(maxsize=8)
def walk(tree: ast.AST) -> list[ast.AST]:
    """Every node of a tree, parents first; several questions go over them."""
    return [*ast.walk(tree)]


def asks(tree: ast.AST) -> bool:
    """Whether code asks for the text of code."""
    for node in walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in ASKS:
                return True
            case ast.alias(name=name) if not ASKS.isdisjoint(name.split(".")):
                return True
    return False
