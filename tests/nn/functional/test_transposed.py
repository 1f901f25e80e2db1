"""Convolutions backwards: torch judges, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn import functional
from groundup.nn.functional import conv2d, conv_transpose2d
from tests.nn.samples import check_samples


@pytest.mark.earns(
    "torch.nn.functional.conv_transpose1d",
    "torch.conv_transpose1d",
    "torch.nn.functional.conv_transpose2d",
    "torch.conv_transpose2d",
)
@pytest.mark.parametrize("name", ["conv_transpose1d", "conv_transpose2d"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_transposed_convolutions_are_torchs(name, dtype):
    ours = getattr(functional, name)
    assert check_samples(ours, f"nn.functional.{name}", dtype) >= 10


SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)
WIDTHS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=300)
@given(
    groups=SMALL,
    channels=PAIRS,
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=PAIRS,
    stride=PAIRS,
    padding=WIDTHS,
    more=WIDTHS,
    dilation=PAIRS,
)
def test_every_size_is_torchs_or_refused_by_both(
    groups, channels, size, kernel, stride, padding, more, dilation
):
    generator = torch.Generator().manual_seed(0)
    n_in, n_out = groups * channels[0], channels[1]
    x, w, b = (
        torch.randn(shape, generator=generator).double().requires_grad_()
        for shape in (
            (2, n_in, *size),
            (n_in, n_out, *kernel),
            (n_out * groups,),
        )
    )
    options = stride, padding, more, groups, dilation
    try:
        expected = F.conv_transpose2d(x, w, b, *options)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            conv_transpose2d(x, w, b, *options)
        return
    actual = conv_transpose2d(x, w, b, *options)
    assert_close(actual, expected)
    y = torch.randn(expected.shape, generator=generator).double()
    assert_close(
        torch.autograd.grad(actual, (x, w, b), y),
        torch.autograd.grad(expected, (x, w, b), y),
    )
    back = conv2d(y, w, None, stride, padding, dilation, groups)
    there = conv_transpose2d(x, w, None, *options)
    reached = back[..., : size[0], : size[1]]  # not the rows that were added
    assert_close((there * y).sum(), (x * reached).sum())


@pytest.mark.parametrize(
    "shapes, options, message",
    [
        (((1, 3, 4, 4), (4, 2, 3, 3)), {}, "expected 4 input channels"),
        (((3, 4), (4, 2, 3, 3)), {}, r"3 or 4 axes.*\(3, 4\)"),
        (((1, 4, 4, 4), (4, 2, 3, 3)), {"groups": 3}, "3 groups"),
        (((1, 4, 4, 4), (4, 2, 3, 3)), {"output_padding": 1}, "not less"),
        (((1, 4, 1, 1), (4, 2, 1, 1)), {"padding": 1}, "would have a shape"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_shapes(shapes, options, message):
    x, w = map(torch.zeros, shapes)
    for function in (conv_transpose2d, F.conv_transpose2d):
        with pytest.raises(RuntimeError) as error:
            function(x, w, **options)
        if function is conv_transpose2d:
            assert error.match(message)


def test_mixed_types_are_refused():
    x, w = torch.zeros(1, 2, 3, 3), torch.zeros(2, 1, 2, 2).double()
    for function in (conv_transpose2d, F.conv_transpose2d):
        with pytest.raises(RuntimeError):
            function(x, w)


def doubled(value):
    return value.double() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("name", ["conv_transpose1d", "conv_transpose2d"])
def test_half_precision_is_rounded_once(name):
    """Torch's own kernel rounds its sums on the way."""
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    for sample in op.sample_inputs("cpu", torch.bfloat16):
        args = [sample.input, *sample.args]
        kwargs = sample.kwargs
        exact = op.op(
            *map(doubled, args), **{k: doubled(v) for k, v in kwargs.items()}
        )
        ours = getattr(functional, name)(*args, **kwargs)
        assert_close(ours, exact.bfloat16(), rtol=2**-7, atol=2**-7)
        theirs = op.op(*args, **kwargs)
        errors = [(each - exact).abs().max() for each in (ours, theirs)]
        assert errors[0] <= errors[1]


def test_integers_are_exact():
    x, w = (torch.randint(2**28, s) for s in ((1, 2, 3, 3), (2, 1, 2, 2)))
    expected = F.conv_transpose2d(x, w, stride=2)
    assert_close(conv_transpose2d(x, w, stride=2), expected)
