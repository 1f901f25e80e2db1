# Extracted from book/3_training/12_losses.py; edit it there.
"""Input and target of one shape."""

from torch import Tensor


def check_shapes(input: Tensor, target: Tensor) -> None:
    """Raise unless both have one shape: nothing is broadcast."""
    if input.shape != target.shape:
        shapes = f"{(*input.shape,)} and target {(*target.shape,)}"
        raise ValueError(f"expected one shape, got input {shapes}")
