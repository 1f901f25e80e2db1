# Extracted from book/4_convnets/5_remedies.py; edit it there.
"""Augmentation: images changed at random, each by draws of its own."""

import torch
from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import windows


def check_images(images: Tensor) -> None:
    """Raise unless these are (n, c, h, w)."""
    if images.ndim != 4:
        given = (*images.shape,)
        raise ValueError(f"expected images of (n, c, h, w), got {given}")


def draw(
    shape: tuple[int, ...], images: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Numbers in 0 to 1, drawn where the generator is: beside the images."""
    device = images.device if generator is None else generator.device
    numbers = torch.rand(shape, generator=generator, device=device)
    return numbers.to(images.device)


def random_crop(
    images: Tensor,
    padding: int,
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each moved by up to `padding` pixels, down and across: (n, c, h, w)."""
    check_images(images)
    if padding < 0:
        raise ValueError(f"expected a padding of 0 or more, got {padding}")
    n, places = len(images), 2 * padding + 1
    framed = pad(images, [padding] * 4, value=fill)
    crops = windows(framed, (places, places))  # (n, c, places, places, h, w)
    draws = draw((2, n), images, generator)
    top, left = (draws * places).long().clamp_(max=places - 1)
    return crops[torch.arange(n, device=images.device), :, top, left]


def random_flip(
    images: Tensor,
    p: float = 0.5,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each mirrored, left for right, with a chance of `p`: (n, c, h, w)."""
    check_images(images)
    if not 0 <= p <= 1:
        raise ValueError(f"p is a chance in 0 to 1, got {p}")
    flipped = draw((len(images), 1, 1, 1), images, generator) < p
    return images.flip(3).where(flipped, images)


def rectangles(
    images: Tensor, top: Tensor, left: Tensor, *ends: Tensor
) -> Tensor:
    """Where an image's rectangle is: edges of (n,) each -> (n, 1, h, w)."""
    h, w = images.shape[2:]
    edges = [edge.view(-1, 1, 1, 1) for edge in (top, left, *ends)]
    top, left, bottom, right = edges
    row = torch.arange(h, device=images.device).view(1, 1, h, 1)
    column = torch.arange(w, device=images.device).view(1, 1, 1, w)
    inside = (top <= row) & (row < bottom)
    return inside & (left <= column) & (column < right)


def random_erase(
    images: Tensor,
    size: int,
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A square of each, `size` wide, painted over: (n, c, h, w)."""
    check_images(images)
    n, _, h, w = images.shape
    if not 0 <= size <= min(h, w):
        raise ValueError(f"no square of {size} fits into images of {h} x {w}")
    draws = draw((2, n), images, generator)
    top = (draws[0] * (h - size + 1)).long().clamp_(max=h - size)
    left = (draws[1] * (w - size + 1)).long().clamp_(max=w - size)
    hole = rectangles(images, top, left, top + size, left + size)
    return images.masked_fill(hole, fill)
