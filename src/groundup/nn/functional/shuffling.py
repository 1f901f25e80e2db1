# Extracted from book/4_convnets/8_fast.py; edit it there.
"""Places exchanged for channels, and back; no number changes."""

from torch import Tensor


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Squares of r x r pixels as channels: (*, c, h r, w r) -> c r r, h, w."""
    r, (*outer, c, h, w) = downscale_factor, input.shape
    if r < 1 or h % r or w % r:
        raise RuntimeError(f"no squares of {r} x {r} in images of {h} x {w}")
    squares = input.reshape(*outer, c, h // r, r, w // r, r)
    channels = squares.movedim((-3, -1), (-4, -3))
    return channels.reshape(*outer, c * r * r, h // r, w // r)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """The way back: (*, c r r, h, w) -> (*, c, h r, w r)."""
    r, (*outer, c, h, w) = upscale_factor, input.shape
    if r < 1 or c % (r * r):
        raise RuntimeError(f"{c} channels are no multiple of {r} x {r}")
    squares = input.reshape(*outer, c // (r * r), r, r, h, w)
    pixels = squares.movedim((-4, -3), (-3, -1))
    return pixels.reshape(*outer, c // (r * r), h * r, w * r)
