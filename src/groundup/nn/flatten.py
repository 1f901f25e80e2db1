# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""Axes joined."""

from torch import Tensor

from groundup.nn.module import Module


class Flatten(Module):
    """Joins axes: by default (n, *) -> (n, product)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers, in fewer axes."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The first and the last axis."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
