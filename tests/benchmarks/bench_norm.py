"""Our norms beside torch's, forward and backward."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from _config.runs.benchmarks import Pair, benchmark
from groundup import nn
from groundup.nn import functional

SHAPE = (64, 64, 28, 28)


def alone(function: Callable, inputs: list, grad: torch.Tensor) -> Callable:
    """Output and gradients of all inputs, on one thread."""

    def call() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        torch.autograd.grad(function(*inputs), inputs, grad)
        torch.set_num_threads(threads)

    return call


def functions(name: str, x: torch.Tensor, *args, weights=None) -> Pair:
    """The functions of one name, with a weight and a bias."""
    shape = x.shape[1:2] if weights is None else weights
    inputs = [x, torch.ones(shape), torch.zeros(shape)]
    inputs = [each.requires_grad_() for each in inputs]
    grad = torch.randn_like(x)

    def of(home) -> Callable:
        function = getattr(home, name)
        if name == "batch_norm":
            return lambda x, weight, bias: function(
                x, None, None, weight, bias, training=True
            )
        return lambda x, weight, bias: function(
            x, *args, weight=weight, bias=bias
        )

    return alone(of(functional), inputs, grad), alone(of(F), inputs, grad)


NAME = "torch.nn.functional.batch_norm"


@benchmark(NAME, label="64 x 64 x 28 x 28", at_most=1.8)
def batch_norm() -> Pair:
    """Tensor operations: each is a walk through memory."""
    return functions("batch_norm", torch.randn(SHAPE))


@benchmark(NAME, label="128 x 16 x 14 x 14", at_most=1.8)
def small_batch_norm() -> Pair:
    """What fits into the cache."""
    return functions("batch_norm", torch.randn(128, 16, 14, 14))


@benchmark(NAME, label="64 x 64 x 28 x 28, channels last")
def batch_norm_channels_last() -> Pair:
    """The layout for which torch's kernel is fastest."""
    x = torch.randn(SHAPE).to(memory_format=torch.channels_last)
    return functions("batch_norm", x)


@benchmark("torch.nn.functional.layer_norm", label="64 x 128 x 256")
def layer_norm() -> Pair:
    """Tokens, whose features are normalised."""
    x = torch.randn(64, 128, 256)
    return functions("layer_norm", x, [256], weights=[256])


@benchmark("torch.nn.functional.group_norm", label="64 x 64 x 28 x 28")
def group_norm() -> Pair:
    """Eight groups."""
    return functions("group_norm", torch.randn(SHAPE), 8)


@benchmark("torch.nn.functional.instance_norm", label="64 x 64 x 28 x 28")
def instance_norm() -> Pair:
    """Every channel by itself."""
    return functions("instance_norm", torch.randn(SHAPE))


@benchmark("torch.nn.functional.rms_norm", label="64 x 128 x 256")
def rms_norm() -> Pair:
    """Tokens again, without their mean."""
    inputs = [torch.randn(64, 128, 256), torch.ones(256)]
    inputs = [each.requires_grad_() for each in inputs]
    grad = torch.randn_like(inputs[0])
    ours, theirs = (
        lambda x, weight, home=home: home.rms_norm(x, [256], weight)
        for home in (functional, F)
    )
    return alone(ours, inputs, grad), alone(theirs, inputs, grad)


def layers(name: str, shape: tuple[int, ...]) -> Pair:
    """The layers of one name, which both run torch's kernel."""
    x = torch.randn(shape, requires_grad=True)
    grad = torch.randn_like(x)
    return tuple(
        alone(getattr(home, name)(shape[1]), [x], grad)
        for home in (nn, torch.nn)
    )


@benchmark("torch.nn.BatchNorm2d", label="64 x 64 x 28 x 28", at_most=1.1)
def images() -> Pair:
    """The arithmetic dominates."""
    return layers("BatchNorm2d", SHAPE)


@benchmark("torch.nn.BatchNorm1d", label="64 x 50", at_most=1.3)
def rows() -> Pair:
    """The calls dominate."""
    return layers("BatchNorm1d", (64, 50))
