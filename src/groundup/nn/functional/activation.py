# Extracted from book/2_backward/2_init.py; edit it there.
"""Nonlinearities as functions."""

import torch
from torch import Tensor


def rectify(input: Tensor) -> Tensor:
    """ReLU by definition: 0 where the input is at most 0; slope 0 at 0."""
    return torch.where(input <= 0, 0, input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``rectify`` in one pass, in place if asked."""
    return torch.relu_(input) if inplace else torch.relu(input)
