import csv
import math
import operator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from groundup.testing import assert_close
from groundup.training import (
    Accumulate,
    Callback,
    CancelTraining,
    ClipGradient,
    CSVLog,
    Device,
    EarlyStopping,
    FiniteLoss,
    Learner,
    Recorder,
    SaveBest,
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
    before = fitted(train=cut(22), n_epochs=0).model
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
        ([math.nan, 1, 2, 3, 0, 0], operator.lt, 4),  # nan is never the best
        ([1, math.nan, math.nan, 0, 0, 0], operator.gt, 3),
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
    learn = fitted(Device("meta"), train=cut(4), n_epochs=0)
    learn.model.to_empty(device="cpu")
    with pytest.raises(RuntimeError, match="[Mm]eta"):
        learn.evaluate(cut(4))
    assert learn.model.weight.is_meta


class PressKeys(Callback):
    order = 55  # after a batch that waits was counted

    def __init__(self, batch_idx):
        self.batch_idx = batch_idx

    def before_batch(self, run):
        if run.batch_idx == self.batch_idx:
            raise KeyboardInterrupt


def test_a_group_that_ctrl_c_left_is_not_gone_on_with():
    torch.manual_seed(0)
    learn = Learner(
        nn.Linear(4, 2),
        cut(4),
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Accumulate(3)],
    )
    with pytest.raises(KeyboardInterrupt):
        learn.fit(1, [PressKeys(2)])
    learn.fit(1)
    large = fitted(train=cut(12))
    assert_close(learn.model.weight.detach(), large.model.weight.detach())
    assert learn.step == large.step


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.booleans())
def test_groups_of_sequences_weigh_what_counts(sizes, weighted):
    """Ignored labels and class weights: the step of one large batch."""
    generator = torch.Generator().manual_seed(sum(sizes))
    inputs = torch.randn(sum(sizes), 4, generator=generator)
    labels = torch.randint(0, 2, (sum(sizes),), generator=generator)
    labels[torch.rand(len(labels), generator=generator) < 0.3] = -100
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    labels[starts] = 1  # something counts in each batch
    weight = torch.tensor([0.3, 2.0]) if weighted else None
    loss = nn.CrossEntropyLoss(weight)
    batches = list(zip(inputs.split(sizes), labels.split(sizes)))
    recorder = Recorder()
    small = fitted(Accumulate(len(sizes)), recorder, train=batches, loss=loss)
    large = fitted(train=[(inputs, labels)], loss=loss)
    assert_close(small.model.weight.detach(), large.model.weight.detach())
    whole = fitted(train=batches, n_epochs=0).model
    expected = loss(whole(inputs), labels).item()
    assert recorder.rows[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


class Stream:
    def __iter__(self):
        return iter(cut(4))


def test_a_stream_that_is_cut_ends_its_last_group():
    learn = Learner(
        nn.Linear(4, 2),
        Stream(),
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Accumulate(2)],
    )
    learn.fit(1, n_batches=5)
    assert learn.step == 3


def test_patience_begins_anew_with_a_fit():
    stop = EarlyStopping(patience=2)
    learn = fitted(Given([1, 2, 2, 2, 2, 2]), stop, train=cut(22), n_epochs=4)
    assert learn.epoch == 3
    learn.fit(2)
    assert learn.epoch == 5  # 2 is the second fit's best, and waits once


def test_the_best_weights_are_those_in_the_file(tmp_path):
    kept = []

    class Keep(Callback):
        def after_epoch(self, run):
            kept.append(run.model.weight.detach().clone())

    best = SaveBest(tmp_path / "best")
    values = [3, math.nan, 1, 2]
    learn = fitted(Given(values), Keep(), best, train=cut(4), n_epochs=4)
    assert not torch.equal(learn.model.weight, kept[2])
    learn.load(tmp_path / "best")
    assert torch.equal(learn.model.weight, kept[2]) and best.best == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    with pytest.raises(KeyError, match="cannot monitor 'f1'"):
        fitted(SaveBest(tmp_path / "b", "f1"), train=cut(22), valid=cut(22))


class BreakGradient(Callback):
    def before_step(self, run):
        if run.batch_idx == 5:
            run.model.weight.grad[0, 0] = math.nan


def test_a_broken_gradient_in_the_last_step_ends_the_fit():
    with pytest.raises(FloatingPointError, match="weight is not finite after"):
        fitted(FiniteLoss(), BreakGradient(), train=cut(4))


def test_elsewhere_losses_are_read_together():
    """As on a GPU, which is imitated by a loss that is not on the CPU."""

    class Elsewhere(Callback):
        order = -21

        def after_loss(self, run):
            value = run.loss if run.batch_idx != 1 else run.loss * math.nan
            run.loss = value

    class Far(FiniteLoss):
        def after_loss(self, run):
            self.losses.append(run.loss.detach())
            if len(self.losses) >= self.every:
                self._read(run)

    with pytest.raises(FloatingPointError, match="epoch 0, batch 1.*1 steps"):
        fitted(Elsewhere(), Far(every=3), train=cut(4))


def test_what_an_epoch_left_unread_is_forgotten():
    class Leave(Callback):
        def after_loss(self, run):
            if run.batch_idx == 1:
                raise CancelTraining

    finite = FiniteLoss()
    fitted(finite, Leave(), train=cut(4), n_epochs=2)
    assert len(finite.losses) <= 1


def test_a_loss_with_a_count_of_its_own_is_weighed_by_it():
    def loss(scores, labels):
        return F.cross_entropy(scores[:1], labels[:1]), 1

    recorder = Recorder()
    learn = fitted(recorder, train=cut(4), loss=loss, lr=0.0)
    losses = [loss(learn.model(a), b)[0].item() for a, b in cut(4)]
    assert recorder.counts == [1] * 6
    mean = sum(losses) / 6
    assert recorder.rows[0]["train_loss"] == pytest.approx(mean)


def test_rows_are_written_as_they_come(tmp_path):
    class Valid(Callback):
        order = -1

        def after_epoch(self, run):
            if run.epoch == 1:
                run.valid, run.results = (
                    (),
                    {"loss": 0.5, "note, with comma": 1.0},
                )

    log, seen = CSVLog(tmp_path / "log.csv"), []

    class Look(Callback):
        order = 20

        def after_epoch(self, run):
            with open(log.path) as file:
                seen.append(list(csv.DictReader(file)))

    learn = fitted(Recorder(), Valid(), log, Look(), train=cut(22), n_epochs=2)
    assert [len(rows) for rows in seen] == [1, 2]
    assert seen[1][1]["note, with comma"] == "1.0"
    assert (
        float(seen[1][0]["train_loss"]) == learn[Recorder].rows[0]["train_loss"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
