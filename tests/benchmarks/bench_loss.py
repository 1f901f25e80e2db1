"""Our losses beside torch's losses, forward and backward."""

import torch
import torch.nn.functional as F

from _config.runs.benchmarks import Pair, benchmark
from groundup import nn
from groundup.nn import functional


def pair(name: str, input: torch.Tensor, target: torch.Tensor) -> Pair:
    """Ours and torch's function of one name, with the input's gradient."""
    input.requires_grad_()
    ours, theirs = getattr(functional, name), getattr(F, name)
    return (
        lambda: torch.autograd.grad(ours(input, target), input),
        lambda: torch.autograd.grad(theirs(input, target), input),
    )


@benchmark(
    "torch.nn.functional.cross_entropy", label="(50,000, 10)", at_most=1.2
)
def large_cross_entropy() -> Pair:
    """The arithmetic dominates."""
    labels = torch.randint(10, (50_000,))
    return pair("cross_entropy", torch.randn(50_000, 10), labels)


@benchmark("torch.nn.functional.cross_entropy", label="(64, 10)")
def small_cross_entropy() -> Pair:
    """The calls dominate."""
    return pair("cross_entropy", torch.randn(64, 10), torch.randint(10, (64,)))


@benchmark("torch.nn.functional.nll_loss", label="(1000, 100)")
def nll() -> Pair:
    """Picking by gather beside a kernel."""
    labels = torch.randint(100, (1000,))
    return pair("nll_loss", torch.randn(1000, 100), labels)


@benchmark(
    "torch.nn.functional.binary_cross_entropy_with_logits", label="(1000, 100)"
)
def binary() -> Pair:
    """A hundred questions about each example."""
    name = "binary_cross_entropy_with_logits"
    return pair(name, torch.randn(1000, 100), torch.rand(1000, 100))


def regression(name: str) -> Pair:
    """The same errors for each of the three."""
    return pair(name, torch.randn(1000, 100), torch.randn(1000, 100))


@benchmark("torch.nn.functional.mse_loss", label="(1000, 100)")
def mse() -> Pair:
    """Squared differences."""
    return regression("mse_loss")


@benchmark("torch.nn.functional.l1_loss", label="(1000, 100)")
def l1() -> Pair:
    """Absolute differences."""
    return regression("l1_loss")


@benchmark("torch.nn.functional.smooth_l1_loss", label="(1000, 100)")
def smooth_l1() -> Pair:
    """A choice between the two."""
    return regression("smooth_l1_loss")


@benchmark("torch.nn.SmoothL1Loss", label="(1000, 100)", at_most=1.2)
def smooth_l1_module() -> Pair:
    """The module calls the kernel, and so do the others."""
    target, ours, theirs = (
        torch.randn(1000, 100),
        nn.SmoothL1Loss(),
        torch.nn.SmoothL1Loss(),
    )
    input = torch.randn(1000, 100, requires_grad=True)
    return (
        lambda: torch.autograd.grad(ours(input, target), input),
        lambda: torch.autograd.grad(theirs(input, target), input),
    )


def definition(name: str) -> Pair:
    """Ours, written out, and torch's kernel over the rows of (1000, 100)."""
    x = torch.randn(1000, 100)
    ours, theirs = getattr(functional, name), getattr(torch, name)
    return lambda: ours(x, 1), lambda: theirs(x, 1)


@benchmark(
    "torch.softmax",
    "torch.nn.functional.softmax",
    label="by definition, (1000, 100)",
)
def softmax() -> Pair:
    """Maximum, exponential, sum and quotient beside one kernel."""
    return definition("softmax")


@benchmark(
    "torch.log_softmax",
    "torch.nn.functional.log_softmax",
    label="by definition, (1000, 100)",
)
def log_softmax() -> Pair:
    """The same in logarithms."""
    return definition("log_softmax")


@benchmark("torch.logsumexp", label="by definition, (1000, 100)")
def logsumexp() -> Pair:
    """A smooth maximum of each row."""
    return definition("logsumexp")


@benchmark("torch.nn.functional.logsigmoid", label="by definition, (1000, 100)")
def logsigmoid() -> Pair:
    """Element by element."""
    x = torch.randn(1000, 100)
    return lambda: functional.logsigmoid(x), lambda: F.logsigmoid(x)
