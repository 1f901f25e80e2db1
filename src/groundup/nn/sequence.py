# Extracted from book/4_convnets/8_convolutions.py; edit it there.
"""Layers along one axis."""

from collections.abc import Sequence

import torch
import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.conv import Conv2d
from groundup.nn.functional.padding import pad
from groundup.nn.functional.sequence import single
from groundup.nn.functional.windows import frame
from groundup.nn.module import Module
from groundup.nn.pool import AvgPool2d, MaxPool2d


class Conv1d(Module):
    """Kernels along one axis: (n, c_in, t) -> (n, c_out, places)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = (single(kernel_size),)
        self.stride, self.dilation = (single(stride),), (single(dilation),)
        is_name = isinstance(padding, str)
        self.padding = padding if is_name else (single(padding),)
        self.groups, self.padding_mode = groups, padding_mode
        self._make(bias, {"device": device, "dtype": dtype})

    _make = Conv2d._make
    reset_parameters = Conv2d.reset_parameters
    extra_repr = Conv2d.extra_repr

    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        options = self.stride, self.padding, self.dilation, self.groups
        if self.padding_mode != "zeros":
            (size,), (gap,) = self.kernel_size, self.dilation
            edges = self.padding
            if not isinstance(edges, str):
                edges = (0, *edges)
            sides = frame(edges, (1, size), (1, *self.stride), (1, gap))
            input = pad(input, sides[:2], self.padding_mode)
            options = (self.stride, 0, *options[2:])
        return kernels.conv1d(input, self.weight, self.bias, *options)


class MaxPool1d(Module):
    """The largest of each window: (*, t) -> (*, places)."""

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
        return kernels.max_pool1d(input, size, step, padding, *options)

    extra_repr = MaxPool2d.extra_repr


class AvgPool1d(Module):
    """The mean of each window: (*, t) -> (*, places)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.kernel_size = (single(kernel_size),)
        self.stride = (single(kernel_size if stride is None else stride),)
        self.padding, self.ceil_mode = (single(padding),), ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        sides = self.kernel_size, self.stride, self.padding
        return kernels.avg_pool1d(
            input, *sides, self.ceil_mode, self.count_include_pad
        )

    extra_repr = AvgPool2d.extra_repr
