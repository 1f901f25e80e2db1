"""What code imports and uses, and which cells' names it needs."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from _config.chapters.names import Binding, Resolver, Use, local_nodes
from _config.runs.digests import is_text, walk

DYNAMIC = ("import_module", "__import__", "run_module")
# A module that a string names: alone, or in code that is to be executed.
NAMED = re.compile(r"(?:from|import)\s+([\w.]+)|\A(\w+(?:\.\w+)+)\Z")


class Sight(Resolver):
    """What a piece of code sees, and what it binds for others to see."""

    def __init__(self, code: Sequence[ast.stmt], package: str = "") -> None:
        super().__init__(package)
        # dotted names, and whether they are used, not only imported
        self.seen: set[tuple[str, bool]] = set()
        self.imported: dict[str, set[str]] = defaultdict(set)
        self.read: set[str] = set()  # names of the top level, or of none here
        self.binds: set[str] = set()
        self.walk(code)

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        """Note what an import names, and what its local name stands for."""
        self.seen.add((path, False))
        whole = isinstance(node, ast.ImportFrom) or alias.asname
        top = path if whole else path.split(".")[0]
        self.imported[alias.asname or alias.name.split(".")[0]].add(top)

    def use(self, use: Use) -> None:
        """Note a name that is read, as far as others bind it."""
        if use.binding is self.globals.get(use.name):
            self.read.add(use.name)
        if use.binding and use.path and not use.path.startswith("."):
            self.seen.add((use.path, True))

    def bound(self, binding: Binding) -> None:
        """Note a name of the top level."""
        self.binds.add(binding.name)


def references(tree: ast.Module, package: str = "") -> set[tuple[str, bool]]:
    """The dotted names that code imports, and (True) what it uses of them.

    What its strings name counts as used: ``import_module("groundup.nn")``.
    """
    named = {(dotted, True) for dotted in quoted_modules(tree)}
    return Sight(tree.body, package).seen | named


def quoted_modules(tree: ast.AST) -> Iterator[str]:
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


def altered(code: Sequence[ast.stmt]) -> Iterator[str]:
    """The names whose value statements change: ``x[0] = 1``, ``x.sub_(1)``."""
    for node in local_nodes(code):
        match node:
            case (
                ast.Expr(ast.Call(ast.Attribute(value)))
                | ast.Attribute(value, ctx=ast.Store() | ast.Del())
                | ast.Subscript(value, ctx=ast.Store() | ast.Del())
            ):
                while hasattr(value, "value"):
                    value = value.value
                if isinstance(value, ast.Name):
                    yield value.id
