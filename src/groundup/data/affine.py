# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Images turned, scaled and moved: an affine map for each."""

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from groundup.data.augment import check_images, draw


def affine_grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Places in the old images: (n, 2, 3) -> (n, h, w, 2)."""
    n, _, h, w = size
    if theta.shape != (n, 2, 3):
        given = f"got {(*theta.shape,)}"
        raise ValueError(f"expected a map for each image, {(n, 2, 3)}, {given}")
    across, down = (
        (2 * torch.arange(k, device=theta.device).to(theta) + 1) / k - 1
        for k in (w, h)
    )
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    places = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    return (places.view(1, h * w, 3) @ theta.mT).view(n, h, w, 2)


def sample(images: Tensor, grid: Tensor, fill: float = 0.0) -> Tensor:
    """What four pixels around each place say: (n, c, h, w), (n, i, j, 2)."""
    check_images(images)
    n, c, h, w = images.shape
    place = (grid + 1) * grid.new_tensor([w, h]) / 2 - 0.5
    low = place.floor()
    share, flat = place - low, images.to(grid.dtype).flatten(2) - fill
    mixed = flat.new_zeros(n, c, *grid.shape[1:3])
    for dx, dy in product((0, 1), repeat=2):
        step = low.new_tensor([dx, dy])
        near = (1 - step - share).abs().prod(-1)
        column, row = (low + step).unbind(-1)
        near *= (0 <= column) & (column < w) & (0 <= row) & (row < h)
        index = row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
        index = index.long().view(n, 1, -1).expand(n, c, -1)
        mixed += flat.gather(2, index).view_as(mixed) * near[:, None]
    return (mixed + fill).to(images.dtype)


def random_affine(
    images: Tensor,
    degrees: float,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each turned by up to `degrees`, moved and scaled: (n, c, h, w).

    `translate` is a share of the sides, `scale` the smallest and the largest.
    """
    check_images(images)
    if min(scale) <= 0 or scale[0] > scale[1]:
        raise ValueError(f"expected positive sizes in order, got {scale}")
    (n, _, h, w), (small, large) = images.shape, scale
    turn, size, down, across = draw((4, n), images, generator)
    angle = (2 * turn - 1) * math.radians(degrees)
    size = small + (large - small) * size
    cos, sin = angle.cos() / size, angle.sin() / size
    shifts = 2 * translate * (2 * across - 1), 2 * translate * (2 * down - 1)
    rows = [cos, -sin * h / w, shifts[0]], [sin * w / h, cos, shifts[1]]
    theta = torch.stack([torch.stack(row, -1) for row in rows], 1)
    return sample(images, affine_grid(theta, images.shape), fill)


def random_rotation(
    images: Tensor, degrees: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Each turned by up to `degrees`, either way: (n, c, h, w)."""
    return random_affine(images, degrees, generator=generator)
