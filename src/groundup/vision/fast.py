# Extracted from book/4_convnets/8_fast.py; edit it there.
"""A small residual network that learns small images fast."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.data.augment import random_crop, random_erase, random_flip
from groundup.data.tensor_loader import TensorLoader
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.pool import MaxPool2d
from groundup.nn.shuffle import PixelUnshuffle
from groundup.optim.adam import AdamW
from groundup.optim.kernel_muon import KernelMuon
from groundup.optim.schedule import combine, ramp
from groundup.optim.several import CombinedOptimizer
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner
from groundup.training.regularize import Augment


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


class LowPrecision(Module):
    """A model whose products are taken in bfloat16; its answers are not."""

    def __init__(self, model: Module):
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """What the model answers, in single precision."""
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.model(x)
        return answer.float()


class Recipe(NamedTuple):
    """The settings of a run, all of them, to be frozen before the test."""

    epochs: int
    width: int = 64
    batch_size: int = 125
    lr: float = 0.014  # of the kernels; the rest learns at half of it
    warm_up: float = 0.2  # the share of the batches in which rates rise
    smoothing: float = 0.1
    flips: bool = True
    padding: int = 0  # pixels by which images are moved
    hole: int = 0  # the side of the square that is erased
    low_precision: bool = False  # where the machine has units for it


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
    changes: list[Callable] = [random_flip] if recipe.flips else []
    if recipe.padding:
        changes.append(partial(random_crop, padding=recipe.padding))
    if recipe.hole:
        changes.append(partial(random_erase, size=recipe.hole))
    return Augment(*changes, seed=seed)


def fast_learner(
    recipe: Recipe, images: Tensor, labels: Tensor, seed: int, **options: Any
) -> Learner:
    """A learner for images (n, c, h, w) from 0 to 1 and labels (n,).

    `options` are the learner's, such as `valid` and `metrics`; what is given
    takes the recipe's place.
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
    loss = partial(cross_entropy, label_smoothing=recipe.smoothing)
    own = {"optim": kernels_and_rest, "lr": recipe.lr, "loss": loss}
    own["callbacks"] = [Anneal(lr=rates), _augment(recipe, seed)]
    return Learner(
        LowPrecision(model) if recipe.low_precision else model,
        TensorLoader(images, labels, batch_size=size, **order),
        **own | options,
    )
