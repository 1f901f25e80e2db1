# Extracted from book/4_convnets/8_fast.py; edit it there.
"""Layers that exchange places for channels."""

from torch import Tensor

from groundup.nn.functional.shuffling import pixel_shuffle, pixel_unshuffle
from groundup.nn.module import Module


class PixelUnshuffle(Module):
    """Squares of pixels become channels."""

    def __init__(self, downscale_factor: int):
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c, h r, w r) -> (*, c r r, h, w)."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class PixelShuffle(Module):
    """Channels become squares of pixels."""

    def __init__(self, upscale_factor: int):
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c r r, h, w) -> (*, c, h r, w r)."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"
