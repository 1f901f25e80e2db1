# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Windows taken apart and put together, as layers."""

from collections.abc import Sequence

import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.module import Module


class Unfold(Module):
    """Each window as a column: (n, c, h, w) -> (n, c kh kw, places)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
    ):
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The columns."""
        sides = self.kernel_size, self.dilation, self.padding, self.stride
        return kernels.unfold(input, *sides)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        names = "kernel_size", "dilation", "padding", "stride"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class Fold(Module):
    """Columns added where their windows stand: the transpose of `Unfold`."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
    ):
        self.output_size = output_size
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The picture."""
        sides = self.kernel_size, self.dilation, self.padding, self.stride
        return kernels.fold(input, self.output_size, *sides)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        return f"output_size={self.output_size}, {Unfold.extra_repr(self)}"
