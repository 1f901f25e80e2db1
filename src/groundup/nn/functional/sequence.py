# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Convolution and pooling along one axis."""

from collections.abc import Sequence

from torch import Tensor

from groundup.nn.functional.convolution import conv2d
from groundup.nn.functional.pooling import avg_pool2d, max_pool2d


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """(n, c, t), (o, c / groups, k) -> (n, o, places)."""
    if input.dim() not in (2, 3) or weight.dim() != 3:
        shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
        raise RuntimeError(f"expected 2 or 3 axes and a weight of 3: {shapes}")
    if not isinstance(padding, str):
        padding = (0, single(padding))
    steps = (1, single(stride)), padding, (1, single(dilation))
    flat, kernel = input.unsqueeze(-2), weight.unsqueeze(-2)
    return conv2d(flat, kernel, bias, *steps, groups).squeeze(-2)


def single(value: int | Sequence[int]) -> int:
    """One number, or the only one of a sequence."""
    values = (value,) if isinstance(value, int) else tuple(value)
    if len(values) != 1:
        raise RuntimeError(f"expected one number, got {values}")
    return values[0]


def max_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of each window: (*, t) -> (*, places)."""
    size = single(kernel_size)
    step = single(size if stride in (None, [], ()) else stride)
    sides = (1, size), (1, step), (0, single(padding)), (1, single(dilation))
    flat = _as_row(input)
    if not return_indices:
        return max_pool2d(flat, *sides, ceil_mode).squeeze(-2)
    largest, places = max_pool2d(flat, *sides, ceil_mode, True)
    return largest.squeeze(-2), places.squeeze(-2)


def _as_row(input: Tensor) -> Tensor:
    if input.dim() not in (2, 3) or not input.shape[-2]:
        shape = tuple(input.shape)
        raise RuntimeError(f"expected signals of 2 or 3 axes, got {shape}")
    return input.unsqueeze(-2)


def avg_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (*, t) -> (*, places)."""
    size = single(kernel_size)
    step = single(size if stride in (None, [], ()) else stride)
    sides = (1, size), (1, step), (0, single(padding))
    return avg_pool2d(
        _as_row(input), *sides, ceil_mode, count_include_pad
    ).squeeze(-2)
