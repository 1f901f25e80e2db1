"""groundup.data.fetch: errors that say which item, batches by indexing."""

import pytest
import torch

from groundup.data import DataLoader, TensorDataset
from groundup.data.collate import default_collate
from groundup.data.fetch import END, Job, load


class Broken:
    def __getitem__(self, index):
        if index == 3:
            raise FileNotFoundError("3.jpg")
        return index


def job(dataset, batched=True, collate=default_collate, **options):
    options = {"iterable": False, "drop_last": False} | options
    return Job(dataset, batched=batched, collate_fn=collate, **options)


def fetcher(*args, **options):
    return job(*args, **options).fetcher()


@pytest.mark.parametrize(("batched", "index"), [(True, [1, 3]), (False, 3)])
def test_an_error_says_which_item(batched, index):
    with pytest.raises(FileNotFoundError, match=r"3\.jpg") as caught:
        fetcher(Broken(), batched)(index)
    assert caught.value.__notes__ == ["while loading item 3 of a Broken"]


def test_an_error_in_collation_says_of_which_items():
    with pytest.raises(RuntimeError) as caught:
        fetcher([[1], [1, 2]])([0, 1])
    assert caught.value.__notes__ == ["while collating items [0, 1]"]


def test_an_error_in_getitems_shows_the_indices_shortened():
    class Many(Broken):
        def __getitems__(self, indices):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk") as caught:
        fetcher(Many())(list(range(1000)))
    (note,) = caught.value.__notes__
    assert note.startswith("while loading items [0, 1, ") and len(note) < 300


def test_getitems_is_asked_where_there_is_one():
    class Many:
        def __getitems__(self, indices):
            return [10 * i for i in indices]

    assert fetcher(Many())([1, 2]).tolist() == [10, 20]


def test_rows_of_a_tensor_dataset_are_indexed_at_once():
    dataset = TensorDataset(torch.rand(9, 2), torch.arange(9))
    rows = job(dataset)
    fast, plain = rows.fetcher(), rows.fetch
    assert fast == rows.rows
    for ours, theirs in zip(fast([4, 0, -1]), plain([4, 0, -1]), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(IndexError) as caught:
        fast([9])
    assert "items [9] of a TensorDataset" in caught.value.__notes__[0]


def test_rows_are_not_indexed_where_someone_has_a_say():
    class Own(TensorDataset):
        def __getitem__(self, index):
            return -1

    own = job(Own(torch.ones(2)))
    assert own.fetcher() == own.fetch
    collated = job(TensorDataset(torch.ones(2)), collate=len)
    assert collated.fetcher() == collated.fetch
    assert next(iter(DataLoader(Own(torch.ones(2))))).tolist() == [-1]


def test_an_iterable_ends_and_stays_ended():
    stream = job(range(3), iterable=True)
    fetch = stream.fetcher()
    assert fetch.func == stream.read
    assert fetch([None] * 2).tolist() == [0, 1]
    assert fetch([None] * 2).tolist() == [2]
    assert fetch([None] * 2) is END and fetch([None] * 2) is END
    fetch = fetcher(range(3), iterable=True, drop_last=True)
    assert fetch([None] * 2).tolist() == [0, 1]
    assert fetch([None] * 2) is END and fetch([None]) is END


def test_an_iterator_that_begins_again_stays_ended():
    class Again:
        given = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.given += 1
            if self.given % 2 == 0:
                raise StopIteration
            return self.given

    fetch = fetcher(Again(), iterable=True)
    assert fetch([None] * 2).tolist() == [1]
    assert fetch([None] * 2) is END


def test_load_gives_the_batches_of_the_indices():
    batches = load(job([5, 6, 7]), [[2, 0], [1]])
    assert [batch.tolist() for batch in batches] == [[7, 5], [6]]
    stream = job(range(3), iterable=True)
    batches = load(stream, [[None] * 2] * 9)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2]]
