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


def relu_rule(x: Tensor) -> Step:
    """max(x, 0), with slope 0 at 0."""
    y = x.clamp(min=0)
    return y, Rule(lambda grad, y: torch.where(y > 0, grad, 0), y)
