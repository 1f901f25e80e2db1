# Extracted from book/2_backward/7_module.py; edit it there.
"""Activation functions as modules."""

from torch import Tensor

from groundup.nn.functional.activation import relu
from groundup.nn.module import Module


class ReLU(Module):
    """Negative elements become zero: any shape."""

    def __init__(self, inplace: bool = False):
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """max(0, input)."""
        return relu(input, self.inplace)

    def extra_repr(self) -> str:
        """The flag, as torch prints it."""
        return "inplace=True" if self.inplace else ""
