"""What a piece of code can see: library modules, and cells of its chapter.

Static: it follows imports and names through syntax trees and runs nothing.
A package's ``__init__`` holds re-exports, which are looked through, so that
``nn.Linear`` reaches ``groundup.nn.linear`` and not all of ``groundup.nn``.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from _config.chapters.files import ChapterError
from _config.chapters.parse import Cell, Chapter
from _config.runs.bindings import Sight, altered, hidden, references
from _config.runs.digests import asks, digest, is_quiet, syntax


def code_key(cells: Iterable[Cell], src: Path) -> list:
    """All that can change what cells do: their code, and what it can see."""
    own = study_cells((*cells,))
    seen = follow(own["references"], src)
    # where one asks for the text of code, the text of all counts
    asking = any(each["asks"] for each in (own, *seen.values()))
    by = "text" if asking else "code"
    return [own[by], {name: seen[name][by] for name in sorted(seen)}]


def refuse_hidden_imports(chapter: Chapter) -> None:
    """Refuse imports that cannot be followed: of a name that is computed."""
    for line, name in hidden(chapter.tree):
        message = (
            f"what {name} imports cannot be followed: write an import, or "
            'call it with a whole name, as "groundup.nn"'
        )
        raise ChapterError(chapter.path, line, message)


@lru_cache(maxsize=256)
def study_cells(cells: tuple[Cell, ...]) -> dict:
    """What a key needs to know of cells."""
    words = [
        [is_quiet(cell.source), *syntax(cell.statements, shows=True)]
        for cell in cells
        if cell.statements
    ]
    tree = ast.Module([node for cell in cells for node in cell.statements], [])
    texts = [cell.source for cell in cells]
    return facts(tree) | {
        "code": digest(str(words)),
        "text": digest(str(texts)),
    }


def facts(tree: ast.AST, package: str = "") -> dict:
    """Whether code asks for text, and what it imports and uses."""
    found = sorted(references(tree, package))
    return {"asks": asks(tree), "references": found}


def modules(trees: Iterable[ast.AST], src: Path) -> dict[str, str]:
    """Name -> digest of each module under ``src`` that the code can see."""
    used = [item for tree in trees for item in references(tree)]
    return {name: each["code"] for name, each in follow(used, src).items()}


def follow(used: Iterable[tuple[str, bool]], src: Path) -> dict[str, dict]:
    """Name -> the facts of each module under ``src`` that is seen."""
    seen, done, todo = {}, set(), [*used]
    tops = {path.stem for path in src.glob("*")}
    while todo:
        dotted, use = todo.pop()
        if (dotted, use) in done or dotted.split(".")[0] not in tops:
            continue
        done.add((dotted, use))
        if (found := locate(dotted, src)) is None:
            continue
        name, path, rest = found
        package = path.name == "__init__.py"
        module = study_module(name, package, path.read_text("utf-8"))
        if package and rest and (targets := module["imports"].get(rest[0])):
            todo += [(".".join([to, *rest[1:]]), use) for to in targets]
        elif name not in seen and (rest or use or not package):
            seen[name] = module
            # whoever holds the package itself can see all that it imports
            todo += [(to, used or package) for to, used in module["references"]]
    return seen


@cache
def study_module(name: str, package: bool, text: str) -> dict:
    """What a key needs to know of a module; of a broken one, its text."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        tree = ast.parse(f"text = {text!r}")
    parent = name if package else name.rpartition(".")[0]
    bound = Sight(tree.body if package else [], name).imported.items()
    return facts(tree, parent) | {
        "code": digest(str([*syntax(tree.body)])),
        "text": digest(text),
        "imports": {local: sorted(targets) for local, targets in bound},
    }


def locate(dotted: str, src: Path) -> tuple[str, Path, list[str]] | None:
    """The longest module or package in a dotted name, its file, the rest."""
    pieces = dotted.split(".")
    for end in range(len(pieces), 0, -1):
        base = src.joinpath(*pieces[:end])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return ".".join(pieces[:end]), path, pieces[end:]
    return None


@lru_cache(maxsize=256)
def cells(chapter: Chapter, last: Cell) -> list[Cell]:
    """The code cells that ``last`` needs, in order, itself at the end."""
    before = [cell for cell in chapter.code if cell.line <= last.line]
    sights = {cell.line: Sight(cell.statements) for cell in before}
    imported = {name for each in sights.values() for name in each.imported}
    binders = defaultdict(list)
    for cell in before:
        others = {*altered(cell.statements)} - imported
        for name in sights[cell.line].binds | others:
            binders[name].append(cell)
    needed, todo = set(), [last]
    while todo:
        cell = todo.pop()
        if cell.line not in needed:
            needed.add(cell.line)
            for name in sights[cell.line].read:
                todo += binders[name]
    return [cell for cell in before if cell.line in needed]
