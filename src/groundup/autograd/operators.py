# Extracted from book/2_backward/5_autograd.py; edit it there.
"""What a variable can do: torch's operators and methods, each from a rule."""

from collections.abc import Callable
from functools import wraps
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
from groundup.autograd.rules import (
    Step,
    abs_rule,
    add_rule,
    clamp_rule,
    div_rule,
    exp_rule,
    log_rule,
    mul_rule,
    neg_rule,
    pow_rule,
    relu_rule,
    sigmoid_rule,
    sub_rule,
    tanh_rule,
)


def lift(rule: Callable[..., Step]) -> Callable:
    """The method that applies a rule to self and what follows."""

    @wraps(rule)
    def method(
        self: "Operators", *others: object, **options: object
    ) -> "Operators":
        return self.apply(rule, self, *others, **options)

    return method


def reflect(rule: Callable[..., Step]) -> Callable:
    """The method for an operator whose left side is no variable: 2 - x."""
    return lambda self, other: self.apply(rule, other, self)


def compare(name: str) -> Callable:
    """The method for a comparison: a plain tensor of truth values."""

    def method(self: "Operators", other: object) -> Tensor:
        return getattr(self.data, name)(getattr(other, "data", other))

    return method


class Operators:
    """Arithmetic, functions and reductions of a variable."""

    __add__, __radd__ = lift(add_rule), reflect(add_rule)
    __sub__, __rsub__ = lift(sub_rule), reflect(sub_rule)
    __mul__, __rmul__ = lift(mul_rule), reflect(mul_rule)
    __truediv__, __rtruediv__ = lift(div_rule), reflect(div_rule)
    __matmul__, __rmatmul__ = lift(matmul_rule), reflect(matmul_rule)
    __lt__, __le__ = compare("__lt__"), compare("__le__")
    __gt__, __ge__ = compare("__gt__"), compare("__ge__")
    __eq__, __ne__ = compare("__eq__"), compare("__ne__")
    __hash__ = object.__hash__  # a class that compares must say so
    __neg__ = lift(neg_rule)
    __pow__ = lift(pow_rule)
    __getitem__ = lift(index_rule)
    exp = lift(exp_rule)
    log = lift(log_rule)
    tanh = lift(tanh_rule)
    sigmoid = lift(sigmoid_rule)
    relu = lift(relu_rule)
    abs = lift(abs_rule)
    clamp = lift(clamp_rule)
    sum = lift(sum_rule)
    mean = lift(mean_rule)
    amax = lift(amax_rule)
    gather = lift(gather_rule)

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


def listed(sizes: tuple) -> tuple[int, ...]:
    """The sizes, given one by one or as one tuple."""
    nested = len(sizes) == 1 and isinstance(sizes[0], tuple | list)
    return tuple(sizes[0] if nested else sizes)


class Shapes:
    """The shape of a variable and its changes; they share the memory."""

    @property
    def shape(self) -> torch.Size:
        """The size of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of the elements."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.data)

    def reshape(self, *shape: int) -> Self:
        """The same elements in another shape."""
        return self.apply(reshape_rule, self, listed(shape))

    view = reshape

    def expand(self, *sizes: int) -> Self:
        """Axes of size 1 repeated, without a copy."""
        return self.apply(expand_rule, self, listed(sizes))

    def unsqueeze(self, dim: int) -> Self:
        """A new axis of size 1."""
        return self.reshape(self.data.unsqueeze(dim).shape)

    def squeeze(self, *dim: int) -> Self:
        """Without one axis of size 1, or without all of them."""
        return self.reshape(self.data.squeeze(*dim).shape)


class Axes:
    """Changes of the order of a variable's axes."""

    def permute(self, *dims: int) -> Self:
        """The axes in another order."""
        return self.apply(permute_rule, self, listed(dims))

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Two axes exchanged."""
        return self.apply(transpose_rule, self, dim0, dim1)

    @property
    def mT(self) -> Self:
        """The last two axes exchanged."""
        return self.transpose(-2, -1)

    @property
    def T(self) -> Self:
        """The transpose of a matrix."""
        return self.transpose(0, 1)
