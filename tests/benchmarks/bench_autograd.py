"""groundup.autograd beside torch's autograd, on the network of part 2."""

from collections.abc import Callable

import torch

from _config.runs.benchmarks import Pair, benchmark
from groundup.autograd import Variable


def passes(n: int) -> Pair:
    """Forward and backward through 784-50-1 with the squared error."""
    x, target = torch.randn(n, 784), torch.randn(n)
    shapes = [(784, 50), (50,), (50, 1), (1,)]
    values = [torch.randn(shape) / 28 for shape in shapes]

    def training(weights: list) -> Callable[[], None]:
        def once() -> None:
            w1, b1, w2, b2 = weights
            out = (x @ w1 + b1).relu() @ w2 + b2
            ((out.squeeze(-1) - target) ** 2).mean().backward()

        return once

    ours = [Variable(value, requires_grad=True) for value in values]
    theirs = [value.clone().requires_grad_() for value in values]
    return training(ours), training(theirs)


@benchmark("torch.Tensor.backward", label="batch of 10,000", at_most=1.5)
def large() -> Pair:
    """The arithmetic dominates."""
    return passes(10_000)


@benchmark("torch.Tensor.backward", label="batch of 64")
def small() -> Pair:
    """The bookkeeping dominates: ours is Python, torch's C++."""
    return passes(64)
