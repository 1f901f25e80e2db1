# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""Convolutions as layers."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d as fast_conv2d

from groundup.nn import init
from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter

EDGES = "zeros", "reflect", "replicate", "circular"


def _check_options(
    channels: tuple[int, int],
    groups: int,
    padding: tuple[int, int] | str,
    stride: tuple[int, int],
    padding_mode: str,
) -> None:
    if groups < 1 or any(n % groups for n in channels):
        text = f"{channels} channels do not split into {groups} groups"
        raise ValueError(text)
    if padding_mode not in EDGES:
        known = ", ".join(EDGES)
        raise ValueError(f"padding_mode {padding_mode!r}: not {known}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding {padding!r}: not same or valid")
        if padding == "same" and stride != (1, 1):
            raise ValueError("padding='same' needs a stride of 1")


class Conv2d(Module):
    """Kernels over images: (n, c_in, h, w) -> (n, c_out, oh, ow).

    It starts as torch's: uniform within 1 / sqrt(c_in / groups x kh x kw).
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
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self.dilation, self.groups = pair(dilation), groups
        self.padding_mode = padding_mode
        self._make(bias, {"device": device, "dtype": dtype})

    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        edges = self.padding, self.stride, self.padding_mode
        _check_options(channels, groups, *edges)
        shape = channels[1], channels[0] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        self.register_parameter(
            "bias", Parameter(torch.empty(shape[0], **like)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        padding = self.padding
        if self.padding_mode != "zeros":
            window = self.kernel_size, self.stride, self.dilation
            edges, padding = frame(padding, *window), 0
            input = pad(input, edges, self.padding_mode)
        options = self.stride, padding, self.dilation, self.groups
        return fast_conv2d(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        shown = {"kernel_size": self.kernel_size, "stride": self.stride}
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        for name, value in usual.items():
            if (own := getattr(self, name)) != value:
                shown[name] = own
        if self.bias is None:
            shown["bias"] = False
        if self.padding_mode != "zeros":
            shown["padding_mode"] = self.padding_mode
        options = [f"{name}={value}" for name, value in shown.items()]
        return f"{self.in_channels}, {self.out_channels}, {', '.join(options)}"
