"""groundup.data.sampler: torch's samplers, seed for seed, are the judge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import data as theirs

from groundup import data as ours
from tests.data.drawn import BOTH, check_same


@pytest.mark.earns("torch.utils.data.Sampler")
def test_a_sampler_is_an_iterator_of_indices():
    class Backwards(ours.Sampler[int]):
        def __iter__(self):
            return iter([2, 1, 0])

    loader = theirs.DataLoader("abc", sampler=Backwards())
    assert list(loader) == list(ours.DataLoader("abc", sampler=Backwards()))
    for library in BOTH:
        with pytest.raises((NotImplementedError, TypeError)):
            iter(library.Sampler())
        with pytest.raises(TypeError):
            len(library.Sampler())


@pytest.mark.earns("torch.utils.data.SequentialSampler")
@settings(deadline=None)
@given(n=st.integers(0, 20))
def test_sequential_sampler_counts(n):
    check_same(lambda library, _: library.SequentialSampler(range(n)))


@pytest.mark.earns("torch.utils.data.RandomSampler")
@settings(deadline=None)
@given(
    n=st.integers(1, 40),
    replacement=st.booleans(),
    num_samples=st.none() | st.integers(1, 100),
)
def test_random_sampler_draws_torchs_numbers(n, replacement, num_samples):
    check_same(
        lambda library, generator: library.RandomSampler(
            range(n), replacement, num_samples, generator
        )
    )


@pytest.mark.earns("torch.utils.data.BatchSampler")
@settings(deadline=None)
@given(n=st.integers(0, 20), batch_size=st.integers(1, 7), drop=st.booleans())
def test_batch_sampler_cuts_like_torchs(n, batch_size, drop):
    check_same(
        lambda library, _: library.BatchSampler(range(n), batch_size, drop)
    )


def test_batches_of_an_endless_sampler_come_one_by_one():
    from itertools import count

    batches = iter(ours.BatchSampler(count(), 2, True))
    assert [next(batches), next(batches)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.RandomSampler([]),
        lambda lib: lib.RandomSampler("ab", num_samples=0),
        lambda lib: lib.RandomSampler("ab", num_samples=1.5),
        lambda lib: lib.RandomSampler("ab", replacement="no"),
        lambda lib: lib.BatchSampler("ab", 0, False),
        lambda lib: lib.BatchSampler("ab", True, False),
        lambda lib: lib.BatchSampler("ab", 1, "no"),
    ],
)
def test_what_torch_refuses_is_refused(make):
    for library in BOTH:
        with pytest.raises((ValueError, TypeError)):
            make(library)


def test_errors_show_what_was_given():
    with pytest.raises(ValueError, match="positive integer batch_size, got 0"):
        ours.BatchSampler("ab", 0, False)
