import operator
from collections import Counter
from functools import partial, reduce

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from groundup.data import TensorLoader
from groundup.optim import SGD, Adam, CombinedOptimizer
from groundup.training import (
    Accuracy,
    Anneal,
    Callback,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelTraining,
    CancelValidation,
    Checkpoint,
    Learner,
    Recorder,
    find_lr,
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


# Events: who began has one end


LEVELS = ("batch", "training", "validation", "epoch", "fit")
CANCELS = [
    CancelBatch,
    CancelTraining,
    CancelValidation,
    CancelEpoch,
    CancelFit,
]
trouble = st.tuples(
    st.sampled_from(sorted(EVENTS)),
    st.sampled_from([*CANCELS, ZeroDivisionError, KeyboardInterrupt]),
    st.integers(0, 2),  # which callback raises
    st.integers(0, 3),  # at its how manieth time
)


class Troubled(Callback):
    """Notes what it hears, and raises as told."""

    def __init__(self, place, troubles):
        self.order, self.heard, self.times = place, [], Counter()
        self.troubles = {
            (e, n): error for e, error, p, n in troubles if p == place
        }

    def hear(self, event):
        n = self.times[event]
        self.times[event] += 1
        error = self.troubles.get((event, n))
        failed = error is not None
        self.heard.append((event, failed))
        if failed:
            raise error


for event in EVENTS:
    setattr(Troubled, event, lambda c, run, event=event: c.hear(event))


@settings(deadline=None, max_examples=150)
@given(st.lists(trouble, max_size=4))
def test_what_began_ends_once_for_every_callback_whatever_is_raised(troubles):
    callbacks = [Troubled(place, troubles) for place in range(3)]
    learn = learner(*callbacks, train=batches[:2], valid=batches[:2])
    try:
        learn.fit(2)
    except (ZeroDivisionError, KeyboardInterrupt, RuntimeError):
        pass
    for callback in callbacks:
        open_levels = []
        for event, failed in callback.heard:
            when, _, level = event.rpartition("_")
            if level not in LEVELS:
                continue
            if when == "before":
                if not failed:  # a level whose beginning fails has not begun
                    open_levels.append(level)
            else:
                assert open_levels.pop() == level, callback.heard
        assert open_levels == [], callback.heard
    learn.callbacks = [tracer := Tracer()]
    learn.fit(1)  # and it can go on
    assert tracer.events[-1] == "after_fit"


def test_those_behind_an_error_at_the_end_hear_that_it_was_cancelled():
    first, last = Tracer(), Tracer()
    first.order, last.order = -1, 1
    learn = learner(first, last, on("after_batch", ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
    assert first.events[-4:] == [
        "after_batch",
        *[f"after_cancel_{level}" for level in ("training", "epoch", "fit")],
    ]
    assert last.events[-4] == "after_cancel_batch"


def test_who_has_not_begun_has_no_end():
    first, last = Tracer(), Tracer()
    first.order, last.order = -1, 1
    learn = learner(first, last, on("before_epoch", CancelEpoch))
    learn.fit(1)
    assert first.events == around("fit", "before_epoch", "after_cancel_epoch")
    assert last.events == ["before_fit", "after_fit"]


@pytest.mark.parametrize("event", ["before_epoch", "after_epoch"])
def test_an_epoch_may_be_cancelled_at_its_end(event):
    learn = learner(on(event, CancelEpoch))
    learn.fit(2)
    assert learn.epoch == 2


def test_the_gravest_of_several_decides():
    wide = on("after_cancel_batch", CancelFit, order=1)
    learn = learner(on("after_loss", CancelBatch), wide)
    learn.fit(3)
    assert learn.epoch == 0
    with pytest.raises(KeyboardInterrupt):
        learner(
            on("after_loss", KeyboardInterrupt),
            on("after_cancel_batch", CancelBatch),
        ).fit(1)


def test_a_cancel_with_nothing_to_leave_is_told():
    learn = learner(on("before_epoch", CancelBatch))
    with pytest.raises(RuntimeError, match="CancelBatch in epoch 0.*nothing"):
        learn.fit(1)


# Modes, and evaluating inside of a fit


def with_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def test_a_frozen_layer_stays_frozen():
    learn = learner()
    learn.model = with_norm()
    learn.model[0].eval()
    mean = learn.model[0].running_mean.clone()
    learn.fit(2)
    modes = [module.training for module in learn.model.modules()]
    assert modes == [True, False, True, True]
    assert torch.equal(learn.model[0].running_mean, mean)


def test_a_model_left_in_evaluation_mode_is_trained_in_training_mode():
    learn = learner()
    learn.model = with_norm().eval()
    learn.fit(1)
    assert all(module.training for module in learn.model.modules())


class Look(Callback):
    """Evaluates or predicts in the middle of things."""

    def __init__(self, event, act):
        self.act, self.before, self.after = act, [], []

        def handle(run):
            if run.training or event == "after_epoch":
                self.before.append(self.current(run))
                act(run)
                self.after.append(self.current(run))

        setattr(self, event, handle)

    def current(self, run):
        names = ("batch_idx", "training", "input", "target", "loss", "active")
        held = tuple(id(vars(run).get(name)) for name in names)
        return (*held, run.model.training, run.count)


def test_asking_inside_of_a_fit_changes_nothing():
    acts = [
        lambda run: run.evaluate(batches),
        lambda run: run.evaluate(),
        lambda run: run.predict(batches),
    ]
    plain = learner(Recorder(), metrics=[Accuracy()])
    plain.fit(2)
    for event in ("after_step", "after_loss", "after_epoch"):
        for act in acts:
            look, more = Look(event, act), Tracer()
            asked = learner(Recorder(), look, metrics=[Accuracy()])
            asked.fit(2, [more])
            assert look.before == look.after and look.before
            assert more.events[-1] == "after_fit"
            assert torch.equal(asked.model.weight, plain.model.weight)
            assert asked[Recorder].rows == plain[Recorder].rows


def test_a_fits_callbacks_listen_when_it_is_asked():
    more = Tracer()
    look = Look("after_step", lambda run: run.predict(batches[:1]))
    learner(look, train=batches[:1], valid=None).fit(1, [more])
    assert "before_validation" in more.events


def test_metrics_of_a_validation_survive_another_inside_of_it():
    class Nested(Callback):
        def after_batch(self, run):
            if not run.training and not self.inside:
                self.inside = True
                run.evaluate(batches[-1:])
                self.inside = False

        inside = False

    learn = learner(valid=batches, metrics=[Accuracy()])
    expected = learn.evaluate()
    learn.fit(0, [Nested()])
    learn.optimizer.param_groups[0]["lr"] = 0.0
    learn.fit(1, [Nested()])
    assert learn.results == expected


# What a batch is


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, left, right):
        return self.linear(torch.cat([left, right], 1))


dicts = [{"left": a[:, :2], "right": a[:, 2:], "y": b} for a, b in batches]


class Named(Learner):
    def unpack(self, batch):
        return {"left": batch["left"], "right": batch["right"]}, batch["y"]


def as_plain(model, train, kind=Learner, **options):
    """The same training with another form of batches."""
    options = {"optim": torch.optim.SGD, "lr": 0.1, "defaults": (), **options}
    learn = kind(model, train, train, metrics=[Accuracy()], **options)
    learn.model.linear.load_state_dict(learner().model.state_dict())
    learn.fit(2)
    return learn


def test_dictionaries_and_tuples_of_inputs_train_as_plain_ones():
    plain = learner(valid=batches, metrics=[Accuracy()])
    plain.fit(2)
    pairs = [((a[:, :2], a[:, 2:]), b) for a, b in batches]
    for learn in (
        as_plain(TwoInputs(), pairs),
        as_plain(TwoInputs(), dicts, Named),
    ):
        assert torch.equal(learn.model.linear.weight, plain.model.weight)
        assert learn.results == plain.results
        scores, labels = learn.predict(learn.valid, with_targets=True)
        assert torch.equal(labels, y) and scores.shape == (20, 2)


def test_unlabelled_data_is_predicted_however_it_comes():
    learn = learner()
    expected = learn.predict(batches)
    for loader in (
        DataLoader(x, 6),
        DataLoader(TensorDataset(x), 6),
        x.split(6),
        [[part] for part in x.split(6)],
    ):
        assert torch.equal(learn.predict(loader), expected)
    two = DataLoader(x, 2)  # batches of two rows are no pairs
    assert learn.predict(two).shape == (20, 2)
    with pytest.raises(TypeError, match="cannot join batches of NoneType"):
        learn.predict(two, with_targets=True)


def test_a_target_may_be_missing_or_a_structure():
    squares = lambda output, target: (output**2).mean()
    learn = learner(train=[x], valid=[x], loss=squares)
    learn.fit(1)
    assert learn.results["loss"] > 0
    both = lambda output, target: F.cross_entropy(output, target["y"])
    train = [(a, {"y": b}) for a, b in batches]
    learn = learner(train=train, valid=train, loss=both)
    expected = F.cross_entropy(learn.model(x), y).item()
    assert learn.evaluate()["loss"] == pytest.approx(expected)


def test_unpack_may_say_what_the_loss_counts():
    class Padded(Learner):
        def unpack(self, batch):
            inputs, labels = batch
            return inputs, labels, int((labels == 1).sum()) * 10

    learn = Padded(
        nn.Linear(4, 2),
        batches,
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Recorder()],
    )
    learn.fit(1)
    assert learn[Recorder].counts == [int(b.sum()) * 10 for _, b in batches]


def test_three_parts_are_asked_about():
    with pytest.raises(ValueError, match="a batch of 3 parts"):
        learner(train=[(x, x, y)]).fit(1)


@pytest.mark.parametrize(
    ("batch", "input", "target"),
    [
        ((x, y), x, y),
        ([x, y], x, y),
        ([x], x, None),
        (((x, x), y), (x, x), y),
        (({"a": x}, {"b": y}), {"a": x}, {"b": y}),
        ({"a": x, "b": x}, {"a": x, "b": x}, None),
        (x[:2], x[:2], None),  # two rows are no pair
    ],
)
def test_a_pair_is_input_and_target_and_all_else_is_input(batch, input, target):
    found = learner().unpack(batch)
    for ours, expected in zip(found, (input, target), strict=True):
        assert type(ours) is type(expected)
        torch.testing.assert_close(ours, expected)


# Bad input, in plain words


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: learner(train=[]).fit(1), "training loader gave no batch"),
        (lambda: learner(valid=[]).fit(1), "validation loader gave no batch"),
        (lambda: learner().predict([]), "validation loader gave no batch"),
        (lambda: learner(valid=None).evaluate(), "has no `valid`"),
        (
            lambda: learner(loss=lambda a, b: (a[:, 0] - b)[:1]).fit(1),
            r"\[1\].*one number",
        ),
        (
            lambda: learner(
                loss=partial(F.cross_entropy, reduction="none")
            ).fit(1),
            r"\[6\].*`loss.mean\(\)`",
        ),
        (
            lambda: learner(metrics=[Accuracy(), Accuracy()]),
            "a name of its own",
        ),
        (lambda: learner(lr=[0.1, 0.2]), "2 rates need a splitter"),
        (
            lambda: learner(splitter=lambda m: [[m.weight]]),
            r"leaves out \['bias'\]",
        ),
        (
            lambda: learner(lr=[1, 2], splitter=lambda m: [m.parameters()]),
            "2 rates for 1 parts",
        ),
    ],
)
def test_it_says_in_words_what_is_wrong(act, words):
    with pytest.raises(ValueError, match=words):
        act()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: learner(metrics=[Accuracy]), TypeError, r"Accuracy\(\)"),
        (lambda: learner(Recorder).fit(1), TypeError, r"Recorder\(\)"),
        (
            lambda: learner(optim=SGD(nn.Linear(1, 1).parameters(), 0.1)),
            TypeError,
            r"SGD, not SGD\(...\)",
        ),
        (
            lambda: learner(loss=lambda a, b: 0.5).fit(1),
            ValueError,
            r"0.5.*one number in a tensor",
        ),
        (
            lambda: learner(train=[[torch.randn(6, 4)]]).fit(1),
            TypeError,
            "target is None",
        ),
    ],
)
def test_a_class_for_an_object_and_the_like_are_named(act, error, words):
    with pytest.raises(error, match=words):
        act()


def test_a_metric_that_is_added_later_needs_a_name_of_its_own_too():
    learn = learner(metrics=[Accuracy()])
    learn.metrics.append(Accuracy())
    with pytest.raises(ValueError, match="a name of its own"):
        learn.evaluate()


# Streams, groups, several optimizers, files


class Rows(IterableDataset):
    def __iter__(self):
        return iter(zip(x, y))


def test_a_stream_without_a_length_trains_with_the_defaults(capsys):
    stream = DataLoader(Rows(), 6)
    learn = Learner(nn.Linear(4, 2), stream, stream, optim=SGD, lr=0.1)
    learn.fit(2)
    assert len(capsys.readouterr().out.splitlines()) == 3 and learn.step == 8


def test_a_stream_that_is_cut_follows_one_cycle():
    def endless():
        while True:
            yield from batches

    cycle = Anneal.one_cycle(0.5, momentum=None)
    learn = learner(Recorder(), cycle, train=endless(), valid=None)
    learn.fit(2, n_batches=5)
    lrs = learn[Recorder].lrs
    plain = learner(Recorder(), cycle, train=[*batches, batches[0]], valid=None)
    plain.fit(2)
    assert lrs == plain[Recorder].lrs and max(lrs) > 0.4 and learn.step == 10


def test_an_epoch_is_cut_to_a_length_and_begins_anew():
    learn = learner(Recorder())
    learn.fit(2, n_batches=3)
    assert learn.step == 6 and learn[Recorder].ends == [3, 6]
    learn.fit(1)
    assert learn.step == 10


@pytest.mark.parametrize("optim", [SGD, torch.optim.SGD, Adam])
def test_a_splitter_gives_each_part_its_rate(optim):
    split = lambda model: [[model.weight], [model.bias]]
    learn = learner(splitter=split, lr=[0.0, 0.1], optim=optim)
    before = [param.detach().clone() for param in learn.model.parameters()]
    learn.fit(1)
    assert [group["lr"] for group in learn.optimizer.param_groups] == [0.0, 0.1]
    assert torch.equal(learn.model.weight, before[0])
    assert not torch.equal(learn.model.bias, before[1])


class Alternate(Learner):
    """Weight and bias, each with an optimizer and a step of its own."""

    def train_step(self):
        for optimizer in self.optimizer.optimizers:
            self.compute_loss()
            self.backward(self.loss)
            self.update(optimizer)


def test_two_optimizers_step_in_turn():
    def both(params, lr):
        weight, bias = params
        return CombinedOptimizer(SGD([weight], lr), Adam([bias], lr))

    torch.manual_seed(0)
    learn = Alternate(
        nn.Linear(4, 2), batches[:1], optim=both, lr=0.1, defaults=()
    )
    model = nn.Linear(4, 2)
    model.load_state_dict(learn.model.state_dict())
    learn.fit(2)
    one, two = (
        torch.optim.SGD([model.weight], 0.1),
        torch.optim.Adam([model.bias], 0.1),
    )
    for _ in range(2):
        for optimizer in (one, two):
            model.zero_grad()
            F.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
            optimizer.step()
    assert learn.step == 4
    assert torch.allclose(learn.model.weight, model.weight, atol=1e-6)
    assert torch.allclose(learn.model.bias, model.bias, atol=1e-6)


def test_weights_are_saved_and_loaded(tmp_path):
    one, other = learner(), learner()
    one.fit(1)
    one.save(tmp_path / "w.safetensors")
    other.load(tmp_path / "w.safetensors")
    assert torch.equal(one.model.weight, other.model.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    other.model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load(tmp_path / "w.safetensors")


def test_a_device_takes_model_and_batches():
    learn = learner(device="meta", optim=torch.optim.SGD)
    assert learn.model.weight.is_meta
    assert learn.optimizer.param_groups[0]["params"][0].is_meta
    assert learn.predict(batches).is_meta
    learn = Named(
        TwoInputs(), dicts, optim=SGD, lr=0.1, device="meta", defaults=()
    )
    assert learn.predict(dicts).is_meta


def test_a_sweep_leaves_the_learner_as_it_was():
    learn = learner(Recorder())
    weight = learn.model.weight.detach().clone()
    find_lr(learn, n_steps=6)
    assert torch.equal(learn.model.weight, weight) and learn.fits == 0
    learn.fit(1)
    assert learn.epoch == 1


def test_the_rate_of_a_stream_is_found_too():
    learn = learner(train=DataLoader(Rows(), 2), valid=None)
    finder = find_lr(learn, n_steps=8)
    assert len(finder.lrs) == 8 and learn.fits == 0


def alternating(folder, *callbacks):
    def both(params, lr):
        weight, bias = params
        return CombinedOptimizer(SGD([weight], lr), Adam([bias], lr))

    torch.manual_seed(0)
    shuffler = torch.Generator().manual_seed(1)
    loader = TensorLoader(x, y, batch_size=3, shuffle=True, generator=shuffler)
    own = [Recorder(), Checkpoint(folder, every=1), *callbacks]
    return Alternate(
        nn.Linear(4, 2), loader, batches, optim=both, lr=0.1, defaults=own
    )


@pytest.mark.parametrize("n_batches", [None, 4])
@pytest.mark.parametrize("step", [2, 8, 10, 14])
def test_two_optimizers_and_cut_epochs_resume_exactly(
    tmp_path, step, n_batches
):
    through = alternating(tmp_path / "whole")
    through.fit(3, n_batches=n_batches)
    crash = on(
        "after_batch", ZeroDivisionError, lambda run: run.step == step, 200
    )
    with pytest.raises(ZeroDivisionError):
        alternating(tmp_path / "parts").fit(3, [crash], n_batches=n_batches)
    resumed = alternating(tmp_path / "parts")
    resumed.fit(3, n_batches=n_batches)
    assert torch.equal(resumed.model.weight, through.model.weight)
    assert torch.equal(resumed.model.bias, through.model.bias)
    assert resumed[Recorder].rows == through[Recorder].rows
    assert resumed.step == through.step == 2 * 3 * (n_batches or 7)
