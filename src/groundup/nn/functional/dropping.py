# Extracted from book/4_convnets/5_remedies.py; edit it there.
"""Dropout: numbers that are left out at random while training."""

import torch
from torch import Tensor


def check_chance(p: float) -> None:
    """Raise unless this is a probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"p is a chance in 0 to 1, got {p}")


def dropped(
    input: Tensor, noise: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    """Times `noise`, filled with 0 or 1 / (1 - p); in evaluation the input."""
    if p == 0 or not training or not input.numel():
        return input
    if p == 1:
        kept = input.new_zeros(())
    else:
        kept = noise.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(kept) if inplace else input * kept


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    """Each number is 0 with a chance of `p`, else by 1 / (1 - p) larger."""
    check_chance(p)
    return dropped(input, torch.empty_like(input), p, training, inplace)
