# Extracted from book/5_applications/1_detection.py; edit it there.
"""Scenes with several things in them, and the box of each."""

import torch
from torch import Tensor


def crop_to_ink(image: Tensor) -> Tensor:
    """The smallest part of a picture, (h, w), that holds all that is not 0."""
    top, bottom = image.amax(1).nonzero()[[0, -1], 0]
    left, right = image.amax(0).nonzero()[[0, -1], 0]
    return image[top : bottom + 1, left : right + 1]


def _sized(image: Tensor, side: int) -> Tensor:
    """The ink, so large that its longer side has `side` pixels."""
    ink = crop_to_ink(image)
    sizes = [(n, max(1, round(side * n / max(ink.shape)))) for n in ink.shape]
    rows, columns = (
        ((torch.arange(new) + 0.5) * (old / new)).long() for old, new in sizes
    )
    return crop_to_ink(ink[rows][:, columns])


def _put(canvas: Tensor, thing: Tensor, spots: Tensor) -> list[int]:
    """Draw at the first of the spots without ink, in place; its box."""
    height, width = thing.shape
    free = torch.tensor(canvas.shape) - torch.tensor(thing.shape)
    for top, left in (spots * (free + 1)).int().tolist():
        part = canvas[top : top + height, left : left + width]
        if not part.any():
            part.copy_(thing)
            return [left, top, left + width, top + height]
    return [-1, -1, -1, -1]


def digit_scenes(
    images: Tensor,
    digits: Tensor,
    n: int,
    seed: int,
    size: tuple[int, int] = (64, 64),
    most: int = 4,
    sides: tuple[int, int] = (16, 32),
) -> tuple[Tensor, Tensor, Tensor]:
    """Scenes (n, h, w), boxes (n, most, 4), labels (n, most), -1 for none."""
    draw = torch.Generator().manual_seed(seed)
    scenes, boxes = torch.zeros(n, *size), torch.full((n, most, 4), -1.0)
    rows = torch.randint(len(images), (n, most), generator=draw)
    low, high = sides
    lengths = torch.randint(low, high + 1, (n, most), generator=draw)
    counts = torch.randint(1, most + 1, (n,), generator=draw).tolist()
    spots = torch.rand(n, most, 10, 2, generator=draw)
    for i, count in enumerate(counts):
        for j in range(count):
            thing = _sized(images[rows[i, j]], int(lengths[i, j])) / 255
            box = _put(scenes[i], thing, spots[i, j])
            boxes[i, j] = torch.tensor(box)
    return scenes, boxes, digits[rows].masked_fill(boxes[..., 2] < 0, -1)
