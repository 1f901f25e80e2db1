# Extracted from book/2_backward/9_engine.py; edit it there.
"""Variables: tensors that remember how they were computed."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from operator import eq, ge, gt, le, lt, ne
from typing import Self

import torch
from torch import Tensor

from groundup.autograd.axes import (
    amax_rule,
    expand_rule,
    gather_rule,
    index_rule,
    matmul_rule,
    mean_rule,
    permute_rule,
    reshape_rule,
    sum_rule,
    transpose_rule,
)
from groundup.autograd.functions import (
    abs_rule,
    clamp_rule,
    exp_rule,
    log_rule,
    neg_rule,
    pow_rule,
    sigmoid_rule,
    tanh_rule,
)
from groundup.autograd.grad_mode import is_grad_enabled
from groundup.autograd.graph import Node, first_grad, propagate
from groundup.autograd.rules import (
    Step,
    add_rule,
    div_rule,
    mul_rule,
    relu_rule,
    sub_rule,
)


def _lift(rule: Callable[..., Step]) -> Callable:
    """The method that applies a rule to self and what follows."""

    @wraps(rule)
    def method(
        self: "Variable", *others: object, **options: object
    ) -> "Variable":
        return apply(rule, self, *others, **options)

    return method


def _operators(rule: Callable[..., Step]) -> tuple[Callable, Callable]:
    """The methods for x - 2 and for 2 - x."""
    return (
        wraps(rule)(lambda self, other: apply(rule, self, _number(other))),
        wraps(rule)(lambda self, other: apply(rule, _number(other), self)),
    )


def _number(other: object) -> object:
    """A copy of NumPy's numbers as torch's; anything else as it is."""
    known = isinstance(other, Variable | Tensor | int | float)
    return other if known else torch.tensor(other)


def _compare(comparison: Callable) -> Callable:
    """The method for a comparison: a plain tensor of truth values."""
    return lambda self, other: comparison(self.data, data_of(other))


class Variable:
    """A tensor that remembers how it was computed."""

    def __init__(self, data: object, requires_grad: bool = False):
        self.data = data if isinstance(data, Tensor) else torch.tensor(data)
        self.grad: Tensor | None = None
        self.grad_fn: Node | None = None
        self.wants_grad = False
        self.requires_grad_(requires_grad)

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
        dtype = self.data.dtype
        if requires_grad and not dtype.is_floating_point:
            raise RuntimeError(f"a gradient of {dtype} has no meaning")
        self.wants_grad = requires_grad
        return self

    __array_ufunc__ = None  # NumPy's numbers on the left leave it to us

    def __repr__(self) -> str:
        origin = self.grad_fn and ", computed"
        leaf = ", requires_grad=True" if self.wants_grad else ""
        return f"Variable({self.data}{origin or leaf})"

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.data)

    @property
    def shape(self) -> torch.Size:
        """The size of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of the elements."""
        return self.data.dtype

    def detach(self) -> Self:
        """The same data without its past."""
        return Variable(self.data)

    def backward(
        self, gradient: object = None, retain_graph: bool = False
    ) -> None:
        """Add to the grad of every leaf that led here."""
        grad = first_grad(self, data_of(gradient))
        grads = propagate(self.grad_fn or self, grad, retain_graph=retain_graph)
        for leaf, grad in grads.items():
            if leaf.grad is None:
                leaf.grad = grad.clone()  # two leaves may share one
            else:
                leaf.grad += grad

    __add__, __radd__ = _operators(add_rule)
    __sub__, __rsub__ = _operators(sub_rule)
    __mul__, __rmul__ = _operators(mul_rule)
    __truediv__, __rtruediv__ = _operators(div_rule)
    __matmul__, __rmatmul__ = _operators(matmul_rule)
    __lt__, __le__ = _compare(lt), _compare(le)
    __gt__, __ge__ = _compare(gt), _compare(ge)
    __eq__, __ne__ = _compare(eq), _compare(ne)
    __hash__ = object.__hash__  # a class that compares must say so
    __neg__ = _lift(neg_rule)
    __pow__ = _lift(pow_rule)
    __getitem__ = _lift(index_rule)

    exp = _lift(exp_rule)
    log = _lift(log_rule)
    tanh = _lift(tanh_rule)
    sigmoid = _lift(sigmoid_rule)
    relu = _lift(relu_rule)
    abs = _lift(abs_rule)
    clamp = _lift(clamp_rule)
    sum = _lift(sum_rule)
    mean = _lift(mean_rule)
    amax = _lift(amax_rule)
    gather = _lift(gather_rule)

    reshape = view = _lift(reshape_rule)
    expand = _lift(expand_rule)
    transpose = _lift(transpose_rule)
    permute = _lift(permute_rule)

    def unsqueeze(self, dim: int) -> Self:
        """A new axis of size 1."""
        return self.reshape(self.data.unsqueeze(dim).shape)

    def squeeze(self, *dim: int) -> Self:
        """Without one axis of size 1, or without all of them."""
        return self.reshape(self.data.squeeze(*dim).shape)

    @property
    def mT(self) -> Self:
        """The last two axes exchanged."""
        return self.transpose(-2, -1)

    @property
    def T(self) -> Self:
        """The transpose of a matrix."""
        if self.data.dim() != 2:
            raise RuntimeError(
                f"T is for matrices, got shape {tuple(self.shape)}: mT "
                "exchanges the last two axes, permute any"
            )
        return self.transpose(0, 1)

    def max(
        self, dim: int | None = None, keepdim: bool = False
    ) -> Self | tuple[Self, Tensor]:
        """The maximum; along an axis, with the indices where it lies."""
        if dim is None:
            return self.amax()
        indices = self.data.max(dim, keepdim=True).indices
        values = self.gather(dim, indices)
        if keepdim:
            return values, indices
        return values.squeeze(dim), indices.squeeze(dim)

    def _change(self, change: Callable, other: object) -> Self:
        """Self after a change of its data, where no step is recorded."""
        if is_grad_enabled() and (needs_grad(self) or needs_grad(other)):
            raise RuntimeError(
                "a change in place is not recorded: make it under no_grad, "
                "or write x = x + y in place of x += y"
            )
        change(self.data, data_of(other))
        return self

    def __iadd__(self, other: object) -> Self:
        return self._change(Tensor.add_, other)

    def __isub__(self, other: object) -> Self:
        return self._change(Tensor.sub_, other)

    def __imul__(self, other: object) -> Self:
        return self._change(Tensor.mul_, other)

    def __itruediv__(self, other: object) -> Self:
        return self._change(Tensor.div_, other)


def data_of(x: object) -> object:
    """The tensor inside a variable; anything else as it is."""
    return x.data if isinstance(x, Variable) else x


def needs_grad(x: object) -> bool:
    """True for a variable that a gradient should reach."""
    return isinstance(x, Variable) and x.requires_grad


def record(
    value: Tensor,
    operands: list[Variable | None],
    rule: Callable[[Tensor, list[bool]], Iterable[Tensor | None]],
    saved: object,
) -> Variable:
    """A variable for value that knows its way back, if anyone needs it."""
    output = Variable(value)
    wanted = any(x is not None for x in operands)
    if wanted and is_grad_enabled() and value.is_floating_point():
        targets = [x if x is None else x.grad_fn or x for x in operands]
        output.grad_fn = Node(value, targets, rule, saved)
    return output


def apply(
    step: Callable[..., Step], *operands: object, **options: object
) -> Variable:
    """Take one step on the operands' tensors and record it."""
    value, *rules = step(*map(data_of, operands), **options)
    if any(map(needs_grad, operands[len(rules) :])):
        raise TypeError(f"{step.__name__} has no gradient for all it was given")
    pairs = zip(operands, rules, strict=False)  # options are no operands
    wanted = [(x, rule) for x, rule in pairs if needs_grad(x)]
    rules = [rule for _, rule in wanted]
    return record(
        value,
        [x for x, _ in wanted],
        lambda grad, asked: [
            rule(grad) if its else None
            for rule, its in zip(rules, asked, strict=True)
        ],
        [rule.saved for rule in rules],
    )
