# Extracted from book/4_convnets/1_convolution.py; edit it there.
"""Convolution as a matrix product of all windows."""

from collections.abc import Sequence

from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair, windows


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """(n, c, h, w), (o, c / groups, kh, kw) -> (n, o, oh, ow), as one product.

    An input without its first axis gives an output without it.
    """
    if input.dim() == 3:
        batch = conv2d(
            input[None], weight, bias, stride, padding, dilation, groups
        )
        return batch[0]
    _check_channels(input, weight, bias, groups)
    size, stride, dilation = weight.shape[2:], pair(stride), pair(dilation)
    padded = pad(input, frame(padding, size, stride, dilation))
    patches = windows(padded, size, stride, dilation)
    n, c, kh, kw, oh, ow = patches.shape
    columns = patches.reshape(n, groups, c // groups * kh * kw, oh * ow)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    output = (rows @ columns).reshape(n, len(weight), oh, ow)
    return output if bias is None else output + bias[:, None, None]


def _check_channels(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    """A RuntimeError with the shapes that do not go together."""
    shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(f"expected 3 or 4 axes and a weight of 4: {shapes}")
    if groups < 1 or len(weight) % groups:
        raise RuntimeError(
            f"{len(weight)} channels in {groups} groups: {shapes}"
        )
    if input.shape[1] != weight.shape[1] * groups:
        wanted = weight.shape[1] * groups
        raise RuntimeError(
            f"expected {wanted} input channels in {groups} groups: {shapes}"
        )
    types = {each.dtype for each in (input, weight, bias) if each is not None}
    if len(types) > 1:
        raise RuntimeError(f"expected one type, got {types}: {shapes}")
    if bias is not None and bias.shape != (len(weight),):
        raise RuntimeError(f"bias {tuple(bias.shape)} does not fit: {shapes}")
