# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""What is left of each window: its largest number, or its mean."""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import pair, windows


def max_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of each window: (*, h, w) -> (*, oh, ow).

    With `return_indices` also where it stands in the h x w pixels.
    """
    size, dilation = pair(kernel_size), pair(dilation)
    stride, padding = (
        pair(kernel_size if stride is None else stride),
        pair(padding),
    )
    lowest = (
        -torch.inf
        if input.is_floating_point()
        else torch.iinfo(input.dtype).min
    )
    edges = _pool_frame(input, size, stride, padding, dilation, ceil_mode)
    padded = pad(_as_images(input), edges, value=lowest)
    patches = windows(padded, size, stride, dilation)
    largest, index = patches.flatten(2, 3).max(2)
    largest = largest.view(*input.shape[:-2], *largest.shape[-2:])
    if not return_indices:
        return largest
    i, j = index // size[1] * dilation[0], index % size[1] * dilation[1]
    rows = torch.arange(i.shape[2], device=i.device)[:, None] * stride[0]
    columns = torch.arange(j.shape[3], device=j.device) * stride[1]
    width, (top, left) = input.shape[-1], padding
    places = (rows + i - top) * width + columns + j - left
    return largest, places.view_as(largest)


def _as_images(input: Tensor) -> Tensor:
    """Any leading axes become two: (*, h, w) -> (n, c, h, w)."""
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    return input if input.dim() == 4 else input[None]


def _pool_frame(
    input: Tensor,
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> list[int]:
    """Left, right, top, bottom; with `ceil_mode` a last, unfinished window."""
    if min(*size, *stride) < 1:
        raise RuntimeError(f"a window of {size}, moved by {stride}")
    edges = []
    for axis in (1, 0):
        before, step = padding[axis], stride[axis]
        if not 0 <= before <= size[axis] // 2:
            text = f"padding {padding} is more than half of a window of {size}"
            raise RuntimeError(text)
        size_in, span = input.shape[axis - 2], dilation[axis] * (size[axis] - 1)
        left = (size_in + 2 * before - span - 1) % step
        more = step - left if ceil_mode and left else 0
        if size_in + before - span - 1 + more >= size_in:
            more = 0  # its window would hold nothing but frame
        edges += [before, before + more]
    return edges


def avg_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: (*, h, w) -> (*, oh, ow)."""
    size, padding = pair(kernel_size), pair(padding)
    stride = pair(stride or kernel_size)
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    left, right, top, bottom = _pool_frame(
        input, size, stride, padding, ceil_mode=ceil_mode
    )
    images = _as_images(input)
    patches = windows(pad(images, (left, right, top, bottom)), size, stride)
    sums = patches.sum((2, 3))
    if divisor_override is not None:
        return (sums / divisor_override).view(
            *input.shape[:-2], *sums.shape[2:]
        )
    counted = images.new_ones((1, 1, *input.shape[-2:]))
    if count_include_pad:  # but not what an unfinished window lacks
        counted = pad(counted, (left, left, top, top), value=1.0)
        right, left, bottom, top = right - left, 0, bottom - top, 0
    counted = pad(counted, (left, right, top, bottom))
    means = sums / windows(counted, size, stride).sum((2, 3))
    return means.view(*input.shape[:-2], *means.shape[2:])


def adaptive_avg_pool2d(
    input: Tensor, output_size: int | None | Sequence[int | None]
) -> Tensor:
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    wanted = (
        output_size if isinstance(output_size, Sequence) else (output_size,) * 2
    )
    output = _as_images(input).view(input.shape)
    if len(wanted) != 2 or any(n is not None and n < 0 for n in wanted):
        raise RuntimeError(f"expected two sizes, got output_size={output_size}")
    for axis, n_windows in zip((-2, -1), wanted):
        size = input.shape[axis]
        n = size if n_windows is None else n_windows
        bounds = [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        means = [
            output.narrow(axis, start, stop - start).mean(axis, keepdim=True)
            for start, stop in bounds
        ]
        output = torch.cat(means, axis) if n else output.narrow(axis, 0, 0)
    return output
