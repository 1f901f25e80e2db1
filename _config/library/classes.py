"""A class that grows over cells: ``class Module(Module):`` continues it.

In the notebook each continuation is a subclass of the same name; the library
holds one class with all bodies in their order, a method that is defined again
in the place of the earlier one.  Whatever would then mean something else is
refused, with both lines.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from _config.chapters.names import Function, Resolver, Use, names_in
from _config.chapters.parse import Cell

# Bases that make of a class what its subclasses are not, or cannot have.
MAKERS = {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "NamedTuple",
          "Protocol", "TypedDict"}  # fmt: skip
# What a class may hold once only, since its making depends on it.
MAKING = ("__slots__", "__init_subclass__")
FILLING = ("pass", "...")  # which a class that has grown needs no longer


@dataclass(frozen=True)
class Part:
    """A statement that defines a name, or part of a class, and its cell."""

    cell: Cell = field(repr=False)
    node: ast.stmt


def kept(node: ast.stmt) -> bool:
    """Whether a class keeps its name: ``class A(A)``."""
    bases = node.bases if isinstance(node, ast.ClassDef) else ()
    names = [getattr(base, "value", base) for base in bases]  # A[T] too
    return any(isinstance(b, ast.Name) and b.id == node.name for b in names)


def members(node: ast.ClassDef) -> list[tuple[ast.stmt, list[str]]]:
    """The statements of a class's body, each with the names that it binds."""
    return [(each, names_in([each])) for each in node.body]


def joined(parts: Sequence[Part]) -> ast.stmt:
    """One definition with the members of all parts."""
    first = parts[0].node
    if len(parts) == 1:
        return first
    body = [statement for statement, _ in merged(parts)]
    fields = {name: getattr(first, name) for name in first._fields}
    whole = type(first)(**fields | {"body": body})
    return ast.copy_location(whole, first)


def merged(parts: Sequence[Part]) -> list[tuple[ast.stmt, Part]]:
    """The members of all parts in the library's order, each with its part.

    A name that is bound again takes the earlier one's place, with all that
    binds it: overloads, a property with its setter.
    """
    found: list[tuple[ast.stmt, set[str], Part]] = []
    for part in parts:
        for statement, names in members(part.node):
            new = (statement, {*names}, part)
            same = [i for i, one in enumerate(found) if one[1] & new[1]]
            old = [i for i in same if found[i][2] is not part]
            at = old[0] if old else same[-1] + 1 if same else len(found)
            found = [
                *found[:at],
                new,
                *(
                    one
                    for i, one in enumerate(found)
                    if i >= at and i not in old
                ),
            ]
    filled = [
        one for one in found if ast.unparse(one[0]) not in FILLING
    ] or found
    return [(statement, part) for statement, _, part in filled]


def mistakes(before: Sequence[Part], part: Part) -> Iterator[tuple[str, int]]:
    """What a continuation would mean otherwise in the library."""
    first, node = before[0].node, part.node
    since = f"the class {node.name} of line {first.lineno}"
    if not isinstance(first, ast.ClassDef):
        wrong = f"{node.name} of line {first.lineno} is no class"
        yield f"{wrong}: it cannot be continued", node.lineno
        return
    plain = [ast.unparse(base) for base in node.bases] == [node.name]
    if not plain or node.keywords or node.decorator_list:
        mend = "bases, keywords and decorators stand where it begins"
        yield f"continues {since}: {mend}", node.lineno
    if ast.get_docstring(node) is not None:
        mend = "its docstring stands where it begins"
        yield f"continues {since}: {mend}", node.body[0].lineno
    for base in first.bases:
        if ast.unparse(base).split("[")[0].split(".")[-1] in MAKERS:
            wrong = f"a {ast.unparse(base)} cannot grow over cells"
            yield f"continues {since}, but {wrong}", node.lineno
    if node.body[0].lineno == node.lineno:
        yield f"continues {since}: start its body on a new line", node.lineno
    elif node.body[0].col_offset != first.body[0].col_offset:
        wide = first.body[0].col_offset
        mend = f"indent its body by {wide} columns too"
        yield f"continues {since}: {mend}", node.body[0].lineno
    old = {
        name: statement
        for each in before
        for statement, names in members(each.node)
        for name in names
    }
    yield from repeated(old, part, before[0].node)
    yield from supers(old, part.node)
    yield from early(old, part.node)


def repeated(
    old: dict[str, ast.stmt], part: Part, first: ast.ClassDef
) -> Iterator[tuple[str, int]]:
    """Attributes set again, and what the making of the class depends on."""
    for name in {*MAKING} & {*old}:
        wrong = f"line {old[name].lineno} gives it {name}"
        yield f"{part.node.name} cannot grow: {wrong}", part.node.lineno
    for statement, names in members(part.node):
        methods = isinstance(statement, Function | ast.ClassDef)
        for name in names:
            place = f"line {old[name].lineno}" if name in old else ""
            if name in MAKING:
                mend = f"{name} stands where the class begins"
                yield f"{mend}, in line {first.lineno}", statement.lineno
            elif place and not (
                methods and isinstance(old[name], Function | ast.ClassDef)
            ):
                wrong = f"{name} is set in {place} already"
                yield f"{wrong}: change it there", statement.lineno
        if isinstance(statement, ast.AnnAssign) and first.decorator_list:
            wrong = f"the decorator of line {first.lineno} misses this field"
            yield f"{wrong}: move it there", statement.lineno


def supers(
    old: dict[str, ast.stmt], node: ast.ClassDef
) -> Iterator[tuple[str, int]]:
    """``super()`` that finds the earlier cell here, and the base there."""
    for method in node.body:
        inside = [*ast.walk(method)]
        asked = {id(e.value): e.attr for e in inside if hasattr(e, "attr")}
        for call in inside:
            if getattr(getattr(call, "func", None), "id", "") != "super":
                continue
            name = asked.get(id(call))
            found = old.get(getattr(method, "name", "")) or old.get(name)
            if found or name is None:
                at = f"line {(found or node).lineno}"
                wrong = f"super() finds {at} here and the base in the library"
                yield f"{wrong}: write the method where it begins", call.lineno


class AtOnce(Resolver):
    """The free names that a class reads while its body runs."""

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self.walk(body)

    def use(self, use: Use) -> None:
        """Keep those that no statement of the body has bound."""
        if not self.later and use.binding is None:
            self.uses.append(use)


def early(
    old: dict[str, ast.stmt], node: ast.ClassDef
) -> Iterator[tuple[str, int]]:
    """Names read while the body runs, which find others in the library."""
    for use in AtOnce(node.body).uses:
        if found := old.get(use.name):
            wrong = f"{use.name} would be that of line {found.lineno}"
            mend = "use another name, or put both into one cell"
            yield f"in the library {wrong}: {mend}", use.node.lineno
        elif use.name == node.name:
            wrong = f"{use.name} is not there yet while its body runs"
            mend = "a property stands whole in one cell"
            yield f"in the library {wrong}: {mend}", use.node.lineno
    own = {name for _, names in members(node) for name in names}
    for statement, names in members(node):
        if not {*names} & {*old}:
            continue
        for use in AtOnce([statement]).uses:
            if use.name in own and use.name not in names:
                wrong = f"{names[0]} takes the place of an earlier one"
                mend = f"before {use.name}: set {use.name} in an earlier cell"
                yield f"in the library {wrong}, {mend}", use.node.lineno
