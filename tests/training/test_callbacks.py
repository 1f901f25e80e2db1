import math
import operator

import pytest
import torch
from torch import nn

from groundup.testing import assert_close
from groundup.training import (
    Accumulate,
    Callback,
    ClipGradient,
    Device,
    EarlyStopping,
    FiniteLoss,
    Learner,
    Recorder,
)

x = torch.randn(22, 4, generator=torch.Generator().manual_seed(0))
y = (x.sum(1) > 0).long()


def cut(size):
    return list(zip(x.split(size), y.split(size), strict=True))


def fitted(*callbacks, train, n_epochs=1, **options):
    torch.manual_seed(0)
    options = {"optim": torch.optim.SGD, "lr": 0.1, **options}
    learn = Learner(nn.Linear(4, 2), train, defaults=callbacks, **options)
    learn.fit(n_epochs)
    return learn


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_accumulated_batches_step_as_one_large_batch(n_epochs):
    # batches of 4 4 4 | 4 4 2 against 12 | 10
    small = fitted(Accumulate(3), train=cut(4), n_epochs=n_epochs)
    large = fitted(train=cut(12), n_epochs=n_epochs)
    assert small.step == large.step
    assert_close(small.model.weight.detach(), large.model.weight.detach())


def test_the_last_batches_of_an_epoch_are_not_left_over():
    small = fitted(Accumulate(4), train=cut(4))
    assert small.step == 2 and small.model.weight.grad is None


def test_accumulation_leaves_the_loss_as_it_is():
    recorder = Recorder()
    fitted(recorder, Accumulate(3), train=cut(4))
    plain = Recorder()
    fitted(plain, train=cut(4), lr=0.0)
    assert recorder.losses[:3] == plain.losses[:3]


def test_clipping_bounds_the_step():
    learn = fitted(ClipGradient(1e-3), train=cut(22), lr=1.0)
    before = fitted(train=[]).model
    pairs = zip(learn.model.parameters(), before.parameters(), strict=True)
    step = torch.cat([(a - b).detach().flatten() for a, b in pairs])
    assert_close(step.norm().item(), 1e-3, rtol=2e-3)
    assert learn[ClipGradient].norm > 1e-3


class Poison(Callback):
    def before_batch(self, run):
        if (run.epoch, run.batch_idx) == (1, 2):
            run.input = run.input * math.inf


def test_a_loss_that_is_not_finite_stops_with_its_place():
    message = r"loss is nan in epoch 1, batch 2 \(learning rate 0\.1\)"
    keep = []

    class Keep(Callback):
        def after_step(self, run):
            keep.append(run.model.weight.detach().clone())

    torch.manual_seed(0)
    learn = Learner(
        nn.Linear(4, 2),
        cut(4),
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Poison(), FiniteLoss(), Keep()],
    )
    with pytest.raises(FloatingPointError, match=message):
        learn.fit(3)
    assert torch.equal(learn.model.weight, keep[-1])
    assert torch.isfinite(learn.model.weight).all()


class Given(Callback):
    """Validation results as told."""

    def __init__(self, values):
        self.values = values

    def after_epoch(self, run):
        run.results = {"loss": self.values[run.epoch]}


@pytest.mark.parametrize(
    ("values", "better", "n_epochs"),
    [
        ([3, 2, 1, 0.5, 0.4, 0.3], operator.lt, 6),
        ([3, 2, 2.5, 2.0, 0.0, 0.0], operator.lt, 4),  # equal is not better
        ([3, 4, 3, 5, 4, 4], operator.gt, 6),
        ([math.nan, 1, 2, 3, 0, 0], operator.lt, 3),
    ],
)
def test_it_stops_when_nothing_gets_better(values, better, n_epochs):
    stop = EarlyStopping(patience=2, better=better)
    learn = fitted(Given(values), stop, train=cut(22), n_epochs=6)
    assert learn.epoch == n_epochs


def test_after_an_early_stop_more_can_be_asked_for():
    stop = EarlyStopping(patience=1)
    learn = fitted(Given([1, 1, 1, 0, 1, 1]), stop, train=cut(22), n_epochs=5)
    assert learn.epoch == 2
    learn.fit(1)
    assert learn.epoch == 3


def test_a_monitor_that_does_not_exist_is_named():
    with pytest.raises(KeyError, match="cannot monitor 'f1'.*'loss'"):
        fitted(EarlyStopping("f1"), train=cut(22), valid=cut(22), metrics=[])


def test_model_and_batches_are_moved_before_anybody_sees_them():
    seen = []

    class Look(Callback):
        order = -25

        def before_batch(self, run):
            devices = run.input.device.type, run.target.device.type
            seen.append((*devices, run.model.weight.device.type))
            raise StopIteration

    with pytest.raises(StopIteration):
        fitted(Device("meta"), Look(), train=cut(4))
    assert seen == [("meta", "meta", "meta")]


def test_evaluating_moves_the_model_too():
    learn = fitted(Device("meta"), train=[])
    learn.model.to_empty(device="cpu")
    with pytest.raises(RuntimeError, match="[Mm]eta"):
        learn.evaluate(cut(4))
    assert learn.model.weight.is_meta
