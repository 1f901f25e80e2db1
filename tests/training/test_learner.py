import operator
from functools import reduce

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from groundup.training import (
    Accuracy,
    Callback,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelTraining,
    CancelValidation,
    Learner,
)
from groundup.training.callback import EVENTS

x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
y = (x.sum(1) > 0).long()
batches = list(zip(x.split(6), y.split(6), strict=True))  # 6, 6, 6, 2


class Tracer(Callback):
    def __init__(self):
        self.events = []


for event in EVENTS:
    setattr(Tracer, event, lambda t, run, event=event: t.events.append(event))


def learner(*callbacks, train=batches, valid=batches[:1], lr=0.1, **options):
    torch.manual_seed(0)
    options = {"optim": torch.optim.SGD, "lr": lr, **options}
    return Learner(nn.Linear(4, 2), train, valid, defaults=callbacks, **options)


def trace(*callbacks, n_epochs=1, **options):
    tracer = Tracer()
    learner(tracer, *callbacks, **options).fit(n_epochs)
    return tracer.events


def on(event, error, when=lambda run: True, order=0):
    def handle(self, run):
        if when(run):
            raise error

    return type("On", (Callback,), {event: handle, "order": order})()


def around(name, *inside):
    return [f"before_{name}", *inside, f"after_{name}"]


forward = ["after_predict", "after_loss"]
trained = around("batch", *forward, "before_step", "after_step")
validated = around("batch", *forward)


def test_events_come_in_order():
    training = around("training", *trained, *trained)
    epoch = around("epoch", *training, *around("validation", *validated))
    events = trace(train=batches[:2], n_epochs=2)
    assert events == around("fit", *epoch, *epoch)


def test_it_trains_as_a_bare_loop_does():
    loader = DataLoader(TensorDataset(x, y), 6, shuffle=True)
    learn = learner(train=loader, valid=None)
    torch.manual_seed(3)
    learn.fit(3)

    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(3)
    for _ in range(3):
        for input, target in loader:
            F.cross_entropy(model(input), target).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert torch.equal(learn.model.weight, model.weight)
    assert (learn.epoch, learn.step) == (3, 12)


def test_callbacks_are_called_by_their_order():
    calls = []

    def make(order):
        body = {"before_fit": lambda c, run: calls.append(order)}
        return type("C", (Callback,), {"order": order, **body})()

    learner(make(5), make(-1), make(2)).fit(0)
    assert calls == [-1, 2, 5]


@pytest.mark.parametrize("event", sorted([*trained[:4], "before_step"]))
def test_a_cancelled_batch_costs_only_itself(event):
    second = lambda run: run.training and run.batch_idx == 1
    events = trace(on(event, CancelBatch, second))
    assert events.count("after_cancel_batch") == 1
    assert events.count("after_step") == 3
    assert events.count("after_batch") == 4  # three, and validation's
    assert events[-2:] == ["after_epoch", "after_fit"]


@pytest.mark.parametrize(
    ("error", "level", "after"),
    [
        (CancelTraining, "training", "before_validation"),
        (CancelEpoch, "epoch", "before_epoch"),
        (CancelFit, "fit", None),
    ],
)
def test_a_level_is_cancelled_with_those_inside(error, level, after):
    first = lambda run: run.training and (run.epoch, run.batch_idx) == (0, 1)
    events = trace(on("after_loss", error, first), n_epochs=2)
    end = events.index(f"after_cancel_{level}")
    assert events[end - 1 if level == "training" else end].startswith(
        "after_cancel"
    )
    assert events[end + 1 : end + 2] == ([after] if after else [])
    inside = [e for e in events[: end + 1] if "cancel" in e]
    levels = ["batch", "training", "epoch", "fit"]
    expected = levels[: levels.index(level) + 1]
    assert inside == [f"after_cancel_{name}" for name in expected]


def test_a_cancelled_validation_counts_what_it_saw():
    second = lambda run: not run.training and run.batch_idx == 2
    learn = learner(
        on("before_batch", CancelValidation, second),
        valid=batches,
        metrics=[Accuracy()],
    )
    result = learn.evaluate()
    seen = x[:12], y[:12]
    loss = F.cross_entropy(learn.model(seen[0]), seen[1]).item()
    assert result["loss"] == pytest.approx(loss)


@pytest.mark.parametrize("event", sorted(EVENTS))
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_every_before_has_one_end_whatever_happens(event, error):
    tracer = Tracer()
    tracer.order = -1
    cancel = CancelEpoch if "cancel" in event else None
    causes = [on("after_predict", cancel)] if cancel else []
    learn = learner(tracer, *causes, on(event, error))
    if event in ("after_cancel_fit", "after_cancel_validation"):
        learn.fit(1)  # nothing cancels these here
        return
    with pytest.raises(error):
        learn.fit(1)
    for level in ("batch", "training", "validation", "epoch", "fit"):
        begun = tracer.events.count(f"before_{level}")
        ended = tracer.events.count(f"after_{level}")
        cancelled = tracer.events.count(f"after_cancel_{level}")
        assert begun == ended + cancelled


def test_after_an_interrupt_the_learner_goes_on():
    learn = learner(
        on("after_step", KeyboardInterrupt, lambda run: run.step == 6)
    )
    with pytest.raises(KeyboardInterrupt, match="epoch 1, batch 1; the model"):
        learn.fit(3)
    assert learn.epoch == 1 and learn.evaluate()["loss"] > 0
    learn.callbacks.clear()
    learn.fit(2)
    assert learn.epoch == 3 and learn.step == 6 + 8


def test_an_interrupt_before_the_step_leaves_no_gradient_behind():
    learn = learner(on("before_step", KeyboardInterrupt), lr=0.0)
    with pytest.raises(KeyboardInterrupt):
        learn.fit(1)
    learn.callbacks.clear()
    learn.fit(1, [on("before_step", CancelFit)])
    grads = learn.model.weight.grad.clone()
    loss = F.cross_entropy(learn.model(batches[0][0]), batches[0][1])
    (expected,) = torch.autograd.grad(loss, learn.model.weight)
    assert torch.allclose(grads, expected)


def test_metrics_of_unequal_batches_are_of_all_examples():
    learn = learner(valid=batches, metrics=[Accuracy()])
    scores = learn.model(x)
    result = learn.evaluate()
    assert result["accuracy"] == pytest.approx(
        (scores.argmax(1) == y).double().mean().item()
    )
    assert result["loss"] == pytest.approx(F.cross_entropy(scores, y).item())


def test_evaluating_does_not_train_and_leaves_the_mode():
    learn = learner()
    learn.model = nn.Sequential(nn.Dropout(0.9), learn.model)
    first, second = learn.evaluate(), learn.evaluate()
    assert first == second and learn.model.training
    assert learn.model[1].weight.grad is None


def test_predictions_come_in_the_order_of_the_loader():
    learn = learner()
    each = [learn.model(input).detach() for input, _ in batches]
    assert torch.equal(learn.predict(batches), torch.cat(each))


def test_a_callback_may_change_what_is_current():
    class Zero(Callback):
        def before_batch(self, run):
            run.input = torch.zeros_like(run.input)

    learn = learner(Zero())
    bias = learn.model.bias.detach()
    expected = bias.expand(20, 2)
    assert torch.equal(learn.predict(batches), expected)


def test_callbacks_of_one_fit_are_gone_after_it():
    tracer = Tracer()
    learn = learner()
    learn.fit(1, [tracer])
    seen = len(tracer.events)
    learn.fit(1)
    assert seen and len(tracer.events) == seen


def test_epochs_and_steps_count_over_fits():
    learn = learner()
    learn.fit(1)
    learn.fit(2)
    counts = (learn.epoch, learn.start_epoch, learn.step, learn.fits)
    assert counts == (3, 1, 12, 2)


def test_without_callbacks_no_handler_is_held():
    learn = learner()
    learn.fit(0)
    assert reduce(operator.add, learn._handlers.values()) == []


def test_the_defaults_record_check_and_show(capsys):
    learn = Learner(
        nn.Linear(4, 2), batches, batches, optim=torch.optim.SGD, lr=0.1
    )
    learn.fit(2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].split()[:2] == ["epoch", "train_loss"]
