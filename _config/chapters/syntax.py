"""Questions about the syntax of a cell that several modules ask."""

import ast
from functools import lru_cache

from _config.chapters.parse import Cell, Chapter, ChapterError

Function = ast.FunctionDef | ast.AsyncFunctionDef


def statements(chapter: Chapter, cell: Cell) -> list[ast.stmt]:
    """The statements of a cell; none if it does not parse."""
    try:
        return chapter.statements(cell)
    except ChapterError:
        return []


@lru_cache(maxsize=2**14)
def walk(node: ast.stmt) -> list[ast.AST]:
    """Every node of a statement; several checks go over them."""
    return list(ast.walk(node))


def bound(node: ast.stmt) -> list[str]:
    """The names that a definition or a constant binds."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if is_overload(node):
            return []
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            targets = node.targets
        case ast.AnnAssign(target=target) if node.value:
            targets = [target]
        case _ if type(node).__name__ == "TypeAlias":  # Python 3.12
            targets = [node.name]
        case _:
            return []
    flat = [t for target in targets for t in getattr(target, "elts", [target])]
    return (
        [t.id for t in flat]
        if all(isinstance(t, ast.Name) for t in flat)
        else []
    )


def first_line(node: ast.stmt) -> int:
    """Where a statement starts, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min(each.lineno for each in [node, *decorators])


def dotted(node: ast.expr) -> str:
    """``a.b.c`` as text; empty if it is not a plain chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (value := dotted(node.value)):
        return f"{value}.{node.attr}"
    return ""


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(d).endswith("overload") for d in node.decorator_list)


def is_string(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_public(name: str) -> bool:
    return not name.startswith("_")


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
