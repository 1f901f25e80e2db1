# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Transposed convolutions as layers."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.conv import Conv2d, _check_options
from groundup.nn.functional.sequence import single
from groundup.nn.functional.windows import pair
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
from groundup.nn.sequence import described


class Transposed(Module):
    """What transposed layers share: all but the number of axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = map(self._sides, (kernel_size, stride))
        self.padding = self._sides(padding)
        self.output_padding = self._sides(output_padding)
        self.dilation = self._sides(dilation)
        self.groups, self.padding_mode = groups, padding_mode
        self._make(bias, {"device": device, "dtype": dtype})

    reset_parameters = Conv2d.reset_parameters

    def _sides(self, value: int | Sequence[int]) -> tuple[int, ...]:
        return pair(value) if self.n_axes == 2 else (single(value),)

    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels = self.in_channels, self.out_channels
        groups, mode = self.groups, self.padding_mode
        _check_options(channels, groups, self.padding, (1, 1), mode)
        if mode != "zeros":
            text = f"padding_mode {mode!r}: only zeros"
            raise ValueError(f"{text} for a transposed convolution")
        shape = channels[0], channels[1] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        start = Parameter(torch.empty(channels[1], **like)) if bias else None
        self.register_parameter("bias", start)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """As a convolution, and how many rows more there are."""
        return described(self)

    def _more(self, input: Tensor, wanted: Sequence[int]) -> tuple[int, ...]:
        """The output padding that leads to the wanted size."""
        sizes, rest = input.shape[-self.n_axes :], tuple(wanted)
        if len(rest) == input.dim():
            rest = rest[-self.n_axes :]
        if len(rest) != self.n_axes:
            text = f"output_size {tuple(wanted)} does not fit an input"
            raise ValueError(f"{text} of shape {tuple(input.shape)}")
        steps = self.stride, self.padding, self.dilation, self.kernel_size
        least = [
            (n - 1) * step - 2 * edge + gap * (size - 1) + 1
            for n, step, edge, gap, size in zip(sizes, *steps, strict=True)
        ]
        more = tuple(n - low for n, low in zip(rest, least, strict=True))
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [
                low + s - 1 for low, s in zip(least, self.stride, strict=True)
            ]
            raise ValueError(f"output_size {rest}: not from {least} to {most}")
        return more


class ConvTranspose2d(Transposed):
    """Enlarges images: (n, c_in, h, w) -> (n, c_out, oh, ow)."""

    n_axes = 2

    def forward(
        self, input: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Each number hands its kernel to the pixels of its window."""
        more = self.output_padding
        if output_size is not None:
            more = self._more(input, output_size)
        options = self.stride, self.padding, more, self.groups, self.dilation
        return kernels.conv_transpose2d(input, self.weight, self.bias, *options)


class ConvTranspose1d(Transposed):
    """Enlarges a signal: (n, c_in, t) -> (n, c_out, places)."""

    n_axes = 1

    def forward(
        self, input: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Each number hands its kernel to the places of its window."""
        more = self.output_padding
        if output_size is not None:
            more = self._more(input, output_size)
        options = self.stride, self.padding, more, self.groups, self.dilation
        return kernels.conv_transpose1d(input, self.weight, self.bias, *options)
