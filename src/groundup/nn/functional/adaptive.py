# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Pools that say how many windows there are, not how large they are."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from groundup.nn.functional.pooling import adaptive_avg_pool2d


def _parts(size: int, n_windows: int | None) -> list[slice]:
    """The stretches of an axis that the windows see."""
    n = size if n_windows is None else n_windows
    if n < 0:
        raise RuntimeError(f"expected a number of windows, got {n}")
    return [slice(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


def adaptive_max_pool2d(
    input: Tensor,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    several = isinstance(output_size, Sequence)
    wanted = output_size if several else (output_size, output_size)
    shape = tuple(input.shape)
    if input.dim() < 3:
        raise ValueError(f"expected images of 3 or 4 axes, got {shape}")
    if input.dim() > 4 or not prod(shape[1:]) or len(wanted) != 2:
        raise RuntimeError(f"no {output_size} windows in a shape {shape}")
    rows, columns = map(_parts, shape[-2:], wanted)
    output = input.new_empty((*shape[:-2], len(rows), len(columns)))
    numbers = torch.arange(shape[-2] * shape[-1], device=input.device)
    places = output.new_empty(output.shape, dtype=torch.int64)
    for i, down in enumerate(rows):
        for j, right in enumerate(columns):
            largest, index = input[..., down, right].flatten(-2).max(-1)
            inside = numbers.view(shape[-2:])[down, right].flatten()
            output[..., i, j], places[..., i, j] = largest, inside[index]
    return (output, places) if return_indices else output


def adaptive_max_pool1d(
    input: Tensor,
    output_size: int | Sequence[int],
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of as many windows as asked: (*, t) -> (*, places)."""
    size = _of_row(input, output_size)
    both = adaptive_max_pool2d(input.unsqueeze(-2), size, True)
    values, places = (each.squeeze(-2) for each in both)
    return (values, places) if return_indices else values


def adaptive_avg_pool1d(
    input: Tensor, output_size: int | Sequence[int]
) -> Tensor:
    """Means of as many windows as asked: (*, t) -> (*, places)."""
    size = _of_row(input, output_size)
    return adaptive_avg_pool2d(input.unsqueeze(-2), size).squeeze(-2)


def _of_row(input: Tensor, output_size: int | Sequence[int]) -> tuple[int, int]:
    """The two sizes of a picture of one row."""
    sizes = (output_size,) if isinstance(output_size, int) else output_size
    if input.dim() not in (2, 3) or len(sizes) != 1 or sizes[0] < 0:
        shape = tuple(input.shape)
        raise RuntimeError(f"no {output_size} windows in a shape {shape}")
    return 1, sizes[0]
