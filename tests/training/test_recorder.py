import json

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from groundup.training import Callback, Learner, Recorder

x = torch.randn(14, 4, generator=torch.Generator().manual_seed(0))
y = (x.sum(1) > 0).long()
batches = list(zip(x.split(6), y.split(6), strict=True))


class Halve(Callback):
    def after_step(self, run):
        run.optimizer.param_groups[0]["lr"] /= 2


def recorded(n_epochs=2, lr=0.4, valid=batches):
    torch.manual_seed(0)
    learn = Learner(
        nn.Linear(4, 2),
        batches,
        valid,
        optim=torch.optim.SGD,
        lr=lr,
        defaults=[Recorder(), Halve()],
    )
    learn.fit(n_epochs)
    return learn


def test_it_keeps_each_batch():
    recorder = recorded()[Recorder]
    assert recorder.lrs == [0.4 / 2**i for i in range(6)]
    assert recorder.counts == [6, 6, 2] * 2
    assert recorder.ends == [3, 6]
    assert all(isinstance(loss, float) for loss in recorder.losses)


def test_the_mean_loss_weighs_batches_by_their_examples():
    learn = recorded(n_epochs=1, lr=0.0)
    expected = F.cross_entropy(learn.model(x), y).item()
    row = learn[Recorder].rows[0]
    assert row["train_loss"] == pytest.approx(expected)
    assert row["valid_loss"] == pytest.approx(expected)


def test_without_validation_a_row_has_the_training_loss():
    assert recorded(valid=None)[Recorder].rows[0].keys() == {
        "epoch",
        "train_loss",
    }


def test_an_epoch_that_was_torn_has_no_row():
    class Break(Callback):
        def after_loss(self, run):
            if run.step == 4:
                raise KeyboardInterrupt

    learn = recorded(0)
    with pytest.raises(KeyboardInterrupt):
        learn.fit(3, [Break()])
    assert [row["epoch"] for row in learn[Recorder].rows] == [0]


def test_its_state_makes_another_recorder_the_same():
    one, other = recorded()[Recorder], Recorder()
    state = one.state_dict()
    json.dumps(state["rows"])
    other.load_state_dict(state)
    for name in ("losses", "lrs", "counts", "rows", "ends"):
        assert getattr(other, name) == getattr(one, name)


def test_plots_show_what_was_recorded():
    recorder = recorded()[Recorder]
    figure, (left, right) = plt.subplots(1, 2)
    recorder.plot_loss(left, smooth=2)
    recorder.plot_lr(right)
    training, validation = left.lines
    expected = [(a + b) / 2 for a, b in zip(*[iter(recorder.losses)] * 2)]
    assert training.get_ydata().tolist() == pytest.approx(expected)
    assert list(validation.get_xdata()) == [3, 6]
    assert list(right.lines[0].get_ydata()) == recorder.lrs
    plt.close(figure)
