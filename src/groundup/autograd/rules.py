# Extracted from book/2_backward/5_autograd.py; edit it there.
"""The steps of a computation: each its value, and a rule for each operand."""

from collections.abc import Callable

import torch
from torch import Tensor

Rule = Callable[[Tensor], Tensor]  # gradient of the value -> of the operand
Step = tuple[Tensor, *tuple[Rule, ...]]


def add_rule(a: Tensor, b: Tensor) -> Step:
    """a + b."""
    return a + b, lambda grad: grad, lambda grad: grad


def sub_rule(a: Tensor, b: Tensor) -> Step:
    """a - b."""
    return a - b, lambda grad: grad, lambda grad: -grad


def mul_rule(a: Tensor, b: Tensor) -> Step:
    """a * b."""
    return a * b, lambda grad: grad * b, lambda grad: grad * a


def div_rule(a: Tensor, b: Tensor) -> Step:
    """a / b."""
    return a / b, lambda grad: grad / b, lambda grad: -grad * (a / b) / b


def neg_rule(x: Tensor) -> Step:
    """-x."""
    return -x, lambda grad: -grad


def pow_rule(x: Tensor, exponent: float) -> Step:
    """x to the power of a number."""
    if isinstance(exponent, Tensor):
        raise TypeError("x ** y needs a number y; else (y * x.log()).exp()")
    if exponent == 0:
        return x**0, lambda grad: torch.zeros_like(grad)
    return x**exponent, lambda grad: grad * exponent * x ** (exponent - 1)


def exp_rule(x: Tensor) -> Step:
    """e to the power of x."""
    y = x.exp()
    return y, lambda grad: grad * y


def log_rule(x: Tensor) -> Step:
    """The natural logarithm."""
    return x.log(), lambda grad: grad / x


def tanh_rule(x: Tensor) -> Step:
    """The hyperbolic tangent."""
    y = x.tanh()
    return y, lambda grad: grad * (1 - y * y)


def sigmoid_rule(x: Tensor) -> Step:
    """1 / (1 + exp(-x))."""
    y = 1 / (1 + (-x).exp())
    return y, lambda grad: grad * y * (1 - y)


def relu_rule(x: Tensor) -> Step:
    """max(x, 0), with slope 0 at 0."""
    y = x.clamp(min=0)
    return y, lambda grad: grad * (y > 0)


def abs_rule(x: Tensor) -> Step:
    """The absolute value, with slope 0 at 0."""
    return x.abs(), lambda grad: grad * x.sign()


def clamp_rule(
    x: Tensor, min: float | None = None, max: float | None = None
) -> Step:
    """X forced between two bounds, with slope 1 at a bound."""
    y = x.clamp(min, max)
    return y, lambda grad: grad * (y == x)


def where_rule(condition: Tensor, a: Tensor, b: Tensor) -> Step:
    """Elements of a where the condition holds, else of b."""
    choose = torch.where
    return (
        choose(condition, a, b),
        lambda grad: None,  # a condition has no gradient
        lambda grad: choose(condition, grad, 0),
        lambda grad: choose(condition, 0, grad),
    )
