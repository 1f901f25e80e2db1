"""Tests of groundup.training.lr_finder: its rules, and no trace of it."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import Adam

from groundup.training.annealing import Anneal
from groundup.training.callback import Callback
from groundup.training.callbacks import EarlyStopping, FiniteLoss
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from groundup.training.lr_finder import LRFinder, find_lr
from groundup.training.scheduler import Scheduler
from tests.training.small_run import (
    Watch,
    learner,
    loader,
    momentum_sgd,
    two_groups,
)


def everything(learn: Learner) -> dict:
    """What the finder must leave as it was."""
    return copy.deepcopy(
        {
            "model": learn.model.state_dict(),
            "optimizer": learn.optimizer.state_dict(),
            "recorder": learn.callbacks[0].state_dict(),
            "torch": torch.get_rng_state(),
            "loader": learn.train.generator.get_state(),
            "counters": [learn.epoch, learn.step, learn.fits],
            "results": dict(learn.results),
        }
    )


def assert_unchanged(before: dict, after: dict) -> None:
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("optim", [momentum_sgd, Adam, two_groups])
@pytest.mark.parametrize("trained", [0, 2])
@pytest.mark.parametrize("end", [0.5, 1e9])
def test_the_finder_leaves_no_trace(optim, trained, end):
    learn = learner(optim=optim, valid=loader())
    if trained:
        learn.fit(trained)
    before = everything(learn)
    finder = find_lr(learn, start=1e-4, end=end, n_steps=23)
    assert_unchanged(before, everything(learn))
    assert 0 < len(finder.losses) <= 23
    judge = learner(optim=optim, valid=loader())
    if trained:
        judge.fit(trained)
    for each in (learn, judge):
        each.fit(2)
    assert_unchanged(everything(judge), everything(learn))


def test_the_finder_leaves_no_trace_when_it_fails():
    class Fail(Callback):
        def before_step(self, run):
            if run.step == 3:
                raise RuntimeError("as asked")

    learn = learner(Fail())
    before, callbacks = everything(learn), learn.callbacks
    with pytest.raises(RuntimeError, match="as asked"):
        find_lr(learn, keep=[Fail])
    assert_unchanged(before, everything(learn))
    assert learn.callbacks is callbacks


def test_the_finder_sweeps_in_equal_ratios_and_keeps_those_of_groups():
    watch = Watch()
    finder = LRFinder(start=1e-3, end=1e-1, n_steps=5)
    learner(watch, optim=two_groups).fit(3, [finder])
    assert finder.lrs == pytest.approx([10 ** (i / 2 - 3) for i in range(5)])
    assert watch.of("lr") == pytest.approx(finder.lrs[:4])  # the last: no step
    assert watch.of("lr", 1) == pytest.approx([x / 10 for x in finder.lrs[:4]])


def sweep(losses: list[float], **options) -> LRFinder:
    """A finder that has seen these losses."""
    values = iter(losses)

    class Given(Callback):
        order = -200

        def after_loss(self, run):
            run.loss = run.loss * 0 + next(values)

    options = {"smoothing": 0.0, "n_steps": len(losses)} | options
    options["keep"] = [Given]
    return find_lr(learner(Given()), **options)


@pytest.mark.parametrize(
    ("losses", "seen"),
    [
        ([2.0, 1.0, 3.9, 4.1, 1.0, 1.0], 4),  # three times the lowest, above it
        ([5.0, 1.0, 12.9, 13.1, 1.0], 4),  # three times what it fell
        ([-1.0, -2.0, 3.9, 4.1, 1.0], 4),
        ([-1.0, -1.1, -1.2, -1.3, -1.4], 5),
        ([0.1, 0.0, -0.1, 0.4, 0.6, 0.0], 5),
    ],
)
def test_the_finder_stops_where_the_loss_climbs_three_times_as_high(
    losses, seen
):
    assert sweep(losses).losses == pytest.approx(losses[:seen])


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_the_finder_stops_at_a_loss_that_is_not_finite(bad):
    finder = sweep([2.0, 1.0, bad, 1.0])
    assert finder.losses == [2.0, 1.0] and len(finder.lrs) == 2


def test_the_suggestion_is_a_tenth_of_the_rate_at_the_lowest_loss():
    finder = sweep([2.0, 1.5, 1.0, 1.5, 2.0], start=1e-4, end=1.0)
    assert finder.suggestion == pytest.approx(1e-2 / 10)
    assert finder.plot().get_xscale() == "log"


def test_the_average_is_corrected_for_its_start():
    finder = sweep([3.0] * 8, smoothing=0.9)
    assert finder.losses == pytest.approx([3.0] * 8)


def test_without_a_sweep_there_is_no_suggestion():
    with pytest.raises(ValueError, match="no sweep"):
        _ = LRFinder().suggestion


def test_the_finder_writes_no_checkpoints(tmp_path):
    find_lr(learner(Checkpoint(tmp_path / "run", every=1)), n_steps=7)
    assert not (tmp_path / "run").exists()


def step_scheduler(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 1)


OTHERS = {
    "one cycle": lambda: Anneal.one_cycle(0.1),
    "early stopping": lambda: EarlyStopping("train_loss", patience=0),
    "scheduler": lambda: Scheduler(step_scheduler),
    "nan": FiniteLoss,
    "another sweep": LRFinder,
}


@settings(deadline=None, max_examples=12)
@given(st.sets(st.sampled_from(sorted(OTHERS))))
def test_the_sweep_is_the_same_whatever_else_the_learner_holds(names):
    alone = find_lr(learner(), n_steps=20)
    learn = learner(*(OTHERS[name]() for name in sorted(names)))
    before = everything(learn)
    finder = find_lr(learn, n_steps=20)
    assert_unchanged(before, everything(learn))
    assert (finder.lrs, finder.losses) == (alone.lrs, alone.losses)
