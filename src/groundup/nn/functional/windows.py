# Extracted from book/4_convnets/1_convolution.py; edit it there.
"""Windows over images."""

from collections.abc import Sequence

from torch import Tensor


def windows(
    input: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """All windows, as a view: (n, c, h, w) -> (n, c, kh, kw, oh, ow)."""
    (n, c, h, w), (kh, kw) = input.shape, kernel_size
    spans = [
        d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)
    ]
    if min(*stride, *dilation) < 1:
        text = f"stride {stride} and dilation {dilation} must be positive"
        raise RuntimeError(text)
    if h < spans[0] or w < spans[1]:
        raise RuntimeError(
            f"a window of {spans[0]} x {spans[1]} does not fit into the "
            f"padded input, {h} x {w}"
        )
    oh, ow = (h - spans[0]) // stride[0] + 1, (w - spans[1]) // stride[1] + 1
    *outer, down, right = input.stride()
    inner = down * dilation[0], right * dilation[1]
    steps = down * stride[0], right * stride[1]
    shape, strides = (n, c, kh, kw, oh, ow), (*outer, *inner, *steps)
    return input.as_strided(shape, strides, input.storage_offset())


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) not in (1, 2):
        raise RuntimeError(f"expected one number or two, got {both}")
    return both if len(both) == 2 else both * 2


def frame(
    padding: int | Sequence[int] | str,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> list[int]:
    """The padding for `pad`: left, right, top, bottom."""
    if padding == "valid":
        padding = 0
    if padding != "same":
        top, left = pair(padding)
        if top < 0 or left < 0:
            raise RuntimeError(f"padding {padding} must not be negative")
        return [left, left, top, top]
    if stride != (1, 1):
        raise RuntimeError("padding='same' needs a stride of 1")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    return [n for t in reversed(totals) for n in (t // 2, t - t // 2)]
