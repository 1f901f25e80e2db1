"""What names code binds and uses, and what it imports, by its tree alone."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from importlib.util import resolve_name

from _config.runs.digests import is_text, walk

OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
DYNAMIC = ("import_module", "__import__", "run_module")
# A module that a string names: alone, or in code that is to be executed.
NAMED = re.compile(r"(?:from|import)\s+([\w.]+)|\A(\w+(?:\.\w+)+)\Z")


def bindings(tree: ast.AST, package: str = "") -> dict[str, set[str]]:
    """Local name -> the dotted names it is imported from."""
    bound = defaultdict(set)
    for node in walk(tree):
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


def references(tree: ast.AST, package: str = "") -> set[tuple[str, bool]]:
    """The dotted names that code imports, and (True) what it uses of them.

    What its strings name counts as used: ``import_module("groundup.nn")``.
    """
    bound = bindings(tree, package)
    found = {
        (dotted, False) for targets in bound.values() for dotted in targets
    }
    found |= {(dotted, True) for dotted in quoted(tree)}
    for name, attributes in chains(tree):
        for dotted in bound.get(name, ()):
            found.add((".".join([dotted, *attributes]), True))
    return found


def quoted(tree: ast.AST) -> Iterator[str]:
    """The modules that strings may name, docstrings apart."""
    apart = {node.value for node in walk(tree) if is_text(node)}
    for node in walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in apart:
                for pair in NAMED.findall(text):
                    yield "".join(pair).strip(".")
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                if is_dynamic(node):
                    yield name


def hidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of what imports modules that a computed name gives."""
    plain = {node.func for node in walk(tree) if is_dynamic(node)}
    for node in walk(tree):
        name = getattr(node, "id", getattr(node, "attr", None))
        if isinstance(node, ast.alias) and node.asname:
            name = node.name
        if name in DYNAMIC and node not in plain:
            yield node.lineno, name


def is_dynamic(node: ast.AST) -> bool:
    """Whether it is a call such as ``import_module("groundup.nn")``."""
    match node:
        case ast.Call(
            func=ast.Name(id=name) | ast.Attribute(attr=name),
            args=[ast.Constant(value=str(target)), *_],
        ):
            return name in DYNAMIC and not target.startswith(".")
    return False


def chains(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Each name that is used, with its attributes: ``nn.Linear.weight``."""
    inner = set()
    for node in walk(tree):  # parents come before their children
        if node in inner or not isinstance(node, ast.Attribute | ast.Name):
            continue
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
            inner.add(node)
        if isinstance(node, ast.Name):
            yield node.id, attributes


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
