# Extracted from book/4_convnets/3_starts.py; edit it there.
"""Inputs brought to a mean of 0 and a deviation of 1, by numbers kept."""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.nn.module import Module


class Standardize(Module):
    """(input - mean) / deviation for each channel: any (n, c, *).

    Make it of the training data, `Standardize.of(images)`.
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]):
        if len(mean) != len(deviation):
            given = f"{len(mean)} means, {len(deviation)} deviations"
            raise ValueError(f"expected one of each a channel, got {given}")
        if not all(each > 0 for each in deviation):
            raise ValueError(f"deviations must be above 0, got {deviation}")
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))

    @classmethod
    def of(cls, images: Tensor) -> "Standardize":
        """With the statistics of these images, (n, c, *)."""
        axes = [0, *range(2, images.dim())]
        values = images.double()
        return cls(values.mean(axes).tolist(), values.std(axes).tolist())

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers around 0."""
        if input.dim() < 2 or input.shape[1] != len(self.mean):
            shape = tuple(input.shape)
            raise RuntimeError(f"expected {len(self.mean)} channels: {shape}")
        shape = [-1] + [1] * (input.dim() - 2)
        return (input - self.mean.view(shape)) / self.deviation.view(shape)

    def extra_repr(self) -> str:
        """The numbers."""
        return f"mean={self.mean.tolist()}, deviation={self.deviation.tolist()}"
