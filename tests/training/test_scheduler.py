"""Tests of groundup.training.scheduler: ours and torch's, in a run."""

import pytest
import torch

from groundup.optim import SGD as OurSGD
from groundup.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from groundup.training.scheduler import Scheduler
from tests.training.small_run import (
    Watch,
    assert_resumes_exactly,
    learner,
    loader,
)


@pytest.mark.parametrize("package", ["ours", "theirs"])
def test_a_scheduler_steps_after_epochs_or_batches(package):
    kind = StepLR if package == "ours" else torch.optim.lr_scheduler.StepLR
    for each, expected in (
        ("epoch", [0.1] * 10 + [0.01] * 5),
        ("batch", [0.1] * 2 + [0.01] * 2 + [0.001]),
    ):
        watch = Watch()
        callback = Scheduler(lambda opt: kind(opt, 2), each)
        learner(callback, watch).fit(3)
        assert watch.of("lr")[: len(expected)] == pytest.approx(expected)


def test_a_plateau_steps_by_a_result():
    watch = Watch()
    callback = Scheduler(
        lambda opt: ReduceLROnPlateau(opt, "max", patience=0), metric="loss"
    )
    learn = learner(callback, watch, valid=loader())
    learn.fit(4)
    assert watch.of("lr")[-1] < 0.1  # the loss falls, and max was asked for


def test_a_scheduler_by_neither_is_refused():
    with pytest.raises(ValueError, match="'step'"):
        Scheduler(StepLR, "step")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Scheduler(lambda opt: StepLR(opt, 2, 0.5), "batch"),
        lambda: Scheduler(lambda opt: StepLR(opt, 1, 0.5)),
    ],
    ids=["each batch", "each epoch"],
)
def test_a_resumed_run_ends_bit_for_bit(make, tmp_path):
    assert_resumes_exactly(make, tmp_path)


THEIRS = torch.optim.lr_scheduler


@pytest.mark.parametrize("kind", [ReduceLROnPlateau, THEIRS.ReduceLROnPlateau])
@pytest.mark.parametrize("options", [{}, {"each": "batch", "metric": "loss"}])
def test_a_plateau_without_a_result_is_refused_at_once(kind, options):
    learn = learner(Scheduler(kind, **options), valid=loader())
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau steps .*metric="):
        learn.fit(1)
    assert learn.step == 0


@pytest.mark.parametrize("kind", [StepLR, THEIRS.StepLR])
def test_a_metric_is_not_taken_for_a_step(kind):
    callback = Scheduler(lambda opt: kind(opt, 2), metric="loss")
    with pytest.raises(ValueError, match="StepLR counts, and takes no 'loss'"):
        learner(callback, valid=loader()).fit(1)


def test_a_result_that_validation_does_not_give_is_named():
    callback = Scheduler(ReduceLROnPlateau, metric="valid_loss")
    with pytest.raises(KeyError, match=r"'valid_loss'.*gave \['loss'\]"):
        learner(callback, valid=loader()).fit(1)


def test_torchs_scheduler_on_our_optimizer_says_what_to_take():
    callback = Scheduler(lambda opt: THEIRS.StepLR(opt, 2))
    with pytest.raises(TypeError, match=r"SGD .*groundup\.optim\.lr_scheduler"):
        learner(callback, optim=OurSGD).fit(1)


def test_a_scheduler_in_place_of_its_maker_is_refused():
    made = StepLR(OurSGD([torch.zeros(1)], lr=1.0), 2)
    with pytest.raises(TypeError, match=r"lambda opt: StepLR\(opt, …\)"):
        Scheduler(made)


@pytest.mark.parametrize("kind", [StepLR, ReduceLROnPlateau])
def test_groups_that_came_later_are_named(kind):
    optimizer = OurSGD([torch.zeros(1)], lr=1.0)
    if kind is StepLR:
        step = StepLR(optimizer, 1).step
    else:
        plateau = ReduceLROnPlateau(optimizer, patience=-1, cooldown=0)
        step = lambda: plateau.step(1.0) or plateau.step(1.0)
    optimizer.add_param_group({"params": [torch.zeros(1)]})
    with pytest.raises(ValueError, match="2 parameter groups, and had 1"):
        step()
