"""Tests of groundup.training.scheduler: ours and torch's, in a run."""

import pytest
import torch

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
