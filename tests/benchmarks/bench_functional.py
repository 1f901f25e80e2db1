"""groundup.nn.functional beside torch.nn.functional."""

import torch
import torch.nn.functional as F

from _config.runs.benchmarks import Pair, benchmark
from groundup.nn import functional, init


@benchmark("torch.nn.functional.linear", label="(64, 784) to 50", at_most=1.1)
def linear() -> Pair:
    """A batch through the first layer of a small network."""
    arguments = torch.randn(64, 784), torch.randn(50, 784), torch.randn(50)
    return lambda: functional.linear(*arguments), lambda: F.linear(*arguments)


@benchmark(
    "torch.nn.functional.linear", label="forward and backward", at_most=1.2
)
def linear_gradients() -> Pair:
    """The same with its gradients."""
    x = torch.randn(1000, 784)
    weight = torch.randn(50, 784, requires_grad=True)
    bias = torch.randn(50, requires_grad=True)
    return (
        lambda: functional.linear(x, weight, bias).sum().backward(),
        lambda: F.linear(x, weight, bias).sum().backward(),
    )


@benchmark("torch.nn.functional.relu", label="(1000, 512)", at_most=1.1)
def relu() -> Pair:
    """ReLU on the kernel."""
    x = torch.randn(1000, 512)
    return lambda: functional.relu(x), lambda: F.relu(x)


@benchmark("torch.nn.functional.relu", label="by definition, (1000, 512)")
def rectify() -> Pair:
    """ReLU by comparison and choice."""
    x = torch.randn(1000, 512)
    return lambda: functional.rectify(x), lambda: F.relu(x)


@benchmark("torch.nn.init.kaiming_uniform_", label="(512, 784)", at_most=1.1)
def kaiming() -> Pair:
    """The start of a layer."""
    weight = torch.empty(512, 784)
    return (
        lambda: init.kaiming_uniform_(weight),
        lambda: torch.nn.init.kaiming_uniform_(weight),
    )


@benchmark("torch.nn.init.orthogonal_", label="(64, 784)")
def orthogonal() -> Pair:
    """Gram-Schmidt by halves beside LAPACK's QR."""
    weight = torch.empty(64, 784)
    return (
        lambda: init.orthogonal_(weight),
        lambda: torch.nn.init.orthogonal_(weight),
    )
