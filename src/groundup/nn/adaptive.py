# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Pools as layers that say how many windows there are."""

from collections.abc import Sequence

import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.module import Module
from groundup.nn.pool import AdaptiveAvgPool2d


class AdaptiveAvgPool1d(Module):
    """Means of as many windows as asked: (*, t) -> (*, places)."""

    def __init__(self, output_size: int | Sequence[int]):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.adaptive_avg_pool1d(input, self.output_size)

    extra_repr = AdaptiveAvgPool2d.extra_repr


class AdaptiveMaxPool1d(Module):
    """The largest of as many windows as asked: (*, t) -> (*, places)."""

    def __init__(
        self, output_size: int | Sequence[int], return_indices: bool = False
    ):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        return kernels.adaptive_max_pool1d(
            input, self.output_size, self.return_indices
        )

    extra_repr = AdaptiveAvgPool2d.extra_repr


class AdaptiveMaxPool2d(Module):
    """The largest of as many windows as asked: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        return_indices: bool = False,
    ):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        return kernels.adaptive_max_pool2d(
            input, self.output_size, self.return_indices
        )

    extra_repr = AdaptiveAvgPool2d.extra_repr
