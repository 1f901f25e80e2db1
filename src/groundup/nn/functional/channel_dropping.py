# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Dropout of whole channels: neighbours would give a number away."""

import warnings

from torch import Tensor

from groundup.nn.functional.dropping import check_chance, dropped


def channel_noise(input: Tensor) -> Tensor:
    """Room for a number for each channel of each image: (n, c, 1, ...)."""
    if input.ndim < 2:
        raise RuntimeError(f"expected (n, c, ...), got {(*input.shape,)}")
    n, c, *places = input.shape
    return input.new_empty(n, c, *(1 for _ in places))


def drop_channels(
    input: Tensor, p: float, training: bool, inplace: bool, alone: bool
) -> Tensor:
    """By channels; `alone`, an image without a batch: (c, ...)."""
    check_chance(p)
    batch = input.unsqueeze(0) if alone else input
    y = dropped(batch, channel_noise(batch), p, training, inplace)
    return y.squeeze(0) if alone else y


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of sequences: (n, c, l) or (c, l)."""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"expected (n, c, l), got {(*input.shape,)}")
    return drop_channels(input, p, training, inplace, input.ndim == 2)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of images: (n, c, h, w); three axes are (n, c, l)."""
    if input.ndim != 4:
        message = f"expected (n, c, h, w), got {(*input.shape,)}"
        warnings.warn(message, stacklevel=2)
    return drop_channels(input, p, training, inplace, False)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of volumes: (n, c, d, h, w) or (c, d, h, w)."""
    if input.ndim not in (4, 5):
        message = f"expected (n, c, d, h, w), got {(*input.shape,)}"
        warnings.warn(message, stacklevel=2)
    return drop_channels(input, p, training, inplace, input.ndim != 5)
