"""The text of the library's files: modules and the packages around them."""

import tempfile
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from _config.chapters.parse import ChapterError
from _config.chapters.syntax import is_public
from _config.library.modules import PACKAGE, Module
from _config.library.needs import ruff
from _config.library.slices import Import, body

HEADER = "# Extracted from book/"


def module_text(module: Module, needed: list[Import]) -> str:
    docstring, code = body(module)
    imports = "\n".join(i.text for i in needed)
    header = f"{HEADER}{module.chapter.name}.py; edit it there."
    return f"{header}\n{docstring}\n\n{imports}\n\n{code}\n"


def package_texts(modules: dict[str, Module]) -> dict[str, str]:
    """The ``__init__.py`` of each package: explicit re-exports."""
    lines: dict[str, list[str]] = {"": []} if modules else {}
    for module in modules.values():
        pieces = module.name.split(".")[:-1]
        for i, piece in enumerate(pieces):
            inside = lines.setdefault(".".join(pieces[:i]), [])
            inside.append(reexport(pieces[:i], piece))
        if not pieces:
            continue
        inside = lines.setdefault(module.package, [])
        if module.namespace:
            inside.append(reexport(pieces, module.name.rpartition(".")[2]))
        else:
            inside += [
                reexport(module.name.split("."), name)
                for name in module.names
                if is_public(name)
            ]
    texts = {}
    for package, inside in lines.items():
        docstring = f"The public names of {PACKAGE}.{package}."
        if not package:
            docstring = "The library that the book Ground Up builds."
        path = "/".join(
            [*filter(None, [package.replace(".", "/")]), "__init__.py"]
        )
        imports = "\n".join(dict.fromkeys(inside))
        texts[path] = (
            f'{HEADER}; edit the chapters.\n"""{docstring}"""\n\n{imports}\n'
        )
    return texts


def reexport(pieces: list[str], name: str) -> str:
    return f"from {'.'.join([PACKAGE, *pieces])} import {name} as {name}"


def ruff_format(texts: dict[str, str]) -> dict[str, bytes]:
    """Sort the imports and format, all files in one go.

    What only quoted annotations name is imported for type checkers alone, as
    matplotlib, which is slow to import; torch is there in any case.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        typing = '--config=lint.flake8-type-checking.exempt-modules=["torch"]'
        fix = "--fix-only", "--unsafe-fixes"
        ruff(folder, "check", "--select=I,TC002", typing, *fix)
        ruff(folder, "format")
        return {name: Path(folder, name).read_bytes() for name in sorted(texts)}


def cycles(
    modules: dict[str, Module], needed: dict[str, list[Import]]
) -> Iterator[ChapterError]:
    """Modules that need each other to be imported.

    Importing a package imports all that is in it, a module or a name of a
    module only that module.
    """

    def within(path: str, outer: str) -> bool:
        return f"{path}.".startswith(f"{outer}.")

    paths = {name: f"{PACKAGE}.{name}" for name in modules}
    graph = {
        name: [
            other
            for other, home in paths.items()
            for each in needed[name]
            if within(each.path, home) or within(home, each.path)
        ]
        for name in modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring = error.args[1]
        module = modules[ring[0]]
        message = (
            f"modules import each other ({', '.join(ring)}): put them into "
            "one, or import from the module itself instead of its package"
        )
        yield ChapterError(module.chapter.path, module.cells[0].line, message)
