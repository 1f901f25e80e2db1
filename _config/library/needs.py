"""What each module imports: the meanings that its names have in the chapter."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

from _config.chapters.files import PACKAGE, ChapterError
from _config.chapters.names import Use
from _config.library.modules import Export, Module
from _config.library.reading import Bound, Import, Reading

# What every module has without defining it.
GIVEN = {*vars(builtins), "__file__", "__name__", "__doc__"}


@dataclass
class Needs:
    """The imports of a module: of the chapter, and of what it exports."""

    module: Module
    imports: dict[int, Import] = field(default_factory=dict)  # by their node
    exports: dict[str, Export] = field(default_factory=dict)
    meanings: dict[str, tuple[str, int]] = field(default_factory=dict)


class NameFinder:
    """Finds the needs of the modules of one chapter, and what is wrong."""

    def __init__(self, reading: Reading, modules: dict[str, Module]) -> None:
        self.reading, self.modules = reading, modules
        self.errors: list[ChapterError] = []

    def wrong(self, line: int, message: str) -> None:
        self.errors.append(
            ChapterError(self.reading.chapter.path, line, message)
        )

    def needs(self, module: Module) -> Needs:
        """Go through the uses of a module's cells."""
        needs = Needs(module)
        for cell in module.cells:
            for use, bound in self.reading.used[cell.line]:
                self.add(needs, use, bound)
        for each in self.reading.imported:
            if self.is_effect(each, module):
                needs.imports[id(each.alias)] = each
        return needs

    def is_effect(self, each: Import, module: Module) -> bool:
        """Whether it is imported for what it does, not for its name."""
        if each.path.startswith("__future__."):
            return each.top
        unread = each.name not in self.reading.names
        return unread and each.marked and each.cell in module.cells

    def add(self, needs: Needs, use: Use, bound: Bound | None) -> None:
        """Note what a use means; refuse it if the library cannot agree."""
        name, line = use.name, use.node.lineno
        own = needs.module.names.get(name)
        late = bound is None
        bound = bound or self.forward(name, needs.module)
        if bound is None:
            if name not in GIVEN:
                self.wrong(line, self.undefined(name))
            return
        if use.later:
            self.check_after(name, line, bound)
        export = self.export(bound)
        if bound.binding.imported and "reference" in bound.cell.tags:
            self.wrong(line, self.undefined(name))
        elif bound.binding.imported:
            self.mean(needs, name, bound.binding.path, bound.line, line)
            self.add_import(needs, use, bound)
        elif export is None:
            self.wrong(line, self.plain(name, bound, needs.module))
        else:
            self.mean(needs, name, export.home, bound.line, line)
            if export.module != needs.module.name:
                needs.exports[name] = export
            elif (
                own
                and not use.later
                and (late or self.is_after(own, needs, use))
            ):
                wrong = f"{name!r} is used before its definition"
                self.wrong(line, f"{wrong} in line {own.line}: move that up")

    def check_after(self, name: str, line: int, bound: Bound) -> None:
        """Refuse a cell that changes what exported code will find."""
        for other in self.reading.bindings[name]:
            same = other.exported
            if other.binding.imported:
                same = other.binding.path == bound.binding.path
            if other.line > max(line, bound.line) and not same:
                uses = f"but line {line}, which is exported, goes on using it"
                mend = "give one of them another name"
                self.wrong(other.line, f"{name!r} is rebound, {uses}: {mend}")

    def forward(self, name: str, module: Module) -> Bound | None:
        """What a name will mean: the module's own definition, or the first."""
        found = self.reading.bindings.get(name, [])
        exported = [each for each in found if self.export(each)]
        return next(iter(exported + found), None)

    def export(self, bound: Bound) -> Export | None:
        """The exported definition that a binding is, or a part of."""
        if not bound.exported:
            return None
        module = self.modules.get(self.reading.chapter.module(bound.cell))
        return module.names.get(bound.binding.name) if module else None

    def is_after(self, own: Export, needs: Needs, use: Use) -> bool:
        """Whether a class that continues above reads a name from below."""
        line = use.node.lineno
        for export in needs.module.names.values():
            for part in export.parts[1:]:
                if part.node.lineno <= line <= part.node.end_lineno:
                    return own.line > export.line
        return False

    def mean(
        self, needs: Needs, name: str, path: str, made: int, line: int
    ) -> None:
        """Refuse a name that means two things in one module."""
        own = needs.module.names.get(name)
        first = (own.home, own.line) if own else (path, made)
        before, at = needs.meanings.setdefault(name, first)
        if path == before:
            return
        wrong = f"{name!r} is that of line {made} here"
        other = "in the module" if own else "elsewhere in the module"
        mend = "give one of them another name"
        self.wrong(line, f"{wrong}, but that of line {at} {other}: {mend}")

    def plain(self, name: str, bound: Bound, module: Module) -> str:
        """What to do about a name that a plain cell binds."""
        others = self.reading.bindings[name]
        other = module.names.get(name) or next(
            (each for each in others if self.export(each)), None
        )
        if other:
            wrong = f"{name!r} is that of line {bound.line} here"
            there = f"but that of line {other.line} in the library"
            return f"{wrong}, {there}: give one of them another name"
        wrong = f"{name!r} is defined in a cell that is not exported"
        return f"{wrong} (line {bound.line}): export it too"

    def undefined(self, name: str) -> str:
        """What to do about a name that nothing binds."""
        mend = "import it in a code cell of this chapter"
        for module in self.modules.values():
            if name in module.names:
                mend = f"add `from {module.path} import {name}`"
        return f"{name!r} is neither defined nor imported: {mend}"

    def add_import(self, needs: Needs, use: Use, bound: Bound) -> None:
        """Of several ``import a.b`` that bind ``a``, those that are used."""
        name, made = use.name, []
        same = [
            each
            for each in self.reading.imported
            if each.top
            and each.name == name
            and "reference" not in each.cell.tags
        ]
        if isinstance(bound.binding.node, ast.Import):
            dotted = f"{use.path}."
            made = [e for e in same if dotted.startswith(f"{e.path}.")]
        made = made or [e for e in same if e.node is bound.binding.node]
        for each in made:
            needs.imports[id(each.alias)] = each


def analyse(
    modules: dict[str, Module], readings: dict[str, Reading]
) -> tuple[dict[str, Needs], list[ChapterError]]:
    """The needs of each module, and every name that the library lacks."""
    finders = {
        name: NameFinder(each, modules) for name, each in readings.items()
    }
    found = {
        name: finders[module.chapter.name].needs(module)
        for name, module in modules.items()
    }
    return found, [e for finder in finders.values() for e in finder.errors]


def statements(needs: Needs, homes: dict[str, str]) -> Iterator[str]:
    """The imports of a module, a name each."""
    for each in needs.imports.values():
        code = f"import {each.alias.name}"
        if isinstance(each.node, ast.ImportFrom):
            home = homes.get(each.path, each.path.rpartition(".")[0])
            code = f"from {home} {code}"
        if each.alias.asname:
            code += f" as {each.alias.asname}"
        yield code + "  # noqa: F401" * each.marked
    for name, export in needs.exports.items():
        yield f"from {PACKAGE}.{export.module} import {name}"
