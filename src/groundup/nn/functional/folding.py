# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""A picture taken apart into its windows, and put together again."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair, windows


def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Each window as a column: (n, c, h, w) -> (n, c kh kw, places)."""
    if input.dim() == 3:
        return unfold(input[None], kernel_size, dilation, padding, stride)[0]
    if input.dim() != 4:
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    size, stride, dilation = map(pair, (kernel_size, stride, dilation))
    padded = pad(input, frame(padding, size, stride, dilation))
    return windows(padded, size, stride, dilation).flatten(1, 3).flatten(2)


def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Columns added where their windows stand: the transpose of `unfold`."""
    shape = tuple(input.shape)
    if input.dim() == 2:
        options = kernel_size, dilation, padding, stride
        return fold(input[None], output_size, *options)[0]
    size, (h, w), (top, left) = map(pair, (kernel_size, output_size, padding))
    high, wide = h + 2 * top, w + 2 * left
    numbers = torch.arange(high * wide, device=input.device)
    numbers = numbers.view(1, 1, high, wide)
    places = windows(numbers, size, pair(stride), pair(dilation)).flatten()
    n_windows = len(places) // prod(size)
    if shape[1] % prod(size) or shape[2:] != (n_windows,):
        wanted = f"(n, c x {prod(size)}, {n_windows})"
        raise RuntimeError(f"expected columns {wanted}, got {shape}")
    columns = input.reshape(shape[0], shape[1] // prod(size), len(places))
    output = columns.new_zeros(*columns.shape[:2], high * wide)
    output = output.index_add(2, places, columns).unflatten(2, (high, wide))
    return output[:, :, top : top + h, left : left + w]
