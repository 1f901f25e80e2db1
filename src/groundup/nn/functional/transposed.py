# Extracted from book/4_convnets/9_convolutions.py; edit it there.
"""Convolutions backwards: from the small picture to the large one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.nn.functional.sequence import single
from groundup.nn.functional.windows import pair
from groundup.nn.grad import conv2d_input


def _check_transposed(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    """A RuntimeError with the shapes that do not go together."""
    shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(f"expected 3 or 4 axes and a weight of 4: {shapes}")
    if groups < 1 or len(weight) % groups or input.shape[1] != len(weight):
        raise RuntimeError(
            f"expected {len(weight)} input channels in {groups} groups: "
            f"{shapes}"
        )
    types = {each.dtype for each in (input, weight, bias) if each is not None}
    if len(types) > 1:
        raise RuntimeError(f"expected one type, got {types}: {shapes}")
    n_outputs = weight.shape[1] * groups
    if bias is not None and bias.shape != (n_outputs,):
        raise RuntimeError(f"bias {tuple(bias.shape)} does not fit: {shapes}")


def _enlarged(
    input: Tensor,
    kernel_size: Sequence[int],
    steps: Sequence[tuple[int, int]],
    more: tuple[int, int],
) -> list[int]:
    """Rows and columns; `steps` are stride, padding and dilation."""
    sizes = []
    for axis, (step, edge, gap) in enumerate(zip(*steps, strict=True)):
        if more[axis] >= max(step, gap):
            text = f"output_padding {more} is not less than the stride {step}"
            raise RuntimeError(f"{text} or the dilation {gap}")
        span = gap * (kernel_size[axis] - 1) + 1
        least = (input.shape[2 + axis] - 1) * step + span - 2 * edge
        sizes.append(least + more[axis])
    if min(sizes) < 1:
        raise RuntimeError(f"the output would have a shape of {tuple(sizes)}")
    return sizes


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """(n, c, h, w), (c, o / groups, kh, kw) -> (n, o, oh, ow)."""
    if input.dim() == 3:
        options = stride, padding, output_padding, groups, dilation
        return conv_transpose2d(input[None], weight, bias, *options)[0]
    _check_transposed(input, weight, bias, groups)
    steps = [pair(each) for each in (stride, padding, dilation)]
    more = pair(output_padding)
    sizes = _enlarged(input, weight.shape[2:], steps, more)
    shape = len(input), weight.shape[1] * groups, *sizes
    wide = input.dtype
    if input.is_floating_point():
        wide = torch.promote_types(wide, torch.float32)
    kernel, small = weight.to(wide), input.to(wide)
    output = conv2d_input(shape, kernel, small, *steps, groups)
    if bias is not None:
        output = output + bias[:, None, None]
    return output.to(input.dtype)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """(n, c, t), (c, o / groups, k) -> (n, o, places)."""
    if input.dim() not in (2, 3) or weight.dim() != 3:
        shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
        raise RuntimeError(f"expected 2 or 3 axes and a weight of 3: {shapes}")
    edges = (0, single(padding)), (0, single(output_padding))
    flat, kernel = input.unsqueeze(-2), weight.unsqueeze(-2)
    steps = (1, single(stride)), *edges, groups, (1, single(dilation))
    return conv_transpose2d(flat, kernel, bias, *steps).squeeze(-2)
