"""Unfolding and folding: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn.functional import fold, unfold
from tests.nn.samples import DTYPES, check_samples


@pytest.mark.earns("torch.nn.functional.unfold")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unfold_is_torchs(dtype):
    assert check_samples(unfold, "nn.functional.unfold", dtype) >= 100


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.earns("torch.nn.functional.fold")
@settings(max_examples=200)
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=SIZES,
    dilation=SIZES,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    stride=SIZES,
    batched=st.booleans(),
    wrong=st.sampled_from([0, 0, 0, 1]),
)
def test_both_are_torchs_and_each_others_transpose(
    size, kernel, dilation, padding, stride, batched, wrong
):
    options = kernel, dilation, padding, stride
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, *size) if batched else (3, *size)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    try:
        expected = F.unfold(x, *options)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            unfold(x, *options)
        return
    columns = unfold(x.requires_grad_(), *options)
    assert_close(columns, expected)
    wide = expected.shape[-1] + wrong
    y = torch.randn((*expected.shape[:-1], wide), generator=generator).double()
    if wrong:
        for function in (fold, F.fold):
            with pytest.raises(RuntimeError):
                function(y, size, *options)
        return
    y.requires_grad_()
    together, theirs = fold(y, size, *options), F.fold(y, size, *options)
    assert_close(together, theirs)
    assert_close((columns * y).sum(), (x * together).sum())
    for ours, judge, leaf in (
        (columns, F.unfold(x, *options), x),
        (together, theirs, y),
    ):
        weight = torch.randn(judge.shape, generator=generator).double()
        assert_close(
            torch.autograd.grad(ours, leaf, weight),
            torch.autograd.grad(judge, leaf, weight),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_folding_keeps_the_type(dtype):
    columns = torch.arange(36.0, dtype=dtype).view(1, 9, 4)
    assert_close(fold(columns, 4, 3), F.fold(columns, (4, 4), 3))


def test_what_does_not_fit_shows_both_shapes():
    with pytest.raises(RuntimeError, match=r"9, 4\), got \(1, 8, 4\)"):
        fold(torch.zeros(1, 8, 4), 4, 3)
    with pytest.raises(RuntimeError, match=r"\(4, 4\)"):
        unfold(torch.zeros(4, 4), 3)
