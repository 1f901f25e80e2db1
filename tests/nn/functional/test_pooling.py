"""Pooling: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn.functional import (
    adaptive_avg_pool2d,
    avg_pool2d,
    max_pool2d,
)
from tests.nn.samples import DTYPES, check_samples

FUNCTIONS = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
}


@pytest.mark.earns(
    "torch.nn.functional.max_pool2d",
    "torch.nn.functional.avg_pool2d",
    "torch.nn.functional.adaptive_avg_pool2d",
)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pools_are_torchs(name, dtype):
    check_samples(FUNCTIONS[name], f"nn.functional.{name}", dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_torch_refuses_is_refused(name):
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    if op.error_inputs_func is None:
        pytest.skip("torch lists no errors")
    for each in op.error_inputs("cpu"):
        sample = each.sample_input
        with pytest.raises((each.error_type, RuntimeError, ValueError)):
            FUNCTIONS[name](sample.input, *sample.args, **sample.kwargs)


SMALL = st.integers(1, 4)


@settings(max_examples=300)
@given(
    shape=st.tuples(SMALL, st.integers(1, 8), st.integers(1, 8)),
    size=st.tuples(SMALL, SMALL),
    stride=st.one_of(st.none(), st.tuples(SMALL, SMALL)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.integers(1, 2),
    ceil_mode=st.booleans(),
    include=st.booleans(),
    divisor=st.one_of(st.none(), st.integers(1, 5)),
)
def test_every_size_is_torchs_or_refused_by_both(
    shape, size, stride, padding, dilation, ceil_mode, include, divisor
):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    calls = [
        (max_pool2d, F.max_pool2d, (dilation, ceil_mode, True)),
        (avg_pool2d, F.avg_pool2d, (ceil_mode, include, divisor)),
    ]
    for ours, theirs, options in calls:
        try:
            expected = theirs(x, size, stride, padding, *options)
        except RuntimeError:
            with pytest.raises(RuntimeError):
                ours(x, size, stride, padding, *options)
            continue
        actual = ours(x, size, stride, padding, *options)
        if isinstance(actual, tuple):  # no place of a window of frame alone
            seen = expected[0].isfinite()
            actual, expected = (
                [v[seen] for v in r] for r in (actual, expected)
            )
        assert_close(actual, expected)


@pytest.mark.parametrize("function", [max_pool2d, avg_pool2d])
def test_a_window_without_size_is_refused(function):
    with pytest.raises(RuntimeError, match=r"\(0, 2\), moved by \(1, 1\)"):
        function(torch.zeros(1, 4, 4), (0, 2), 1)
    with pytest.raises(RuntimeError, match=r"moved by \(1, 0\)"):
        function(torch.zeros(1, 4, 4), 2, (1, 0))


def test_a_nan_is_the_largest():
    x = torch.tensor([[[1.0, torch.nan], [2.0, 3.0]]])
    assert max_pool2d(x, 2).isnan().all()


def test_integers_are_pooled():
    x = torch.arange(16).view(1, 4, 4)
    assert_close(max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1))
    for numbers in (x, -x):
        for include in (True, False):
            options = 3, 2, 1, False, include
            expected = F.avg_pool2d(numbers, *options)
            assert_close(avg_pool2d(numbers, *options), expected)
