"""Whether the library loads: its imports in the order of Python, not run.

Importing a module runs the ``__init__`` of its packages first, which import in
turn; a name that is asked of a module that has not come that far is missing.
"""

import ast
from collections.abc import Iterator

from _config.chapters.files import PACKAGE, ChapterError
from _config.library.modules import Module, bound


class Loader:
    """Runs the imports of all files; ``missing`` is what Python would miss."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.trees = {
            dotted(file): ast.parse(text) for file, text in files.items()
        }
        self.loaded: dict[str, set[str]] = {}  # path -> the names so far
        self.running: list[str] = []
        self.missing: list[tuple[str, str, str]] = []
        for path in sorted(self.trees):
            self.load(path)

    def load(self, path: str) -> None:
        """Import a dotted path, its packages first."""
        pieces = path.split(".")
        for end in range(1, len(pieces) + 1):
            name = ".".join(pieces[:end])
            if name in self.trees and name not in self.loaded:
                self.loaded[name] = set()
                self.running.append(name)
                for statement in self.trees[name].body:
                    self.step(name, statement)
                self.running.pop()
                if end > 1:  # it is now an attribute of its package
                    self.loaded[".".join(pieces[: end - 1])].add(pieces[-1])

    def step(self, here: str, node: ast.stmt) -> None:
        """Run one statement of a module's top level."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.whole(here, alias.name)
                self.loaded[here].add(alias.asname or alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            self.load(node.module)
            for alias in node.names:
                self.ask(here, node.module, alias.name)
                self.loaded[here].add(alias.asname or alias.name)
        else:
            self.loaded[here].update(bound(node))

    def whole(self, here: str, path: str) -> None:
        """Import a module: one that still runs is half of what it will be."""
        self.load(path)
        if path in self.running and path != PACKAGE:
            self.missing.append((here, path, ""))

    def ask(self, here: str, origin: str, name: str) -> None:
        """Take a name from a module, or a module from its package."""
        if f"{origin}.{name}" in self.trees:
            self.whole(here, f"{origin}.{name}")
        elif name not in self.loaded.get(origin, (name,)):
            self.missing.append((here, origin, name))


def dotted(file: str) -> str:
    """``nn/__init__.py`` -> ``groundup.nn``."""
    name = file.removesuffix(".py").removesuffix("__init__").strip("/")
    return ".".join([PACKAGE, *filter(None, name.split("/"))])


def cycles(
    files: dict[str, bytes], modules: dict[str, Module]
) -> Iterator[ChapterError]:
    """Modules that need each other to be imported."""
    for here, origin, name in Loader(files).missing:
        inside = f"{here}.".removeprefix(f"{PACKAGE}.")
        module = next(
            module
            for path, module in modules.items()
            if f"{path}.".startswith(inside)
        )
        what = f"{name!r} of {origin}" if name else f"the whole of {origin}"
        message = (
            f"modules import each other: {here} needs {what} before that is "
            "there; put them into one, or import from the module itself "
            "instead of its package"
        )
        yield ChapterError(module.chapter.path, module.cells[0].line, message)
