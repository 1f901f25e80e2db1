# Extracted from book/2_backward/9_engine.py; edit it there.
"""Steps of one operand, element by element: each its value, and a rule."""

from operator import mul, neg, truediv

import torch
from torch import Tensor

from groundup.autograd.rules import Rule, Step


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


def abs_rule(x: Tensor) -> Step:
    """The absolute value, with slope 0 at 0."""

    def rule(grad: Tensor, x: Tensor) -> Tensor:
        return torch.where(x > 0, grad, torch.where(x < 0, -grad, 0))

    return x.abs(), Rule(rule, x)


def clamp_rule(
    x: Tensor, min: float | None = None, max: float | None = None
) -> Step:
    """x forced between two bounds, with slope 1 at a bound."""
    y = x.clamp(min, max)
    return y, Rule(lambda grad, x, y: torch.where(y == x, grad, 0), x, y)


def where_rule(a: Tensor, b: Tensor, condition: Tensor) -> Step:
    """Elements of a where the condition holds, else of b."""
    by_a = Rule(lambda grad, chosen: torch.where(chosen, grad, 0), condition)
    by_b = Rule(lambda grad, chosen: torch.where(chosen, 0, grad), condition)
    return torch.where(condition, a, b), by_a, by_b
