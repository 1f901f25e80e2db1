"""The one resolver: what each name in a piece of code means.

It visits statements in the order in which Python runs them: the bodies of
functions after the statements around them, since they are run later.  Whoever
asks (extraction, ledger, links, keys) subclasses it and fills in ``use``.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import resolve_name

Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Binding:
    """What a name was bound to: ``path`` is dotted.

    That of a definition here starts with a dot; of anything else it is empty.
    """

    name: str
    path: str
    node: ast.AST = field(repr=False)
    imported: bool = False


@dataclass(frozen=True)
class Use:
    """A name that is read, with its attributes: ``nn.Linear.weight``.

    ``path`` starts with what the name was bound to; ``later`` says that it is
    read when a function is called, not where it stands.
    """

    binding: Binding | None
    path: str
    node: ast.expr = field(repr=False)
    later: bool = False

    @property
    def name(self) -> str:
        """The name itself, without attributes."""
        return root(self.node).id


class Scope(dict[str, Binding]):
    """The names of a scope; ``kind`` is function, class or comprehension."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


class Resolver(ast.NodeVisitor):
    """Visits code; ``globals`` holds what each top-level name means so far."""

    def __init__(self, package: str = "") -> None:
        self.package = package  # what relative imports start from
        self.globals: dict[str, Binding] = {}
        self.inner: list[Scope] = []
        self.later = False
        self.bodies: list[tuple] = []

    # What a subclass fills in

    def use(self, use: Use) -> None:
        """A name is read."""

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        """A name is imported."""

    def bound(self, binding: Binding) -> None:
        """A name of the top level is bound."""

    def origin(self, value: ast.expr) -> str:
        """What an assigned value stands for, beyond a plain ``F = nn.func``."""
        return ""

    def parameter(self, arg: ast.arg, of: ast.AST, method: bool) -> str:
        """What a parameter stands for."""
        return ""

    # Asking

    def walk(self, statements: Sequence[ast.stmt]) -> None:
        """Visit statements that follow those visited before."""
        for statement in statements:
            self.visit(statement)
        while self.bodies:
            self.visit_body(*self.bodies.pop(0))

    def resolve(self, node: ast.expr) -> Use | None:
        """What ``a.b.c`` means; None if it does not start with a name."""
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        binding = self.find(node.id)
        start = binding.path if binding else node.id
        path = ".".join([start, *reversed(attributes)]) if start else ""
        return Use(binding, path, node, self.later)

    def find(self, name: str) -> Binding | None:
        """The binding that a name has here."""
        for scope in reversed(self.inner):
            if name in scope:
                return scope[name]
        return self.globals.get(name)

    # Binding

    def bind(self, name: str, node: ast.AST, path: str = "", **more) -> None:
        binding = Binding(name, path, node, **more)
        if self.inner:
            self.inner[-1][name] = binding
        else:
            self.globals[name] = binding
            self.bound(binding)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            self.imports(node, alias, alias.name)
            local, path = alias.asname or top, alias.name
            self.bind(local, node, path if alias.asname else top, imported=True)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        if node.level and self.package:
            module = resolve_name(module, self.package)
        for alias in node.names:
            path = f"{module}.{alias.name}"
            self.imports(node, alias, path)
            self.bind(alias.asname or alias.name, node, path, imported=True)

    def visit_Assign(self, node: ast.Assign) -> None:
        used = self.resolve(node.value)
        alias = used.path if used and used.binding else ""
        alias = self.origin(node.value) or alias
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.bind(target.id, target, alias)
            else:
                self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.annotation(node.annotation)
        if node.value:
            plain = ast.Assign([node.target], node.value)
            self.visit_Assign(ast.copy_location(plain, node))
        elif not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if not isinstance(node.target, ast.Name):
            return self.visit(node.target)
        read = ast.Name(node.target.id, ast.Load())
        self.visit(ast.copy_location(read, node.target))
        found = self.find(node.target.id)
        self.bind(node.target.id, node.target, found.path if found else "")

    def visit_ExceptHandler(self, node: ast.AST) -> None:
        for name in stored(node):
            self.bind(name, node)
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = visit_MatchMapping = visit_ExceptHandler

    # Scopes

    def visit_FunctionDef(self, node: Function) -> None:
        for each in node.decorator_list:
            self.visit(each)
        if node.returns:
            self.annotation(node.returns)
        self.bind(node.name, node, f".{node.name}")
        self.function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.function(node, [ast.copy_location(ast.Expr(node.body), node)])

    def function(
        self, node: Function | ast.Lambda, body: list[ast.stmt]
    ) -> None:
        """Visit defaults and annotations now, the body when all else is."""
        args = node.args
        for default in [*args.defaults, *args.kw_defaults]:
            if default:
                self.visit(default)
        names = Scope("function")
        method = bool(self.inner) and self.inner[-1].kind == "class"
        for index, arg in enumerate(parameters(args)):
            if arg.annotation:
                self.annotation(arg.annotation)
            path = self.parameter(arg, node, method and index == 0)
            names[arg.arg] = Binding(arg.arg, path, arg)
        scopes = [scope for scope in self.inner if scope.kind != "class"]
        self.bodies.append((body, [*scopes, names]))

    def visit_body(self, body: list[ast.stmt], scopes: list[Scope]) -> None:
        names, elsewhere = scopes[-1], set()
        for node in local_nodes(body):
            if isinstance(node, ast.Global | ast.Nonlocal):
                elsewhere |= {*node.names}
            for name in stored(node):  # local, whatever it means outside
                names.setdefault(name, Binding(name, "", node))
        for name in elsewhere:
            names.pop(name, None)
        outer = self.inner, self.later
        self.inner, self.later = scopes, True
        for statement in body:
            self.visit(statement)
        self.inner, self.later = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(each)
        self.inner.append(Scope("class"))
        for statement in node.body:
            self.visit(statement)
        self.inner.pop()
        self.bind(node.name, node, f".{node.name}")

    def visit_ListComp(self, node: COMPREHENSIONS) -> None:
        self.inner.append(Scope("comprehension"))
        for generator in node.generators:
            self.visit(generator)
        for part in ("key", "value", "elt"):
            if hasattr(node, part):
                self.visit(getattr(node, part))
        self.inner.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for part in (node.iter, node.target, *node.ifs):
            self.visit(part)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        inner = self.inner  # the name outlives a comprehension
        while self.inner and self.inner[-1].kind == "comprehension":
            self.inner = self.inner[:-1]
        self.visit(node.target)
        self.inner = inner

    # Reading

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.use(self.resolve(node))
        else:
            self.bind(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        used = self.resolve(node)
        if used is None:
            self.visit(node.value)
        else:
            self.use(Use(used.binding, used.path, node, used.later))

    def annotation(self, node: ast.expr) -> None:
        """Visit an annotation, and what stands in quotes in it."""
        self.visit(node)
        later, self.later = self.later, True
        for name in quoted(node):
            self.visit(name)
        self.later = later


def begin(node: ast.stmt) -> int:
    """The line on which a statement begins, with its decorators."""
    decorators = getattr(node, "decorator_list", ())
    return min(each.lineno for each in [node, *decorators])


def root(node: ast.expr) -> ast.Name:
    """The name that a chain of attributes starts with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def parameters(args: ast.arguments) -> Iterator[ast.arg]:
    """All parameters of a function, in the order of its signature."""
    yield from (*args.posonlyargs, *args.args)
    yield from filter(None, [args.vararg, *args.kwonlyargs, args.kwarg])


def quoted(node: ast.AST) -> Iterator[ast.expr]:
    """What stands in quotes in an annotation, at the place of the quotes."""
    if isinstance(node, ast.Subscript):
        if ast.unparse(node.value).endswith(("Literal", "Annotated")):
            return  # their strings are no names
    if isinstance(node, ast.Constant) and type(node.value) is str:
        try:
            tree = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return
        for inner in ast.walk(tree):
            ast.copy_location(inner, node)
        yield tree
    for inner in ast.iter_child_nodes(node):
        yield from quoted(inner)


def stored(node: ast.AST) -> Iterator[str]:
    """The names that a node itself binds."""
    match node:
        case ast.Name(name, ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
            yield name
        case ast.ClassDef(name):
            yield name
        case ast.Import(names) | ast.ImportFrom(names=names):
            for alias in names:
                yield alias.asname or alias.name.split(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchStar(str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name


def names_in(nodes: Sequence[ast.AST]) -> list[str]:
    """The names that statements bind in their own scope."""
    return [name for node in local_nodes(nodes) for name in stored(node)]


def local_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a function's own scope: nothing of the scopes within."""
    todo = list(reversed(body))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            skip = isinstance(node, COMPREHENSIONS)
            todo += [] if skip else list(ast.iter_child_nodes(node))[::-1]
