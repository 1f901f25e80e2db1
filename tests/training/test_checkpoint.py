import contextlib
import errno
import functools
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundup import optim
from groundup.data import DataLoader
from groundup.training import (
    Callback,
    CancelFit,
    Checkpoint,
    CheckpointError,
    Learner,
    Recorder,
    Scheduler,
    read_checkpoint,
    write_checkpoint,
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
    with pytest.warns(RuntimeWarning, match="fit 1 was over, nothing"):
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
    handler = signal.getsignal(signal.SIGINT)
    with (
        pytest.warns(RuntimeWarning, match="No space left.*training goes on"),
        pytest.raises(OSError, match="No space left"),
    ):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    assert signal.getsignal(signal.SIGINT) is handler


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
        "epoch-000003-batch-00000000-fit-0001.safetensors",
    ]


@pytest.mark.parametrize("options", [{"keep": 0}, {"every": 0}, {"keep": -1}])
def test_nothing_to_keep_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        Checkpoint(tmp_path, **options)


def test_a_finished_script_of_two_fits_finds_its_results_again(tmp_path):
    def script(n_fits: int) -> list:
        torch.manual_seed(0)
        learn = Learner(
            torch.nn.Linear(5, 2),
            interrupted.loader("tensors"),
            optim=torch.optim.SGD,
            lr=0.1,
            defaults=[Checkpoint(tmp_path, every=2)],
        )
        weights = []
        for _ in range(n_fits):
            learn.fit(1)
            weights.append(learn.model.weight.detach().clone())
        return weights

    first = script(2)
    for n_fits in (1, 2):
        with pytest.warns(RuntimeWarning, match="was over"):
            again = script(n_fits)
        for one, other in zip(again, first, strict=False):
            assert torch.equal(one, other)


class Ruin(Callback):
    def after_step(self, run):
        if run.step == 7:
            run.model[0].weight.data[0, 0] = torch.nan


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path):
    with pytest.raises(FloatingPointError, match="not finite"):
        run(tmp_path, Ruin())
    for path in tmp_path.iterdir():
        state = read_checkpoint(path)["model"]
        assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("kind", ["torch", "ours"])
def test_a_batch_sampler_whose_sampler_has_a_generator(tmp_path, kind):
    def learner(*callbacks):
        torch.manual_seed(0)
        data = torch.utils.data.TensorDataset(
            torch.randn(40, 5), torch.arange(40) % 2
        )
        own = torch.Generator().manual_seed(1)
        sampler = torch.utils.data.RandomSampler(data, generator=own)
        batches = torch.utils.data.BatchSampler(sampler, 4, False)
        make = torch.utils.data.DataLoader if kind == "torch" else DataLoader
        return Learner(
            torch.nn.Linear(5, 2),
            make(data, batch_sampler=batches),
            optim=torch.optim.SGD,
            lr=0.1,
            defaults=callbacks,
        )

    whole = learner()
    whole.fit(3)
    with pytest.raises(Killed):
        learner(Checkpoint(tmp_path, every=1)).fit(
            3, [At("after_step", 17, fail)]
        )
    parts = learner(Checkpoint(tmp_path, every=1))
    parts.fit(3)
    assert torch.equal(parts.model.weight, whole.model.weight)


def test_torchs_cyclic_rate_resumes(tmp_path):
    def cyclic(optimizer):
        return torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, 5)

    def learner(*callbacks):
        torch.manual_seed(0)
        return Learner(
            torch.nn.Linear(5, 2),
            interrupted.loader("tensors"),
            optim=lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9),
            lr=0.1,
            defaults=[Scheduler(cyclic, each="batch"), *callbacks],
        )

    whole = learner()
    whole.fit(2)
    with pytest.raises(Killed):
        learner(Checkpoint(tmp_path, every=1)).fit(
            2, [At("after_step", 17, fail)]
        )
    parts = learner(Checkpoint(tmp_path, every=1))
    parts.fit(2)
    assert torch.equal(parts.model.weight, whole.model.weight)


def nodes(tree, path=()):
    """The places of a tree."""
    yield path
    items = tree.items() if isinstance(tree, dict) else ()
    if isinstance(tree, list | tuple):
        items = enumerate(tree)
    for key, value in items:
        yield from nodes(value, (*path, key))


def mutated(tree, path, value):
    """The tree with another value at a place, or without what was there."""
    if not path:
        return value
    key, *rest = path
    items = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    if not rest and value is DROPPED:
        del items[key]
    else:
        items[key] = mutated(items[key], rest, value)
    return items if isinstance(tree, dict) else type(tree)(items.values())


DROPPED = object()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The state of a run that was killed in its second epoch."""
    folder = tmp_path_factory.mktemp("sound")
    with pytest.raises(Killed):
        run(folder, At("after_step", 20, fail))
    path = max(folder.iterdir())
    return path.name, read_checkpoint(path)


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_forged_checkpoint_ends_in_one_kind_of_error(sound, data):
    name, state = sound
    own = {"callbacks", "results", "optimizer"}  # others' to judge
    places = [p for p in nodes(state) if p and (p[0] not in own or not p[1:])]
    path = data.draw(st.sampled_from(places))
    values = [DROPPED, None, -1, 1e300, "x", [], {}, torch.zeros(3)]
    forged = mutated(state, path, data.draw(st.sampled_from(values)))
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder) / name, forged)
        try:
            run(Path(folder))
        except CheckpointError as error:
            assert name in str(error)


def test_other_callbacks_than_saved_are_named(tmp_path):
    run(tmp_path)
    learn = Learner(
        torch.nn.Linear(5, 2),
        [],
        optim=torch.optim.Adam,
        lr=1,
        defaults=[Checkpoint(tmp_path)],
    )
    with pytest.raises(
        CheckpointError, match=r"epoch.*Recorder.*put back with \[\]"
    ):
        learn.fit(3)


def one_fit(folder, optimizer, n_epochs):
    batches = [(torch.ones(4, 5), torch.zeros(4, dtype=torch.long))]
    model, last = torch.nn.Linear(5, 2), Checkpoint(folder)
    learn = Learner(model, batches, optim=optimizer, lr=0.1, defaults=[last])
    learn.fit(n_epochs)
    return learn


def test_another_optimizer_than_saved_is_named(tmp_path):
    one_fit(tmp_path, optim.SGD, 1)
    with pytest.raises(
        CheckpointError, match="optimizer SGD, put back in Adam"
    ):
        one_fit(tmp_path, optim.Adam, 2)
    assert one_fit(tmp_path, torch.optim.SGD, 2).step == 2  # of the same name


def test_a_cancelled_fit_goes_on_from_its_last_checkpoint(tmp_path, whole):
    class Stop(Callback):
        def after_step(self, run):
            if run.step == 9:
                raise CancelFit

    run(tmp_path, Stop())
    run(tmp_path)
    assert final(tmp_path) == whole


RATES = {
    "cyclic": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 5),
    "steps": lambda o: torch.optim.lr_scheduler.StepLR(o, 7),
    "ours": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 39),
}
EVENTS = ["after_loss", "before_step", "after_step", "after_batch"]


def rated_run(folder, kind: str, rate: str, every: int, *more) -> Learner:
    """Three epochs with noise, momentum and a schedule."""
    train = interrupted.loader(kind)
    torch.manual_seed(0)
    random.seed(1)
    np.random.seed(2)
    learn = Learner(
        torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4)),
        train,
        optim=lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9),
        lr=0.1,
        defaults=[
            Recorder(),
            interrupted.Noise(),
            Scheduler(RATES[rate], each="batch"),
            Checkpoint(folder, every=every),
        ],
    )
    learn.fit(3, more)
    return learn


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(interrupted.KINDS),
    rate=st.sampled_from(sorted(RATES)),
    every=st.integers(1, 9),
    crashes=st.lists(
        st.tuples(st.sampled_from(EVENTS), st.integers(1, 30)), max_size=3
    ),
)
def test_a_run_that_crashes_anywhere_ends_where_the_whole_one_does(
    kind, rate, every, crashes
):
    with tempfile.TemporaryDirectory() as root:
        whole, parts = Path(root, "whole"), Path(root, "parts")
        rated_run(whole, kind, rate, every)
        for event, n in crashes:
            with contextlib.suppress(Killed):
                rated_run(parts, kind, rate, every, At(event, n, fail))
        rated_run(parts, kind, rate, every)
        assert final(parts) == final(whole)
