"""Along one axis: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn.functional import avg_pool1d, conv1d, max_pool1d
from tests.nn.samples import DTYPES, check_samples

FUNCTIONS = {
    "conv1d": conv1d,
    "max_pool1d": max_pool1d,
    "avg_pool1d": avg_pool1d,
}


@pytest.mark.earns(
    "torch.nn.functional.conv1d",
    "torch.conv1d",
    "torch.nn.functional.max_pool1d",
    "torch.max_pool1d",
    "torch.nn.functional.avg_pool1d",
    "torch.avg_pool1d",
)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_functions_of_signals_are_torchs(name, dtype):
    check_samples(FUNCTIONS[name], f"nn.functional.{name}", dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_torch_refuses_is_refused(name):
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    for each in op.error_inputs("cpu"):
        sample = each.sample_input
        with pytest.raises(each.error_type):
            FUNCTIONS[name](sample.input, *sample.args, **sample.kwargs)


SMALL = st.integers(1, 3)


@settings(max_examples=200)
@given(
    groups=SMALL,
    channels=st.tuples(SMALL, SMALL),
    length=st.integers(1, 9),
    kernel=SMALL,
    stride=SMALL,
    padding=st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 3)),
    dilation=SMALL,
    batched=st.booleans(),
)
def test_every_length_is_torchs_or_refused_by_both(
    groups, channels, length, kernel, stride, padding, dilation, batched
):
    generator = torch.Generator().manual_seed(0)
    (inside, outside), lead = channels, (2,) if batched else ()
    x, w, b = (
        torch.randn(shape, generator=generator).double().requires_grad_()
        for shape in (
            (*lead, groups * inside, length),
            (groups * outside, inside, kernel),
            (groups * outside,),
        )
    )
    options = stride, padding, dilation, groups
    try:
        expected = F.conv1d(x, w, b, *options)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            conv1d(x, w, b, *options)
        return
    actual = conv1d(x, w, b, *options)
    assert_close(actual, expected)
    weight = torch.randn(expected.shape, generator=generator).double()
    assert_close(
        torch.autograd.grad(actual, (x, w, b), weight),
        torch.autograd.grad(expected, (x, w, b), weight),
    )


def test_what_does_not_fit_shows_both_shapes():
    with pytest.raises(RuntimeError, match=r"\(2, 3\), weight \(4, 3\)"):
        conv1d(torch.zeros(2, 3), torch.zeros(4, 3))
    with pytest.raises(RuntimeError, match=r"\(1, 2\)"):
        conv1d(torch.zeros(1, 1, 5), torch.zeros(1, 1, 3), stride=(1, 2))
    with pytest.raises(RuntimeError, match=r"\(1, 2, 3, 4\)"):
        max_pool1d(torch.zeros(1, 2, 3, 4), 2)


@pytest.mark.parametrize("function", [max_pool1d, avg_pool1d])
def test_no_stride_is_that_of_the_window_and_a_stride_of_0_is_refused(function):
    x = torch.arange(8.0).view(2, 4)
    for none in (None, [], ()):  # torch's own default is an empty list
        assert_close(function(x, 2, none), function(x, 2, 2))
    with pytest.raises(RuntimeError, match=r"moved by \(1, 0\)"):
        function(x, 2, 0)
