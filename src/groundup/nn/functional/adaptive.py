# Extracted from book/4_convnets/8_convolutions.py; edit it there.
"""Pools that say how many windows there are, not how large they are."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from groundup.nn.functional.pooling import adaptive_avg_pool2d


def adaptive_max_pool2d(
    input: Tensor,
    output_size: int | None | Sequence[int | None],
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    wanted = (
        output_size if isinstance(output_size, Sequence) else (output_size,) * 2
    )
    shape, (h, w) = tuple(input.shape), input.shape[-2:]
    text = f"no {output_size} windows in a shape {shape}"
    if input.dim() < 3:
        raise ValueError(text)
    if input.dim() > 4 or not prod(shape[1:]) or len(wanted) != 2:
        raise RuntimeError(text)
    n_down, n_right = (n if m is None else m for n, m in zip((h, w), wanted))
    rows, columns = _bounds(h, n_down), _bounds(w, n_right)
    numbers = torch.arange(h * w, device=input.device).view(h, w)
    found, places = [], []
    for top, bottom in rows:
        for left, right in columns:
            part = (..., slice(top, bottom), slice(left, right))
            largest, index = input[part].flatten(-2).max(-1)
            found.append(largest)
            places.append(numbers[part].flatten()[index])
    if not found:
        found, places = [input.new_zeros((*shape[:-2], 0))], []
    output = torch.stack(found, -1) if places else found[0]
    output = output.reshape(*shape[:-2], n_down, n_right)
    if not return_indices:
        return output
    where = torch.stack(places, -1) if places else output.long()
    return output, where.reshape(output.shape)


def _bounds(size: int, n_windows: int) -> list[tuple[int, int]]:
    """Where each of `n_windows` begins and ends."""
    n = n_windows
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


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
