"""The gradients of a convolution: torch's own, and the adjoints."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn.functional import conv2d
from groundup.nn.grad import conv2d_input, conv2d_weight

SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)


@settings(max_examples=100)
@given(
    groups=SMALL,
    channels=PAIRS,
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=PAIRS,
    stride=PAIRS,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=PAIRS,
)
@pytest.mark.earns("torch.nn.grad.conv2d_input", "torch.nn.grad.conv2d_weight")
def test_both_gradients_are_torchs_and_the_adjoints(
    groups, channels, size, kernel, stride, padding, dilation
):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator).double()

    x = draw(2, groups * channels[0], *size)
    w = draw(groups * channels[1], channels[0], *kernel)
    options = (stride, padding, dilation, groups)
    try:
        out = F.conv2d(x, w, None, *options)
    except RuntimeError:
        return
    g = draw(*out.shape)
    by_x, by_w = (
        conv2d_input(x.shape, w, g, *options),
        conv2d_weight(x, w.shape, g, *options),
    )
    assert_close(by_x, torch.nn.grad.conv2d_input(x.shape, w, g, *options))
    assert_close(by_w, torch.nn.grad.conv2d_weight(x, w.shape, g, *options))
    there = (conv2d(x, w, None, *options) * g).sum()
    assert_close(there, (x * by_x).sum())
    assert_close(there, (w * by_w).sum())
