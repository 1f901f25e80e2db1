import pytest
import torch

from groundup import nn
from groundup.inside.hooks import watch_gradients
from groundup.inside.statistics import Statistics
from groundup.inside.watch import Watch
from groundup.training.callback import Callback
from groundup.training.learner import Learner


def learner(*callbacks):
    torch.manual_seed(0)
    batches = [(torch.randn(8, 3), torch.randint(2, (8,))) for _ in range(4)]
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return Learner(
        model,
        batches,
        batches[:3],
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[],
        callbacks=callbacks,
    )


def is_clean(learn):
    return not any(m._hooks or m._pre_hooks for m in learn.model.modules())


def test_training_batches_are_recorded_and_no_others():
    stats = Statistics(every=2)
    learn = learner(Watch(stats))
    learn.fit(2)
    learn.evaluate()
    assert stats.n_seen == {"0": 8, "1": 8, "2": 8}
    assert stats.series("2", "step").tolist() == [0, 2, 4, 6]
    assert is_clean(learn)


def test_gradients_of_chosen_modules_are_recorded():
    stats = Statistics()
    learn = learner(Watch(stats, watch_gradients))
    chosen = {"last": learn.model[2]}
    learn.callbacks[-1].modules = chosen
    learn.fit(1)
    assert stats.n_seen == {"last": 4}


def test_watching_changes_nothing():
    plain, watched = learner(), learner(Watch(Statistics()))
    for learn in (plain, watched):
        learn.fit(2)
    for a, b in zip(
        plain.model.parameters(), watched.model.parameters(), strict=True
    ):
        assert a.equal(b)


@pytest.mark.parametrize("event", ["before_fit", "after_loss", "before_epoch"])
@pytest.mark.parametrize("order", [-1, 1])
def test_hooks_come_off_when_a_fit_fails(event, order):
    def fail(self, run):
        raise ZeroDivisionError

    failing = type("Failing", (Callback,), {event: fail, "order": order})
    learn = learner(Watch(Statistics()), failing())
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
    assert is_clean(learn)
