"""groundup.data.choice: torch's samplers, seed for seed, are the judge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup import data as ours
from tests.data.drawn import BOTH, check_same


@pytest.mark.earns("torch.utils.data.SubsetRandomSampler")
@settings(deadline=None)
@given(indices=st.lists(st.integers(0, 9)))
def test_subset_random_sampler_draws_torchs_numbers(indices):
    check_same(
        lambda library, generator: library.SubsetRandomSampler(
            indices, generator
        )
    )


@pytest.mark.earns("torch.utils.data.WeightedRandomSampler")
@settings(deadline=None)
@given(
    weights=st.lists(st.floats(0.1, 9), min_size=3, max_size=9),
    replacement=st.booleans(),
)
def test_weighted_random_sampler_draws_torchs_numbers(weights, replacement):
    check_same(
        lambda library, generator: library.WeightedRandomSampler(
            weights, 3, replacement, generator
        )
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.WeightedRandomSampler([1.0], 0),
        lambda lib: lib.WeightedRandomSampler([[1.0]], 1),
        lambda lib: lib.WeightedRandomSampler([1.0], 1, replacement=1),
    ],
)
def test_what_torch_refuses_is_refused(make):
    for library in BOTH:
        with pytest.raises((ValueError, TypeError)):
            make(library)


def test_errors_show_what_was_given():
    with pytest.raises(ValueError, match=r"shape \(n,\), got \(1, 2\)"):
        ours.WeightedRandomSampler([[1.0, 2.0]], 1)
