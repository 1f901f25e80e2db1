"""A forward and backward pass by hand beside torch's autograd."""

import torch

from _config.runs.benchmarks import Pair, benchmark
from groundup import nn, optim
from groundup.manual.by_hand import ByHand
from groundup.manual.layers import LinearLayer, Model, MSELayer, ReLULayer


def passes(n: int) -> Pair:
    """Loss and parameter gradients of n rows of 784 features, 50 hidden."""
    torch.manual_seed(0)
    x, target = torch.randn(n, 784), torch.randint(10, (n,)).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 1)
    )
    theirs = list(net.parameters())
    ours = w1, b1, w2, b2 = [p.detach().clone() for p in theirs]
    model = Model(
        [LinearLayer(w1, b1), ReLULayer(), LinearLayer(w2, b2)], MSELayer()
    )

    def by_hand() -> None:
        for p in ours:
            p.grad = None
        model(x, target)
        model.backward()

    def autograd() -> None:
        for p in theirs:
            p.grad = None
        predicted = net(x).squeeze(-1)
        torch.nn.functional.mse_loss(predicted, target).backward()

    return by_hand, autograd


@benchmark("torch.Tensor.backward", label="by hand, 50,000 rows", at_most=1.0)
def whole() -> Pair:
    """All training images at once: two large products decide."""
    return passes(50_000)


@benchmark("torch.Tensor.backward", label="by hand, 64 rows", at_most=0.7)
def batch() -> Pair:
    """A usual mini-batch: what is not a product decides.

    Chapter 2.4 shows why it is not half: the two large products alone, the
    same for both, take about 0.4 of autograd's pass.
    """
    return passes(64)


@benchmark("torch.mm", label="by hand, 3 layers of 2,048", at_most=1.05)
def wide() -> Pair:
    """A step of training beside its eight products alone.

    Three layers need three products forward, three for the weights and two for
    the inputs, all square here: what they take by themselves is the machine's
    peak, what the step takes more is everything else.
    """
    n = 2048
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n)
    )
    model = ByHand(net)
    optimizer = optim.SGD(net.parameters(), 0.01, fused=True)
    x, labels = torch.randn(n, n), torch.arange(n)
    out = torch.empty(n, n)

    def step() -> None:
        model.backward(model.loss(model(x), labels))
        optimizer.step()

    def products() -> None:
        for _ in range(8):
            torch.mm(x, x, out=out)

    return step, products
