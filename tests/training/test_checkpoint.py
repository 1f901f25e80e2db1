import errno
import functools
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from groundup.training import (
    Callback,
    CancelFit,
    Checkpoint,
    CheckpointError,
    Learner,
    Recorder,
)

sys.path.insert(0, str(Path(__file__).parent))
import interrupted
from interrupted import At, final, run


def run_killed(forks, folder, point: str, n: int) -> int:
    process = forks.Process(
        target=interrupted.run_killed, args=(folder, point, n)
    )
    process.start()
    process.join(200)
    return process.exitcode


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    """Only a power failure would tell; test_saving and the killed ones sync."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory):
    """The end of an uninterrupted run, by its kind of loader."""

    @functools.cache
    def end(kind: str) -> bytes:
        folder = tmp_path_factory.mktemp("whole")
        run(folder, kind=kind)
        return final(folder)

    return end


@pytest.fixture
def whole(whole_of) -> bytes:
    return whole_of("tensors")


@pytest.mark.parametrize(
    ("point", "n"),
    [
        ("after_step", 1),  # before the first checkpoint
        ("after_loss", 9),
        ("before_step", 21),
        ("after_validation", 1),
        ("before_epoch", 3),
        ("fsync", 5),  # a file is half written
        ("replace", 8),  # written, not yet renamed
    ],
)
def test_a_killed_run_ends_where_the_uninterrupted_one_does(
    tmp_path, whole, forks, point, n
):
    assert run_killed(forks, tmp_path, point, n) == -signal.SIGKILL
    assert not list(tmp_path.glob("epoch-000003-*"))

    run(tmp_path)

    assert final(tmp_path) == whole


@pytest.mark.parametrize(
    ("name", "code"), [("SIGTERM", 128 + signal.SIGTERM), ("SIGINT", 1)]
)
def test_a_signal_waits_for_the_batch_and_loses_nothing(
    tmp_path, whole, forks, name, code
):
    status = run_killed(forks, tmp_path, name, 17)

    assert status in (code, -getattr(signal, name))
    assert max(tmp_path.iterdir()).name == (
        "epoch-000002-batch-00000006.safetensors"
    )
    run(tmp_path)
    assert final(tmp_path) == whole


class Killed(Exception):
    pass


def fail():
    raise Killed


@pytest.mark.parametrize("step", [3, 7, 10, 12, 20])
@pytest.mark.parametrize(
    "kind",
    [
        "tensors",
        "tensors, own generator",
        "ours",
        "torch's",
        "torch's, own generator",
        "list",
    ],
)
def test_every_loader_resumes_exactly(tmp_path, whole_of, kind, step):
    with pytest.raises(Killed):
        run(tmp_path, At("after_step", step, fail), kind=kind)

    run(tmp_path, kind=kind)

    assert final(tmp_path) == whole_of(kind)


def test_a_run_may_be_killed_again_and_again(tmp_path, whole):
    for n in (4, 6, 5):
        with pytest.raises(Killed):
            run(tmp_path, At("after_step", n, fail))
    run(tmp_path)
    assert final(tmp_path) == whole


def test_a_finished_run_is_not_run_again(tmp_path, whole):
    run(tmp_path)
    with_trap = run(tmp_path, At("before_batch", 1, fail))
    assert with_trap.epoch == 3 and final(tmp_path) == whole


def test_a_run_can_be_made_longer(tmp_path, whole):
    run(tmp_path, n_epochs=2)
    learn = run(tmp_path, n_epochs=3)
    assert learn.epoch == 3
    assert [row["epoch"] for row in learn[Recorder].rows] == [0, 1, 2]


def two_fits(folder, *more):
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 2)
    callbacks = [Checkpoint(folder, every=2)]
    train = interrupted.loader("tensors")
    learn = Learner(
        model, train, optim=torch.optim.SGD, lr=0.1, defaults=callbacks
    )
    learn.fit(1)
    learn.optimizer.param_groups[0]["lr"] = 0.01
    learn.fit(2, more)
    return learn


def test_a_script_with_two_fits_goes_on_in_the_second(tmp_path):
    whole = two_fits(tmp_path / "whole")
    with pytest.raises(Killed):
        two_fits(tmp_path / "parts", At("after_step", 20, fail))
    parts = two_fits(tmp_path / "parts")
    assert torch.equal(parts.model.weight, whole.model.weight)
    assert final(tmp_path / "parts") == final(tmp_path / "whole")
    assert parts.step == 39


@pytest.mark.parametrize("place", [3, 500, 2000, -1])
def test_one_flipped_bit_is_refused_and_the_one_before_offered(tmp_path, place):
    run(tmp_path)
    before, newest = sorted(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[place] ^= 1
    newest.write_bytes(data)

    with pytest.raises(CheckpointError, match="damaged") as error:
        run(tmp_path)

    assert newest.name in str(error.value) and before.name in str(error.value)
    newest.unlink()
    run(tmp_path)


def test_a_full_disk_costs_a_warning_and_no_checkpoint(
    tmp_path, whole, monkeypatch
):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if 5 <= len(calls) <= 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="No space left.*training goes on"):
        run(tmp_path)
    monkeypatch.undo()

    assert not list(tmp_path.glob("*.tmp"))
    assert final(tmp_path) == whole


def test_a_full_disk_keeps_the_last_checkpoints(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        run(tmp_path, At("after_step", 6, fail))
    kept = sorted(path.name for path in tmp_path.iterdir())

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    run(tmp_path / "a")
    with pytest.raises(Killed):
        run(tmp_path / "b", At("after_step", 2, fail))
    assert signal.getsignal(signal.SIGINT) is before


def test_only_as_many_files_are_kept_as_asked(tmp_path):
    run(tmp_path)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names == [
        "epoch-000002-batch-00000013.safetensors",
        "epoch-000003-batch-00000000.safetensors",
    ]


def test_other_callbacks_than_saved_are_named(tmp_path):
    run(tmp_path)
    learn = Learner(
        torch.nn.Linear(5, 2),
        [],
        optim=torch.optim.SGD,
        lr=1,
        defaults=[Checkpoint(tmp_path)],
    )
    with pytest.raises(
        CheckpointError, match=r"epoch.*Recorder.*put back with \[\]"
    ):
        learn.fit(3)


def test_a_cancelled_fit_goes_on_from_its_last_checkpoint(tmp_path, whole):
    class Stop(Callback):
        def after_step(self, run):
            if run.step == 9:
                raise CancelFit

    run(tmp_path, Stop())
    run(tmp_path)
    assert final(tmp_path) == whole
