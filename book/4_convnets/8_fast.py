# %% [markdown] module="vision.fast"
r"""
# Going fast

A network that learns in half the time can be tried twice. Advice on speed is
plenty: another layout, another number format, a compiler, another optimizer.
**Which of it earns its seconds, and how would we know?**

| name | shape | meaning |
| --- | --- | --- |
| `x` | `(n, 1, 28, 28)` | images, from 0 (black) to 1 |
| lever | | one change that is said to make training faster |
| ratio | | the time of one way over that of another, in one run |
| $r$ | | how many pixels along each axis become one place |
"""

# %% Imports tags=["hide-input"]
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.data.augment import random_crop, random_erase, random_flip
from groundup.data.dataset import TensorDataset
from groundup.data.loader import DataLoader
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.pool import MaxPool2d
from groundup.optim.adam import AdamW
from groundup.optim.muon import Muon, adjusted_lr, muon_step, newton_schulz
from groundup.optim.schedule import combine, ramp
from groundup.optim.several import CombinedOptimizer
from groundup.testing import assert_close, assert_equal, refusal
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner
from groundup.training.metrics import accuracy
from groundup.training.regularize import Augment

torch.set_num_threads(1)
images, kinds = fashion_mnist()
x = images[:, None].float() / 255

# %% [markdown]
r"""
## A clock to trust

Two numbers make a claim about speed, and both must come from the same minute: a
machine that is busy, warm or shared gives another one tomorrow. So we take turns,
first one way and then the other, several times, and keep each way's shortest
time. What disturbs a run can only make it longer.
"""


# %%
def best_times(
    ways: Mapping[str, Callable[[], object]], turns: int = 5
) -> dict[str, float]:
    """The shortest of a way's times, in seconds; the ways take turns."""
    times = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: min(each) for name, each in times.items()}


# %% [markdown]
r"""
Two mistakes are common enough to have names. *The first call* pays for what
later calls find ready: memory, threads, a compiled kernel. And *a device that
works on its own* returns before it is done. There the clock is read after
`torch.cuda.synchronize()`, or it times the asking and not the answer. The first
can be seen here:
"""

# %%
side = torch.randn(64, 64, 40, 40)
kernels = Conv2d(64, 64, 3)
with torch.no_grad():
    times = []
    for _ in range(6):
        start = time.perf_counter()
        kernels(side)
        times.append(time.perf_counter() - start)
[f"{each / min(times):.2f}" for each in times]

# %% [markdown]
r"""
## Space to depth

The first layer of a network for small images sees one channel of 784 pixels, and
makes 64 of them. Nothing else in the network is as large. If each square of
2 × 2 pixels becomes one place with four channels first, no number is lost, the
layer does as many multiplications, and what comes out is a quarter.
"""


# %% Pixels become channels tags=["export"] module="nn.functional.shuffling" earns="torch.nn.functional.pixel_unshuffle"
"""Places exchanged for channels, and back; no number changes."""


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Squares of r x r pixels as channels: (*, c, h r, w r) -> (*, c r r, h, w)."""
    r, (*outer, c, h, w) = downscale_factor, input.shape
    if r < 1 or h % r or w % r:
        raise RuntimeError(f"no squares of {r} x {r} in images of {h} x {w}")
    squares = input.reshape(*outer, c, h // r, r, w // r, r)
    channels = squares.movedim((-3, -1), (-4, -3))
    return channels.reshape(*outer, c * r * r, h // r, w // r)


# %% Channels become pixels tags=["export"] module="nn.functional.shuffling" earns="torch.nn.functional.pixel_shuffle"
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """The way back: (*, c r r, h, w) -> (*, c, h r, w r)."""
    r, (*outer, c, h, w) = upscale_factor, input.shape
    if r < 1 or c % (r * r):
        raise RuntimeError(f"{c} channels are no multiple of {r} x {r}")
    squares = input.reshape(*outer, c // (r * r), r, r, h, w)
    pixels = squares.movedim((-4, -3), (-3, -1))
    return pixels.reshape(*outer, c // (r * r), h * r, w * r)


# %%
numbers = torch.arange(16).view(1, 1, 4, 4)
channels = pixel_unshuffle(numbers, 2)
assert_equal(pixel_shuffle(channels, 2), numbers)
channels

# %% [markdown]
r"""
The first channel holds the upper left pixel of each square. As layers:
"""


# %% As layers tags=["export"] module="nn.shuffle" earns="torch.nn.PixelUnshuffle torch.nn.PixelShuffle"
"""Layers that exchange places for channels."""


class PixelUnshuffle(Module):
    """Squares of pixels become channels."""

    def __init__(self, downscale_factor: int):
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c, h r, w r) -> (*, c r r, h, w)."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


# %% And back tags=["export"] module="nn.shuffle"
class PixelShuffle(Module):
    """Channels become squares of pixels."""

    def __init__(self, upscale_factor: int):
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c r r, h, w) -> (*, c, h r, w r)."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


# %%
assert_equal(PixelUnshuffle(2)(numbers), channels)
PixelUnshuffle(2)(x[:250]).shape

# %% [markdown]
r"""
## A network of three sizes

Behind this {term}`stem` stand three levels of maps, of 14, 7 and 3 places along
an axis and of twice the channels each. A level is a unit that makes the
channels, a pool, and one residual block of {doc}`/4_convnets/6_resnet`. The maps
lie in memory channels last ({doc}`/4_convnets/1_convolution`).
"""


# %% A kernel, its norm and a bend tags=["export"]
"""A small residual network that learns small images fast."""


def _unit(c_in: int, c_out: int) -> Sequential:
    kernels = Conv2d(c_in, c_out, 3, padding=1, bias=False)
    return Sequential(kernels, BatchNorm2d(c_out), ReLU())


class _Residual(Module):
    def __init__(self, channels: int):
        self.units = Sequential(
            _unit(channels, channels), _unit(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.units(x)


# %% Three sizes of maps tags=["export"]
class FastResNet(Module):
    """Scores of small images: (n, c, h, w) -> (n, num_classes).

    Squares of 2 x 2 pixels become channels at once; then three levels of maps,
    `width`, 2 and 4 times as many, each with a residual block, and the largest
    answer of each map. `h` and `w` are even, and 8 or more.
    """

    def __init__(
        self, in_channels: int = 1, num_classes: int = 10, width: int = 64
    ):
        unit = _unit(4 * in_channels, width)
        self.stem = Sequential(PixelUnshuffle(2), unit)
        levels = *self._level(width), *self._level(2 * width)
        self.levels = Sequential(_Residual(width), *levels)
        self.head = Linear(4 * width, num_classes)

    def _level(self, channels: int) -> Iterable[Module]:
        """Twice the channels on half the places along each axis."""
        more = 2 * channels
        return _unit(channels, more), MaxPool2d(2), _Residual(more)

    def forward(self, x: Tensor) -> Tensor:
        """One score for each class."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.levels(self.stem(x)).amax((2, 3)))


# %%
model = FastResNet(width=16)
assert_equal(tuple(model(x[:2]).shape), (2, 10))
sum(param.numel() for param in model.parameters())

# %% [markdown]
r"""
## Muon for kernels

In {doc}`/3_training/8_optimizers` Muon made steps along matrices all of whose
directions count alike. A kernel has four axes. Each of its output channels is a
row of numbers, so that it is a matrix all the same; only the optimizer has to
see it as one. That is how the fastest public trainings of small images use
it {cite:p}`jordan2024airbench`.
"""


# %% Kernels as matrices tags=["export"] module="optim.kernel_muon"
"""Muon for kernels, which it sees as matrices."""


class KernelMuon(Muon):
    """Muon for kernels (c_out, c_in, ...): a row for each output channel."""

    def check(self, group: dict[str, Any]) -> None:
        """As for matrices; vectors are refused."""
        rows = [param.detach().flatten(1) for param in group["params"]]
        super().check(group | {"params": rows})

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Decay, then one step of `muon_step` on the rows."""
        lr, shape = float(group["lr"]), (len(param), param[0].numel())
        names = "ns_coefficients", "ns_steps", "eps"
        options = [group[name] for name in names]

        def orthogonal(update: Tensor) -> Tensor:
            rows = newton_schulz(update.reshape(shape), *options)
            return rows.reshape(update.shape)

        param.mul_(1 - lr * group["weight_decay"])
        rate = adjusted_lr(lr, shape, group["adjust_lr_fn"])
        rule = group["momentum"], group["nesterov"], orthogonal
        muon_step(param, grad, state, rate, *rule)


# %%
kernel = torch.randn(8, 4, 3, 3).requires_grad_()
matrix = kernel.detach().flatten(1).clone().requires_grad_()
kernel.grad = torch.randn(8, 4, 3, 3)
matrix.grad = kernel.grad.flatten(1)
KernelMuon([kernel], lr=0.1).step()
Muon([matrix], lr=0.1).step()
assert_equal(kernel.detach().flatten(1), matrix.detach())

# %% [markdown]
r"""
## A recipe

All that a run is made of goes into one record, so that it can be frozen, compared
and printed. Products are taken in bfloat16, a format of half the bits, where the
machine has units for it; how that works, and what can go wrong, is the subject
of {doc}`/4_convnets/12_precision`.
"""


# %% Products in half the bits tags=["export"] loans="torch.autocast" repaid="4_convnets/12_precision"
class LowPrecision(Module):
    """A model whose products are taken in bfloat16; its answers are not."""

    def __init__(self, model: Module):
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """What the model answers, in single precision."""
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.model(x)
        return answer.float()


# %% What a run is made of tags=["export"]
class Recipe(NamedTuple):
    """The settings of a run, all of them, to be frozen before the test."""

    epochs: int
    width: int = 64
    batch_size: int = 125
    lr: float = 0.014  # of the kernels; the rest learns at half of it
    warm_up: float = 0.2  # the share of the batches in which rates rise
    smoothing: float = 0.1
    padding: int = 0  # pixels by which images are moved
    hole: int = 0  # the side of the square that is erased
    low_precision: bool = True


# %%
Recipe(epochs=5)


# %% Two optimizers tags=["export"]
def kernels_and_rest(params: Iterable[Tensor], lr: float) -> CombinedOptimizer:
    """Muon for the kernels, AdamW for all others, at half the rate."""
    params = list(params)
    kernels = [param for param in params if param.ndim == 4]
    rest = [param for param in params if param.ndim < 4]
    return CombinedOptimizer(
        KernelMuon(kernels, lr, weight_decay=0, momentum=0.9),
        AdamW(rest, lr / 2, betas=(0.9, 0.99), weight_decay=0),
    )


def _augment(recipe: Recipe, seed: int) -> Augment:
    """What the recipe does to an image, drawn for each by itself."""
    changes: list[Callable] = [random_flip]
    if recipe.padding:
        changes.append(partial(random_crop, padding=recipe.padding))
    if recipe.hole:
        changes.append(partial(random_erase, size=recipe.hole))
    return Augment(*changes, seed=seed)


# %% A learner by the recipe tags=["export"]
def fast_learner(
    recipe: Recipe, images: Tensor, labels: Tensor, seed: int, **options: Any
) -> Learner:
    """A learner for images (n, c, h, w) from 0 to 1 and labels (n,).

    `options` are the learner's, such as `valid` and `metrics`.
    """
    torch.manual_seed(seed)
    sizes = images.shape[1], int(labels.max()) + 1, recipe.width
    model = FastResNet(*sizes).to(memory_format=torch.channels_last)
    draws = torch.Generator().manual_seed(seed)
    order = {"shuffle": True, "drop_last": True, "generator": draws}
    size = recipe.batch_size
    shares = recipe.warm_up, 1 - recipe.warm_up
    rates = [
        combine(shares, [ramp(0, peak), ramp(peak, 0)])
        for peak in (recipe.lr, recipe.lr / 2)
    ]
    return Learner(
        LowPrecision(model) if recipe.low_precision else model,
        TensorLoader(images, labels, batch_size=size, **order),
        optim=kernels_and_rest,
        lr=recipe.lr,
        loss=partial(cross_entropy, label_smoothing=recipe.smoothing),
        callbacks=[Anneal(lr=rates), _augment(recipe, seed)],
        **options,
    )


# %%
small = Recipe(epochs=2, width=16, batch_size=50)
held = TensorLoader(x[50_000:55_000], kinds[50_000:55_000], batch_size=500)
learn = fast_learner(
    small, x[:5_000], kinds[:5_000], seed=0, valid=held, metrics=[accuracy]
)
learn.fit(small.epochs)
assert learn.results["accuracy"] > 0.8
