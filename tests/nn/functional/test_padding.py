"""Padding: torch is the judge, over its samples and at random."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn.functional import pad
from tests.nn.samples import DTYPES, check_samples

MODES = "constant", "reflect", "replicate", "circular"


@pytest.mark.earns("torch.nn.functional.pad")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pad_is_torchs(mode, dtype):
    names = {"replicate": ("replicate", "replicate_negative")}
    for variant in names.get(mode, (mode,)):
        check_samples(pad, "nn.functional.pad", dtype, variant)


@given(
    mode=st.sampled_from(MODES),
    shape=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    edges=st.lists(st.integers(-2, 6), min_size=2, max_size=2),
)
def test_one_axis_is_torchs_or_refused_by_both(mode, shape, edges):
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    kept = shape[-1] + sum(min(0, edge) for edge in edges)
    if mode == "circular" and max(edges) > kept:
        with pytest.raises(RuntimeError):  # torch reads what nobody wrote
            pad(x, edges, mode)
        return
    try:
        expected = F.pad(x, edges, mode)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            pad(x, edges, mode)
        return
    assert_close(pad(x, edges, mode), expected)


def test_any_axes_may_be_padded_and_integers_too():
    x = torch.arange(24).view(2, 3, 2, 2)
    edges = [1, 0, 0, 2, 1, 1, 0, 1]
    assert_close(pad(x, edges, value=7), F.pad(x, edges, value=7))


def test_what_does_not_fit_shows_the_shape():
    with pytest.raises(RuntimeError, match=r"\(-2, -2\) cuts more than the 3"):
        pad(torch.zeros(2, 3), (-2, -2))
    with pytest.raises(RuntimeError, match=r"\(3,\)"):
        pad(torch.zeros(3), (1, 1, 1, 1))
    with pytest.raises(NotImplementedError, match="'mirror'"):
        pad(torch.zeros(1, 3), (1, 1), "mirror")


def test_nothing_to_pad_is_a_copy():
    x = torch.zeros(3)
    assert pad(x, (0, 0)).data_ptr() != x.data_ptr()
