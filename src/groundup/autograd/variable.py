# Extracted from book/2_backward/5_autograd.py; edit it there.
"""Variables: tensors that remember how they were computed."""

from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor

from groundup.autograd.axes import cat_rule, reshape_rule
from groundup.autograd.grad_mode import is_grad_enabled
from groundup.autograd.graph import Node, propagate
from groundup.autograd.operators import Axes, Operators, Shapes
from groundup.autograd.rules import Step, where_rule


def data_of(x: object) -> object:
    """The tensor inside a variable; anything else as it is."""
    return x.data if isinstance(x, Variable) else x


def needs_grad(x: object) -> bool:
    """True for a variable that a gradient should reach."""
    return isinstance(x, Variable) and x.requires_grad


def _held(x: object) -> Iterator[Tensor]:
    """The tensors that a rule holds in its closure, also inside a tuple."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, tuple | list):
        for item in x:
            yield from _held(item)


def record(
    value: Tensor,
    operands: list["Variable | None"],
    rule: Callable[[Tensor], list[Tensor | None]],
    saved: list[Tensor],
) -> "Variable":
    """A variable for value that knows its way back, if anyone needs it."""
    output = Variable(value)
    wanted = any(x is not None for x in operands)
    if wanted and is_grad_enabled() and value.is_floating_point():
        targets = [x if x is None else x.grad_fn or x for x in operands]
        output.grad_fn = Node(value, targets, rule, saved)
    return output


def apply(
    rule: Callable[..., Step], *operands: object, **options: object
) -> "Variable":
    """Take one step on the operands' tensors and record it."""
    value, *rules = rule(*map(data_of, operands), **options)
    pairs = zip(operands, rules, strict=False)  # options are no operands
    wanted = [(x, rule) for x, rule in pairs if needs_grad(x)]
    rules = [rule for _, rule in wanted]
    cells = [cell for rule in rules for cell in rule.__closure__ or ()]
    return record(
        value,
        [x for x, _ in wanted],
        lambda grad: [rule(grad) for rule in rules],
        [tensor for cell in cells for tensor in _held(cell.cell_contents)],
    )


def _first_grad(output: "Variable", grad: object = None) -> Tensor:
    """The gradient to start from: grad, or 1 if the output is one number."""
    if not output.requires_grad:
        raise RuntimeError("nothing that requires a gradient led to this value")
    shape = tuple(output.shape)
    if grad is None:
        if output.data.numel() != 1:
            raise RuntimeError(
                f"a gradient of shape {shape} is needed to start from: "
                "it is 1 only for a single number"
            )
        return torch.ones_like(output.data)
    grad = data_of(grad)
    if grad.shape != output.shape:
        raise RuntimeError(
            f"expected a gradient of shape {shape}, got {tuple(grad.shape)}"
        )
    return grad


def _in_place(name: str) -> Callable:
    """The operator that changes a variable's data, where none records."""

    def method(self: "Variable", other: object) -> "Variable":
        if is_grad_enabled() and (needs_grad(self) or needs_grad(other)):
            raise RuntimeError(
                "a change in place is not recorded: make it under no_grad, "
                "or write x = x + y in place of x += y"
            )
        getattr(self.data, name)(data_of(other))
        return self

    return method


class Variable(Operators, Shapes, Axes):
    """A tensor that remembers how it was computed."""

    apply = staticmethod(apply)
    __iadd__, __isub__ = _in_place("add_"), _in_place("sub_")
    __imul__, __itruediv__ = _in_place("mul_"), _in_place("div_")

    def __init__(self, data: object, requires_grad: bool = False):
        self.data = torch.as_tensor(data)
        self.grad: Tensor | None = None
        self.grad_fn: Node | None = None
        self.wants_grad = False
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        origin = self.grad_fn and ", computed"
        leaf = ", requires_grad=True" if self.wants_grad else ""
        return f"Variable({self.data}{origin or leaf})"

    @property
    def is_leaf(self) -> bool:
        """True unless a recorded step made it."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """True if a gradient should reach it."""
        return self.wants_grad or self.grad_fn is not None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for a gradient, or no longer; for a leaf of floating point."""
        if not self.is_leaf:
            raise RuntimeError("only a leaf can be told; detach() makes one")
        if requires_grad and not self.data.is_floating_point():
            raise RuntimeError(f"a gradient of {self.dtype} has no meaning")
        self.wants_grad = requires_grad
        return self

    def detach(self) -> Self:
        """The same data without its past."""
        return Variable(self.data)

    def backward(
        self, gradient: object = None, retain_graph: bool = False
    ) -> None:
        """Add to the grad of every leaf that led here."""
        grad = _first_grad(self, gradient)
        grads = propagate(self.grad_fn or self, grad, retain_graph=retain_graph)
        for leaf, grad in grads.items():
            if leaf.grad is None:
                leaf.grad = grad.clone()  # two leaves may share one
            else:
                leaf.grad += grad


def grad(
    output: Variable,
    inputs: Variable | tuple[Variable, ...],
    grad_output: object = None,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of output by each of inputs; no grad is changed."""
    inputs = (inputs,) if isinstance(inputs, Variable) else inputs
    targets = [x.grad_fn or x for x in inputs]
    start = _first_grad(output, grad_output)
    root = output.grad_fn or output
    found = propagate(root, start, set(targets), retain_graph)
    if not allow_unused and any(x not in found for x in targets):
        raise RuntimeError(
            "the output does not depend on one of the inputs; "
            "allow_unused=True gives None for it"
        )
    return tuple(found.get(x) for x in targets)


def where(condition: Tensor, a: object, b: object) -> Variable:
    """Elements of a where the condition holds, else of b."""
    return apply(where_rule, data_of(condition), a, b)


def cat(tensors: list[Variable], dim: int = 0) -> Variable:
    """Variables joined along an axis that exists."""
    return apply(cat_rule, *tensors, dim=dim)


def stack(tensors: list[Variable], dim: int = 0) -> Variable:
    """Variables joined along a new axis."""
    shape = data_of(tensors[0]).unsqueeze(dim).shape
    return cat([apply(reshape_rule, x, shape) for x in tensors], dim)
