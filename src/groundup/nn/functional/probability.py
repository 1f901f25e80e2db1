# Extracted from book/3_training/1_loss.py; edit it there.
"""From scores to probabilities and their logarithms, without overflow."""

import torch
from torch import Tensor


def _top(input: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The largest elements along `dim`, which stays; a constant."""
    largest = input.amax if input.numel() else input.sum
    return largest(dim, keepdim=True).detach()


def softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Probabilities along `dim` from scores of any shape."""
    input = input if dtype is None else input.to(dtype)
    powers = (input - _top(input, dim)).exp()
    return powers / powers.sum(dim, keepdim=True)


def logsumexp(
    input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False
) -> Tensor:
    """A smooth maximum, log(sum(exp(input))) along `dim`."""
    top = _top(input, dim)
    top = top.where(top.isfinite(), 0)  # inf - inf would be no number
    total = (input - top).exp().sum(dim, keepdim=True).log() + top
    return total if keepdim else total.squeeze(dim)


def log_softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Logarithms of the softmax along `dim`, of any shape."""
    input = input if dtype is None else input.to(dtype)
    shifted = input - _top(input, dim)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()
