"""Averages of weights while training: judged, resumed, and never trained."""

import pytest
import torch
from torch.optim import swa_utils as theirs
from torch.testing import assert_close

from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.norm import BatchNorm1d
from groundup.optim.sgd import SGD
from groundup.training.average import EMA
from groundup.training.callback import Callback, CancelFit
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from tests.training.small_run import assert_resumes_exactly, learner, loader


class Steps(Callback):
    """The weights after each step, and those that validation saw."""

    order = 50

    def __init__(self):
        self.steps, self.judged = [], []

    def after_step(self, run):
        self.steps.append(run.model.weight.detach().clone())

    def before_validation(self, run):
        self.judged.append(run.model.weight.detach().clone())


def mean_of(steps, decay: float):
    mean = steps[0]
    for step in steps[1:]:
        mean = decay * mean + (1 - decay) * step
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_validation_sees_the_averages_and_training_the_weights(decay):
    plain = learner(watch := Steps())
    plain.fit(3)
    learn = learner(EMA(decay), seen := Steps(), valid=loader())
    learn.fit(3)
    for one, other in zip(seen.steps, watch.steps, strict=True):
        assert torch.equal(one, other)
    for epoch, judged in enumerate(seen.judged, 1):
        assert_close(judged, mean_of(seen.steps[: 5 * epoch], decay))
    assert torch.equal(learn.model.weight, seen.judged[-1])
    assert_close(learn.evaluate(), learn.results)


def test_without_validation_the_averages_are_left_in_the_model():
    learn = learner(EMA(0.8), seen := Steps())
    learn.fit(2)
    assert_close(learn.model.weight, mean_of(seen.steps, 0.8))


class Ask(Callback):
    """Evaluates in the middle of an epoch."""

    def __init__(self, order):
        self.order = order

    def after_step(self, run):
        run.evaluate()


@pytest.mark.parametrize("order", [0, 20])
def test_an_evaluation_amid_an_epoch_changes_no_step(order):
    learn = learner(EMA(0.8), seen := Steps(), valid=loader())
    learn.fit(2)
    asked = learner(EMA(0.8), Ask(order), same := Steps(), valid=loader())
    asked.fit(2)
    assert torch.equal(asked.model.weight, learn.model.weight)
    assert torch.equal(same.judged[-1], seen.judged[-1])


class Stop(Callback):
    def after_step(self, run):
        if run.step == 7:
            raise CancelFit


def test_a_fit_that_is_left_leaves_the_averages_too():
    learn = learner(EMA(0.8), Stop(), seen := Steps())
    learn.fit(2)
    assert not torch.equal(learn.model.weight, seen.steps[-1])


def test_each_fit_has_its_own_average():
    learn = learner(EMA(0.8), seen := Steps())
    learn.fit(1)
    learn.fit(1)
    assert_close(learn.model.weight, mean_of(seen.steps[5:], 0.8))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_a_killed_run_goes_on_with_its_averages(decay, tmp_path):
    assert_resumes_exactly(lambda: EMA(decay), tmp_path)


def test_a_finished_run_that_is_resumed_keeps_the_averages(tmp_path):
    learn = learner(EMA(0.8), Checkpoint(tmp_path))
    learn.fit(2)
    again = learner(EMA(0.8), Checkpoint(tmp_path))
    with pytest.warns(RuntimeWarning, match="was over"):
        again.fit(2)
    assert torch.equal(again.model.weight, learn.model.weight)


class Keep(Callback):
    """Keeps the numbers after each step."""

    def before_fit(self, run):
        self.seen = []

    def after_step(self, run):
        tensors = (*run.model.parameters(), *run.model.buffers())
        self.seen.append([t.detach().clone() for t in tensors])


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.99, 1.0])
def test_weights_and_statistics_are_averaged_as_torchs_function_does(decay):
    torch.manual_seed(0)
    model = Sequential(Linear(6, 4), BatchNorm1d(4), Linear(4, 3))
    mirror = Keep()
    learn = Learner(
        model, loader(), optim=SGD, lr=0.1, defaults=[mirror, EMA(decay)]
    )
    learn.fit(2)
    update = theirs.get_ema_multi_avg_fn(decay)
    mean = mirror.seen[0]
    for step in mirror.seen[1:]:
        for old, new in zip(mean, step, strict=True):
            if old.is_floating_point():
                update([old], [new], None)
    kept = (*model.parameters(), *model.buffers())
    for one, other in zip(kept, mean, strict=True):
        if one.is_floating_point():
            assert torch.equal(one, other)
    assert model[1].num_batches_tracked == 10


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_is_a_share(decay):
    with pytest.raises(ValueError, match=str(decay)):
        EMA(decay)


def test_the_optimizer_keeps_its_weights():
    learn = learner(EMA(0.8), valid=loader())
    held = [*learn.model.parameters()]
    learn.fit(2)
    for one, other in zip(learn.model.parameters(), held, strict=True):
        assert one is other
