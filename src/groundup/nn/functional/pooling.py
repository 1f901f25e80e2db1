# Extracted from book/4_convnets/2_cnn.py; edit it there.
"""What is left of each window: its largest number, or its mean."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import pair, windows


class _Geometry(NamedTuple):
    """How windows lie on an image: pairs for its two axes."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    def unfinished(self, shape: Sequence[int], axis: int) -> int:
        """How far a last window reaches beyond the frame, with `ceil_mode`."""
        before, step = self.padding[axis], self.stride[axis]
        if min(self.size[axis], step) < 1:
            text = f"windows of {self.size}, moved by {self.stride}"
            raise RuntimeError(text)
        if not 0 <= before <= self.size[axis] // 2:
            text = f"padding {self.padding} is more than half of {self.size}"
            raise RuntimeError(text)
        reach = self.dilation[axis] * (self.size[axis] - 1) + 1
        length = shape[axis - 2] + 2 * before
        left = (length - reach) % step
        more = step - left if self.ceil_mode and left else 0
        frame_alone = length - reach + more >= length - before
        return 0 if frame_alone else more


def _patches(
    input: Tensor, lie: _Geometry, around: float, beyond: float
) -> Tensor:
    """The windows of images of 3 or 4 axes: (n, c, kh, kw, oh, ow)."""
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    images = input if input.dim() == 4 else input[None]
    (top, left), (lower, right) = (
        lie.padding,
        (lie.unfinished(input.shape, axis) for axis in (0, 1)),
    )
    framed = pad(images, (left, left, top, top), value=around)
    longer = pad(framed, (0, right, 0, lower), value=beyond)
    return windows(longer, lie.size, lie.stride, lie.dilation)


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
    step = kernel_size if stride is None else stride
    sizes = map(pair, (kernel_size, step, padding, dilation))
    lie, own = _Geometry(*sizes, ceil_mode), input.dtype
    limits = torch.finfo if input.is_floating_point() else torch.iinfo
    lowest = -torch.inf if own.is_floating_point else limits(own).min
    largest, index = _patches(input, lie, lowest, lowest).flatten(2, 3).max(2)
    shape = *input.shape[:-2], *largest.shape[2:]
    if not return_indices:
        return largest.view(shape)
    return largest.view(shape), _places(index, input, lie).view(shape)


def _places(index: Tensor, input: Tensor, lie: _Geometry) -> Tensor:
    """From places in windows to places in the picture, counted row by row."""
    within = index // lie.size[1], index % lie.size[1]
    starts = (
        torch.arange(n, device=index.device) * step - before
        for n, step, before in zip(
            index.shape[2:], lie.stride, lie.padding, strict=True
        )
    )
    (down, right), (top, left) = lie.dilation, starts
    i, j = top[:, None] + within[0] * down, left + within[1] * right
    return i * input.shape[-1] + j


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
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    sizes = map(pair, (kernel_size, stride or kernel_size, padding))
    lie = _Geometry(*sizes, ceil_mode=ceil_mode)
    sums = _patches(input, lie, 0.0, 0.0).sum((2, 3))
    divisor: Tensor | int | None = divisor_override
    if divisor is None:
        ones = input.new_ones((1, 1, *input.shape[-2:]))
        divisor = _patches(ones, lie, float(count_include_pad), 0.0).sum((2, 3))
    mode = None if input.is_floating_point() else "trunc"  # integers stay so
    means = sums.div(divisor, rounding_mode=mode)
    return means.view(*input.shape[:-2], *means.shape[2:])


def adaptive_avg_pool2d(
    input: Tensor, output_size: int | Sequence[int | None] | None
) -> Tensor:
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    several = isinstance(output_size, Sequence)
    wanted = output_size if several else (output_size, output_size)
    if len(wanted) != 2 or any(n is not None and n < 0 for n in wanted):
        raise RuntimeError(f"expected two sizes, got output_size={output_size}")
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise ValueError(f"expected images of 3 or 4 axes, got {shape}")
    for axis, n in zip((-2, -1), wanted, strict=True):
        if n is not None:
            input = _means(input, axis, n)
    return input


def _means(input: Tensor, axis: int, n: int) -> Tensor:
    """Means of n stretches of an axis, which may overlap by one."""
    size = input.shape[axis]
    bounds = [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
    means = [
        input.narrow(axis, start, stop - start).mean(axis, keepdim=True)
        for start, stop in bounds
    ]
    return torch.cat(means, axis) if n else input.narrow(axis, 0, 0)
