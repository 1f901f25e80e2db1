# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Layers along one axis."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.conv import Conv2d, _check_options
from groundup.nn.functional.padding import pad
from groundup.nn.functional.sequence import single
from groundup.nn.functional.windows import frame
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
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

    reset_parameters = Conv2d.reset_parameters

    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        edges = self.padding, (1, *self.stride), self.padding_mode
        _check_options(channels, groups, *edges)
        shape = channels[1], channels[0] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        start = Parameter(torch.empty(channels[1], **like)) if bias else None
        self.register_parameter("bias", start)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        return described(self)

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


def described(layer: Any) -> str:
    """Channels, sizes and the options that are not the usual ones."""
    none, one = ((n,) * len(layer.stride) for n in (0, 1))
    shown = {"kernel_size": layer.kernel_size, "stride": layer.stride}
    usual = {"padding": none, "dilation": one}
    usual |= {"output_padding": none, "groups": 1}
    for name, value in usual.items():
        if (own := getattr(layer, name, value)) != value:
            shown[name] = own
    if layer.bias is None:
        shown["bias"] = False
    if layer.padding_mode != "zeros":
        shown["padding_mode"] = layer.padding_mode
    options = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"{layer.in_channels}, {layer.out_channels}, {options}"


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
