# Extracted from book/2_backward/5_autograd.py; edit it there.
"""The steps of a computation: each its value, and a rule for each operand."""

from collections.abc import Callable
from operator import mul, neg, truediv

import torch
from torch import Tensor


class Rule:
    """How the gradient of an operand follows from that of the value."""

    def __init__(self, function: Callable[..., Tensor], *saved: object):
        self.function, self.saved = function, saved

    def __call__(self, grad: Tensor) -> Tensor:
        return self.function(grad, *self.saved)


Step = tuple[Tensor, *tuple[Rule, ...]]


def add_rule(a: Tensor, b: Tensor) -> Step:
    """a + b."""
    return a + b, Rule(lambda grad: grad), Rule(lambda grad: grad)


def sub_rule(a: Tensor, b: Tensor) -> Step:
    """a - b."""
    return a - b, Rule(lambda grad: grad), Rule(neg)


def mul_rule(a: Tensor, b: Tensor) -> Step:
    """a * b."""
    return a * b, Rule(mul, b), Rule(mul, a)


def div_rule(a: Tensor, b: Tensor) -> Step:
    """a / b."""
    by_b = Rule(lambda grad, a, b: -grad * (a / b) / b, a, b)
    return a / b, Rule(truediv, b), by_b


def neg_rule(x: Tensor) -> Step:
    """-x."""
    return -x, Rule(neg)


def exp_rule(x: Tensor) -> Step:
    """e to the power of x."""
    y = x.exp()
    return y, Rule(mul, y)


def log_rule(x: Tensor) -> Step:
    """The natural logarithm."""
    return x.log(), Rule(truediv, x)


def tanh_rule(x: Tensor) -> Step:
    """The hyperbolic tangent."""
    y = x.tanh()
    return y, Rule(lambda grad, y: grad * (1 - y * y), y)


def sigmoid_rule(x: Tensor) -> Step:
    """1 / (1 + exp(-x))."""
    y = 1 / (1 + (-x).exp())
    return y, Rule(lambda grad, y: grad * y * (1 - y), y)


def pow_rule(x: Tensor, exponent: float) -> Step:
    """x to the power of a number."""
    if isinstance(exponent, Tensor):
        raise TypeError("x ** y needs a number y; else (y * x.log()).exp()")
    if exponent == 0:
        return x**0, Rule(torch.zeros_like)
    rule = Rule(lambda grad, x: grad * exponent * x ** (exponent - 1), x)
    return x**exponent, rule


def relu_rule(x: Tensor) -> Step:
    """max(x, 0), with slope 0 at 0."""
    y = x.clamp(min=0)
    return y, Rule(lambda grad, y: grad * (y > 0), y)


def abs_rule(x: Tensor) -> Step:
    """The absolute value, with slope 0 at 0."""
    return x.abs(), Rule(lambda grad, x: grad * x.sign(), x)


def clamp_rule(
    x: Tensor, min: float | None = None, max: float | None = None
) -> Step:
    """x forced between two bounds, with slope 1 at a bound."""
    y = x.clamp(min, max)
    return y, Rule(lambda grad, x, y: grad * (y == x), x, y)


def where_rule(a: Tensor, b: Tensor, condition: Tensor) -> Step:
    """Elements of a where the condition holds, else of b."""
    by_a = Rule(lambda grad, chosen: torch.where(chosen, grad, 0), condition)
    by_b = Rule(lambda grad, chosen: torch.where(chosen, 0, grad), condition)
    return torch.where(condition, a, b), by_a, by_b
