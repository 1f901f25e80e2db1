"""Which names of other packages a piece of a chapter uses.

A walk over the syntax tree in the order of the text.  It knows where a local
name comes from (``F`` from ``import torch.nn.functional as F``), so an
attribute chain becomes a full name.  On an object whose origin it does not
know, an attribute that torch.Tensor has counts as ``torch.Tensor.<attribute>``
unless one of the book's own classes defines it.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from _config.ledger.torch_names import kind, tensor_names

# Origins that are no package's names.
OURS = "groundup"  # a definition of this chapter, or an import from groundup
SELF = "self"  # the object of the class being defined: its fields are ours
TENSOR = "tensor"  # what a torch function returned: its methods are torch's


@dataclass(frozen=True)
class Use:
    """A full name, the line that uses it, and how the line spells it."""

    name: str
    line: int
    text: str
    imported: bool = False


def class_attributes(statements: Sequence[ast.stmt]) -> set[str]:
    """What the classes in ``statements`` define: methods, fields, self.x."""
    classes = [node for node in statements if isinstance(node, ast.ClassDef)]
    found = set()
    for node in (node for each in classes for node in ast.walk(each)):
        match node:
            case ast.FunctionDef(name=name):
                found.add(name)
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                found.add(name)
    for node in (node for each in classes for node in each.body):
        match node:
            case ast.AnnAssign(ast.Name(name)) | ast.Assign([ast.Name(name)]):
                found.add(name)
    return found


class Walker(ast.NodeVisitor):
    """Finds the uses in a chapter's cells, walked in order.

    ``own`` are the attributes that the chapter's classes define; ``library``
    maps the modules of earlier chapters to those that theirs define.
    """

    def __init__(self, own: set[str], library: dict[str, set[str]]) -> None:
        self.library = library
        self.ours = own.copy()  # attributes that our classes define
        self.origins: dict[str, str] = {}  # a local name -> its full name
        self.inherited: set[str] = set()  # those of them that were imported
        self.uses: list[Use] = []

    def walk(self, statements: list[ast.stmt]) -> list[Use]:
        """The uses in ``statements``, which follow those walked before."""
        self.uses = []
        for statement in statements:
            self.visit(statement)
        return self.uses

    def use(
        self, name: str, node: ast.AST, text: str = "", imported: bool = False
    ) -> None:
        if name.split(".")[0] not in (OURS, SELF, TENSOR):
            self.uses.append(Use(name, node.lineno, text or name, imported))

    # Where names come from

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.split(".")[0]
            self.bring_in(alias.asname or root, alias.name)
            if not alias.asname:  # `import a.b` binds a
                self.origins[root] = root
            self.use(alias.name, node, imported=True)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            name = f"{OURS if node.level else node.module}.{alias.name}"
            self.bring_in(alias.asname or alias.name, name)
            self.use(name, node, imported=True)

    def bring_in(self, local: str, name: str) -> None:
        self.origins[local] = name
        if name.split(".")[0] != OURS:
            return
        for module, attributes in self.library.items():
            ends = f"{name}.", f"{OURS}.{module}."
            if ends[0].startswith(ends[1]) or ends[1].startswith(ends[0]):
                self.inherited |= attributes
        self.ours |= self.inherited

    def resolve(self, node: ast.expr) -> str | None:
        """The full name of ``F.relu``; None where its root is unknown."""
        match node:
            case ast.Name(name):
                return self.origins.get(name)
            case ast.Attribute(value, attribute):
                origin = self.resolve(value)
                # What a field of ours holds need not be ours.
                if origin and origin != TENSOR and origin[:5] != f"{SELF}.":
                    return f"{origin}.{attribute}"
        return None

    def is_tensor(self, node: ast.expr) -> bool:
        """Whether ``node`` is surely what a torch function returned."""
        match node:
            case ast.Name(name):
                return self.origins.get(name) == TENSOR
            case ast.Call(ast.Attribute(value) as function):
                name = self.resolve(function) or ""
                from_torch = name.startswith("torch.") and name.islower()
                return from_torch or self.is_tensor(value)
            case ast.Subscript(value) | ast.UnaryOp(operand=value):
                return self.is_tensor(value)
            case ast.BinOp(left, _, right):
                return any(map(self.is_tensor, (left, right))) and all(
                    self.is_tensor(side) or isinstance(side, ast.Constant)
                    for side in (left, right)
                )
        return False

    # Definitions and assignments

    def visit_FunctionDef(
        self, node: ast.FunctionDef | ast.Lambda, method: bool = False
    ) -> None:
        args = node.args
        arguments = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        arguments += filter(None, (args.vararg, args.kwarg))
        self.visit(args)  # its annotations and defaults
        if isinstance(node, ast.FunctionDef):
            for each in filter(None, [*node.decorator_list, node.returns]):
                self.visit(each)
            self.origins[node.name] = OURS
        outside = self.origins.copy()
        for each in arguments:
            annotation = each.annotation and self.resolve(each.annotation)
            if annotation == "torch.Tensor":
                self.origins[each.arg] = TENSOR
            else:  # unknown, and no longer what the name meant outside
                self.origins.pop(each.arg, None)
        if method and arguments and not arguments[0].annotation:
            self.origins[arguments[0].arg] = SELF
        for each in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(each)
        self.origins = outside

    visit_Lambda = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in [*node.bases, *node.keywords, *node.decorator_list]:
            self.visit(each)
        self.origins[node.name] = OURS
        outside = self.origins.copy()
        for each in node.body:
            if isinstance(each, ast.FunctionDef):
                self.visit_FunctionDef(each, method=True)
            else:
                self.visit(each)
        self.origins = outside

    def visit_Assign(self, node: ast.Assign) -> None:
        value = node.value
        origin = TENSOR if self.is_tensor(value) else self.resolve(value)
        module = (origin or "").startswith("torch") and kind(origin) == "module"
        if not module:  # `nn = torch.nn` only names a module once more
            self.visit(value)
        for target in node.targets:
            self.visit(target)
            if isinstance(target, ast.Name) and origin:
                self.origins[target.id] = origin

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if not isinstance(node.target, ast.Name):
            self.visit(node.target)
        self.operator(node, node.target, node.value)

    # Uses

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.origins.pop(node.id, None)
        elif origin := self.origins.get(node.id):
            self.use(origin, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if name := self.resolve(node):
            return self.use(name, node)
        ours = node.attr in self.ours and not self.is_tensor(node.value)
        if node.attr in tensor_names() and not ours:
            self.use(f"torch.Tensor.{node.attr}", node, f".{node.attr}")
        self.visit(node.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        self.operator(node, node.left, node.right)

    def operator(self, node: ast.AST, *sides: ast.expr) -> None:
        ours = "__matmul__" in self.ours and not all(map(self.is_tensor, sides))
        if isinstance(node.op, ast.MatMult) and not ours:
            self.use("torch.matmul", node, "`@`")

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                ast.Name("getattr" | "setattr"),
                [value, ast.Constant(str(name)), *_],
            ):
                attribute = ast.Attribute(value, name, ast.Load())
                self.visit(ast.copy_location(attribute, node))
        self.generic_visit(node)
        root = (self.resolve(node.func) or "").split(".")[0]
        ours = root in (OURS, SELF)
        for keyword in node.keywords:
            match keyword:
                case ast.keyword("requires_grad", ast.Constant(False)):
                    pass
                case ast.keyword("requires_grad") if not ours:
                    text = "requires_grad="
                    self.use("torch.Tensor.requires_grad", keyword.value, text)
