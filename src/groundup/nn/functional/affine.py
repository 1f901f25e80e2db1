# Extracted from book/2_backward/2_init.py; edit it there.
"""The affine layer as a function of its inputs and weights."""

from torch import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Affine map: (..., d_in), (d_out, d_in), (d_out,) -> (..., d_out)."""
    if input.shape[-1] != weight.shape[-1]:
        shapes = f"{tuple(input.shape)} and weight {tuple(weight.shape)}"
        raise ValueError(f"expected equal last sizes, got input {shapes}")
    output = input @ weight.t()
    return output if bias is None else output + bias
