"""Standardize: statistics of the fitting data, kept and moved as buffers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn import Standardize


@given(
    channels=st.integers(1, 4),
    sizes=st.lists(st.integers(2, 5), max_size=3),
    seed=st.integers(0, 99),
)
def test_the_fitting_data_gets_mean_0_and_deviation_1(channels, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, channels, *sizes, generator=generator) * 3 + 7
    y = Standardize.of(x)(x)
    assert y.dtype == x.dtype and y.shape == x.shape
    rows = y.movedim(1, 0).flatten(1)
    assert_close(rows.mean(1), torch.zeros(channels), atol=1e-3, rtol=0)
    assert_close(rows.std(1), torch.ones(channels), atol=1e-3, rtol=0)


def test_other_data_is_judged_by_the_same_numbers():
    standardize = Standardize.of(torch.tensor([[0.0, 1.0], [2.0, 5.0]]))
    other = standardize(torch.tensor([[1.0, 3.0], [2.0, 3.0]]))
    assert_close(other[0], torch.zeros(2))
    assert_close(other[1, 0].item(), 1 / 2**0.5)


def test_the_numbers_are_saved_and_loaded():
    first, second = Standardize([0.3], [0.2]), Standardize([0.0], [1.0])
    second.load_state_dict(first.state_dict())
    x = torch.rand(2, 1, 3, 3)
    assert torch.equal(first(x), second(x))
    assert not list(first.parameters())
    assert repr(second).startswith("Standardize(mean=[0.3")


def test_bad_input_is_refused_with_what_it_was():
    with pytest.raises(ValueError, match="2 means, 1 deviations"):
        Standardize([0.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="0.0"):
        Standardize([0.0], [0.0])
    for shape in ((2, 3, 4, 4), (4,)):
        with pytest.raises(RuntimeError, match=f"1 channels.*{shape[0]}"):
            Standardize([0.0], [1.0])(torch.zeros(shape))
