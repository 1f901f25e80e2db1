# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Images in another light, each in its own."""

import torch
from torch import Tensor

from groundup.data.augment import check_images, draw


def color_jitter(
    images: Tensor,
    brightness: float = 0.0,
    contrast: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Both changed by factors of 1 - strength to 1 + strength: (n, c, h, w).

    Images are in 0 to 1, and stay there.
    """
    check_images(images)
    if min(brightness, contrast) < 0:
        given = f"{brightness} and {contrast}"
        raise ValueError(f"expected strengths of 0 or more, got {given}")
    bright, strong = 2 * draw((2, len(images), 1, 1, 1), images, generator) - 1
    images = (images * (1 + brightness * bright).clamp(min=0)).clamp(0, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    factor = (1 + contrast * strong).clamp(min=0)
    return (mean + (images - mean) * factor).clamp(0, 1)
