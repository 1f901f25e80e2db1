# %% [markdown] module="training.learner"
r"""
# Learner and callbacks

A training loop has six lines, and everybody rewrites them: for a progress bar,
a schedule, a checkpoint. After a year there are thirty loops, each with its own
bug. **What changes between two training runs, and where should it live?**

The loop is written once and says aloud where it is, as drawn below; everything
that changes listens. It grows in three versions that end with the same weights.

| name | meaning |
| --- | --- |
| event | a named place in the loop, such as `after_loss` |
| callback | an object with methods named after events |
| level | batch, training, validation, epoch, fit: each holds the one before it |
"""

# %% Imports tags=["hide-input"]
import copy
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib.pyplot as plt
import safetensors.torch
import torch
from matplotlib.axes import Axes
from torch import Tensor

from groundup.data.collate import to_device
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy
from groundup.optim.parts import make_optimizer
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal
from groundup.training.metrics import Accuracy, Mean, Metric, as_metric
from groundup.training.metrics import by_name, counter, floats, join, length
from groundup.training.metrics import weighted_mean


# %% Levels and events of two training batches and one for validation alt="The order of events as nested bars over time: the fit holds the epoch, the epoch holds training and validation, and those hold batches. Words mark the events inside a batch: after_predict and after_loss in each, before_step and after_step in training only." tags=["hide-input"]
seen = "before_batch after_predict after_loss "
step = seen + "before_step after_step after_batch "
order = "before_fit before_epoch before_training " + 2 * step
order += "after_training before_validation " + seen + "after_batch "
order = (order + "after_validation after_epoch after_fit").split()
ROWS = {"batch": -1, "training": 1, "validation": 1, "epoch": 2, "fit": 3}
figure, ax = plt.subplots(figsize=(4.5, 3.4), layout="constrained")
begun = {}
for i, event in enumerate(order):
    when, _, name = event.partition("_")
    if name not in ROWS:
        ax.text(i, -1, event, rotation=90, ha="center", va="center", size=9)
    elif when == "before":
        begun[name] = i
    else:
        left, row = begun.pop(name) - 0.4, ROWS[name]
        height = 2.6 if row < 0 else 0.8
        ax.barh(row, i + 0.4 - left, height, left=left, color="C0", alpha=0.4)
ax.set_yticks([-1, 1, 2, 3], ["batch", "training,\nvalidation", "epoch", "fit"])
ax.set(xticks=[], xlim=(-1, len(order)))
plt.show()

# %% [markdown]
r"""
## The bare loop

The task is MNIST, ten digits, with the small network of part 2. The last 10,000
training images are for validation; to be quick we train on the first 10,000.
"""

# %%
torch.set_num_threads(1)
images, digits = mnist()
x, y = images.view(-1, 784).float() / 255, digits
valid = TensorLoader(x[50_000:], y[50_000:], batch_size=512)


def network() -> Sequential:
    torch.manual_seed(0)
    return Sequential(Linear(784, 50), ReLU(), Linear(50, 10))


def batches() -> TensorLoader:
    options = {"generator": torch.Generator().manual_seed(1), "shuffle": True}
    return TensorLoader(x[:10_000], y[:10_000], batch_size=64, **options)


# %% [markdown]
r"""
The first version is the loop that everybody writes. One epoch of it sets the
weights to reach; all seeds are fixed, so that it passes its own check.
"""


# %%
def bare_loop(model: Sequential) -> Sequential:
    optimizer = SGD(model.parameters(), lr=0.1)
    for input, target in batches():
        loss = cross_entropy(model(input), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def check(model: Sequential) -> None:
    pairs = zip(model.parameters(), trained.parameters(), strict=True)
    for ours, bare in pairs:
        assert_equal(ours.detach(), bare.detach())


trained = bare_loop(network())
check(bare_loop(network()))

# %% [markdown]
r"""
Now change something. To clip gradients, put a line before `step`. To stop early:
a second loop for validation, a variable for the best value, a `break`. A change
is spread over the loop, and two that were written apart do not fit together.

## A loop that holds its parts

The second version puts a run into one object. What is current in it is a
contract, since callbacks will read and change it: the fields of a class.
"""


# %% What is current tags=["export"] module="training.callback"
"""What a training run tells, to whom, and how it is stopped."""


class Run:
    """What is current while a learner trains: callbacks read and change it."""

    model: Any
    optimizer: Any
    train: Iterable  # the batches of an epoch
    valid: Iterable | None
    loader: Iterable  # what is gone through now: of an epoch, `train`
    batch: Any  # what the loader gave
    input: Any
    target: Any
    prediction: Any
    loss: Tensor
    count: Any  # items that the loss is the mean of
    training: bool = False  # or validation
    batch_idx: int = 0  # this batch's place in the loader, from 0
    first_batch: int = 0  # where the epoch begins: not 0 after a resume
    n_batches: int | None = None  # of an epoch, if that is known
    step: int = 0  # updates of the weights so far
    epoch: int = 0  # epochs completed so far, over all fits
    start_epoch: int = 0  # where this fit began
    stop_epoch: int = 0  # where it ends; lower it to stop early
    fits: int = 0  # calls of `fit` so far
    results: Mapping[str, float] = MappingProxyType({})  # last validation's
    active: Sequence["Callback"] = ()  # those of this fit, in order


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
run.training, run.epoch = True, 3
run.place

# %% [markdown]
r"""
Even the loop's first line says too much: that a batch is a pair. A table gives a
dictionary, a translation three tensors, an image without a label one. So the
learner asks `unpack` what goes into the model and what is the target. By itself
it takes a pair; a tensor or a dictionary is all input; three are not guessed.
"""


# %% What a batch is tags=["export"]
"""The training loop: five levels, and an event at every place in it."""


class Learner(Run):
    """Trains a model, and tells callbacks of every event on the way.

    `optim` makes an optimizer of parameters and `lr`; `callbacks` come on top
    of the `defaults`. Override `unpack` for batches that are no pairs, and
    `train_step` for a step of another kind.
    """

    def unpack(self, batch: Any) -> tuple:
        """Input and target of a batch; a third is what the loss counts."""
        if not isinstance(batch, tuple | list):
            return batch, None
        if len(batch) > 2:
            raise ValueError(
                f"a batch of {len(batch)} parts: which go into the model? "
                "Override `unpack(batch)`: `return batch[:2], batch[2]`"
            )
        return (batch[0], batch[1]) if len(batch) == 2 else (batch[0], None)


# %%
rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # two rows are not a pair
Learner().unpack(rows), Learner().unpack([rows, 7])

# %% [markdown]
r"""
It is given a model, batches, and what makes the optimizer, such as `SGD`. A
`splitter` cuts the model into parts with a rate each. The metrics of
{doc}`/1_pixels/5_metrics` are right over batches of unequal size.
"""


# %% What a learner is given tags=["export"]
class Learner(Learner):
    def __init__(
        self,
        model: Any,
        train: Iterable,
        valid: Iterable | None = None,
        *,
        optim: Callable,
        lr: float | Sequence[float],
        loss: Callable = cross_entropy,
        backward: Callable[[Tensor], None] = Tensor.backward,
        metrics: Iterable[Metric | Callable] = (),
        callbacks: Iterable["Callback"] = (),
        defaults: Iterable["Callback"] | None = None,
        splitter: Callable[[Any], Iterable] | None = None,
        device: torch.device | str | None = None,
    ):
        self.model = model if device is None else model.to(device)
        self.train, self.valid, self.device = train, valid, device
        self.optimizer = make_optimizer(self.model, optim, lr, splitter)
        self.loss_function, self.backward = loss, backward
        self.metrics = [Mean(loss, "loss"), *map(as_metric, metrics)]
        by_name(self.metrics)
        self.count_items = counter(loss)
        first = default_callbacks() if defaults is None else defaults
        self.active = self.callbacks = [*first, *callbacks]


# %% [markdown]
r"""
`call` will name a place in the loop, and `_level` a part of it.
"""


# %% tags=["export"]
class Learner(Learner):
    def call(self, event: str) -> None:
        """Nobody listens yet."""

    def _resolve(self, callbacks: Sequence) -> None:
        """Nobody listens yet."""

    def _level(self, name: str, body: Callable, *args: Any) -> None:
        body(*args)

    def fit(self, n_epochs: int) -> None:
        """Train for more epochs."""
        self.stop_epoch, self._cut = self.epoch + n_epochs, None
        self._fit()


# %%
learn = Learner(network(), batches(), optim=SGD, lr=0.1, defaults=())
learn.metrics[0].name, learn.callbacks


# %% [markdown]
r"""
The bare loop stands in `train_step`. Validation will share its first half, and
who trains with two optimizers calls its end twice. Of how many items a loss is
the mean, its options tell, or it returns the number too.
"""


# %% A batch tags=["export"]
class Learner(Learner):
    def train_step(self) -> None:
        """What a batch of training does; override it for another kind."""
        self.compute_loss()
        self.backward(self.loss)
        self.update()

    def compute_loss(self) -> None:
        """Set `prediction` and `loss`, and say so."""
        self._predict()
        loss = self.loss_function(self.prediction, self.target)
        if isinstance(loss, tuple):
            loss, self._count = loss
        if not isinstance(loss, Tensor) or loss.ndim:
            raise ValueError(
                f"the loss is {getattr(loss, 'shape', loss)!r}; wanted is "
                "one number in a tensor: return the mean, `loss.mean()`"
            )
        self.loss = loss
        self.call("after_loss")

    def update(self, optimizer: Any = None) -> None:
        """Step an optimizer, by default the only one; drop all gradients."""
        self.call("before_step")
        (self.optimizer if optimizer is None else optimizer).step()
        self.optimizer.zero_grad()
        self.step += 1
        self.call("after_step")


# %% tags=["export"]
class Learner(Learner):
    def _predict(self) -> None:
        """A tuple or a dictionary holds the model's arguments."""
        input, model = self.input, self.model
        if isinstance(input, tuple | list):
            self.prediction = model(*input)
        elif isinstance(input, Mapping):
            self.prediction = model(**input)
        else:
            self.prediction = model(input)
        self.call("after_predict")

    @property
    def count(self) -> Any:
        """Items that the loss is the mean of."""
        if self._count is None:
            self._count = self.count_items(self.target)
        return self._count


# %%
learn = Learner(network(), batches(), optim=SGD, lr=0.1, defaults=())
learn.input, learn.target, learn._count = x[:3], y[:3], None
learn.train_step()
learn.prediction.shape, learn.count, learn.step

# %% [markdown]
r"""
A fit is epochs, an epoch is a training, a training is batches: all are levels.
"""


# %% Epochs tags=["export"]
class Learner(Learner):
    def _fit(self) -> None:
        while self.epoch < self.stop_epoch:
            self.first_batch, self.loader = 0, self.train
            self._level("epoch", self._epoch)
            self.epoch += 1

    def _epoch(self) -> None:
        self.training = True
        if not self.model.training:
            self.model.train()
        self._level("training", self._train)
        if self.valid is not None:
            self.results = self._evaluate(self.valid)

    def _train(self) -> None:
        loader, first = self.loader, self.first_batch
        if self._cut is not None:
            loader = islice(loader, max(0, self._cut - first))
        self._batches(loader, first, self.train_step)


# %% tags=["export"]
class Learner(Learner):
    def _batches(self, loader: Iterable, first: int, body: Callable) -> None:
        self.batch_idx = first - 1
        for self.batch_idx, batch in enumerate(loader, first):
            if self.device is not None:
                batch = to_device(batch, self.device, non_blocking=True)
            self.batch = batch
            self.input, self.target, *count = self.unpack(batch)
            self._count = count[0] if count else None
            self._level("batch", body)
        if self.batch_idx < 0:
            kind = "training" if self.training else "validation"
            wrong = f"the {kind} loader gave no batch: empty, at its end, or "
            raise ValueError(f"{wrong}all dropped by `drop_last`?")


# %%
learn = Learner(network(), batches(), optim=SGD, lr=0.1, defaults=())
learn.fit(1)
check(learn.model)

# %% [markdown]
r"""
## Validation and predictions

To use a model is a level too. Afterwards each module is in the mode in which it
was, so a frozen layer stays frozen. In the middle of a fit, what was current is
current again.
"""


# %% Without training tags=["export"]
_CURRENT = "batch", "input", "target", "prediction", "loss", "_count"
_PLACE = "loader", "batch_idx", "training", "active", "_handlers", "metrics"


class Learner(Learner):
    _fits = False  # whether a fit runs now

    @contextmanager
    def _aside(self) -> Iterator[None]:
        held = {n: vars(self)[n] for n in _CURRENT + _PLACE if n in vars(self)}
        if self._fits:
            self.metrics = [*map(copy.copy, self.metrics)]
        else:
            self._resolve(self.callbacks)
        try:
            yield
        finally:
            vars(self).update(held)

    def _without_training(self, loader: Iterable, body: Callable) -> None:
        modes = [(module, module.training) for module in self.model.modules()]
        self.training, self.loader = False, loader
        self.model.eval()
        try:
            with torch.no_grad():
                self._level("validation", self._batches, loader, 0, body)
        finally:
            for module, mode in modes:
                module.training = mode


# %% Validation tags=["export"]
class Learner(Learner):
    def evaluate(self, loader: Iterable | None = None) -> dict[str, float]:
        """Loss and metrics by name over a loader, `valid` by default."""
        loader = self.valid if loader is None else loader
        if loader is None:
            raise ValueError("the learner has no `valid`: pass a loader")
        with self._aside():
            return self._evaluate(loader)

    def _evaluate(self, loader: Iterable) -> dict[str, float]:
        metrics = by_name(self.metrics)
        for metric in self.metrics:
            metric.reset()
        self._without_training(loader, self._valid_batch)
        return {name: metric.compute() for name, metric in metrics.items()}

    def _valid_batch(self) -> None:
        self.compute_loss()
        self.metrics[0].add(self.loss, self.count)
        for metric in self.metrics[1:]:
            metric.update(self.prediction, self.target)


# %%
def learner(*callbacks: Any, lr: float = 0.1, **options: Any) -> Learner:
    own = {"optim": SGD, "metrics": [Accuracy()], "defaults": callbacks}
    return Learner(network(), batches(), valid, lr=lr, **{**own, **options})


learn = learner()
learn.fit(1)
check(learn.model)
whole = cross_entropy(learn.model(x[50_000:]), y[50_000:]).item()
assert_close(learn.results["loss"], whole, rtol=1e-6)
learn.results

# %% [markdown]
r"""
The check holds, and the validation loss is that of all 10,000 images at once,
though the last batch is short. Predictions come with their targets, if any.
Weights go into a file; {doc}`/3_training/10_checkpoint` saves all of a run.
"""


# %% Predictions tags=["export"]
class Learner(Learner):
    def predict(self, loader: Iterable, with_targets: bool = False) -> Any:
        """The model's outputs for all batches of a loader, as (n, ...)."""
        seen: list[tuple[Any, Any]] = []
        with self._aside():
            body = partial(self._predict_batch, seen)
            self._without_training(loader, body)
        outputs, targets = zip(*seen, strict=True)
        joined = join(outputs)
        return (joined, join(targets)) if with_targets else joined

    def _predict_batch(self, seen: list) -> None:
        self._predict()
        seen.append((self.prediction, self.target))


# %% Weights in a file tags=["export"]
class Learner(Learner):
    def save(self, path: str | Path) -> None:
        """Write the model's weights and buffers, whole or not at all."""
        state = self.model.state_dict().items()
        own = {n: t.detach().cpu().contiguous().clone() for n, t in state}
        safetensors.torch.save_file(own, f"{path}.tmp")
        os.replace(f"{path}.tmp", path)

    def load(self, path: str | Path) -> None:
        """Read into the model what `save` wrote."""
        self.model.load_state_dict(safetensors.torch.load_file(path))


# %%
path = Path(tempfile.mkdtemp()) / "digits.safetensors"
learn = learner()
learn.fit(1)
learn.save(path)
again = learner()
again.load(path)
scores, labels = again.predict(valid, with_targets=True)
share = (scores.argmax(1) == labels).double().mean().item()
assert_close(share, learn.results["accuracy"])
scores.shape

# %% [markdown]
r"""
## Events and cancelling

In the third version the loop *tells* where it is. The named places are the
*events*. What belongs to one purpose lives in one object, a {term}`callback`,
with a method for each event it needs. Two rules make callbacks dependable:

* who has heard `before_x` hears exactly one of `after_x`, when `x` is complete,
  and `after_cancel_x`, when it is not: cancelled, or left by an error or Ctrl-C;
* to cancel is to raise an exception, which leaves nested loops at once. Each
  level catches its own, and of several the gravest decides: an error before a
  cancel, a wide cancel before a narrow one.
"""


# %% Ways out tags=["export"] module="training.callback"
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


# %% tags=["export"] module="training.callback"
_TRAIN = {"batch": CancelBatch, "training": CancelTraining}
_WIDER = {"validation": CancelValidation, "epoch": CancelEpoch}
CANCELS = {**_TRAIN, **_WIDER, "fit": CancelFit}


def gravest(*errors: BaseException) -> BaseException:
    """That which decides: any error, else the widest cancel; else the first."""
    kinds = tuple(CANCELS.values())
    found = [[isinstance(e, kind) for kind in kinds] for e in errors]
    widths = [row.index(True) if any(row) else len(kinds) for row in found]
    return errors[widths.index(max(widths))]


# %%
error = gravest(CancelBatch(), CancelFit(), CancelEpoch())
type(error), type(gravest(error, KeyboardInterrupt()))

# %% [markdown]
r"""
A callback has a method for every event, which does nothing until it is defined.
A misspelt one would never be called, so it is refused with its class. A class
with `default=True` is given to every learner that is not told otherwise.
"""


# %% A callback tags=["export"] module="training.callback"
class Callback:
    """Methods named after events, each called with the run."""

    order: int = 0  # lower is called first
    shapes_step: bool = False  # changes what a step does: `find_lr` keeps it

    def __init_subclass__(cls, default: bool = False) -> None:
        register(cls, default)

    def ignore(self, run: Run) -> None:
        """What a callback does at an event that it does not define."""

    before_fit = after_fit = after_cancel_fit = ignore
    before_epoch = after_epoch = after_cancel_epoch = ignore
    before_training = after_training = after_cancel_training = ignore
    before_validation = after_validation = after_cancel_validation = ignore
    before_batch = after_batch = after_cancel_batch = ignore
    after_predict = after_loss = before_step = after_step = ignore

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
DEFAULTS: dict[str, type] = {}  # by name, so that a class may be continued


def register(kind: type, default: bool) -> None:
    """Refuse events that are none; note a class that learners have."""
    for name in vars(kind):
        if name.startswith(("before_", "after_")) and name not in EVENTS:
            events = ", ".join(sorted(EVENTS))
            raise TypeError(
                f"{kind.__name__}.{name}: no such event; events are {events}"
            )
    if default or DEFAULTS.get(kind.__name__) is kind.__base__:
        DEFAULTS[kind.__name__] = kind


# %%
try:
    type("Misspelt", (Callback,), {"after_bacth": lambda self, run: None})
except TypeError as error:
    message = str(error)
message

# %% [markdown]
r"""
Who listens to an event is found once a fit: one that nobody listens to costs a
walk over an empty list. `_level` keeps the first rule: those behind who raises
have not begun, or those before have ended; all between hear of it.
"""


# %% Who listens tags=["export"]
class Learner(Learner):
    def _resolve(self, callbacks: Sequence["Callback"]) -> None:
        for name in (c.__name__ for c in callbacks if isinstance(c, type)):
            raise TypeError(f"{name} is a class, not a callback: {name}()")
        self.active = sorted(callbacks, key=lambda each: each.order)
        self._handlers: Mapping[str, Sequence[tuple[int, Callable]]] = {
            event: [
                (place, handle)
                for place, callback in enumerate(self.active)
                if (handle := getattr(callback, event)) != callback.ignore
            ]
            for event in EVENTS
        }

    def call(self, event: str) -> None:
        """Tell the callbacks of an event."""
        for _, handle in self._handlers[event]:
            handle(self)


def default_callbacks() -> list[Callback]:
    """What a learner has if it is not told: one of each default class."""
    return [make() for make in DEFAULTS.values()]


# %% Levels tags=["export"]
class Learner(Learner):
    def _level(self, name: str, body: Callable, *args: Any) -> None:
        begun = ended = -1
        try:
            for place, handle in self._handlers[f"before_{name}"]:
                begun = place
                handle(self)
            begun = len(self.active)
            body(*args)
            for place, handle in self._handlers[f"after_{name}"]:
                ended = place
                handle(self)
        except BaseException as error:
            self._cancelled(name, error, range(ended + 1, begun))

    def _cancelled(self, name: str, error: Any, places: range) -> None:
        for place, handle in self._handlers[f"after_cancel_{name}"]:
            if place in places:
                try:
                    handle(self)
                except BaseException as other:
                    error = gravest(error, other)
        if not isinstance(error, CANCELS[name]):
            raise error


# %%
learn = learner()
learn._resolve([])
learn._level("batch", int)

# %% [markdown]
r"""
A fit does not swallow Ctrl-C, since a script must be able to end. It says where.
"""


# %% A fit tags=["export"]
class Learner(Learner):
    def fit(
        self,
        n_epochs: int,
        callbacks: Iterable["Callback"] = (),
        n_batches: int | None = None,
    ) -> None:
        """Train for more epochs, with more callbacks for this time only.

        `n_batches` cuts epochs to a length, for streams that have none.
        """
        self.start_epoch, self.stop_epoch = self.epoch, self.epoch + n_epochs
        self.fits, self._fits, self._cut = self.fits + 1, True, n_batches
        known = (n for n in (length(self.train), n_batches) if n)
        self.n_batches = min(known, default=None)
        self.optimizer.zero_grad()
        self._resolve([*self.callbacks, *callbacks])
        try:
            self._level("fit", self._fit)
        except Cancel as error:
            wrong = f"{type(error).__name__} in {self.place}: nothing to leave"
            raise RuntimeError(wrong) from error
        except KeyboardInterrupt:
            told = f"stopped in {self.place}; the model is trained so far"
            raise KeyboardInterrupt(told) from None
        finally:
            self._fits = False


# %%
learn = learner()
learn.fit(1)
check(learn.model)

# %% [markdown]
r"""
The third version passes the check too. Its events come in the order of the
picture. If the second batch is cancelled before its step, it ends in
`after_cancel_batch`, and all around it goes on:
"""


# %%
def hear(event: str) -> Callable:
    return lambda callback, run: callback.heard.append(event)


Tracer = type("Tracer", (Callback,), {event: hear(event) for event in EVENTS})


class SkipSecond(Callback):
    def before_step(self, run: Run) -> None:
        if run.batch_idx == 1:
            raise CancelBatch


def heard(*callbacks: Callback) -> list[str]:
    Tracer.heard = []
    learn = learner(Tracer(), *callbacks)
    learn.valid = [(x[:8], y[:8])]
    learn.fit(1, n_batches=2)
    return Tracer.heard


assert_equal(heard(), order)
" ".join(heard(SkipSecond()))

# %% [markdown]
r"""
## What was recorded

The first callback that everyone wants writes down losses and learning rates.
After its training an epoch has a row: mean loss, and what validation found.
"""


# %% Each batch tags=["export"] module="training.recorder"
"""The course of a training run, kept and drawn."""


class Recorder(Callback, default=True):
    """Keeps losses and learning rates, a row of numbers an epoch, and plots."""

    def __init__(self):
        self.losses: list[Tensor | float] = []  # of each batch
        self.counts: list[Tensor | float] = []  # the items of each loss
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
            self.counts.append(run.count)
            self.lrs.append(run.optimizer.param_groups[0]["lr"])


# %% Each epoch tags=["export"] module="training.recorder"
class Recorder(Recorder):
    def after_training(self, run: Run) -> None:
        """Read the epoch's losses, all at once."""
        for kept in (self.losses, self.counts):
            kept[self.start :] = floats(kept[self.start :])

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
A run is drawn, and after a crash another recorder goes on from it.
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


# %% Handed on tags=["export"] module="training.recorder"
class Recorder(Recorder):
    def state_dict(self) -> dict[str, Any]:
        """All that was recorded, for checkpoints."""
        state = {"rows": self.rows, "ends": self.ends, "start": self.start}
        for name in ("losses", "lrs", "counts"):
            values = floats(vars(self)[name])
            state[name] = torch.tensor(values, dtype=torch.float64)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what another recorder kept."""
        for name in ("losses", "lrs", "counts"):
            setattr(self, name, state_dict[name].tolist())
        self.rows, self.ends = [*state_dict["rows"]], [*state_dict["ends"]]
        self.start = state_dict["start"]


# %%
learn, again = learner(Recorder()), Recorder()
learn.fit(1)
again.load_state_dict(learn[Recorder].state_dict())
assert_equal(again.losses, learn[Recorder].losses)

# %% [markdown]
r"""
What else people change, and what it is worth: {doc}`/3_training/11_learner`.

## What we built

* `Run`, `Callback`, `Cancel…` (`training.callback`): the contract.
* `Learner` (`training.learner`): the loop, and what may be overridden in it.
* `Recorder` (`training.recorder`): what happened.

## Questions

:::{dropdown} Why does a batch that is cancelled in `before_step` leave its gradient?
Only `optimizer.zero_grad()` removes it. Accumulation lives on that.
:::

:::{dropdown} Why is not always `after_x` called?
A listener to `after_epoch` may rely on a whole epoch: the recorder adds a row.
:::

:::{dropdown} Who hears what, if the second of three callbacks raises in `after_batch`?
The first two have had their end. The third hears `after_cancel_batch`.
:::

:::{dropdown} Why is a tensor of two rows not a pair, though it can be unpacked?
One example would be the answer to the other, without an error.
:::

## Exercises

**1.** Write a callback that ends an epoch's training after five batches.
"""


# %% tags=["solution"]
class Limit(Callback):
    def before_batch(self, run: Run) -> None:
        if run.training and run.batch_idx == 5:
            raise CancelTraining


learn = learner(Limit())
learn.fit(2)
assert_equal(learn.step, 10)

# %% [markdown]
r"""
**2.** Let the rate grow evenly over the first hundred steps. What must be saved?
"""


# %% tags=["solution"]
class WarmUp(Callback):
    def before_step(self, run: Run) -> None:
        share = min(1.0, (run.step + 1) / 100)
        run.optimizer.param_groups[0]["lr"] = 0.5 * share


# nothing: it depends on the step alone, and the run saves that
learn = learner(WarmUp(), Recorder())
learn.fit(1)
assert_close(learn[Recorder].lrs[50], 0.5 * 50 / 100)

# %% [markdown]
r"""
**3.** How often does each event happen in two epochs? Reckon, then count.
"""

# %% tags=["solution"]
Tracer.heard = []
learner(Tracer()).fit(2)
n_losses = 2 * (len(batches()) + len(valid))
assert_equal(Tracer.heard.count("after_loss"), n_losses)

# %% [markdown]
r"""
The rate was a constant. Should it be? {doc}`/3_training/5_annealing` asks that.
"""
