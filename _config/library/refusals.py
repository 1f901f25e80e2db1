"""What the library refuses of a chapter, beyond destinations and names."""

import ast
from collections.abc import Iterator

from _config.chapters.parse import Cell, Chapter, ChapterError
from _config.chapters.syntax import (
    Function,
    bound,
    dotted,
    is_dunder,
    is_public,
    statements,
    walk,
)
from _config.library.modules import PACKAGE, Module


def refusals(
    chapters: list[Chapter], modules: dict[str, Module]
) -> Iterator[ChapterError]:
    """Every mistake in the chapters' code, in no particular order."""
    order = {chapter.name: i for i, chapter in enumerate(chapters)}
    owners = known_paths(modules)
    for chapter in chapters:
        found = [*broken(chapter), *imports(chapter, owners, order)]
        for module in modules.values():
            if module.chapter is chapter:
                found += check_module(module)
        yield from (
            ChapterError(chapter.path, *at) for at in dict.fromkeys(found)
        )


def broken(chapter: Chapter) -> Iterator[tuple[int, str]]:
    """Cells that do not parse, or a chapter that is not a script."""
    ok = True
    for cell in chapter.code:
        try:
            chapter.statements(cell)
        except ChapterError as error:
            ok = False
            yield error.line, error.message
    if ok:
        try:
            compile(chapter.text, str(chapter.path), "exec", dont_inherit=True)
        except SyntaxError as error:
            yield error.lineno or 1, f"syntax error: {error.msg}"


def known_paths(modules: dict[str, Module]) -> dict[str, Chapter]:
    """The chapter that first makes each dotted path of the library exist."""
    owners: dict[str, Chapter] = {}
    for module in modules.values():
        pieces = [PACKAGE, *module.name.split(".")]
        paths = [".".join(pieces[: i + 1]) for i in range(len(pieces))]
        for export in module.names.values():
            paths += [export.home] + [export.path] * is_public(export.name)
        for path in paths:
            owners.setdefault(path, module.chapter)
    return owners


def imports(
    chapter: Chapter,
    owners: dict[str, Chapter],
    order: dict[str, int],
) -> Iterator[tuple[int, str]]:
    """Imports that are not exact, come too early, or lead nowhere."""
    aliases: dict[str, str] = {}
    for cell in chapter.code:
        if "raises-exception" in cell.tags:
            continue
        for line, path, imported in references(chapter, cell, aliases):
            owner = owners.get(path)
            if path.endswith(".*") and "reference" not in cell.tags:
                yield line, "import *: name what you import"
            elif path.startswith("."):
                yield line, f"relative import: write {PACKAGE} in full"
            elif owner and order[owner.name] > order[chapter.name]:
                wrong = f"{path} is built later, in {owner.name}"
                yield line, f"{wrong}: a chapter uses what came before it"
            elif imported and not owner and path.split(".")[0] == PACKAGE:
                wrong = f"no chapter exports {path}"
                yield line, f"{wrong}: correct the name, or export it"


def references(
    chapter: Chapter, cell: Cell, aliases: dict[str, str]
) -> Iterator[tuple[int, str, bool]]:
    """The dotted paths that a cell imports, or reaches through an import.

    ``aliases`` keeps what each imported name stands for, from cell to cell.
    """
    for top in statements(chapter, cell):
        for node in walk(top):
            match node:
                case ast.Import():
                    for alias in node.names:
                        path, root = alias.name, alias.name.split(".")[0]
                        bind = (
                            {alias.asname: path}
                            if alias.asname
                            else {root: root}
                        )
                        aliases |= bind
                        yield node.lineno, path, True
                case ast.ImportFrom():
                    origin = "." * node.level + (node.module or "")
                    for alias in node.names:
                        path = f"{origin}.{alias.name}"
                        aliases[alias.asname or alias.name] = path
                        yield node.lineno, path, True
                case ast.Attribute():
                    root, _, rest = dotted(node).partition(".")
                    if root in aliases:
                        yield node.lineno, f"{aliases[root]}.{rest}", False


def check_module(module: Module) -> Iterator[tuple[int, str]]:
    """Statements and definitions that do not belong in a library."""
    if module.parses and module.docstring is None:
        wrong = f"module {module.name!r} has no docstring"
        yield module.cells[0].line, f'{wrong}: start this cell with """..."""'
    for cell in module.cells:
        for node in statements(module.chapter, cell):
            if node is not module.docstring:
                yield from check_statement(node)


def check_statement(node: ast.stmt) -> Iterator[tuple[int, str]]:
    for inner in walk(node):
        if isinstance(inner, ast.Call) and dotted(inner.func) == "print":
            mend = "return the value, or raise"
            yield inner.lineno, f"print in exported code: {mend}"
    match node:
        case ast.Import() | ast.ImportFrom():
            pass
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from check_function(node, method=False)
        case ast.ClassDef():
            yield from check_class(node)
        case _ if not bound(node):
            what = f"not {type(node).__name__}: move it to a cell of its own"
            held = "imports, constants, def and class"
            yield node.lineno, f"an exported cell holds {held}, {what}"


def check_class(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    if not is_public(node.name):
        return
    if not ast.get_docstring(node):
        wrong = f"{node.name} has no docstring"
        yield node.lineno, f"{wrong}: say in a line what it is"
    for inner in node.body:
        if isinstance(inner, Function):
            yield from check_function(inner, method=True)
        elif isinstance(inner, ast.ClassDef):
            yield from check_class(inner)


def check_function(node: Function, method: bool) -> Iterator[tuple[int, str]]:
    """Public functions say what they return; dunders are known already."""
    if not is_public(node.name) and not is_dunder(node.name):
        return
    decorators = [dotted(d).split(".")[-1] for d in node.decorator_list]
    if is_public(node.name):
        bare = {"overload", "setter", "deleter"} & {*decorators}
        if not bare and not ast.get_docstring(node):
            wrong = f"{node.name} has no docstring"
            yield node.lineno, f"{wrong}: say in a line what it returns"
        if node.returns is None:
            wrong = f"{node.name} has no return annotation"
            yield node.lineno, f"{wrong}: add -> ..."
    a = node.args
    parameters = [*a.posonlyargs, *a.args]
    if method and "staticmethod" not in decorators:
        parameters = parameters[1:]
    parameters += [*a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    for parameter in parameters:
        if parameter.annotation is None:
            wrong = f"parameter {parameter.arg!r} has no annotation"
            yield parameter.lineno, f"{node.name}: {wrong}"
