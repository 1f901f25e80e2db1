# %% [markdown] module="training.learner"
r"""
# Learner and callbacks

A training loop has six lines, and everybody rewrites them: for a progress bar,
a schedule, gradient clipping, a second metric, a checkpoint. After a year there
are thirty loops, each with its own bug. **What changes between two training
runs, and where should it live?**

The answer of this chapter: the loop is written once and says aloud where it is.
Everything that changes listens.

| name | meaning |
| --- | --- |
| event | a named place in the loop, such as `after_loss` |
| callback | an object with methods named after events |
| level | batch, training, validation, epoch, fit: each holds the one before it |
| step | one update of the weights |
"""

# %% Imports tags=["hide-input"]
import math
import operator
import sys
import time
import timeit
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping, Sequence, Sized
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor

from groundup.data.collate import to_device
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.manual.layers import Layer, LinearLayer, Model, ReLULayer
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.module import Module
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## The bare loop

The task is MNIST, ten digits, with the small network of part 2. The last 10,000
training images are for validation. To keep this page quick we train on the
first 10,000. A batch is too small to be worth two threads.
"""

# %%
torch.set_num_threads(1)
images, digits = mnist()
x, y = images.view(-1, 784).float() / 255, digits
train = TensorLoader(x[:10_000], y[:10_000], batch_size=64, shuffle=True)
valid = TensorLoader(x[50_000:], y[50_000:], batch_size=512)


def network(seed: int = 0) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(Linear(784, 50), ReLU(), Linear(50, 10))


# %%
bare = network()
optimizer = SGD(bare.parameters(), lr=0.1)
for input, target in train:
    loss = cross_entropy(bare(input), target)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
loss.item()

# %% [markdown]
r"""
Now change something. To clip gradients, put a line before `step`. To log the
loss, a list before the loop and a line in it. To stop early: a second loop for
validation, a variable for the best value, a `break`. To go on after a crash:
lines in five places. Each change is small, and belongs to one purpose, but is
spread over the loop. Two changes that were written apart do not fit together:
whose loop is it?

So turn it round. The loop stays, and calls by name at each place where somebody
might want to do something. Those names are the *events*. What belongs to one
purpose lives in one object, a {term}`callback`, with a method for each event it
needs. A first version, to be thrown away:
"""


# %%
class Learner:
    def __init__(self, model, train, optimizer, callbacks):
        self.model, self.train, self.optimizer = model, train, optimizer
        self.callbacks = callbacks

    def call(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def fit(self) -> None:
        for batch in self.train:
            self.input, self.target = batch
            self.loss = cross_entropy(self.model(self.input), self.target)
            self.call("after_loss")
            self.loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


# %%
class Log:
    losses: list[float] = []

    def after_loss(self, learn: Learner) -> None:
        self.losses.append(learn.loss.item())


model = network()
Learner(model, train, SGD(model.parameters(), lr=0.1), [Log()]).fit()
assert_equal(Log.losses[-1], loss.item())
len(Log.losses), Log.losses[-1]

# %% [markdown]
r"""
The same loss to the last bit, and the loop knows nothing of logging. Three
things are missing: more places, a way to leave in the middle, and a word about
what a callback may touch.

## Events and cancelling

Two rules make callbacks dependable:

* every `before_x` is followed by exactly one of `after_x`, when `x` is
  complete, and `after_cancel_x`, when it is not, whatever the reason: somebody
  cancelled it, an error came, or Ctrl-C;
* to cancel is to raise an exception, since that is what leaves nested loops at
  once. Each level catches its own.
"""


# %% Ways out tags=["export"] module="training.callback"
"""What a training run tells, to whom, and how it is stopped."""


class Cancel(Exception):
    """Leaves a level of the loop; raise one of those below."""


class CancelBatch(Cancel):
    """Leaves the rest of this batch out; gradients stay as they are."""


class CancelTraining(Cancel):
    """Leaves the other training batches of this epoch out."""


class CancelValidation(Cancel):
    """Leaves the other validation batches out; metrics are of those seen."""


class CancelEpoch(Cancel):
    """Leaves the rest of the epoch out, its validation too."""


class CancelFit(Cancel):
    """Ends the training."""


# %%
def batches_done(cancel: type) -> list[tuple[int, int]]:
    """Those of two epochs, if the very first is cancelled."""
    done = []
    for epoch in range(2):
        try:
            for batch in range(2):
                try:
                    if epoch == batch == 0:
                        raise cancel
                    done.append((epoch, batch))
                except CancelBatch:
                    pass
        except CancelEpoch:
            pass
    return done


batches_done(CancelBatch), batches_done(CancelEpoch)

# %% [markdown]
r"""
What may a callback read and change? That is a contract, so it is written down,
as the fields of a class. `Run` is the state of a training run; the learner will
be a `Run` that can move. Callbacks, checkpoints and tests need the state alone.
"""


# %% What is current tags=["export"] module="training.callback"
class Run:
    """What is current while a learner trains: callbacks read and change it."""

    model: Any
    optimizer: Any
    train: Iterable  # the batches of an epoch
    valid: Iterable | None
    loader: Iterable  # the batches of this epoch, `train` unless changed
    batch: Any  # what the loader gave
    input: Any
    target: Any
    prediction: Any
    loss: Tensor
    training: bool = False  # or validation
    batch_idx: int = 0  # this batch's place in the loader, from 0
    first_batch: int = 0  # where the epoch begins: not 0 after a resume
    step: int = 0  # updates of the weights so far
    epoch: int = 0  # epochs completed so far, over all fits
    start_epoch: int = 0  # where this fit began
    stop_epoch: int = 0  # where it ends; lower it to stop early
    fits: int = 0  # calls of `fit` so far
    results: Mapping[str, float] = MappingProxyType({})  # last validation's
    active: Sequence["Callback"] = ()  # those of this fit, in order


# %% [markdown]
r"""
Messages want to say where it happened, and one callback may need another.
"""


# %% tags=["export"] module="training.callback"
class Run(Run):
    @property
    def place(self) -> str:
        """Where the run is, for messages."""
        kind = "" if self.training else "validation "
        return f"epoch {self.epoch}, {kind}batch {self.batch_idx}"

    def __getitem__(self, kind: type) -> Any:
        """The callback of a class: `learn[Recorder]`."""
        for callback in self.active:
            if isinstance(callback, kind):
                return callback
        held = [type(callback).__name__ for callback in self.active]
        raise KeyError(f"no {kind.__name__} among the callbacks {held}")


# %%
run = Run()
run.training, run.epoch, run.batch_idx, run.active = True, 3, 120, [Log()]
run.place, run[Log].losses[0]

# %% [markdown]
r"""
A callback has a method for every event, level by level, and each of them does
nothing until somebody defines it. So a reader of the class sees what there is,
and a misspelt method, which would never be called, is refused when its class is
defined.
"""


# %% A callback tags=["export"] module="training.callback"
class Callback:
    """Methods named after events, each called with the run."""

    order: int = 0  # lower is called first

    def ignore(self, run: Run) -> None:
        """What a callback does at an event that it does not define."""

    before_fit = after_fit = after_cancel_fit = ignore
    before_epoch = after_epoch = after_cancel_epoch = ignore
    before_training = after_training = after_cancel_training = ignore
    before_validation = after_validation = after_cancel_validation = ignore
    before_batch = after_batch = after_cancel_batch = ignore
    after_predict = after_loss = before_step = after_step = ignore

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith(("before_", "after_")) and name not in EVENTS:
                events = ", ".join(sorted(EVENTS))
                raise TypeError(
                    f"{cls.__name__}.{name}: no such event; events are {events}"
                )

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints: tensors, numbers, text; lists, tuples, dicts."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


# %% The events tags=["export", "internal"] module="training.callback"
EVENTS = frozenset(
    name
    for name, value in vars(Callback).items()
    if value is Callback.ignore and name != "ignore"
)

# %%
try:

    class Misspelt(Callback):
        def after_bacth(self, run: Run) -> None: ...

except TypeError as error:
    message = str(error)
message

# %% [markdown]
r"""
## Metrics that are right

The loop validates, so it needs metrics, and the usual way to get them is wrong.
Batches differ in size, and the mean of batch means gives ten images in a last
batch the say of five hundred. So a metric sees each batch, and answers at the
end.
"""


# %% A metric tags=["export"] module="training.metrics"
"""Numbers over an epoch, right also when its batches are of unequal size."""


class Metric:
    """A number over an epoch, from its batches; fill in the three methods."""

    name: str

    def reset(self) -> None:
        """Forget everything seen."""
        raise NotImplementedError

    def update(self, prediction: Any, target: Any) -> None:
        """See another batch."""
        raise NotImplementedError

    def compute(self) -> float:
        """The number over everything seen; NaN if that is nothing."""
        raise NotImplementedError


# %% [markdown]
r"""
Most are means, and each batch's mean counts with its examples. Values stay on
their device until all are read at once.
"""


# %% Means of means tags=["export", "internal"] module="training.metrics"
def weighted_mean(values: Sequence, counts: Sequence[int]) -> float:
    """The mean of means of `counts` examples; NaN if there are none."""
    total = sum(counts)
    products = map(operator.mul, floats(values), counts)
    return math.fsum(products) / total if total else math.nan


def floats(values: Sequence[Tensor | float]) -> list[float]:
    """Values as numbers, with one transfer for all that are on a device."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else ())
    return [
        next(read) if isinstance(value, Tensor) else float(value)
        for value in values
    ]


# %% [markdown]
r"""
Nine examples right in a first batch, one wrong in a second:
"""

# %%
shares = [torch.tensor(1.0), torch.tensor(0.0)]
assert_equal(weighted_mean(shares, [9, 1]), 0.9)
weighted_mean(shares, [9, 1]), torch.stack(shares).mean().item()


# %% A mean tags=["export"] module="training.metrics"
class Mean(Metric):
    """The mean over examples of a function that returns a batch's mean."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or _name(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.values, self.counts = [], []

    def add(self, value: Tensor | float, count: int) -> None:
        """See a mean of `count` examples."""
        tensor = isinstance(value, Tensor)
        self.values.append(value.detach() if tensor else value)
        self.counts.append(count)

    def update(self, prediction: Any, target: Any) -> None:
        """See another batch."""
        self.add(self.function(prediction, target), len(target))

    def compute(self) -> float:
        """The mean over all examples, in double precision."""
        return weighted_mean(self.values, self.counts)


# %% tags=["export"] module="training.metrics"
def _name(function: Callable) -> str:
    return getattr(function, "__name__", str(function))  # a partial has none


class Accuracy(Mean):
    """The share of labels whose score is the highest: (n, k, ...), (n, ...)."""

    def __init__(self, name: str = "accuracy"):
        super().__init__(_share_right, name)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """See another batch."""
        self.add(self.function(prediction, target), target.numel())


def _share_right(scores: Tensor, labels: Tensor) -> Tensor:
    return (scores.argmax(1) == labels).double().mean()


# %% [markdown]
r"""
Nothing is read from the device before the end: `add` keeps tensors, so a GPU
need not stop for a number that nobody looks at yet. The ten examples as scores:
"""

# %%
right, wrong = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
metric = Accuracy()
metric.update(right.expand(9, 2), torch.zeros(9, dtype=torch.int64))
metric.update(wrong, torch.zeros(1, dtype=torch.int64))
assert_close(metric.compute(), 0.9)
metric.compute()

# %% [markdown]
r"""
Some metrics are not means at all: the correlation over an epoch has nothing to
do with the mean of the batches' correlations. They need everything at once.
"""


# %% All at once tags=["export"] module="training.metrics"
class EpochMetric(Metric):
    """A function of all predictions and targets of the epoch at once."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self.name = function, name or _name(function)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.predictions, self.targets = [], []

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Keep another batch."""
        self.predictions.append(prediction.detach())
        self.targets.append(target)

    def compute(self) -> float:
        """The function of everything seen, joined."""
        if not self.targets:
            return math.nan
        joined = torch.cat(self.predictions), torch.cat(self.targets)
        return float(self.function(*joined))


# %% tags=["export", "internal"] module="training.metrics"
def as_metric(metric: Metric | Callable) -> Metric:
    """A metric as it is, a function as a `Mean`."""
    return metric if isinstance(metric, Metric) else Mean(metric)


# %%
def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / ((a**2).sum() * (b**2).sum()).sqrt()


a, b = torch.tensor([0.0, 1, 2, 3]), torch.tensor([5.0, 4, 9, 8])
whole, mean = EpochMetric(correlation), as_metric(correlation)
for metric in (whole, mean):
    metric.update(a[:2], b[:2])
    metric.update(a[2:], b[2:])
whole.compute(), mean.compute()


# %% [markdown]
r"""
In each half one falls while the other rises; over all four they rise together.

## The learner

Now the loop, in full, and for good. First what it is given. The optimizer is
made by a function of parameters and learning rate, which is what a class like
`SGD` is. Who says nothing gets three callbacks, which come later in this
chapter; until they do, we pass `defaults=()`.
"""


# %% The usual callbacks tags=["export"]
"""The training loop: five levels, and an event at every place in it."""


def default_callbacks() -> list[Callback]:
    """What a learner has if it is not told: record, check, show."""
    return [Recorder(), FiniteLoss(), Progress()]


# %% What a learner is given tags=["export"]
class Learner(Run):
    """Trains a model, and tells callbacks of every event on the way.

    `train` and `valid` give batches (input, target); `optim` makes an optimizer
    of parameters and `lr`; `callbacks` come on top of the `defaults`.
    """

    def __init__(
        self,
        model: Any,
        train: Iterable,
        valid: Iterable | None = None,
        *,
        optim: Callable,
        lr: float,
        loss: Callable = cross_entropy,
        backward: Callable[[Tensor], None] = Tensor.backward,
        metrics: Iterable[Metric | Callable] = (),
        callbacks: Iterable[Callback] = (),
        defaults: Iterable[Callback] | None = None,
    ):
        self.model, self.train, self.valid = model, train, valid
        self.optimizer = optim(model.parameters(), lr)
        self.loss_function, self.backward = loss, backward
        self.metrics = [Mean(loss, "loss"), *map(as_metric, metrics)]
        first = default_callbacks() if defaults is None else defaults
        self.callbacks = [*first, *callbacks]


# %%
learn = Learner(network(), train, optim=SGD, lr=0.1, defaults=())
learn.step, [metric.name for metric in learn.metrics]

# %% [markdown]
r"""
Who listens to an event is found once a fit, so an event that nobody listens to
costs a walk over an empty list.
"""


# %% Who listens tags=["export"]
class Learner(Learner):
    def _resolve(self, callbacks: Sequence[Callback]) -> None:
        """Find each event's handlers, in order."""
        self.active = sorted(callbacks, key=lambda each: each.order)
        self._handlers: Mapping[str, Sequence[Callable]] = {
            event: [
                handle
                for callback in self.active
                if (handle := getattr(callback, event)) != callback.ignore
            ]
            for event in EVENTS
        }

    def _call(self, event: str) -> None:
        for handle in self._handlers[event]:
            handle(self)


# %% [markdown]
r"""
`_level` is the first rule in code. All levels go through it, from the batch to
the fit.
"""


# %% Levels tags=["export"]
class Learner(Learner):
    def _level(
        self, name: str, cancel: type, body: Callable, *args: Any
    ) -> None:
        """`before`, the body, then either `after` or `after_cancel`."""
        try:
            self._call(f"before_{name}")
            body(*args)
        except BaseException as error:
            self._call(f"after_cancel_{name}")
            if not isinstance(error, cancel):
                raise
        else:
            self._call(f"after_{name}")


# %% [markdown]
r"""
A callback that writes down every event will show the order of things. One level
by hand, whole and then cancelled inside:
"""


# %%
class Tracer(Callback):
    def __init__(self):
        self.events = []


def listener(event: str) -> Callable:
    return lambda tracer, run: tracer.events.append(event)


for event in EVENTS:
    setattr(Tracer, event, listener(event))


def skip() -> None:
    raise CancelBatch


learn = Learner(network(), train, optim=SGD, lr=0.1, defaults=[Tracer()])
learn._resolve(learn.callbacks)
learn._level("batch", CancelBatch, lambda: None)
learn._level("batch", CancelBatch, skip)
learn[Tracer].events

# %% [markdown]
r"""
Now what happens at the levels: a fit is epochs, an epoch is a training, a
training is batches. With Ctrl-C a fit does not swallow the exception, since a
script in a loop must be able to end. It says where it was; by then every level
has been left in order.
"""


# %% A fit tags=["export"]
class Learner(Learner):
    def fit(self, n_epochs: int, callbacks: Iterable[Callback] = ()) -> None:
        """Train for more epochs, with more callbacks for this time only."""
        self.start_epoch, self.stop_epoch = self.epoch, self.epoch + n_epochs
        self.fits += 1
        self.optimizer.zero_grad()
        self._resolve([*self.callbacks, *callbacks])
        try:
            self._level("fit", CancelFit, self._fit)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped in {self.place}; the model is trained so far, "
                "and `fit` goes on with it"
            ) from None

    def _fit(self) -> None:
        while self.epoch < self.stop_epoch:
            self.first_batch, self.loader = 0, self.train
            self._level("epoch", CancelEpoch, self._epoch)
            self.epoch += 1

    def _epoch(self) -> None:
        self.training = True
        self.model.train()
        self._level("training", CancelTraining, self._train)

    def _train(self) -> None:
        self._batches(self.loader, self.first_batch, self._train_batch)


# %% [markdown]
r"""
Inside the levels stands the bare loop again, in `_train_batch`. Its first half
is a method of its own, since validation will share it.
"""


# %% A batch tags=["export"]
class Learner(Learner):
    def _batches(self, loader: Iterable, first: int, body: Callable) -> None:
        for self.batch_idx, self.batch in enumerate(loader, first):
            self.input, self.target = self.batch
            self._level("batch", CancelBatch, body)

    def _train_batch(self) -> None:
        self._forward()
        self.backward(self.loss)
        self._call("before_step")
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self._call("after_step")

    def _forward(self) -> None:
        self.prediction = self.model(self.input)
        self._call("after_predict")
        self.loss = self.loss_function(self.prediction, self.target)
        self._call("after_loss")


# %% [markdown]
r"""
Without any callback the learner is the bare loop, to the last bit:
"""

# %%
learn = Learner(network(), train, optim=SGD, lr=0.1, defaults=())
learn.fit(1)
for ours, theirs in zip(
    learn.model.parameters(), bare.parameters(), strict=True
):
    assert_equal(ours.detach(), theirs.detach())
learn.epoch, learn.step

# %% [markdown]
r"""
To use a model is a level too: batches without training. `_without_training`
leaves the model in the mode in which it was.
"""


# %% Predictions tags=["export"]
class Learner(Learner):
    def predict(self, loader: Iterable) -> Tensor:
        """The model's outputs for all batches of a loader: (n, ...)."""
        outputs: list[Tensor] = []
        self._resolve(self.callbacks)
        self._without_training(loader, partial(self._predict_batch, outputs))
        return torch.cat(outputs)

    def _predict_batch(self, outputs: list[Tensor]) -> None:
        self.prediction = self.model(self.input)
        self._call("after_predict")
        outputs.append(self.prediction)

    def _without_training(self, loader: Iterable, body: Callable) -> None:
        batches = self._batches, loader, 0, body
        self.training, mode = False, self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                self._level("validation", CancelValidation, *batches)
        finally:
            self.model.train(mode)


# %% [markdown]
r"""
Validation does the same with the loss and the metrics, and `_epoch` gets its
second half:
"""


# %% Validation tags=["export"]
class Learner(Learner):
    def _epoch(self) -> None:
        self.training = True
        self.model.train()
        self._level("training", CancelTraining, self._train)
        if self.valid is not None:
            self.results = self._evaluate(self.valid)

    def evaluate(self, loader: Iterable | None = None) -> dict[str, float]:
        """Loss and metrics by name over a loader, `valid` by default."""
        self._resolve(self.callbacks)
        return self._evaluate(self.valid if loader is None else loader)

    def _evaluate(self, loader: Iterable) -> dict[str, float]:
        for metric in self.metrics:
            metric.reset()
        self._without_training(loader, self._valid_batch)
        return {metric.name: metric.compute() for metric in self.metrics}

    def _valid_batch(self) -> None:
        self._forward()
        self.metrics[0].add(self.loss, len(self.target))
        for metric in self.metrics[1:]:
            metric.update(self.prediction, self.target)


# %%
def learner(*callbacks: Callback, lr: float = 0.1, **options: Any) -> Learner:
    """One with validation, for the rest of this chapter."""
    options = {"optim": SGD, "metrics": [Accuracy()], **options}
    return Learner(
        network(), train, valid, lr=lr, defaults=callbacks, **options
    )


learn = learner()
learn.fit(1)
assert_equal(learn.evaluate(), learn.results)
learn.results, learn.predict(valid).shape

# %% [markdown]
r"""
The order of all events, on two training batches and one for validation, with
the second batch cancelled before its step:
"""


# %%
class SkipSecond(Callback):
    def before_step(self, run: Run) -> None:
        if run.batch_idx == 1:
            raise CancelBatch


def traced(*callbacks: Callback, n_epochs: int = 1) -> list[str]:
    learn = learner(Tracer(), *callbacks)
    learn.train = [(x[:8], y[:8])] * 2
    learn.valid = learn.train[:1]
    learn.fit(n_epochs)
    return learn[Tracer].events


events = traced(SkipSecond())
" ".join(events)

# %% alt="The order of events as nested bars over time: the fit holds the epoch, the epoch holds training and validation, and those hold batches. Ticks mark the events inside a batch. The second training batch, cancelled before its step, ends early and in another colour." tags=["hide-input"]
ROWS = {"batch": 0, "training": 1, "validation": 1, "epoch": 2, "fit": 3}


def spans(events: list[str]) -> Iterator[tuple[str, int, int, bool]]:
    """Level, first and last event, and whether it was cancelled."""
    begun = {}
    for i, event in enumerate(events):
        level = event.split("_")[-1]
        if event.startswith("before") and level in ROWS:
            begun[level] = i
        elif level in begun:
            yield level, begun.pop(level), i, "cancel" in event


def draw(events: list[str], ax: Axes) -> None:
    for level, first, last, cancelled in spans(events):
        row, color = ROWS[level], "C1" if cancelled else "C0"
        box = dict(left=first - 0.4, height=0.8, color=color)
        ax.barh(row, last - first + 0.8, alpha=0.35 + 0.15 * (row == 0), **box)
    place = dict(rotation=90, ha="center", va="center", fontsize=7)
    for i, event in enumerate(events):
        if event.split("_")[-1] not in ROWS:
            ax.text(i, 0, event, **place)
    ax.set_yticks(range(4), ["batch", "training,\nvalidation", "epoch", "fit"])
    ax.set_xticks([])
    ax.grid(False)


figure, ax = plt.subplots(figsize=(9, 3.2))
draw(events, ax)
plt.show()

# %% [markdown]
r"""
The cancelled batch has no `after_step` and ends in `after_cancel_batch`;
everything around it goes on. The same picture with an epoch cancelled in its
first batch: no validation, and the next epoch starts.
"""


# %%
class SkipEpoch(Callback):
    def after_loss(self, run: Run) -> None:
        if run.epoch == 0:
            raise CancelEpoch


events = traced(SkipEpoch(), n_epochs=2)
cancelled = [event for event in events if "cancel" in event]
assert_equal(
    cancelled,
    ["after_cancel_batch", "after_cancel_training", "after_cancel_epoch"],
)

# %% alt="Two epochs as nested bars. The first ends inside its first batch: batch, training and epoch are marked as cancelled. The second is whole, and so is the fit." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(9, 3.2))
draw(events, ax)
plt.show()

# %% [markdown]
r"""
## What was recorded

The first callback that everyone wants writes down losses and learning rates.
Losses stay on their device until the epoch's training is over.
"""


# %% Each batch tags=["export"] module="training.recorder"
"""The course of a training run, kept and drawn."""


class Recorder(Callback):
    """Keeps losses and learning rates, a row of numbers an epoch, and plots.

    `losses`, `lrs` and `counts` have an entry a training batch, `rows` one
    an epoch.
    """

    def __init__(self):
        self.losses: list[Tensor | float] = []  # of each batch
        self.counts: list[int] = []  # its examples
        self.lrs: list[float] = []
        self.rows: list[dict[str, float]] = []
        self.ends: list[int] = []  # batches before the end of each epoch
        self.start = 0  # of this epoch

    def before_epoch(self, run: Run) -> None:
        """Remember where the epoch starts."""
        self.start = len(self.losses)

    def after_loss(self, run: Run) -> None:
        """Keep the loss, on its device, and the learning rate."""
        if run.training:
            self.losses.append(run.loss.detach())
            self.counts.append(len(run.target))
            self.lrs.append(run.optimizer.param_groups[0]["lr"])


# %% [markdown]
r"""
A whole epoch also has a row: its training loss, the mean over examples again,
and what validation found.
"""


# %% Each epoch tags=["export"] module="training.recorder"
class Recorder(Recorder):
    def after_training(self, run: Run) -> None:
        """Read the epoch's losses, all at once."""
        self.losses[self.start :] = floats(self.losses[self.start :])

    after_cancel_training = after_training

    def after_epoch(self, run: Run) -> None:
        """Add a row: the mean training loss, and the validation's results."""
        part = slice(self.start, None)
        loss = weighted_mean(self.losses[part], self.counts[part])
        results = dict(run.results) if run.valid is not None else {}
        if "loss" in results:
            results = {"valid_loss": results.pop("loss"), **results}
        self.rows.append({"epoch": run.epoch, "train_loss": loss, **results})
        self.ends.append(len(self.losses))


# %%
learn = learner(Recorder())
learn.fit(3)
learn[Recorder].rows

# %% [markdown]
r"""
Numbers are for tables. To look at a run we draw it.
"""


# %% Drawn tags=["export"] module="training.recorder"
class Recorder(Recorder):
    def plot_loss(self, ax: "Axes | None" = None, smooth: int = 20) -> "Axes":
        """The losses of the batches, averaged over some, and of validation."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        losses = torch.tensor(floats(self.losses))
        n = max(1, min(smooth, len(losses)))
        means = losses[: len(losses) // n * n].view(-1, n).mean(1)
        ax.plot(torch.arange(1, len(means) + 1) * n, means, label="training")
        if self.rows and "valid_loss" in self.rows[0]:
            losses = [row["valid_loss"] for row in self.rows]
            ax.plot(self.ends, losses, "o-", label="validation")
        ax.set(xlabel="batch", ylabel="loss")
        ax.legend()
        return ax

    def plot_lr(self, ax: "Axes | None" = None) -> "Axes":
        """The learning rate at each batch."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        ax.plot(floats(self.lrs))
        ax.set(xlabel="batch", ylabel="learning rate")
        return ax


# %% [markdown]
r"""
A run that goes on after a crash shall have one record. So a recorder can tell
all it knows, and another can go on from that.
"""


# %% Handed on tags=["export"] module="training.recorder"
class Recorder(Recorder):
    def state_dict(self) -> dict[str, Any]:
        """All that was recorded."""
        kept = {"losses": floats(self.losses), "lrs": floats(self.lrs)}
        tensors = {
            name: torch.tensor(values, dtype=torch.float64)
            for name, values in kept.items()
        }
        whole = {"counts": torch.tensor(self.counts, dtype=torch.int64)}
        return {**tensors, **whole, "rows": self.rows, "ends": self.ends}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what another recorder kept."""
        self.losses = state_dict["losses"].tolist()
        self.lrs = state_dict["lrs"].tolist()
        self.counts = state_dict["counts"].tolist()
        self.rows = list(state_dict["rows"])
        self.ends = list(state_dict["ends"])
        self.start = self.ends[-1] if self.ends else 0


# %%
learn = learner(Recorder())
learn.fit(3)
again = Recorder()
again.load_state_dict(learn[Recorder].state_dict())
assert_equal(again.losses, learn[Recorder].losses)

# %% alt="Training loss, noisy and falling from 2.3 to about 0.3 over 471 batches, and validation loss at the end of each of three epochs, lying on it. Beside it the learning rate, a flat line at 0.1." tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
again.plot_loss(left)
again.plot_lr(right)
plt.show()

# %% [markdown]
r"""
## What people change

With events, the changes from the beginning of this chapter take a few lines
each, in a place of their own. Data that must be moved to a device is moved
before everything else:
"""


# %% A device tags=["export"] module="training.callbacks"
"""What people change about training, a class each."""


class Device(Callback):
    """Moves the model, and every batch, to a device."""

    order = -30

    def __init__(self, device: torch.device | str):
        self.device = device

    def before_fit(self, run: Run) -> None:
        """Move the model; the optimizer holds the same parameters."""
        run.model.to(self.device)

    before_validation = before_fit

    def before_batch(self, run: Run) -> None:
        """Move input and target, however they are nested."""
        run.input = to_device(run.input, self.device, non_blocking=True)
        run.target = to_device(run.target, self.device, non_blocking=True)


# %% [markdown]
r"""
A loss that is not finite never comes back, and every minute after it is wasted.
It is noticed before the step, while the weights are still sound, and the
message says what one wants to know.
"""


# %% Not a number tags=["export"] module="training.callbacks"
class FiniteLoss(Callback):
    """Stops a fit with an error when the loss is not a finite number."""

    order = -20

    def after_loss(self, run: Run) -> None:
        """Look at the loss, before a step is taken along its gradient."""
        if run.training and not math.isfinite(run.loss.item()):
            lr = run.optimizer.param_groups[0]["lr"]
            raise FloatingPointError(
                f"the loss is {run.loss.item()} in {run.place} "
                f"(learning rate {lr:g}); the weights are those before it"
            )


# %%
learn = learner(FiniteLoss(), lr=1e20)
try:
    learn.fit(1)
except FloatingPointError as error:
    message = str(error)
message

# %% [markdown]
r"""
Clipping bounds the length of the gradient, all parameters taken as one vector
$g$: where $\lVert g \rVert$ exceeds a bound $c$, $g$ is multiplied by $c /
\lVert g \rVert$. The direction stays. The length of all is the length of the
parts' lengths.
"""


# %% Lengths tags=["export"] module="nn.utils.clip"
"""Gradients within bounds."""


def _grads(parameters: Iterable[Tensor]) -> list[Tensor]:
    one = isinstance(parameters, Tensor)
    listed = [parameters] if one else parameters
    return [p.grad.detach() for p in listed if p.grad is not None]


def _norm(x: Tensor, order: float) -> Tensor:
    """(sum |x|^order)^(1/order), or the largest |x|: (...) -> ()."""
    if order == math.inf:
        return x.abs().max()
    return (x.abs() ** order).sum() ** (1 / order)


# %% Clipping tags=["export"] module="nn.utils.clip" earns="torch.nn.utils.clip_grad_norm_ torch.nn.utils.clip_grad_value_"
def clip_grad_norm_(
    parameters: Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients to a norm of at most `max_norm`; return the old."""
    grads = _grads(parameters)
    if not grads:
        return torch.tensor(0.0)
    norms = torch.stack([_norm(grad, norm_type) for grad in grads])
    total = _norm(norms, norm_type)
    if error_if_nonfinite and not torch.isfinite(total):
        raise RuntimeError(
            f"the total norm of order {norm_type} of the gradients is {total}, "
            "so they cannot be clipped"
        )
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale)
    return total


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value]."""
    for grad in _grads(parameters):
        grad.clamp_(-clip_value, clip_value)


# %%
model = network()
cross_entropy(model(x[:64]), y[:64]).backward()
lengths = [clip_grad_norm_(model.parameters(), 0.1).item() for _ in range(2)]
assert_close(lengths[1], 0.1, rtol=1e-4)
lengths

# %% [markdown]
r"""
In a run the place for it is before the step.
"""


# %% A callback for it tags=["export"] module="training.callbacks"
class ClipGradient(Callback):
    """Bounds the norm of the whole gradient; `norm` is the last one's."""

    order = 60  # after accumulation

    def __init__(self, max_norm: float):
        self.max_norm = max_norm
        self.norm: Tensor | None = None

    def before_step(self, run: Run) -> None:
        """Clip."""
        self.norm = clip_grad_norm_(run.model.parameters(), self.max_norm)


# %% [markdown]
r"""
Accumulation takes one step for several batches, as if they were one that does
not fit into memory. A batch that is not the last of its group is cancelled
before the step, and leaves its gradient for the next. The mean over all
examples is not the mean of the means, so each loss counts with its number of
examples.
"""


# %% Accumulation tags=["export"] module="training.callbacks"
class Accumulate(Callback):
    """One step for `n_batches` batches, equal to that of one large batch.

    The last batch of an epoch ends a group, if the loader knows its length.
    """

    order = 50  # the others see the loss as it is

    def __init__(self, n_batches: int):
        self.n_batches, self.waiting, self.examples = n_batches, 0, 0

    def after_loss(self, run: Run) -> None:
        """Weight the loss by the examples it is the mean of."""
        if run.training:
            self.loss = run.loss
            run.loss = run.loss * len(run.target)


# %% tags=["export"] module="training.callbacks"
class Accumulate(Accumulate):
    def before_step(self, run: Run) -> None:
        """Wait for more batches, or divide by all their examples."""
        run.loss = self.loss
        self.waiting += 1
        self.examples += len(run.target)
        sized = isinstance(run.train, Sized)
        last = sized and run.batch_idx + 1 == len(run.train)
        if self.waiting < self.n_batches and not last:
            raise CancelBatch
        for param in run.model.parameters():
            if param.grad is not None:
                param.grad /= self.examples
        self.waiting = self.examples = 0

    def state_dict(self) -> dict[str, Any]:
        """How much waits for a step."""
        return {"waiting": self.waiting, "examples": self.examples}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Wait with as much."""
        self.waiting = state_dict["waiting"]
        self.examples = state_dict["examples"]


# %% [markdown]
r"""
Four batches of 16 make the step of one of 64, rounding aside:
"""


# %%
def after_one_epoch(size: int, *callbacks: Callback) -> Tensor:
    loader = TensorLoader(x[:1000], y[:1000], batch_size=size)
    learn = Learner(network(), loader, optim=SGD, lr=0.1, defaults=callbacks)
    learn.fit(1)
    return learn.model[0].weight.detach()


assert_close(after_one_epoch(16, Accumulate(4)), after_one_epoch(64))

# %% [markdown]
r"""
Early stopping ends a fit when validation has not become better for a while. It
does not cancel anything: the epoch is over, and it asks for no more of them.
"""


# %% Early stopping tags=["export"] module="training.callbacks"
class EarlyStopping(Callback):
    """Ends a fit after `patience` epochs without a better validation result.

    `better(new, best)` compares; `operator.gt` is for accuracies.
    """

    order = 20

    def __init__(
        self,
        monitor: str = "loss",
        patience: int = 3,
        better: Callable[[float, float], bool] = operator.lt,
    ):
        self.monitor, self.patience, self.better = monitor, patience, better
        self.best: float | None = None
        self.waited = 0


# %% tags=["export"] module="training.callbacks"
class EarlyStopping(EarlyStopping):
    def after_epoch(self, run: Run) -> None:
        """Compare, and lower `stop_epoch` if it is enough."""
        if self.monitor not in run.results:
            raise KeyError(
                f"cannot monitor {self.monitor!r}: validation gives "
                f"{list(run.results)}"
            )
        value = run.results[self.monitor]
        if self.best is None or self.better(value, self.best):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            run.stop_epoch = run.epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """The best result and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]


# %%
learn = learner(Recorder(), EarlyStopping(), lr=0.5)
learn.fit(30)
len(learn[Recorder].rows)

# %% [markdown]
r"""
## Gradients from elsewhere

Autograd is a part like the others, and the learner takes another: a `backward`
that stores the gradients of a loss. {doc}`/2_backward/4_layers` wrote those of
linear layers and ReLUs out, and was faster at this batch size. Only the loss is
missing there; its gradient is $(p - t) / n$, as in {doc}`/3_training/1_loss`.
"""


# %% Cross-entropy and its gradient tags=["export"] module="manual.by_hand"
"""Networks that train by the gradients of part 2, without autograd."""


class CrossEntropyLayer(Layer):
    """How badly scores predict labels: (n, k), (n,) -> ()."""

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Minus the labels' mean log-probability."""
        self.log_p = torch.log_softmax(scores, 1)
        return F.nll_loss(self.log_p, labels)

    def input_gradient(self, grad_y: Tensor | float) -> Tensor:
        """(p - t) / n, with t the labels as rows of 0 and 1: () -> (n, k)."""
        p, (_, labels) = self.log_p.exp(), self.args
        t = torch.zeros_like(p).scatter_(1, labels[:, None], 1)
        return (p - t) * (grad_y / len(labels))


# %% A network by hand tags=["export"] module="manual.by_hand"
class ByHand(Module):
    """A `Sequential` of linear layers and ReLUs that needs no autograd.

    A learner takes its `loss` and `backward` as well as the model itself.
    """

    def __init__(self, net: Sequential):
        self.net = net
        self.manual = Model(
            [_by_hand(layer) for layer in net], CrossEntropyLayer()
        )

    def forward(self, input: Tensor) -> Tensor:
        """The scores: (n, d) -> (n, k)."""
        with torch.no_grad():
            for layer in self.manual.layers:
                input = layer(input)
        return input


# %% Layers by hand tags=["export"] module="manual.by_hand"
def _by_hand(layer: Module) -> Layer:
    match layer:
        case Linear(weight=weight, bias=Tensor() as bias):
            return LinearLayer(weight, bias)
        case ReLU():
            return ReLULayer()
    raise TypeError(f"no gradient by hand for {layer}")


# %% [markdown]
r"""
The gradients of the last loss are all it knows: it asks whether it is given
another.
"""


# %% Backward by hand tags=["export"] module="manual.by_hand"
class ByHand(ByHand):
    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy: (n, k), (n,) -> ()."""
        return self.manual.loss(scores, labels)

    def backward(self, loss: Tensor) -> None:
        """Store the gradients of the last loss, in place of older ones."""
        if loss is not self.manual.loss.out:
            raise ValueError("not the last loss; did a callback change it?")
        with torch.no_grad():
            self.manual.backward()


# %% [markdown]
r"""
An epoch of each, from the same start and with the same batches:
"""


# %%
def epoch(by_hand: bool) -> Tensor:
    net = network()
    model = ByHand(net) if by_hand else net
    own = {"loss": model.loss, "backward": model.backward} if by_hand else {}
    learn = Learner(model, train, optim=SGD, lr=0.1, defaults=(), **own)
    learn.fit(1)
    return net[0].weight.detach()


assert_close(epoch(by_hand=True), epoch(by_hand=False))

# %% tags=["hide-input"]
timers = [timeit.Timer(partial(epoch, by_hand)) for by_hand in (True, False)]
turns = [[timer.timeit(1) for timer in timers] for _ in range(7)]
round(median(ours / autograds for ours, autograds in turns), 2)

# %% [markdown]
r"""
That is the time of an epoch as a share of autograd's. On larger networks the
products take all of the time, and the share goes to 1. A callback that changes
the loss, as `Accumulate` does, is refused, since its gradient is not known
here.

## Bars and a table

What one wants to see: how far it is, and a line of numbers for each epoch. In a
log file, a bar would be a thousand lines; there each epoch writes one. This
view keeps silent about everything else.
"""


# %% Lines tags=["export", "internal"] module="training.progress"
"""How far a training run is, for people to watch."""


class Lines:
    """A table in plain text, a line at a time: for files and pipes."""

    def __init__(self, n_epochs: int, done: int):
        self.widths: list[int] = []

    def row(self, cells: Sequence[str]) -> None:
        """Write a line; the first one fixes the widths."""
        self.widths = self.widths or [max(8, len(cell)) for cell in cells]
        pairs = zip(cells, self.widths, strict=True)
        line = "  ".join(cell.rjust(width) for cell, width in pairs)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def begin(self, n_batches: int | None) -> None:
        """A pass through a loader begins."""

    def advance(self, n_batches: int) -> None:
        """So many batches of the pass are done."""

    def end(self, n_epochs: int) -> None:
        """So many epochs are done."""

    def close(self) -> None:
        """Nothing follows."""


# %%
view = Lines(n_epochs=1, done=0)
view.row(["epoch", "train_loss", "valid_loss"])
view.row(["0", "0.6931", "0.5023"])

# %% [markdown]
r"""
In a terminal and in a notebook fastprogress draws bars and a table. The package
takes longer to import than the rest of this library, so it is imported when a
bar is drawn.
"""


# %% Bars tags=["export", "internal"] module="training.progress"
class Bars:
    """Two bars and a table, in a terminal or in a notebook."""

    def __init__(self, n_epochs: int, done: int):
        # not at the top: it takes ten times as long to import as this library
        from fastprogress.fastprogress import master_bar, progress_bar

        self.make_bar, self.bar = progress_bar, None
        self.master = master_bar(range(n_epochs))
        self.master.update(0)
        if done:
            self.master.update(done)

    def row(self, cells: Sequence[str]) -> None:
        """Add a row to the table."""
        self.master.write(list(cells), table=True)

    def close(self) -> None:
        """Leave the table alone on the page."""
        self.master.main_bar.on_iter_end()


# %% tags=["export", "internal"] module="training.progress"
class Bars(Bars):
    def begin(self, n_batches: int | None) -> None:
        """A new lower bar."""
        total = "noinfer" if n_batches is None else n_batches
        self.bar = self.make_bar(range(0), total=total, parent=self.master)
        self.bar.update(0)

    def advance(self, n_batches: int) -> None:
        """Move the lower bar; it redraws five times a second at most."""
        if self.bar is not None:
            self.bar.update(n_batches)

    def end(self, n_epochs: int) -> None:
        """Move the upper bar."""
        self.bar = None
        self.master.update(n_epochs)


# %% tags=["export", "internal"] module="training.progress"
def is_watched() -> bool:
    """Whether somebody looks: a terminal, or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


# %% [markdown]
r"""
The same calls, and after the last epoch only the table is left:
"""

# %%
view = Bars(n_epochs=1, done=0)
view.row(["epoch", "train_loss", "valid_loss"])
view.begin(2)
view.advance(2)
view.row(["0", "0.6931", "0.5023"])
view.end(1)
view.close()

# %% [markdown]
r"""
The callback chooses between them when a fit begins. Validation outside of a fit
has no view.
"""


# %% The view tags=["export"] module="training.progress"
class Progress(Callback):
    """Shows a fit: bars where somebody watches, and a table of the epochs."""

    order = 10

    def __init__(self):
        self.view: Lines | Bars | None = None

    def before_fit(self, run: Run) -> None:
        """Choose a view and open it."""
        kind = Bars if is_watched() else Lines
        n_epochs = run.stop_epoch - run.start_epoch
        self.view = kind(n_epochs, run.epoch - run.start_epoch)
        self.titled = False

    def after_fit(self, run: Run) -> None:
        """Close the view, if it was opened."""
        if self.view is not None:
            self.view.close()
        self.view = None

    after_cancel_fit = after_fit


# %% Bars that move tags=["export"] module="training.progress"
class Progress(Progress):
    def before_training(self, run: Run) -> None:
        """Open a bar for the batches."""
        if self.view is not None:
            loader = run.train if run.training else run.valid
            sized = isinstance(loader, Sized)
            self.view.begin(len(loader) if sized else None)

    before_validation = before_training

    def after_batch(self, run: Run) -> None:
        """Move the bar."""
        if self.view is not None:
            self.view.advance(run.batch_idx + 1)

    after_cancel_batch = after_batch


# %% [markdown]
r"""
The table is the recorder's, with the time beside it. With this the default
callbacks are complete.
"""


# %% The table tags=["export"] module="training.progress"
class Progress(Progress):
    def before_epoch(self, run: Run) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def after_epoch(self, run: Run) -> None:
        """Add the recorder's newest row to the table."""
        row = dict(run[Recorder].rows[-1])
        row["time"] = time.perf_counter() - self.started
        if not self.titled:
            self.view.row(list(row))
            self.titled = True
        self.view.row([_text(value) for value in row.values()])
        self.view.end(run.epoch + 1 - run.start_epoch)


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


# %%
learn = Learner(
    network(), train, valid, optim=SGD, lr=0.1, metrics=[Accuracy()]
)
learn.fit(3)

# %% [markdown]
r"""
## Ctrl-C

Ctrl-C raises `KeyboardInterrupt` wherever Python is. Each level passes it on
and tells that it was cancelled, so bars are closed, and the learner is as
usable as after any batch. Here a callback presses the keys:
"""


# %%
class PressKeys(Callback):
    def after_batch(self, run: Run) -> None:
        if run.epoch == 1 and run.batch_idx == 30:
            raise KeyboardInterrupt


learn = learner(Recorder(), PressKeys())
try:
    learn.fit(3)
except KeyboardInterrupt as interrupt:
    told = str(interrupt)
told

# %%
assert learn.evaluate()["accuracy"] > 0.8
learn.evaluate()

# %% [markdown]
r"""
## What is it worth?

The loop costs next to nothing: `tests/benchmarks/bench_learner.py` sets it
beside a bare loop with the same model and the same batches. Where an epoch
really saves time is in the parts that a learner is given, a loader that indexes
and an optimizer that steps all parameters in one call.

And the callbacks themselves, do they make a better network? Ten epochs on the
first 10,000 images, at a learning rate that suits this network and at one that
is too high, with and without clipping; with four batches of 16 accumulated
instead of one of 64; and thirty epochs stopped early. Each number is the
accuracy on the 10,000 validation images, over several seeds.
"""


# %% tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Validation accuracy of each way to train, and epochs until the stop."""

    def accuracy_of(lr: float, *callbacks: Callback, size=64, n=10) -> Learner:
        loader = TensorLoader(
            x[:10_000], y[:10_000], batch_size=size, shuffle=True
        )
        learn = Learner(
            network(seed),
            loader,
            valid,
            optim=SGD,
            lr=lr,
            metrics=[Accuracy()],
            defaults=callbacks,
        )
        learn.fit(n)
        return learn

    runs = {
        "plain": accuracy_of(0.2),
        "clipped": accuracy_of(0.2, ClipGradient(1.0)),
        "plain, lr 1": accuracy_of(1.0),
        "clipped, lr 1": accuracy_of(1.0, ClipGradient(1.0)),
        "accumulated": accuracy_of(0.2, Accumulate(4), size=16),
        "30 epochs": accuracy_of(0.2, n=30),
        "stopped early": accuracy_of(0.2, EarlyStopping(patience=3), n=30),
    }
    found = {name: run.results["accuracy"] for name, run in runs.items()}
    return {**found, "epochs until the stop": runs["stopped early"].epoch}


# %% [markdown]
r"""
Clipping is worth most. At 0.2 it turns {record}`worth.plain:.1%` into
{record}`worth.clipped:.1%`, and what it takes away is the deviation above all:
without it, one large step shortly before the end throws a run back. And it
makes a rate of 1 usable, {record}`worth.clipped, lr 1:.1%` against
{record}`worth.plain, lr 1:.1%`. Accumulation computes the same steps as batches
of 64 and reaches the same, {record}`worth.accumulated:.1%`: its use is memory.
Thirty epochs reach {record}`worth.30 epochs:.1%`. Stopping early gives
{record}`worth.stopped early:.1%` after
{record}`worth.epochs until the stop:.0f` epochs: it saves more than a third
of the time and costs more than half a point.

## What we built

* `Run`, `Callback`, `Cancel…` (`training.callback`): what is current, who
  listens, how a level is left.
* `Learner` (`training.learner`): the loop, on a page.
* `ByHand` (`manual.by_hand`): the gradients of part 2, behind the learner.
* `Metric`, `Mean`, `Accuracy`, `EpochMetric` (`training.metrics`): right over
  unequal batches.
* `Recorder` (`training.recorder`), `Progress` (`training.progress`): what
  happened, and what is happening.
* `Device`, `FiniteLoss`, `ClipGradient`, `Accumulate`, `EarlyStopping`
  (`training.callbacks`), `clip_grad_norm_` (`nn.utils.clip`).

## Questions

:::{dropdown} Why does a batch that is cancelled in `before_step` leave its gradient behind?
Only `optimizer.zero_grad()` removes it, and the cancelled batch did not get
there. Accumulation lives on that.
:::

:::{dropdown} Why is exactly one of `after_x` and `after_cancel_x` called, and not always `after_x`?
A listener to `after_epoch` may rely on a whole epoch: the recorder adds a row,
a checkpoint is saved. For an epoch torn by Ctrl-C both would be wrong.
:::

:::{dropdown} Why does early stopping lower `stop_epoch` instead of raising `CancelFit`?
Nothing is torn: the epoch is complete, and the other callbacks shall hear of
its end and of the fit's.
:::

:::{dropdown} Why is the mean over an epoch not the mean of its batches' means?
The last batch is short, and each of its images would count for more. A mean
over examples weighs each batch by how many it holds.
:::

## Exercises

**1.** Write `Limit(n)`, a callback that ends an epoch's training after `n`
batches and lets the validation happen.
"""


# %% tags=["solution"]
class Limit(Callback):
    def __init__(self, n: int):
        self.n = n

    def before_batch(self, run: Run) -> None:
        if run.training and run.batch_idx == self.n:
            raise CancelTraining


learn = Learner(network(), train, valid, optim=SGD, lr=0.1, defaults=[Limit(5)])
learn.fit(2)
assert_equal(learn.step, 10)
assert learn.results["loss"] > 0

# %% [markdown]
r"""
**2.** A learning rate that grows evenly from 0 to its value over the first
hundred steps is called a warm-up. Write it. What must it save?
"""


# %% tags=["solution"]
class WarmUp(Callback):
    def __init__(self, lr: float, steps: int = 100):
        self.lr, self.steps = lr, steps

    def before_step(self, run: Run) -> None:
        share = min(1.0, (run.step + 1) / self.steps)
        run.optimizer.param_groups[0]["lr"] = self.lr * share


# nothing: it depends on the step alone, and the run saves that
learn = Learner(
    network(), train, optim=SGD, lr=0.1, defaults=[WarmUp(0.5), Recorder()]
)
learn.fit(1)
assert_close(learn[Recorder].lrs[50], 0.5 * 50 / 100)

# %% [markdown]
r"""
**3.** Which share of the images of each digit is right? Write it as a metric
for one digit, and give a learner ten of them.
"""


# %% tags=["solution"]
def recall(digit: int) -> EpochMetric:
    def share(scores: Tensor, target: Tensor) -> Tensor:
        return (scores[target == digit].argmax(1) == digit).double().mean()

    return EpochMetric(share, f"recall of {digit}")


learn = Learner(
    network(),
    train,
    valid,
    optim=SGD,
    lr=0.5,
    defaults=(),
    metrics=[Accuracy(), *map(recall, range(10))],
)
learn.fit(2)
shares = [learn.results[f"recall of {digit}"] for digit in range(10)]
counts = valid.dataset.tensors[1].bincount()
together = (torch.tensor(shares) * counts).sum().item() / 10_000
assert_close(together, learn.results["accuracy"])
min(shares), max(shares)

# %% [markdown]
r"""
How a run is saved, and goes on to the bit where it was killed, is the starred
chapter {doc}`/3_training/10_checkpoint`. The learning rate has been a constant
so far. What it should do over a training run is a question of its own:
{doc}`/3_training/5_annealing`.
"""
