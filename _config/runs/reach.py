"""What a piece of code can see: library modules, and cells of its chapter.

Static: it follows imports and names through syntax trees and runs nothing.
A package's ``__init__`` holds re-exports, which are looked through, so that
``nn.Linear`` reaches ``groundup.nn.linear`` and not all of ``groundup.nn``.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from _config.chapters.parse import Cell, Chapter

OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def digest(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def modules(trees: Iterable[ast.AST], src: Path) -> dict[str, str]:
    """Name -> digest of each module under ``src`` that the code can see."""
    seen, done = {}, set()
    todo = [item for tree in trees for item in references(tree)]
    while todo:
        dotted, used = item = todo.pop()
        if item in done or (found := locate(dotted, src)) is None:
            continue
        done.add(item)
        name, path, rest = found
        package = path.name == "__init__.py"
        text = path.read_text(encoding="utf-8")
        if package and rest and (targets := imports(text, name).get(rest[0])):
            todo += [(".".join([to, *rest[1:]]), used) for to in targets]
        elif name not in seen and (rest or used or not package):
            seen[name] = digest(text)
            parent = name if package else name.rpartition(".")[0]
            inner = references(parse(text), parent)
            # whoever holds the package itself can see all that it imports
            todo += [(dotted, used or package) for dotted, used in inner]
    return seen


def locate(dotted: str, src: Path) -> tuple[str, Path, list[str]] | None:
    """The longest module or package in a dotted name, its file, the rest."""
    pieces = dotted.split(".")
    for end in range(len(pieces), 0, -1):
        base = src.joinpath(*pieces[:end])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return ".".join(pieces[:end]), path, pieces[end:]
    return None


@cache
def parse(text: str) -> ast.Module:
    """The tree of a module; of a broken one, an empty tree."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module([], [])


@cache
def imports(text: str, package: str) -> dict[str, set[str]]:
    """Local name -> the dotted names it is imported from."""
    return bindings(parse(text), package)


def bindings(tree: ast.AST, package: str = "") -> dict[str, set[str]]:
    """Local name -> the dotted names it is imported from."""
    bound = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                bound[alias.asname or root].add(
                    alias.name if alias.asname else root
                )
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = resolve_name(base, package) if node.level else base
            for alias in node.names:
                bound[alias.asname or alias.name].add(f"{base}.{alias.name}")
    return bound


@cache  # a module is seen by many chapters, a chapter's key asked for again
def references(tree: ast.AST, package: str = "") -> set[tuple[str, bool]]:
    """The dotted names that code imports, and (True) what it uses of them."""
    bound = bindings(tree, package)
    found = {
        (dotted, False) for targets in bound.values() for dotted in targets
    }
    for name, attributes in chains(tree):
        for dotted in bound.get(name, ()):
            found.add((".".join([dotted, *attributes]), True))
    return found


def chains(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Each name that is used, with its attributes: ``nn.Linear.weight``."""
    inner = set()
    for node in ast.walk(tree):  # parents come before their children
        if node in inner or not isinstance(node, ast.Attribute | ast.Name):
            continue
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
            inner.add(node)
        if isinstance(node, ast.Name):
            yield node.id, attributes


def cells(chapter: Chapter, last: Cell) -> list[Cell]:
    """The code cells that ``last`` needs, in order, itself at the end."""
    before = [cell for cell in chapter.code if cell.line <= last.line]
    imported = bindings(chapter.tree).keys()
    binders = defaultdict(list)
    for cell in before:
        for name in bound_names(chapter.statements(cell), imported):
            binders[name].append(cell)
    needed, todo = set(), [last]
    while todo:
        cell = todo.pop()
        if cell.line not in needed:
            needed.add(cell.line)
            for statement in chapter.statements(cell):
                for name, _ in chains(statement):
                    todo += binders[name]
    return [cell for cell in before if cell.line in needed]


def bound_names(nodes: Iterable[ast.AST], imported: Set[str]) -> Iterator[str]:
    """The names that statements bind, or change by a method: ``x.sub_(1)``."""
    for node in nodes:
        if isinstance(node, OWN_SCOPE):
            yield getattr(node, "name", "")
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from bindings(node)
        elif isinstance(getattr(node, "ctx", None), ast.Store):
            yield from (name for name, _ in chains(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            changed = [name for name, path in chains(node.value.func) if path]
            yield from (name for name in changed if name not in imported)
        yield from bound_names(ast.iter_child_nodes(node), imported)
