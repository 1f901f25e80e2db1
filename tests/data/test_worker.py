"""groundup.data.worker: what goes wrong in a worker is told whole."""

import pytest
import torch

from groundup import data as ours
from groundup.data import DataLoader
from groundup.data.pool import WorkerTraceback


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
    assert caught.value.__notes__ == ["while loading item 3 of a Items"]
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "test_worker.py" in str(caught.value.__cause__)
    assert 'raise FileNotFoundError("3.jpg")' in str(caught.value.__cause__)


def test_an_error_that_cannot_be_sent_comes_as_its_text():
    with pytest.raises(RuntimeError, match=r"Picky: cannot read 3\.jpg") as e:
        list(DataLoader(Items(fail_picky), num_workers=1))
    assert "while loading item 3" in str(e.value.__cause__)


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
