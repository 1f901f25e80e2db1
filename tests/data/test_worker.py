"""groundup.data.worker: what goes wrong in a worker is told whole."""

import random
import traceback

import numpy as np
import pytest
import torch
from torch.utils.data._utils.worker import _generate_state

from groundup import data as ours
from groundup.data import DataLoader
from groundup.data.worker import seed_worker
from tests.data.nested import assert_same


class Items:
    """Four items, one of which does something else."""

    def __init__(self, action=None):
        self.action = action

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 3 and self.action is not None:
            return self.action()
        return index


def draw():
    return [
        torch.rand(2),
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
    ]


@pytest.mark.parametrize("seed", [0, 5, 2**62 + 12345])
@pytest.mark.parametrize("worker", [0, 3])
def test_a_workers_seeds_are_torchs(seed, worker):
    seed_worker(seed, worker)
    ours = draw()
    torch.manual_seed(seed + worker)
    random.seed(seed + worker)
    np.random.seed(_generate_state(seed, worker))
    assert_same(ours, draw())


class Picky(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, *, path):
        super().__init__(f"cannot read {path}")


def fail():
    raise FileNotFoundError("3.jpg")


def fail_picky():
    raise Picky(path="3.jpg")


def test_an_items_error_comes_as_itself_with_its_traceback():
    batches = iter(DataLoader(Items(fail), 2, num_workers=2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(FileNotFoundError, match=r"3\.jpg") as caught:
        next(batches)
    first, told = caught.value.__notes__
    assert first == "while loading item 3 of a Items"
    assert told.startswith("\nin worker 1:\n\nTraceback")
    assert "test_worker.py" in told
    assert 'raise FileNotFoundError("3.jpg")' in told
    assert caught.value.__cause__ is None


def test_what_is_printed_ends_with_the_items_own_traceback():
    """As with torch: the last frame that is shown is the item's."""
    for library in (ours, torch.utils.data):
        with pytest.raises(FileNotFoundError) as caught:
            list(library.DataLoader(Items(fail), num_workers=1))
        text = "".join(traceback.format_exception(caught.value))
        assert text.rindex('File "') == text.rindex(f'File "{__file__}"')
        assert 'raise FileNotFoundError("3.jpg")' in text


def test_an_error_that_cannot_be_sent_comes_as_its_text():
    with pytest.raises(RuntimeError, match=r"Picky: cannot read 3\.jpg") as e:
        list(DataLoader(Items(fail_picky), num_workers=1))
    assert "while loading item 3" in e.value.__notes__[-1]


def test_a_batch_that_cannot_be_sent_is_an_error():
    loader = DataLoader(
        Items(lambda: lambda: 0), 2, num_workers=1, collate_fn=lambda x: x
    )
    with pytest.raises(Exception, match="lambda"):
        list(loader)


def test_an_error_in_worker_init_fn_says_which_worker():
    def start(worker):
        if worker == 1:
            raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk") as caught:
        list(DataLoader(Items(), num_workers=2, worker_init_fn=start))
    assert caught.value.__notes__[0] == "while starting worker 1"


def test_a_stream_that_cannot_begin_again_says_why():
    class Once(ours.IterableDataset):
        begun = False

        def __iter__(self):
            if self.begun:
                raise OSError("the tape is at its end")
            self.begun = True
            return iter(range(2))

    loader = DataLoader(Once(), num_workers=1, persistent_workers=True)
    assert len(list(loader)) == 2
    with pytest.raises(OSError, match="at its end") as caught:
        list(loader)
    assert caught.value.__notes__[0] == "while starting worker 0"


def test_large_indices_and_large_batches_do_not_block_each_other():
    class Wide(Items):
        def __getitem__(self, index):
            return "x" * 100_000

    batches = [["y" * 300_000]] * 8
    loader = DataLoader(Wide(), batch_sampler=batches, num_workers=1)
    assert len(list(loader)) == 8


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_every_start_method_works(method):
    torch.manual_seed(0)
    loader = DataLoader(
        Items(), 2, num_workers=1, multiprocessing_context=method
    )
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]


@pytest.mark.earns("torch.utils.data._utils.worker._worker_info")
def test_a_dataset_that_asks_torch_for_its_worker_is_told():
    def told(library):
        class Shares(library.IterableDataset):
            def __iter__(self):
                info = torch.utils.data.get_worker_info()
                return iter(range(info.id, 6, info.num_workers))

        return list(library.DataLoader(Shares(), None, num_workers=2))

    assert told(ours) == told(torch.utils.data) == list(range(6))
    assert torch.utils.data.get_worker_info() is None


def test_a_dataset_that_asks_us_is_told_in_torchs_loader():
    class Shares(torch.utils.data.IterableDataset):
        def __iter__(self):
            info = ours.get_worker_info()
            return iter(range(info.id, 6, info.num_workers))

    loader = torch.utils.data.DataLoader(Shares(), None, num_workers=2)
    assert list(loader) == list(range(6))
