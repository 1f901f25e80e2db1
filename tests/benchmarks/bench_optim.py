"""groundup.optim beside torch.optim's default."""

from collections.abc import Iterable

import torch

from _config.runs.benchmarks import Pair, benchmark
from groundup import optim

RESNET18 = [(64, 3, 7, 7), (64,), (64,)]
for d_in, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
    RESNET18 += [(width, d_in, 3, 3), (width,), (width,)]
    RESNET18 += [(width, width, 3, 3), (width,), (width,)] * 3
    if d_in != width:  # the shortcut of the first block
        RESNET18 += [(width, d_in, 1, 1), (width,), (width,)]
RESNET18 += [(1000, 512), (1000,)]
SMALL = [(50, 784), (50,), (10, 50), (10,)]


def pair(
    name: str,
    shapes: Iterable[tuple[int, ...]],
    readable: bool = False,
    **options,
) -> Pair:
    """A step of ours and of torch's on parameters of these shapes."""
    steps = []
    ours = {"fused": False} if readable else {}
    for module, chosen in ((optim, ours), (torch.optim, {})):
        torch.manual_seed(0)
        params = [torch.randn(shape).requires_grad_() for shape in shapes]
        for param in params:
            param.grad = torch.randn_like(param)
        optimizer = getattr(module, name)(params, **chosen, **options)
        optimizer.step()
        steps.append(optimizer.step)
    return tuple(steps)


@benchmark("torch.optim.Adam", label="readable, ResNet-18", at_most=0.7)
def readable_adam() -> Pair:
    """One pass and one temporary tensor fewer.

    New memory has to be cleared, page by page, by whoever needs it each step.
    """
    return pair("Adam", RESNET18, readable=True)


@benchmark("torch.optim.Adam", label="ResNet-18", at_most=0.3)
def adam() -> Pair:
    """The fused kernel, which torch does not use unless asked."""
    return pair("Adam", RESNET18)


@benchmark("torch.optim.AdamW", label="ResNet-18", at_most=0.3)
def adamw() -> Pair:
    """The same with decoupled decay."""
    return pair("AdamW", RESNET18)


@benchmark("torch.optim.SGD", label="momentum, decay, ResNet-18", at_most=0.5)
def sgd_with_momentum_and_decay() -> Pair:
    """Five numbers for eleven, with the options that ResNets are trained with."""
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    return pair("SGD", RESNET18, **options)


@benchmark("torch.optim.SGD", label="Nesterov, ResNet-18", at_most=0.5)
def sgd_with_nesterovs_momentum() -> Pair:
    """Five numbers read or written for torch's eleven."""
    return pair("SGD", RESNET18, momentum=0.9, nesterov=True)


@benchmark("torch.optim.SGD", label="momentum, ResNet-18", at_most=0.75)
def sgd_with_momentum() -> Pair:
    """Five numbers for torch's eight: the memory allows no less than 0.62."""
    return pair("SGD", RESNET18, momentum=0.9)


@benchmark("torch.optim.SGD", label="no momentum, ResNet-18")
def sgd() -> Pair:
    """One pass on either side: there is nothing to fuse."""
    return pair("SGD", RESNET18)


@benchmark("torch.optim.Adagrad", label="ResNet-18", at_most=0.5)
def adagrad() -> Pair:
    """The kernel again."""
    return pair("Adagrad", RESNET18)


@benchmark("torch.optim.Adam", label="784-50-10", at_most=0.6)
def small_adam() -> Pair:
    """Four tensors: the Python around the step counts."""
    return pair("Adam", SMALL)


@benchmark("torch.optim.SGD", label="784-50-10", at_most=0.8)
def small_sgd() -> Pair:
    """The same for the cheapest step."""
    return pair("SGD", SMALL)


@benchmark("torch.optim.RMSprop", label="ResNet-18")
def rmsprop() -> Pair:
    """No kernel: torch's arithmetic, step for step."""
    return pair("RMSprop", RESNET18)


@benchmark("torch.optim.Muon", label="(128, 784)", at_most=1.2)
def muon() -> Pair:
    """Single precision, rounded, beside bfloat16 on the CPU."""
    return pair("Muon", [(128, 784)])
