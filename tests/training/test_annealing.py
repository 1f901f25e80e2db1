"""Tests of groundup.training.annealing: rates in a run, and the finder."""

import copy
import math

import pytest
import torch
from torch.optim import Adam

from groundup.optim.schedule import constant, cosine, ramp
from groundup.training.annealing import Anneal, LRFinder, find_lr
from groundup.training.callback import Callback, CancelFit
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from tests.training.small_run import (
    Watch,
    assert_resumes_exactly,
    learner,
    loader,
    momentum_sgd,
    two_groups,
)


def test_a_schedule_runs_from_the_first_batch_to_the_last():
    watch = Watch()
    learner(Anneal(lr=ramp(1.0, 0.0)), watch).fit(2)
    expected = [1 - i / 9 for i in range(10)]
    assert watch.of("lr") == pytest.approx(expected, abs=1e-12)


def test_each_fit_has_a_progress_of_its_own_and_leaves_the_values():
    watch = Watch()
    learn = learner(Anneal(lr=ramp(1.0, 0.0), momentum=ramp(0.5, 0.7)), watch)
    for _ in range(2):
        learn.fit(1)
        assert learn.optimizer.param_groups[0]["lr"] == 0.1
        assert learn.optimizer.param_groups[0]["momentum"] == 0.9
    assert watch.of("lr") == pytest.approx([1, 0.75, 0.5, 0.25, 0] * 2)


def test_values_are_put_back_after_an_error_too():
    class Fail(Callback):
        def after_loss(self, run):
            raise RuntimeError("as asked")

    learn = learner(Anneal(lr=constant(7.0)), Fail())
    with pytest.raises(RuntimeError, match="as asked"):
        learn.fit(1)
    assert learn.optimizer.param_groups[0]["lr"] == 0.1


def test_groups_follow_schedules_of_their_own():
    watch = Watch()
    rates = [ramp(1.0, 0.0), constant(0.5)]
    learner(Anneal(lr=rates), watch, optim=two_groups).fit(1)
    assert watch.of("lr", 0) == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert watch.of("lr", 1) == [0.5] * 5


@pytest.mark.parametrize(
    "schedules, error",
    [
        ({"lr": [constant(1.0)] * 3}, ValueError),
        ({"speed": constant(1.0)}, KeyError),
    ],
)
def test_what_does_not_fit_the_optimizer_is_refused(schedules, error):
    with pytest.raises(error, match="3 values of lr for 2|'speed'"):
        learner(Anneal(**schedules), optim=two_groups).fit(1)


@pytest.mark.parametrize("optim", [momentum_sgd, Adam])
def test_one_cycle_moves_the_momentum_against_the_rate(optim):
    watch = Watch()
    learn = learner(Anneal.one_cycle(0.5, pct_start=0.5), watch, optim=optim)
    learn.fit(3)
    lrs = watch.of("lr")
    key = "betas" if optim is Adam else "momentum"
    momenta = [m[0] if optim is Adam else m for m in watch.of(key)]
    assert lrs[0] == pytest.approx(0.02) and max(lrs) == pytest.approx(0.5)
    assert lrs[-1] == pytest.approx(0.5 / 25e4)
    assert momenta[0] == pytest.approx(0.95)
    assert min(momenta) == momenta[lrs.index(max(lrs))] == pytest.approx(0.85)


def test_one_cycle_gives_groups_their_peaks_and_may_leave_the_momentum():
    watch = Watch()
    cycle = Anneal.one_cycle([0.5, 0.05], momentum=None)
    learner(cycle, watch, optim=two_groups).fit(2)
    ratios = [a / b for a, b in zip(watch.of("lr"), watch.of("lr", 1))]
    assert ratios == pytest.approx([10] * 10)
    assert watch.of("momentum") == [0] * 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: Anneal(lr=cosine(0.3, 0.0)),
        lambda: Anneal.one_cycle(0.3),
    ],
    ids=["anneal", "one cycle"],
)
def test_a_resumed_run_ends_bit_for_bit(make, tmp_path):
    assert_resumes_exactly(make, tmp_path)


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
        find_lr(learn)
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
    return find_lr(learner(Given()), **options)


def test_the_finder_stops_above_four_times_the_lowest_loss():
    finder = sweep([2.0, 1.0, 3.9, 4.1, 1.0, 1.0])
    assert finder.losses == pytest.approx([2.0, 1.0, 3.9, 4.1])


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


def test_a_run_stopped_early_has_its_values_back():
    class Stop(Callback):
        def after_step(self, run):
            raise CancelFit

    learn = learner(Anneal.one_cycle(0.3), Stop())
    learn.fit(2)
    group = learn.optimizer.param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.1, 0.9)
