"""Convolution: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn.functional import conv2d
from tests.nn.samples import DTYPES, check_samples


@pytest.mark.earns("torch.nn.functional.conv2d", "torch.conv2d")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_conv2d_is_torchs(dtype):
    assert check_samples(conv2d, "nn.functional.conv2d", dtype) >= 10


def test_what_torch_refuses_is_refused():
    (op,) = (op for op in op_db if op.name == "nn.functional.conv2d")
    for each in op.error_inputs("cpu"):
        sample = each.sample_input
        with pytest.raises(each.error_type):
            conv2d(sample.input, *sample.args, **sample.kwargs)


SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)


@settings(max_examples=200)
@given(
    groups=SMALL,
    channels=PAIRS,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=PAIRS,
    stride=PAIRS,
    padding=st.one_of(
        st.sampled_from(["same", "valid"]),
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
    ),
    dilation=PAIRS,
    layout=st.sampled_from(["plain", "channels last", "turned", "expanded"]),
)
def test_every_size_is_torchs_or_refused_by_both(
    groups, channels, size, kernel, stride, padding, dilation, layout
):
    generator = torch.Generator().manual_seed(0)
    c, o = groups * channels[0], groups * channels[1]
    x = torch.randn(2, c, *size, generator=generator).double()
    x = {
        "plain": lambda: x,
        "channels last": lambda: x.to(memory_format=torch.channels_last),
        "turned": lambda: x.flip(0).transpose(2, 3),
        "expanded": lambda: x[:1].expand(3, -1, -1, -1),
    }[layout]()
    w = torch.randn(o, channels[0], *kernel, generator=generator).double()
    b = torch.randn(o, generator=generator).double()
    leaves = [t.requires_grad_() for t in (x, w, b)]
    options = (stride, padding, dilation, groups)
    try:
        expected = F.conv2d(x, w, b, *options)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            conv2d(x, w, b, *options)
        return
    actual = conv2d(x, w, b, *options)
    assert_close(actual, expected)
    g = torch.randn(expected.shape, generator=generator).double()
    assert_close(
        torch.autograd.grad(actual, leaves, g),
        torch.autograd.grad(expected, leaves, g),
    )


@pytest.mark.parametrize(
    "shapes, groups, shown",
    [
        (((2, 2, 7, 6), (4, 3, 3, 2)), 1, [(2, 2, 7, 6), (4, 3, 3, 2)]),
        (((2, 4, 7, 6), (4, 3, 3, 2)), 2, [(2, 4, 7, 6), (4, 3, 3, 2)]),
        (((2, 3, 7), (4, 3, 3)), 1, [(4, 3, 3)]),
    ],
)
def test_an_error_shows_both_shapes(shapes, groups, shown):
    x, w = map(torch.zeros, shapes)
    with pytest.raises(RuntimeError) as error:
        conv2d(x, w, groups=groups)
    assert all(str(shape) in str(error.value) for shape in shown)
