# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Dropout to a negative value, with mean 0 and variance 1 kept."""

import math

import torch
from torch import Tensor

from groundup.nn.functional.channel_dropping import channel_noise
from groundup.nn.functional.dropping import check_chance, dropped

LOWEST = 1.7580993408473766  # SELU's, with the sign changed


def _to_lowest(
    input: Tensor, noise: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    check_chance(p)
    if p in (0, 1) or not training or not input.numel():
        return dropped(input, noise, p, training, inplace)
    scale = 1 / math.sqrt((LOWEST * LOWEST * p + 1) * (1 - p))
    kept = noise.bernoulli_(1 - p)
    shift = kept.add(-1).mul_(LOWEST * scale).add_(LOWEST * scale * p)
    kept = kept.mul_(scale)
    return (input.mul_(kept) if inplace else input * kept).add_(shift)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Numbers fall to SELU's lowest value (Klambauer et al., 2017)."""
    return _to_lowest(input, torch.empty_like(input), p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """The same for whole channels: (n, c, ...)."""
    if not training or p == 0:
        check_chance(p)
        return input
    return _to_lowest(input, channel_noise(input), p, training, inplace)
