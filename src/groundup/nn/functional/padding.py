# Extracted from book/4_convnets/1_convolution.py; edit it there.
"""What stands around a picture."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Longer (or, where negative, shorter) axes; pairs, the last axis first.

    `mode` is constant, reflect, replicate or circular.
    """
    if len(pad) % 2 or len(pad) > 2 * input.dim():
        shape = tuple(input.shape)
        raise RuntimeError(f"padding {tuple(pad)} does not fit a shape {shape}")
    output = input
    for axis, edges in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        if edges == (0, 0):
            continue
        if mode == "constant":
            output = _framed(output, -axis, edges, value or 0)
        else:
            places = _places(output.shape[-axis], *edges, mode)
            output = output.index_select(-axis, places.to(input.device))
    return input.clone() if output is input else output


def _framed(
    input: Tensor, axis: int, edges: tuple[int, int], value: float
) -> Tensor:
    """An axis cut where its edges are negative, longer where positive."""
    (before, after), shape = edges, list(input.shape)
    start, stop = max(0, -before), shape[axis] + min(0, after)
    if stop < start:
        size = shape[axis]
        raise RuntimeError(f"padding {edges} cuts more than the {size} there")
    kept = input.narrow(axis, start, stop - start)
    if before <= 0 and after <= 0:
        return kept
    shape[axis] += before + after
    output = kept.new_full(shape, value)
    output.narrow(axis, max(0, before), stop - start).copy_(kept)
    return output


def _places(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which of `size` elements each place of a padded axis shows."""
    start, stop = max(0, -before), size + min(0, after)  # what is not cut
    limits = {"reflect": size - 1, "circular": stop - start}
    if mode not in (*limits, "replicate"):
        raise NotImplementedError(f"unrecognised padding mode {mode!r}")
    longest, left = max(before, after), size + before + after
    if longest > limits.get(mode, longest) or left < (mode != "circular"):
        edges = before, after
        raise RuntimeError(f"{mode} padding {edges} of an axis of {size}")
    places = torch.arange(-before, size + after)
    if mode == "circular":
        return start + (places - start) % max(1, stop - start)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    return (size - 1 - (size - 1 - places.abs()).abs()).abs()
