"""Our convolutions and pools beside torch's."""

import torch
import torch.nn.functional as F

from _config.runs.benchmarks import Pair, benchmark
from groundup import nn
from groundup.nn import functional, grad
from groundup.nn.functional.windows import windows


@benchmark(
    "torch.nn.functional.conv2d",
    "torch.conv2d",
    label="as one product, 64 to 64, 28 x 28",
    at_most=3.5,
)
def convolution() -> Pair:
    """The columns go through the memory, torch's stay in the cache."""
    x, w = torch.randn(16, 64, 28, 28), torch.randn(64, 64, 3, 3)
    return (
        lambda: functional.conv2d(x, w, padding=1),
        lambda: F.conv2d(x, w, padding=1),
    )


@benchmark("torch.nn.Conv2d", label="64 to 64, 28 x 28", at_most=1.02)
def layer() -> Pair:
    """The exported layer calls the kernel."""
    ours, theirs = (
        kind(64, 64, 3, padding=1) for kind in (nn.Conv2d, torch.nn.Conv2d)
    )
    x = torch.randn(16, 64, 28, 28)
    return lambda: ours(x), lambda: theirs(x)


@benchmark(
    "torch.nn.grad.conv2d_weight",
    "torch.nn.grad.conv2d_input",
    label="first layer, 1 to 8: without the pixels' gradient, with it",
    at_most=0.125,
)
def first_layer() -> Pair:
    """Nobody trains the pixels of the data: the first layer of 4.2."""
    w = torch.randn(8, 1, 5, 5, requires_grad=True)
    x = torch.randn(100, 1, 28, 28)
    pixels = x.clone().requires_grad_()
    out, whole = (F.conv2d(each, w, None, 2, 2) for each in (x, pixels))
    g = torch.randn_like(out)
    return (
        lambda: torch.autograd.grad(out, w, g, retain_graph=True),
        lambda: torch.autograd.grad(whole, (w, pixels), g, retain_graph=True),
    )


@benchmark("torch.nn.grad.conv2d_weight", label="64 to 64, a product, 28 x 28")
def weight_gradient() -> Pair:
    """One product, beside what torch does."""
    x, g = torch.randn(16, 64, 28, 28), torch.randn(16, 64, 28, 28)
    size = (64, 64, 3, 3)
    return (
        lambda: grad.conv2d_weight(x, size, g, padding=1),
        lambda: torch.nn.grad.conv2d_weight(x, size, g, padding=1),
    )


@benchmark(
    "torch.nn.grad.conv2d_weight",
    label="one product beside einsum",
    at_most=0.5,
)
def weight_gradient_by_einsum() -> Pair:
    """What einsum makes of the same sum, written over all axes."""
    x, g = torch.randn(16, 16, 28, 28), torch.randn(16, 16, 28, 28)
    size, padded = (16, 16, 3, 3), functional.pad(x, (1, 1, 1, 1))
    patches = windows(padded, (3, 3))
    return (
        lambda: grad.conv2d_weight(x, size, g, padding=1),
        lambda: torch.einsum("ncijyx,noyx->ocij", patches, g),
    )


@benchmark("torch.nn.grad.conv2d_input", label="64 to 64, 28 x 28")
def input_gradient() -> Pair:
    """Scattered place by place."""
    w, g = torch.randn(64, 64, 3, 3), torch.randn(16, 64, 28, 28)
    size = (16, 64, 28, 28)
    return (
        lambda: grad.conv2d_input(size, w, g, padding=1),
        lambda: torch.nn.grad.conv2d_input(size, w, g, padding=1),
    )


def function(name: str, shape: tuple, *options: object) -> Pair:
    """Ours, written out, and torch's function of one name."""
    x = torch.randn(shape)
    ours, theirs = getattr(functional, name), getattr(F, name)
    return lambda: ours(x, *options), lambda: theirs(x, *options)


@benchmark("torch.nn.functional.max_pool2d", label="by definition, 2 x 2")
def largest() -> Pair:
    """The largest of a view of windows."""
    return function("max_pool2d", (16, 64, 28, 28), 2)


@benchmark("torch.nn.functional.avg_pool2d", label="by definition, 2 x 2")
def means() -> Pair:
    """The mean of a view of windows."""
    return function("avg_pool2d", (16, 64, 28, 28), 2)


@benchmark("torch.nn.functional.unfold", label="3 x 3, 64 channels")
def unfolding() -> Pair:
    """A view, copied."""
    return function("unfold", (16, 64, 28, 28), 3)


@benchmark("torch.nn.functional.fold", label="3 x 3, 64 channels")
def folding() -> Pair:
    """Added by the numbers of the pixels."""
    return function("fold", (16, 64 * 9, 26 * 26), (28, 28), 3)


@benchmark(
    "torch.nn.functional.conv1d", "torch.conv1d", label="64 to 64, 256 long"
)
def signals() -> Pair:
    """Pictures of height 1."""
    w = torch.randn(64, 64, 3)
    return function("conv1d", (16, 64, 256), w)


@benchmark(
    "torch.nn.functional.conv_transpose2d",
    "torch.conv_transpose2d",
    label="64 to 32, 14 x 14 to 28 x 28",
)
def transposed() -> Pair:
    """Scattered place by place."""
    w = torch.randn(64, 32, 4, 4)
    return function("conv_transpose2d", (16, 64, 14, 14), w, None, 2, 1)


@benchmark("torch.nn.ConvTranspose2d", label="64 to 32", at_most=1.05)
def transposed_layer() -> Pair:
    """The exported layer calls the kernel."""
    ours, theirs = (
        kind(64, 32, 4, stride=2, padding=1)
        for kind in (nn.ConvTranspose2d, torch.nn.ConvTranspose2d)
    )
    x = torch.randn(16, 64, 14, 14)
    return lambda: ours(x), lambda: theirs(x)
