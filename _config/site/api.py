"""The library's reference: a page a module, made from the cells that export it.

The pages are MyST files for ``book/api/``.  Every entry names the cell that
defines it and the chapters that use it.  They come from the chapters' syntax
trees: no module is imported.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator

from _config.chapters.files import PACKAGE
from _config.chapters.parse import Chapter
from _config.library.modules import Export, Module, collect

INDEX = """# The library

One page a module, in the order in which the book builds them.

{modules}

```{{toctree}}
:hidden:

{pages}
```
"""


def pages(
    chapters: list[Chapter],
    library: dict[str, Export],
    used: dict[str, list[str]],
) -> dict[str, str]:
    """Path in the book -> text: a page a module, and their index.

    ``used`` are the names of the library that each chapter uses.
    """
    users = defaultdict(list)
    for chapter in chapters:
        for home in used[chapter.name]:
            if library[home].chapter.name != chapter.name:
                users[home].append(chapter.name)
    modules, _ = collect(chapters)
    texts, lines = {}, []
    for name, module in modules.items():
        texts[f"api/{name}.md"] = page(module, users)
        summary = docstring(module).partition("\n")[0]
        lines.append(f"* {{doc}}`{name}`: {summary}")
    texts["api/index.md"] = INDEX.format(
        modules="\n".join(lines), pages="\n".join(modules)
    )
    return texts


def page(module: Module, users: dict[str, list[str]]) -> str:
    """The page of a module: its docstring and its public names."""
    name = f"{PACKAGE}.{module.name}"
    public = [e for e in module.names.values() if not e.name.startswith("_")]
    parts = [
        f"# {name}",
        f":::{{py:module}} {name}\n:::",
        docstring(module),
        f"Built in {{doc}}`/{module.chapter.name}`.",
        *("\n".join(described(each, users[each.home])) for each in public),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def docstring(module: Module) -> str:
    """A module's docstring as Markdown; empty if there is none."""
    return prose(
        ast.get_docstring(ast.Module([module.docstring], []))
        if module.docstring
        else None
    )


def described(export: Export, users: list[str]) -> Iterator[str]:
    """The name as a directive of Sphinx's Python domain."""
    node, name, chapter = export.node, export.name, export.chapter
    where = f"{chapter.number} {chapter.title}, line {node.lineno}"
    target = f"../{chapter.name}.html#built-{export.home}"
    built = f'Built in <a href="{target}">{where}</a>.'
    if users:
        built += (
            " Used in " + ", ".join(f"{{doc}}`/{user}`" for user in users) + "."
        )
    footer = f"\n{{.gu-built}}\n{built}"
    if isinstance(node, ast.ClassDef):
        yield f"::::{{py:class}} {name}{class_signature(node)}"
        yield prose(ast.get_docstring(node)) + "\n" + footer + "\n"
        for method in methods(node):
            yield from described_method(method)
        yield "::::"
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield f":::{{py:function}} {name}{signature(node)}"
        yield prose(ast.get_docstring(node)) + "\n" + footer
        yield ":::"
    else:
        yield f":::{{py:data}} {name}"
        if node.value and len(value := ast.unparse(node.value)) < 60:
            yield f":value: {json.dumps(value)}\n"
        yield footer
        yield ":::"


def described_method(method: ast.FunctionDef) -> Iterator[str]:
    kinds = {ast.unparse(decorator) for decorator in method.decorator_list}
    if "property" in kinds:
        yield f":::{{py:property}} {method.name}"
        if method.returns:
            yield f":type: {ast.unparse(method.returns)}\n"
    else:
        described = signature(method, bound="staticmethod" not in kinds)
        yield f":::{{py:method}} {method.name}{described}"
        yield from (
            f":{kind}:"
            for kind in ("classmethod", "staticmethod")
            if kind in kinds
        )
    yield "\n" + prose(ast.get_docstring(method))
    yield ":::"


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    """The public methods, without the setters of properties."""
    return [
        each
        for each in node.body
        if isinstance(each, ast.FunctionDef)
        and not each.name.startswith("_")
        and not any(
            ast.unparse(mark).endswith((".setter", ".deleter"))
            for mark in each.decorator_list
        )
    ]


def signature(node: ast.FunctionDef, bound: bool = False) -> str:
    """``(a: Tensor, b: Tensor) -> Tensor``, without ``self`` if bound."""
    text = ast.unparse(node.args)
    if bound:
        text = re.sub(r"^\w+(, /)?(, )?", "", text)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({text}){returns}"


def class_signature(node: ast.ClassDef) -> str:
    """The parameters of ``__init__``, or a dataclass's fields."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return signature(each, bound=True).removesuffix(" -> None")
    if any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
        fields = [
            ast.unparse(each)
            for each in node.body
            if isinstance(each, ast.AnnAssign)
        ]
        return f"({', '.join(fields)})"
    return ""


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: a star outside code is a star."""
    pieces = re.split(r"(`+[^`]+`+)", docstring or "")
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*$\[<])", r"\\\1", piece)
        for piece in pieces
    )
