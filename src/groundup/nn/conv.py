# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""Convolutions as layers."""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor
from torch.nn.functional import conv2d as fast_conv2d

from groundup.nn import init
from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter


class Conv2d(Module):
    """Kernels over images: (n, c_in, h, w) -> (n, c_out, oh, ow).

    Initialised as torch does it: weight and bias uniform between plus and
    minus 1 / sqrt(fan_in), with fan_in = c_in / groups x kh x kw.
    """

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
        like = {"device": device, "dtype": dtype}
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self.dilation, self.groups = pair(dilation), groups
        self.padding_mode = padding_mode
        self._check_options()
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(torch.empty(shape, **like))
        self.register_parameter(
            "bias",
            Parameter(torch.empty(out_channels, **like)) if bias else None,
        )
        self.reset_parameters()

    def _check_options(self) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        if groups < 1 or any(n % groups for n in channels):
            text = f"{channels} channels do not split into {groups} groups"
            raise ValueError(text)
        modes = "zeros", "reflect", "replicate", "circular"
        if self.padding_mode not in modes:
            known = ", ".join(modes)
            raise ValueError(f"padding_mode {self.padding_mode!r}: not {known}")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"padding {self.padding!r}: not same or valid")
            if self.padding == "same" and {*self.stride} != {1}:
                raise ValueError("padding='same' needs a stride of 1")

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        options = self.stride, self.padding, self.dilation, self.groups
        if self.padding_mode != "zeros":
            size, stride, _, dilation = self.kernel_size, *options[:3]
            edges = frame(self.padding, size, stride, dilation)
            input = pad(input, edges, self.padding_mode)
            options = (self.stride, 0, *options[2:])
        return fast_conv2d(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        text = f"{self.in_channels}, {self.out_channels}"
        shown = {"kernel_size": self.kernel_size, "stride": self.stride}
        none, one = ((n,) * len(self.stride) for n in (0, 1))
        usual = {"padding": none, "dilation": one, "groups": 1}
        for name, value in usual.items():
            if (own := getattr(self, name)) != value:
                shown[name] = own
        if self.bias is None:
            shown["bias"] = False
        if self.padding_mode != "zeros":
            shown["padding_mode"] = self.padding_mode
        return ", ".join([text, *(f"{k}={v}" for k, v in shown.items())])
