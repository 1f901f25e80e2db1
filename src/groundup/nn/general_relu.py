# Extracted from book/4_convnets/3_starts.py; edit it there.
"""A ReLU with a leak, an offset and a ceiling."""

import torch
from torch import Tensor

from groundup.nn.module import Module


class GeneralReLU(Module):
    """max(x, leak x) - sub, at most maxv: any shape."""

    def __init__(
        self, leak: float = 0.1, sub: float = 0.4, maxv: float | None = None
    ):
        self.leak, self.sub, self.maxv = leak, sub, maxv

    def forward(self, input: Tensor) -> Tensor:
        """Negative numbers times `leak`, then all of them moved."""
        output = torch.where(input > 0, input, self.leak * input) - self.sub
        return output if self.maxv is None else output.clamp(max=self.maxv)

    def extra_repr(self) -> str:
        """The three numbers."""
        return f"leak={self.leak}, sub={self.sub}, maxv={self.maxv}"
