# Extracted from book/4_convnets/8_fast.py; edit it there.
"""A small residual network that learns small images fast."""

from collections.abc import Iterable

import torch
from torch import Tensor

from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.pool import MaxPool2d
from groundup.nn.shuffle import PixelUnshuffle


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
    answer of each. `h` and `w` are multiples of 2, from 8 on.
    """

    def __init__(
        self, in_channels: int = 1, num_classes: int = 10, width: int = 64
    ):
        self.stem = Sequential(PixelUnshuffle(2), _unit(4 * in_channels, width))
        self.levels = Sequential(
            _Residual(width),
            *self._level(width),
            *self._level(2 * width),
        )
        self.head = Linear(4 * width, num_classes)

    def _level(self, channels: int) -> Iterable[Module]:
        """Half the places, twice the channels."""
        more = 2 * channels
        return _unit(channels, more), MaxPool2d(2), _Residual(more)

    def forward(self, x: Tensor) -> Tensor:
        """One score for each class."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.levels(self.stem(x)).amax((2, 3)))
