# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Frames around signals and images, as layers."""

from collections.abc import Sequence

import torch.nn.functional as kernels
from torch import Tensor

from groundup.nn.module import Module


class Padding(Module):
    """A frame of a width for each side, in a mode of `pad`."""

    mode = "constant"
    n_axes: int

    def __init__(self, padding: int | Sequence[int]):
        n = 2 * self.n_axes
        is_one = isinstance(padding, int)
        self.padding = (padding,) * n if is_one else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        """The input in its frame."""
        if input.dim() not in (self.n_axes + 1, self.n_axes + 2):
            axes = f"{self.n_axes + 1} or {self.n_axes + 2}"
            shape = tuple(input.shape)
            raise ValueError(f"expected {axes} axes, got a shape {shape}")
        return kernels.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """How wide the frame is."""
        return f"{self.padding}"


class ReflectionPad1d(Padding):
    """Mirrored at its ends: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "reflect", 1


class ReflectionPad2d(Padding):
    """Mirrored at its edges: (*, h, w) -> a larger picture."""

    mode, n_axes = "reflect", 2


class ReplicationPad1d(Padding):
    """Its last values repeated: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "replicate", 1


class ReplicationPad2d(Padding):
    """Its last pixels repeated: (*, h, w) -> a larger picture."""

    mode, n_axes = "replicate", 2


class CircularPad1d(Padding):
    """Begun anew: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "circular", 1


class CircularPad2d(Padding):
    """Begun anew from the other side: (*, h, w) -> a larger picture."""

    mode, n_axes = "circular", 2


class Constant(Padding):
    """A frame of one value."""

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The input in its frame."""
        return kernels.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        """How wide the frame is, and its value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(Constant):
    """One value at both ends: (*, t) -> (*, t + left + right)."""

    n_axes = 1


class ConstantPad2d(Constant):
    """One value around: (*, h, w) -> a larger picture."""

    n_axes = 2


class ZeroPad1d(Padding):
    """Zeros at both ends: (*, t) -> (*, t + left + right)."""

    n_axes = 1


class ZeroPad2d(Padding):
    """Zeros around: (*, h, w) -> a larger picture."""

    n_axes = 2
