"""What each module needs from elsewhere: ruff finds it, nothing is guessed."""

import ast
import json
import subprocess
import tempfile
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from ruff import find_ruff_bin

from _config.chapters.parse import ChapterError
from _config.chapters.syntax import bound, dotted, first_line, statements, walk
from _config.library.modules import PACKAGE, Export, Module
from _config.library.slices import Import, chapter_imports

SEPARATOR = "; "


def analyse(
    modules: dict[str, Module],
) -> tuple[dict[str, list[Import]], list[ChapterError]]:
    """The imports that each module needs, and the names that it lacks."""
    everything = [e for m in modules.values() for e in m.names.values()]
    homes = {e.path: f"{PACKAGE}.{e.module}" for e in everything}
    offered = {m.name: offers(m, modules, homes) for m in modules.values()}
    unused: dict[str, set[str]] = {name: set() for name in modules}
    errors = {}
    for name, code, row, column, message in lint(modules, offered):
        if code == "F401":
            unused[name].add(at_column(offered[name], column).name)
            continue
        if code == "F821":
            lacking = message.split("`")[1]
            message = undefined(lacking, modules[name], everything)
        errors.setdefault((name, message), row)
    found = [
        ChapterError(modules[name].chapter.path, row, message)
        for (name, message), row in errors.items()
    ]
    needed = {}
    for module in modules.values():
        imports = [
            i for i in offered[module.name] if i.name not in unused[module.name]
        ]
        found += ambiguous(module, imports)
        needed[module.name] = exact(module, imports)
    return needed, found


def offers(
    module: Module, modules: dict[str, Module], homes: dict[str, str]
) -> list[Import]:
    """What a module may import: from its chapter's others, and what they do."""
    found = []
    taken = set(module.names)
    for other in modules.values():
        if other.chapter is module.chapter:
            for name in other.names:
                if name not in taken:
                    origin = f"{PACKAGE}.{other.name}"
                    code = f"from {origin} import {name}"
                    found.append(Import(name, f"{origin}.{name}", code))
                    taken.add(name)
    explicit = chapter_imports(module.chapter, homes)
    found += [i for i in explicit if i.name not in taken]
    return sorted(found, key=lambda i: "__future__" not in i.path)


def lint(
    modules: dict[str, Module], offered: dict[str, list[Import]]
) -> Iterator[tuple[str, str, int, int, str]]:
    """Ruff's word on each module: what is not used, what is not defined.

    A module is shown to ruff at the chapter's own lines, with all the imports
    on the first, which holds a marker there.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, module in modules.items():
            lines = [""] * (module.chapter.text.count("\n") + 1)
            source = module.chapter.text.split("\n")
            for cell in module.cells:
                for node in statements(module.chapter, cell):
                    if not isinstance(node, ast.Import | ast.ImportFrom):
                        span = slice(first_line(node) - 1, node.end_lineno)
                        lines[span] = source[span]
            lines[0] = SEPARATOR.join(i.code for i in offered[name])
            Path(folder, f"{name}.py").write_bytes("\n".join(lines).encode())
        options = "--select=F401,F821", "--ignore-noqa", "--output-format=json"
        output = ruff(folder, "check", *options)
    for finding in json.loads(output):
        at = finding["location"]
        name = Path(finding["filename"]).name.removesuffix(".py")
        yield name, finding["code"], at["row"], at["column"], finding["message"]


def at_column(imports: list[Import], column: int) -> Import:
    widths = (len(i.code + SEPARATOR) for i in imports)
    return imports[bisect([*accumulate(widths, initial=1)], column) - 1]


def undefined(name: str, module: Module, everything: list[Export]) -> str:
    """What to do about a name that the module does not have."""
    if own := module.names.get(name):
        wrong = f"{name!r} is used before its definition"
        return f"{wrong} in line {own.line}: move that up"
    for cell in module.chapter.code:
        for node in statements(module.chapter, cell):
            if name in bound(node):
                wrong = f"{name!r} is defined in a cell that is not exported"
                return f"{wrong} (line {node.lineno}): export it too"
    mend = "import it in a code cell of this chapter"
    for export in everything:
        if export.name == name:
            mend = f"add `from {PACKAGE}.{export.module} import {name}`"
    return f"{name!r} is neither defined nor imported: {mend}"


def ambiguous(module: Module, imports: list[Import]) -> Iterator[ChapterError]:
    first: dict[str, Import] = {}
    for i in imports:
        other = first.setdefault(i.name, i)
        if target(other) != target(i):
            wrong = (
                f"{i.name!r} is imported from elsewhere in line {other.line}"
            )
            message = f"{wrong}: give one of them another name"
            yield ChapterError(module.chapter.path, i.line, message)


def target(i: Import) -> str:
    """What a name stands for: ``import a.b`` binds ``a``."""
    return f"import {i.name}" if i.code == f"import {i.path}" else i.code


def exact(module: Module, imports: list[Import]) -> list[Import]:
    """Of several ``import a.b`` that bind ``a``, those that are used."""
    used = {
        f"{dotted(node)}."
        for cell in module.cells
        for top in statements(module.chapter, cell)
        for node in walk(top)
        if isinstance(node, ast.Name | ast.Attribute)
    }

    def is_used(i: Import) -> bool:
        return any(each.startswith(f"{i.path}.") for each in used)

    met = {i.name for i in imports if is_used(i)}
    needed = [
        i
        for i in imports
        if target(i) == i.code or is_used(i) or i.name not in met
    ]
    return list({i.text: i for i in needed}.values())


def ruff(folder: str, command: str, *options: str) -> str:
    """Run ruff over a folder, by our settings alone."""
    settings = [
        "--isolated",
        "--no-cache",
        "--quiet",
        "--target-version=py311",
        "--line-length=80",
        f'--config=lint.isort.known-first-party=["{PACKAGE}"]',
    ]
    run = subprocess.run(
        [find_ruff_bin(), command, ".", *settings, *options],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
    )
    if run.returncode not in (0, 1):
        raise RuntimeError(f"ruff {command} failed: {run.stderr}")
    return run.stdout
