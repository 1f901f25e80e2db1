# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""Pooling as layers."""

from collections.abc import Sequence

import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.module import Module


class MaxPool2d(Module):
    """The largest of each window: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.dilation, self.ceil_mode = dilation, ceil_mode
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        size, step, padding = self.kernel_size, self.stride, self.padding
        options = self.dilation, self.ceil_mode, self.return_indices
        return kernels.max_pool2d(input, size, step, padding, *options)

    def extra_repr(self) -> str:
        """All options but one, as torch prints them."""
        names = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class AvgPool2d(Module):
    """The mean of each window: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        size, step, padding = self.kernel_size, self.stride, self.padding
        options = self.ceil_mode, self.count_include_pad, self.divisor_override
        return kernels.avg_pool2d(input, size, step, padding, *options)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        names = "kernel_size", "stride", "padding"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class AdaptiveAvgPool2d(Module):
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""

    def __init__(self, output_size: int | Sequence[int | None] | None):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """How many windows."""
        return f"output_size={self.output_size}"
