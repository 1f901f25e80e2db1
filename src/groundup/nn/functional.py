# Extracted from book/2_backward/2_init.py; edit it there.
"""Layers as functions of their inputs and weights."""

import torch
from torch import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Affine map: (..., d_in), (d_out, d_in), (d_out,) -> (..., d_out)."""
    if input.shape[-1] != weight.shape[-1]:
        shapes = f"{tuple(input.shape)} and weight {tuple(weight.shape)}"
        raise ValueError(f"expected equal last sizes, got input {shapes}")
    output = input @ weight.t()
    return output if bias is None else output + bias


def rectify(input: Tensor) -> Tensor:
    """ReLU by definition: 0 where the input is at most 0; slope 0 at 0."""
    return torch.where(input <= 0, 0, input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``rectify`` in one pass, in place if asked."""
    return torch.relu_(input) if inplace else torch.relu(input)
