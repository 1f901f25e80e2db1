"""Which names of other packages a piece of a chapter uses.

The resolver knows where a local name comes from (``F`` from ``import
torch.nn.functional as F``), so an attribute chain becomes a full name.  On an
object whose origin it does not know, an attribute that torch.Tensor has counts
as ``torch.Tensor.<attribute>`` unless one of the book's own classes defines it.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from _config.chapters.files import PACKAGE
from _config.chapters.names import Resolver, names_in
from _config.ledger.torch_names import kind, tensor_names

SELF = "self"  # the object of the class being defined: its fields are ours
TENSOR = "tensor"  # what a torch function returned: its methods are torch's
OURS = ("", PACKAGE, SELF, TENSOR)  # roots of paths that are no package's names


@dataclass(frozen=True)
class Named:
    """A full name, the line that uses it, and how the line spells it."""

    name: str
    line: int
    text: str
    imported: bool = False


def class_attributes(statements: Sequence[ast.stmt]) -> set[str]:
    """What the classes in ``statements`` define: methods, fields, self.x."""
    classes = [node for node in statements if isinstance(node, ast.ClassDef)]
    found = {name for each in classes for name in names_in(each.body)}
    for node in (node for each in classes for node in ast.walk(each)):
        match node:
            case ast.FunctionDef(name=name):  # of a class in the class
                found.add(name)
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                found.add(name)
    return found


class Walker(Resolver):
    """Finds the uses in a chapter's cells, walked in order.

    ``own`` are the attributes that the chapter's classes define; ``library``
    maps the modules of earlier chapters to those that theirs define.
    """

    def __init__(self, own: set[str], library: dict[str, set[str]]) -> None:
        super().__init__()
        self.library = library
        self.ours = own.copy()  # attributes that our classes define
        self.inherited: set[str] = set()  # those of them that were imported
        self.found: list[Named] = []

    def names(self, statements: Sequence[ast.stmt]) -> list[Named]:
        """The uses in statements that follow those walked before."""
        self.found = []
        self.walk(statements)
        return sorted(self.found, key=lambda each: each.line)

    def note(
        self, name: str, node: ast.AST, text: str = "", imported: bool = False
    ) -> None:
        if name.split(".")[0] not in OURS:
            self.found.append(Named(name, node.lineno, text or name, imported))

    # Where names come from

    def imports(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        """Note it; what classes of ours define is known from here on."""
        self.note(path, node, imported=True)
        if path.split(".")[0] not in ("", PACKAGE):
            return
        for module, attributes in self.library.items():
            ends = f"{path}.", f"{PACKAGE}.{module}."
            if ends[0].startswith(ends[1]) or ends[1].startswith(ends[0]):
                self.inherited |= attributes
        self.ours |= self.inherited

    def parameter(self, arg: ast.arg, of: ast.AST, method: bool) -> str:
        """A tensor where the annotation says so; the object of a method."""
        if arg.annotation is None:
            return SELF if method else ""
        return TENSOR if self.known(arg.annotation) == "torch.Tensor" else ""

    def origin(self, value: ast.expr) -> str:
        """A tensor, if a torch function returned it."""
        return TENSOR if self.is_tensor(value) else ""

    def known(self, node: ast.expr) -> str:
        """The full name of ``F.relu``; empty where its root is unknown."""
        use = self.resolve(node)
        if use is None or use.binding is None:
            return ""
        root, _, rest = use.path.partition(".")
        # What a field of ours holds need not be ours.
        unknown = (root == TENSOR and rest) or (root == SELF and "." in rest)
        return "" if unknown else use.path

    def is_tensor(self, node: ast.expr) -> bool:
        """Whether ``node`` is surely what a torch function returned."""
        match node:
            case ast.Name():
                return self.known(node) == TENSOR
            case ast.Call(ast.Attribute(value) as function):
                name = self.known(function)
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

    def visit_Assign(self, node: ast.Assign) -> None:
        """``nn = torch.nn`` only names a module once more: no use."""
        name = self.known(node.value)
        if name.startswith("torch") and kind(name) == "module":
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.bind(target.id, target, name)
        else:
            super().visit_Assign(node)

    # Uses

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            super().visit_Name(node)
        elif name := self.known(node):
            self.note(name, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if name := self.known(node):
            return self.note(name, node)
        ours = node.attr in self.ours and not self.is_tensor(node.value)
        if node.attr in tensor_names() and not ours:
            self.note(f"torch.Tensor.{node.attr}", node, f".{node.attr}")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        super().visit_AugAssign(node)
        self.operator(node, node.target, node.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        self.operator(node, node.left, node.right)

    def operator(self, node: ast.AST, *sides: ast.expr) -> None:
        ours = "__matmul__" in self.ours and not all(map(self.is_tensor, sides))
        if isinstance(node.op, ast.MatMult) and not ours:
            self.note("torch.matmul", node, "`@`")

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                ast.Name("getattr" | "setattr"),
                [value, ast.Constant(str(name)), *_],
            ):
                attribute = ast.Attribute(value, name, ast.Load())
                self.visit(ast.copy_location(attribute, node))
        self.generic_visit(node)
        root = self.known(node.func).split(".")[0]
        ours = self.known(node.func) and root in OURS
        for keyword in node.keywords:
            match keyword:
                case ast.keyword("requires_grad", ast.Constant(False)):
                    pass
                case ast.keyword("requires_grad") if not ours:
                    text = "requires_grad="
                    self.note("torch.Tensor.requires_grad", keyword.value, text)
