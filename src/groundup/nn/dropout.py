# Extracted from book/4_convnets/5_remedies.py; edit it there.
"""Layers that leave numbers out while training."""

from torch import Tensor

from groundup.nn.functional.dropping import check_chance, dropout
from groundup.nn.module import Module


class DropoutBase(Module):
    """A chance, and whether the input itself is changed."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        check_chance(p)
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutBase):
    """Numbers are left out while training, and none in evaluation."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return dropout(input, self.p, self.training, self.inplace)
