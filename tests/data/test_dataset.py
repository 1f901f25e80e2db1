"""groundup.data.dataset: torch's datasets are the judge."""

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


@pytest.mark.earns("torch.utils.data.Dataset")
def test_a_dataset_of_two_methods_is_enough():
    found = []
    for library in BOTH:

        class Squares(library.Dataset[int]):
            def __getitem__(self, index):
                return index**2

            def __len__(self):
                return 4

        both = Squares() + Squares()
        assert isinstance(both, library.ConcatDataset)
        found.append([*items(both), both[-1]])
        with pytest.raises(NotImplementedError):
            library.Dataset()[0]
        with pytest.raises(TypeError):
            len(library.Dataset())
    assert_same(*found)


def test_a_dataset_that_fills_in_nothing_names_itself():
    class Empty(ours.Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no __getitem__"):
        Empty()[0]

    class Silent(ours.IterableDataset):
        pass

    with pytest.raises(NotImplementedError, match="Silent has no __iter__"):
        iter(Silent())


@pytest.mark.earns("torch.utils.data.TensorDataset")
@settings(deadline=None)
@given(n=st.integers(1, 6), shape=st.lists(st.integers(0, 3), max_size=2))
def test_tensor_dataset_gives_rows(n, shape):
    tensors = torch.rand(n, *shape), torch.arange(n)
    mine, yours = (each.TensorDataset(*tensors) for each in BOTH)
    assert_same(items(mine), items(yours))
    assert_same([*mine], [*yours])
    assert_same(mine[-1], yours[-1])
    assert_same(mine[1:], yours[1:])
    with pytest.raises(IndexError):
        mine[n]


def test_tensor_dataset_shows_lengths_that_differ():
    with pytest.raises(ValueError, match=r"differ \(0: 3, 1: 4\)"):
        ours.TensorDataset(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ValueError, match="at least one"):
        ours.TensorDataset()


@pytest.mark.earns("torch.utils.data.ConcatDataset")
@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_concat_dataset_finds_the_part(lengths):
    ends = torch.tensor(lengths).cumsum(0).tolist()
    parts = [range(end - n, end) for end, n in zip(ends, lengths, strict=True)]
    mine, yours = (each.ConcatDataset(iter(parts)) for each in BOTH)
    assert items(mine) == items(yours) == list(range(ends[-1]))
    assert mine.cumulative_sizes == yours.cumulative_sizes
    for i in range(1, ends[-1] + 1):
        assert mine[-i] == yours[-i]
    for i in (ends[-1], -ends[-1] - 1):
        with pytest.raises(IndexError, match=f"length {ends[-1]}"):
            mine[i]


def test_concat_dataset_refuses_what_it_cannot_index():
    class Stream(ours.IterableDataset):
        pass

    with pytest.raises(TypeError, match="Stream has no indices"):
        ours.ConcatDataset([Stream()])
    with pytest.raises(ValueError, match="at least one"):
        ours.ConcatDataset([])
