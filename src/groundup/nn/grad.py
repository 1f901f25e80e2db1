# Extracted from book/4_convnets/1_convolution.py; edit it there.
"""The gradients of a convolution, by hand."""

from collections.abc import Sequence
from itertools import product

from torch import Tensor

from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair, windows


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the input, (n, c, h, w), from (n, o, oh, ow)."""
    (n, c, h, w), (kh, kw) = input_size, weight.shape[2:]
    (top, left), (down, right) = pair(padding), pair(stride)
    gap_y, gap_x = pair(dilation)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    g = grad_output.reshape(n, groups, len(weight) // groups, -1)
    oh, ow = grad_output.shape[2:]
    columns = (rows.mT @ g).view(n, c, kh, kw, oh, ow)
    framed = columns.new_zeros(n, c, h + 2 * top, w + 2 * left)
    for i, j in product(range(kh), range(kw)):
        y, x = i * gap_y, j * gap_x
        ends = y + down * (oh - 1) + 1, x + right * (ow - 1) + 1
        read = framed[:, :, y : ends[0] : down, x : ends[1] : right]
        read += columns[:, :, i, j]
    return framed[:, :, top : top + h, left : left + w]


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the weight: what each place of it was multiplied with."""
    size, stride, dilation = weight_size[2:], pair(stride), pair(dilation)
    padded = pad(input, frame(padding, size, stride, dilation))
    patches = windows(padded, size, stride, dilation)
    oh, ow = grad_output.shape[2:]
    patches = patches[..., :oh, :ow]
    columns = patches.reshape(len(input), groups, -1, oh * ow)
    g = grad_output.reshape(len(input), groups, -1, oh * ow)
    return (g @ columns.mT).sum(0).reshape(*weight_size)
