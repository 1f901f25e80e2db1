"""The library's reference: a page a package and a page a module.

The pages are MyST files for ``book/api/``, in the order in which the book
builds the library.  They come from the chapters' syntax trees: no module is
imported, and a class has the members of all its cells.
"""

from collections import defaultdict
from collections.abc import Iterator
from inspect import cleandoc

from _config.chapters.files import PACKAGE
from _config.chapters.names import Function
from _config.chapters.parse import Chapter
from _config.library.modules import Export, Module, collect, is_overload
from _config.site.entries import entry, markdown

INDEX = """# The library

What users import, package by package, in the order in which the book builds it.
Each page leads on to the modules, and from there to the cells that built them.
"""
CONTENTS = """```{{toctree}}
:hidden:
:titlesonly:

{}
```
"""


def pages(
    chapters: list[Chapter],
    library: dict[str, Export],
    used: dict[str, list[str]],
) -> dict[str, str]:
    """Path in the book -> text, for all pages.

    ``used`` are the names of the library that each chapter uses.
    """
    users = defaultdict(list)
    for chapter in chapters:
        for home in used[chapter.name]:
            if library[home].chapter.name != chapter.name:
                users[home].append(chapter.name)
    modules, _ = collect(chapters)
    inside = tree(modules)
    return {
        f"api/{m.name}.md": module_page(m, users) for m in modules.values()
    } | {
        f"api/{package or 'index'}.md": listing(package, inside, modules)
        for package in inside
    }


def tree(modules: dict[str, Module]) -> dict[str, list[str]]:
    """Package -> the packages and modules in it; the outermost is empty."""
    inside: dict[str, list[str]] = {"": []}
    for name in modules:
        pieces = name.split(".")
        for end in range(1, len(pieces) + 1):
            outer, inner = ".".join(pieces[: end - 1]), ".".join(pieces[:end])
            held = inside.setdefault(outer, [])
            if inner not in held:
                held.append(inner)
    for held in inside.values():
        held.sort(key=lambda name: name not in inside)  # packages first
    return inside


def listing(
    package: str, inside: dict[str, list[str]], modules: dict[str, Module]
) -> str:
    """The page of a package, or of them all: what it offers, and its tree."""
    path = f"{PACKAGE}.{package}"
    parts = (
        [f"# {path}", f":::{{py:module}} {path}\n:::"] if package else [INDEX]
    )
    parts += offered(package, modules)
    for inner in outlined(package, inside, modules):
        parts.append(f"## {{doc}}`{PACKAGE}.{inner} <{inner}>`")
        parts += offered(inner, modules)
    contents = "\n".join(inside[package])
    return "\n\n".join([*parts, CONTENTS.format(contents)])


def outlined(
    package: str, inside: dict[str, list[str]], modules: dict[str, Module]
) -> Iterator[str]:
    """The packages in a package, and the modules that users name."""
    for inner in inside[package]:
        if inner in inside:
            yield inner
            yield from outlined(inner, inside, modules)
        elif not package or modules[inner].namespace:
            yield inner


def offered(name: str, modules: dict[str, Module]) -> list[str]:
    """The public names of a package or module, as links in one paragraph."""
    path = f"{PACKAGE}.{name}"
    names = [
        f"{{py:obj}}`{export.name} <{export.home}>`"
        for module in modules.values()
        for export in module.names.values()
        if export.public and export.path == f"{path}.{export.name}"
    ]
    about = [docstring(modules[name])] if name in modules else []
    return [*about, ", ".join(names)] if names else about


def module_page(module: Module, users: dict[str, list[str]]) -> str:
    """The page of a module: its docstring and its names."""
    overloads = defaultdict(list)
    for cell in module.cells:
        for node in cell.sound:
            if isinstance(node, Function) and is_overload(node):
                overloads[node.name].append(node)
    public = [e for e in module.names.values() if not e.name.startswith("_")]
    parts = [
        f"# {module.path}",
        f":::{{py:module}} {module.path}\n:::",
        docstring(module),
        f"Built in {{doc}}`/{module.chapter.name}`.",
        *(entry(e, overloads[e.name], users[e.home]) for e in public),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def docstring(module: Module) -> str:
    """A module's docstring as Markdown; empty if there is none."""
    node = module.docstring
    return markdown(cleandoc(node.value.value)) if node else ""
