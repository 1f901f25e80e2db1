"""A name of the library as an entry of its reference, in MyST.

Griffe was tried for the signatures: it knows no class that grows over cells, a
dataclass's fields in a package alone, and makes ``(/, a)`` of ``(cls, /, a)``.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from _config.chapters.names import Function
from _config.library.modules import Export, is_overload

# What a directive states of a method or a function.
STATED = {
    "abstractmethod": "abstractmethod",
    "classmethod": "classmethod",
    "final": "final",
    "staticmethod": "staticmethod",
}
# Code in backticks, or in a block that is indented.
VERBATIM = re.compile(
    r"(`+)(?!`)[\s\S]+?(?<!`)\1(?!`)|(?<=\n\n) {4}.*(?:\n+ {4}.*)*"
)
DOCTEST = re.compile(r"^( *)>>> .*(?:\n(?! *$).+)*", re.MULTILINE)


def entry(
    export: Export, overloads: Iterable[Function], users: list[str]
) -> str:
    """The entry of a name, which says where it was built and is used."""
    node, name, home = export.node, export.name, export.home
    options = {"module": export.path.rpartition(".")[0]}
    if export.path != home:
        options["canonical"] = home
    end = "{.gu-built}\n" + " ".join([built(export), *used(users)])
    if isinstance(node, ast.ClassDef):
        title = name + class_signature(node)
        texts = [bases(node), markdown(ast.get_docstring(node)), end]
        return directive(
            "py:class", title, *texts, *class_entries(node, home), **options
        )
    if isinstance(node, Function):
        return function("py:function", [*overloads, node], end, **options)
    value = ast.unparse(node.value) if getattr(node, "value", None) else ""
    if value and len(value) < 60:
        options["value"] = json.dumps(value)
    return directive("py:data", name, end, **options)


def directive(kind: str, title: str, *texts: str, **options: str) -> str:
    """A directive, in a longer fence than those that it holds."""
    text = "\n\n".join(filter(None, texts))
    inner = re.findall("^:{3,}", text, re.MULTILINE)
    fence = max(["::", *inner], key=len) + ":"
    lines = [f":{name}: {value}".rstrip() for name, value in options.items()]
    head = "\n".join([f"{fence}{{{kind}}} {title}", *lines])
    return f"{head}\n\n{text}\n{fence}"


def function(
    kind: str, nodes: list[Function], end: str = "", **options: str
) -> str:
    """A function, with a signature for each overload, if it has any."""
    *overloads, node = nodes
    bound = kind == "py:method"
    names = decorators(node)
    options |= {STATED[name]: "" for name in STATED if name in names}
    if isinstance(node, ast.AsyncFunctionDef):
        options["async"] = ""
    bound = bound and "staticmethod" not in names
    titles = [each.name + signature(each, bound) for each in overloads or nodes]
    last = directive(
        kind, titles.pop(), markdown(ast.get_docstring(node)), end, **options
    )
    # Of several signatures the last carries the text, and is found by its name.
    others = {"no-index": "", **options}
    others.pop("canonical", None)
    return "\n\n".join(
        [*(directive(kind, each, **others) for each in titles), last]
    )


def class_entries(node: ast.ClassDef, home: str) -> Iterator[str]:
    """The public methods and properties of a class, in the library's order."""
    found = [each for each in node.body if isinstance(each, Function)]
    named = sorted(
        found, key=lambda each: [f.name for f in found].index(each.name)
    )
    for name, group in groupby(named, key=lambda each: each.name):
        if name.startswith("_"):
            continue
        same = list(group)
        options = {"canonical": f"{home}.{name}"}
        if {"property", "cached_property"} & decorators(same[0]):
            if same[0].returns:
                options["type"] = ast.unparse(same[0].returns)
            texts = [markdown(ast.get_docstring(same[0]))]
            if any("setter" in decorators(each) for each in same):
                texts.append("It may be set.")
            yield directive("py:property", name, *texts, **options)
        else:
            kept = [each for each in same[:-1] if is_overload(each)]
            yield function("py:method", [*kept, same[-1]], **options)


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """The last words of decorators: ``setter``, ``dataclass``."""
    names = (ast.unparse(each).split("(")[0] for each in node.decorator_list)
    return {name.split(".")[-1] for name in names}


def signature(node: Function, bound: bool = False) -> str:
    """``(a: Tensor, b: Tensor) -> Tensor``, without ``self`` if bound."""
    args = {name: getattr(node.args, name) for name in node.args._fields}
    if bound:
        first = "posonlyargs" if args["posonlyargs"] else "args"
        args[first] = args[first][1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(ast.arguments(**args))}){returns}"


def class_signature(node: ast.ClassDef) -> str:
    """The parameters of ``__init__``, or the fields of a dataclass."""
    for each in node.body:
        if isinstance(each, Function) and each.name == "__init__":
            if not is_overload(each):
                return signature(each, bound=True).removesuffix(" -> None")
    plain = [ast.unparse(base) for base in node.bases]
    if "dataclass" not in decorators(node) and "NamedTuple" not in plain:
        return ""
    fields = (ast.unparse(e) for e in node.body if isinstance(e, ast.AnnAssign))
    kept = [e for e in fields if "ClassVar" not in e and "init=False" not in e]
    return f"({', '.join(kept)})"


def bases(node: ast.ClassDef) -> str:
    """What a class is a kind of."""
    names = ", ".join(f"`{ast.unparse(base)}`" for base in node.bases)
    return f"Bases: {names}" if names else ""


def anchor(home: str, part: int = 1) -> str:
    """The id of the cell that builds a name, or a later part of a class."""
    return f"built-{home}" + (f"-{part}" if part > 1 else "")


def built(export: Export) -> str:
    """Links to each cell that builds a name."""
    chapter, links = export.chapter, []
    for number, part in enumerate(export.parts, 1):
        where = f"line {part.node.lineno}"
        if number == 1:
            where = f"{chapter.number} {chapter.title}, {where}"
        target = f"../{chapter.name}.html#{anchor(export.home, number)}"
        links.append(f'<a href="{target}">{where}</a>')
    on = f", continued in {', '.join(links[1:])}" if links[1:] else ""
    return f"Built in {links[0]}{on}."


def used(users: list[str]) -> Iterator[str]:
    if users:
        pages = ", ".join(f"{{doc}}`/{user}`" for user in users)
        yield f"Used in {pages}."


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown that shows what it says: code stays code, a
    doctest becomes one, and any other sign is a sign."""
    text = DOCTEST.sub(fenced, docstring or "")
    text = re.sub(r":(?:\w+:)+(?=`)", "", text)  # roles of reStructuredText
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    pieces, end = [], 0
    for code in VERBATIM.finditer(text):
        pieces += [escaped(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, escaped(text[end:])])


def fenced(match: re.Match[str]) -> str:
    indent = match[1]
    return f"{indent}```python\n{match[0]}\n{indent}```"


def escaped(text: str) -> str:
    """Text whose signs mean nothing to Markdown; lists stay lists."""
    text = re.sub(r"([\\`*_{}\[\]<>$|~&])", r"\\\1", text)
    text = re.sub(r"^( *)\\\*(?= )", r"\1*", text, flags=re.MULTILINE)
    return re.sub(r"^( *)([#=+]|-{2,})", r"\1\\\2", text, flags=re.MULTILINE)
