"""Tests of groundup.training.annealing: hyperparameters in a run."""

import pytest
from torch.optim import Adam

from groundup.optim.schedule import constant, cosine, ramp
from groundup.training.annealing import Anneal
from groundup.training.callback import Callback, CancelFit
from tests.training.small_run import (
    Watch,
    assert_resumes_exactly,
    learner,
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


def test_a_run_stopped_early_has_its_values_back():
    class Stop(Callback):
        def after_step(self, run):
            raise CancelFit

    learn = learner(Anneal.one_cycle(0.3), Stop())
    learn.fit(2)
    group = learn.optimizer.param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.1, 0.9)
