"""groundup.data.parts: torch's datasets are the judge."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import data as theirs

from groundup import data as ours
from tests.data.nested import assert_same

BOTH = ours, theirs


def items(dataset):
    return [dataset[i] for i in range(len(dataset))]


@pytest.mark.earns("torch.utils.data.StackDataset")
def test_stack_dataset_puts_side_by_side():
    parts = range(4), "abcd"
    mine, yours = (each.StackDataset(*parts) for each in BOTH)
    assert_same(items(mine), items(yours))
    mine, yours = (each.StackDataset(x=[1, 2], y="ab") for each in BOTH)
    assert_same(items(mine), items(yours))
    with pytest.raises(ValueError, match="x: 1, y: 2"):
        ours.StackDataset(x="a", y="ab")
    with pytest.raises(ValueError, match="by position or by name"):
        ours.StackDataset("a", y="b")
    with pytest.raises(ValueError, match="at least one"):
        ours.StackDataset()


@pytest.mark.earns("torch.utils.data.Subset")
@settings(deadline=None)
@given(indices=st.lists(st.integers(-5, 4)))
def test_subset_takes_the_indices(indices):
    mine, yours = (each.Subset("hello", indices) for each in BOTH)
    assert_same(items(mine), items(yours))
    assert len(mine) == len(indices)


def test_a_list_of_indices_is_passed_on():
    rows = torch.rand(5, 2), torch.arange(5)
    found = []
    for library in BOTH:
        dataset = library.TensorDataset(*rows)
        part = library.Subset(dataset, [4, 2, 0, 1])
        both = library.Subset(library.StackDataset(part, part), [3, 0])
        found.append([part[[0, 1]], part[[-1]], part[[]], both[[1, 0]]])
    assert_same(*found)


@pytest.mark.earns("torch.utils.data.random_split")
@settings(deadline=None)
@given(
    n=st.integers(0, 30),
    shares=st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
@pytest.mark.filterwarnings("ignore")
def test_random_split_by_fractions_is_torchs(n, shares):
    fractions = [share / sum(shares) for share in shares]
    if sum(fractions) > 1:  # rounding: then neither takes them for fractions
        return
    found = [
        [
            part.indices
            for part in each.random_split(
                range(n), fractions, torch.Generator().manual_seed(3)
            )
        ]
        for each in BOTH
    ]
    assert found[0] == found[1]


def test_random_split_by_lengths_uses_the_global_generator():
    found = []
    for library in BOTH:
        torch.manual_seed(5)
        parts = library.random_split(range(10), [3, 0, 7])
        found.append([list(part) for part in parts] + [torch.rand(1)])
    assert_same(*found)


def test_random_split_refuses_lengths_that_do_not_fit():
    with pytest.raises(ValueError, match=r"up to 10, got \[3, 4\]"):
        ours.random_split(range(10), [3, 4])
    with pytest.raises(ValueError, match=r"no negative lengths, got \[-1, 11"):
        ours.random_split(range(10), [-1, 11])
    with pytest.warns(UserWarning, match=r"0\.1 of 4 is empty"):
        ours.random_split(range(4), [0.9, 0.1])
