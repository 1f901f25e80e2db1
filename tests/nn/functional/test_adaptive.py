"""Adaptive pools: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn import functional
from tests.nn.samples import DTYPES, check_samples

NAMES = "adaptive_max_pool2d", "adaptive_max_pool1d", "adaptive_avg_pool1d"


@pytest.mark.earns(
    "torch.nn.functional.adaptive_max_pool2d",
    "torch.nn.functional.adaptive_max_pool1d",
    "torch.nn.functional.adaptive_avg_pool1d",
)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adaptive_pools_are_torchs(name, dtype):
    check_samples(getattr(functional, name), f"nn.functional.{name}", dtype)


@pytest.mark.parametrize("name", NAMES)
def test_what_torch_refuses_is_refused(name):
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    for each in op.error_inputs("cpu"):
        sample = each.sample_input
        with pytest.raises(each.error_type):
            getattr(functional, name)(
                sample.input, *sample.args, **sample.kwargs
            )


@given(
    shape=st.tuples(*(st.integers(1, n) for n in (2, 7, 7))),
    wanted=st.tuples(*[st.one_of(st.none(), st.integers(1, 9))] * 2),
)
def test_any_number_of_windows_is_torchs(shape, wanted):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(
        functional.adaptive_max_pool2d(x, wanted, True),
        F.adaptive_max_pool2d(x, wanted, True),
        strict=True,
    ):
        assert_close(ours, theirs)
    n = wanted[0] or 1
    assert_close(
        functional.adaptive_max_pool1d(x[0], n, True),
        F.adaptive_max_pool1d(x[0], n, True),
    )
    assert_close(
        functional.adaptive_avg_pool1d(x[0], n), F.adaptive_avg_pool1d(x[0], n)
    )


def test_what_does_not_fit_shows_the_shape():
    with pytest.raises(RuntimeError, match=r"\(2, 3\) windows.*\(4, 5\)"):
        functional.adaptive_avg_pool1d(torch.zeros(4, 5), (2, 3))
    with pytest.raises(ValueError, match=r"\(4, 5\)"):
        functional.adaptive_max_pool2d(torch.zeros(4, 5), 2)
