# %% [markdown] module="training.callbacks" starred=true
r"""
# The learner, finished

This chapter finishes what {doc}`/3_training/4_learner` began: what people hang
on a loop that tells where it is. You may go on without it; a learner that is
not told otherwise uses the bars and the check of the loss from here.

**Which changes to training are worth a class of their own, and what do they
cost?**

| name | meaning |
| --- | --- |
| `order` | a callback's place: lower is called first |
| group | batches whose gradients make one step |
| monitor | the validation result that a callback watches |
| view | bars or lines that show how far a fit is |
"""

# %% Imports tags=["hide-input"]
import csv
import math
import operator
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.data.collate import to_device
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.manual.layers import Layer, LinearLayer, Model, ReLULayer
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.optim.sgd import SGD
from groundup.scores import confusion_matrix
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import Callback, CancelBatch, Run
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy, floats, length
from groundup.training.recorder import Recorder

# %% [markdown]
r"""
The data and the network are those of the story.
"""

# %%
torch.set_num_threads(1)
images, digits = mnist()
x, y = images.view(-1, 784).float() / 255, digits
valid = TensorLoader(x[50_000:], y[50_000:], batch_size=512)


def network(seed: int = 0) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(Linear(784, 50), ReLU(), Linear(50, 10))


def train(size: int = 64) -> TensorLoader:
    shuffler = torch.Generator().manual_seed(1)
    options = {"shuffle": True, "generator": shuffler}
    return TensorLoader(x[:10_000], y[:10_000], batch_size=size, **options)


def learner(*callbacks: Callback, lr: float = 0.1, **options: Any) -> Learner:
    options = {"optim": SGD, "metrics": [Accuracy()], **options}
    options = {"lr": lr, "defaults": callbacks, **options}
    return Learner(network(), train(), valid, **options)


# %% [markdown]
r"""
## What people change

Each takes a few lines, in a place of its own. Data that must be moved to a
device is moved before everything else. A learner with `device=` does it by
itself; the callback is for one fit, or one learner among several.
"""


# %% A device tags=["export"]
"""What people change about training, a class each."""


class Device(Callback):
    """Moves the model, and every batch, to a device."""

    order = -30
    shapes_step = True

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


# %%
learn = learner(Device("meta"))  # shapes without numbers
assert learn.predict(valid).is_meta
learn.predict(valid).shape


# %% [markdown]
r"""
A loss that is not finite never comes back, and every minute after it is wasted.
On the CPU it is noticed before the step, while the weights are still sound. To
read a number from another device means to wait until it has done all its work,
and to let it wait for more. So there a hundred losses are read at once, and the
message says how many steps went by since. A gradient may be broken where the
loss is not; the weights are looked at once an epoch.
"""


# %% Not a number tags=["export"]
class FiniteLoss(Callback, default=True):
    """Stops a fit with an error when the loss is not a finite number.

    On the CPU before the step is taken; elsewhere `every` so many batches, so
    that the device need not stop for each.
    """

    order = -20

    def __init__(self, every: int = 100):
        self.every = every
        self.losses: list[Tensor] = []  # not yet read

    def before_training(self, run: Run) -> None:
        """Forget what an epoch that was left has not read."""
        self.losses = []

    def after_loss(self, run: Run) -> None:
        """Look at the loss, or keep it for later."""
        near = run.loss.is_cpu
        if not run.training or (near and math.isfinite(run.loss.item())):
            return
        self.losses.append(run.loss.detach())
        if near or len(self.losses) >= self.every:
            self._read(run)


# %% tags=["export"]
class FiniteLoss(FiniteLoss):
    def _read(self, run: Run) -> None:
        losses, self.losses = self.losses, []
        values = floats(losses)
        if all(map(math.isfinite, values)):
            return
        first = [*map(math.isfinite, values)].index(False)
        lr, n = run.optimizer.param_groups[0]["lr"], len(values) - first - 1
        since = f"{n} steps after it" if n else "those before it"
        place = f"epoch {run.epoch}, batch {run.batch_idx - n}"
        raise FloatingPointError(
            f"the loss is {values[first]} in {place} "
            f"(learning rate {lr:g}); the weights are {since}"
        )

    def after_training(self, run: Run) -> None:
        """Read what is left, and look at the weights."""
        self._read(run)
        for name, param in run.model.named_parameters():
            if not param.detach().isfinite().all():
                raise FloatingPointError(
                    f"{name} is not finite after {run.place}, though the loss "
                    "was: a gradient was not"
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
    """(sum |x|^order)^(1/order), or the largest |x|: (...) -> ().

    In float32 at least: a square of 300 is too large for a float16.
    """
    x = x.float() if x.element_size() < 4 else x
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


# %% A callback for it tags=["export"]
class ClipGradient(Callback):
    """Bounds the norm of the whole gradient; `norm` is the last one's."""

    order = 60  # after accumulation
    shapes_step = True

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
before the step, and leaves its gradient for the next. The mean over all items
is not the mean of the means, so each loss counts with its items: rows, words
that are not ignored, or the weights of their classes.
"""


# %% Accumulation tags=["export"]
class Accumulate(Callback):
    """One step for `n_batches` batches, equal to that of one large batch.

    The last batch of an epoch ends a group, if the epoch's length is known.
    """

    order = 50  # the others see the loss as it is
    shapes_step = True

    def __init__(self, n_batches: int):
        self.n_batches = n_batches
        self.waiting, self.items = 0, 0.0

    def before_fit(self, run: Run) -> None:
        """Begin a group: gradients of an earlier fit are gone."""
        self.waiting, self.items = 0, 0.0

    def after_loss(self, run: Run) -> None:
        """Weight the loss by the items it is the mean of."""
        if run.training:
            self.loss = run.loss
            run.loss = run.loss * run.count


# %% tags=["export"]
class Accumulate(Accumulate):
    def before_step(self, run: Run) -> None:
        """Wait for more batches, or divide by all their items."""
        run.loss = self.loss
        self.waiting += 1
        self.items = self.items + run.count
        last = run.batch_idx + 1 == run.n_batches
        if self.waiting < self.n_batches and not last:
            raise CancelBatch
        for param in run.model.parameters():
            if param.grad is not None:
                param.grad /= self.items
        self.waiting, self.items = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """How much waits for a step."""
        return {"waiting": self.waiting, "items": float(self.items)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Wait with as much."""
        self.waiting = state_dict["waiting"]
        self.items = state_dict["items"]


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
Two callbacks watch a validation result. A result that is not a number is never
better, not even than none.
"""


# %% Better tags=["export", "internal"]
def improved(
    run: Run, monitor: str, best: float | None, better: Callable
) -> float | None:
    """The monitored result if it is better than the best so far."""
    if monitor not in run.results:
        raise KeyError(
            f"cannot monitor {monitor!r}: validation gives {list(run.results)}"
        )
    value = run.results[monitor]
    if math.isnan(value) or (best is not None and not better(value, best)):
        return None
    return value


# %% [markdown]
r"""
Early stopping ends a fit when validation has not become better for a while. It
does not cancel anything: the epoch is over, and it asks for no more of them.
Each fit begins anew: who trains on has a reason to.
"""


# %% Early stopping tags=["export"]
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

    def before_fit(self, run: Run) -> None:
        """Forget other fits."""
        self.best, self.waited = None, 0


# %% tags=["export"]
class EarlyStopping(EarlyStopping):
    def after_epoch(self, run: Run) -> None:
        """Compare, and lower `stop_epoch` if it is enough."""
        value = improved(run, self.monitor, self.best, self.better)
        self.best = self.best if value is None else value
        self.waited = self.waited + 1 if value is None else 0
        if self.waited >= self.patience:
            run.stop_epoch = run.epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """The best result and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]


# %%
learn = learner(EarlyStopping(), lr=0.5)
learn.fit(30)
learn.epoch, learn[EarlyStopping].best

# %% [markdown]
r"""
By then the best weights are some epochs old, so they are kept in a file, over
all fits; `learn.load` brings them back.
"""


# %% The best in a file tags=["export"]
class SaveBest(Callback):
    """Writes the model's weights when validation has never been better."""

    order = 20

    def __init__(
        self,
        path: str | Path,
        monitor: str = "loss",
        better: Callable[[float, float], bool] = operator.lt,
    ):
        self.path, self.monitor, self.better = Path(path), monitor, better
        self.best: float | None = None

    def after_epoch(self, run: Learner) -> None:
        """Compare, and save."""
        value = improved(run, self.monitor, self.best, self.better)
        if value is not None:
            self.best = value
            run.save(self.path)

    def state_dict(self) -> dict[str, Any]:
        """The best result so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.best = state_dict["best"]


# %%
best = SaveBest(Path(tempfile.mkdtemp()) / "best.safetensors")
learn = learner(Recorder(), EarlyStopping(), best, lr=0.5)
learn.fit(30)
losses = [row["valid_loss"] for row in learn[Recorder].rows]
learn.load(best.path)
assert_equal(learn.evaluate()["loss"], min(losses))
len(losses), losses.index(min(losses))

# %% [markdown]
r"""
Rows of numbers are for other programs too. The file is written anew after each
epoch, so that what a killed run has found is there.
"""


# %% A table in a file tags=["export"]
class CSVLog(Callback):
    """Writes the recorder's rows as comma-separated values, names first."""

    order = 15  # after the recorder

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def after_epoch(self, run: Run) -> None:
        """Write all rows so far."""
        rows = run[Recorder].rows
        names = dict.fromkeys(name for row in rows for name in row)
        new = self.path.with_name(f"{self.path.name}.tmp")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*names])
            writer.writeheader()
            writer.writerows(rows)
        new.replace(self.path)


# %%
log = CSVLog(best.path.with_name("log.csv"))
learner(Recorder(), log).fit(2)
log.path.read_text().splitlines()

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
    learn = Learner(model, train(), optim=SGD, lr=0.1, defaults=(), **own)
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
class Progress(Callback, default=True):
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
            n = run.n_batches if run.training else length(run.loader)
            self.view.begin(n)

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
    network(), train(), valid, optim=SGD, lr=0.1, metrics=[Accuracy()]
)
learn.fit(3)

# %% [markdown]
r"""
## Programs

What people write is not always a pair, a loss and an optimizer. Five programs
show the places where a learner is changed; each runs in the library's tests,
which also hold what it has learnt.

Each asks `examine(learn)` of {doc}`/3_training/13_inside` before it trains. In
`two_inputs.py` that paid: one body scores both images, the scores are
subtracted, and no gradient reached the bias of its last layer, since it
cancels. The layer has none any more.

| program | what it changes |
| --- | --- |
| `table.py`, regression | nothing: a data set class, `mean_absolute_error` as a metric, the best weights in a file |
| `two_inputs.py`, which digit is larger | `unpack`: batches are dictionaries, two inputs are two arguments |
| `gan.py`, two networks against each other | `train_step`: an optimizer each, one after the other, and a checkpoint holds both |
| `language.py`, the next letter | `compute_loss`: in bfloat16; labels behind the end do not count, two batches make a step |
| `thaw.py`, a pretrained body | `splitter`: two rates under one cycle, the body frozen and then thawed |

The step of two optimizers in full:

```{literalinclude} ../../tests/programs/gan.py
:language: python
:pyobject: GAN
```

Freezing needs nothing of the learner. An optimizer steps what has a gradient,
and a module in evaluation mode stays in it:

```{literalinclude} ../../tests/programs/thaw.py
:language: python
:start-at: model, odd
:end-before: scratch =
```

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
assert learn.evaluate()["accuracy"] > 0.8
told

# %% [markdown]
r"""
## What does it cost?

The same steps as a bare loop, as a learner, and by two other libraries: the
network above, batches of 64, plain SGD, one thread of an AMD EPYC, medians of
`tests/benchmarks/bench_learner.py` in CPU time.
"""

# %% What a thousand batches cost alt="Horizontal bars: seconds of CPU time for a thousand batches. A bare loop over torch's DataLoader takes 0.74, over a TensorLoader 0.50; the learner 0.48, by hand 0.39; fastai 1.44 and Lightning 1.26." tags=["hide-input"]
SECONDS = {  # torch 2.13, fastai 2.8.12, Lightning 2.6.6
    "fastai": 1.443,
    "Lightning": 1.256,
    "bare loop, DataLoader": 0.745,
    "bare loop, TensorLoader": 0.503,
    "learner": 0.478,
    "learner, by hand": 0.393,
}
figure, ax = plt.subplots(figsize=(6, 2.6), layout="tight")
colors = ["C0" if "learner" in name else "0.6" for name in SECONDS]
bars = ax.barh([*SECONDS], [*SECONDS.values()], color=colors)
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlabel="seconds for a thousand batches", xlim=(0, 1.7))
ax.invert_yaxis()
plt.show()

# %%
ours = SECONDS["learner"]
{name: round(ours / seconds, 2) for name, seconds in SECONDS.items()}

# %% [markdown]
r"""
The learner with its default callbacks takes a third of fastai's time, 0.33, and
0.38 of Lightning's. It is a little ahead of a bare loop with the same batches,
since its optimizer steps all parameters in one call. With torch's optimizer on
both sides, the events add a few hundredths to such small steps and the default
callbacks about a twelfth, half of it to count labels; the library's benchmarks
hold bounds on both. How much of it is left when the layers are wide? Three of
them, square, need eight products a step: three forward, three for the weights
and two for the inputs. Those alone, beside all that the learner does:
"""

# %% Three wide layers, beside their eight products
n = 1024
rows = torch.randn(4 * n, n, generator=torch.Generator().manual_seed(0))
layers = [Linear(n, n), ReLU(), Linear(n, n), ReLU(), Linear(n, n)]
wide = ByHand(Sequential(*layers))
loader = TensorLoader(rows, torch.arange(4 * n) % n, batch_size=2 * n)
learn = Learner(
    wide,
    loader,
    loss=wide.loss,
    backward=wide.backward,
    optim=partial(SGD, fused=True),
    lr=0.01,
    defaults=(),
)

# %% The products alone


def products() -> None:
    """What an epoch multiplies: eight products of each of two batches."""
    for _ in range(16):
        rows[: 2 * n] @ rows[:n]


def cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


shares = []
for _ in range(4):
    products_took = cpu_seconds(products)
    shares.append(products_took / cpu_seconds(lambda: learn.fit(1)))
assert median(shares) > 0.8  # 0.97 on a quiet machine
f"{median(shares):.2f} of an epoch are products"

# %% [markdown]
r"""
The products run at the machine's peak, so this is the share of the peak that
training reaches.
"""

# %% [markdown]
r"""
## What is it worth?

Do the callbacks make a better network? Ten epochs on the first 10,000 images,
batches of 64, none of them short; with and without clipping to a norm of 1, and
with four batches of 16 accumulated instead. Each way to train gets its own best
rate of four, chosen on images 50,000 to 55,000, and is judged on those after
them. All start from the same weights and see the same order. Then thirty epochs,
whole and stopped early, at the best rate of plain training.
"""

# %%
RATES = 0.1, 0.2, 0.5, 1.0
WAYS = {
    "plain": (64, lambda: ()),
    "clipped": (64, lambda: (ClipGradient(1.0),)),
    "accumulated": (16, lambda: (Accumulate(4),)),
}


def run_of(seed: int, size: int, lr: float, *callbacks, n: int = 10) -> Learner:
    shuffler = torch.Generator().manual_seed(seed)
    options = {"shuffle": True, "generator": shuffler, "drop_last": True}
    rows = TensorLoader(x[:10_000], y[:10_000], batch_size=size, **options)
    choose = TensorLoader(x[50_000:55_000], y[50_000:55_000], batch_size=1000)
    options = {"optim": SGD, "lr": lr, "metrics": [Accuracy()]}
    options |= {"defaults": callbacks}
    learn = Learner(network(seed), rows, choose, **options)
    learn.fit(n, n_batches=156 * 64 // size)  # full batches of 64
    return learn


# %% What the callbacks are worth tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Accuracy of each way to train at its best rate, and at all rates."""
    torch.set_num_threads(1)
    judge = TensorLoader(x[55_000:], y[55_000:], batch_size=1000)
    found, best = {}, {}
    for name, (size, callbacks) in WAYS.items():
        runs = {lr: run_of(seed, size, lr, *callbacks()) for lr in RATES}
        judged = {lr: runs[lr].evaluate(judge)["accuracy"] for lr in RATES}
        found |= {f"{name}, lr {lr:g}": share for lr, share in judged.items()}
        best[name] = max(RATES, key=lambda lr: runs[lr].results["accuracy"])
        found |= {name: judged[best[name]], f"{name}, rate": best[name]}
    for name in ("clipped", "accumulated"):
        found[f"{name} less plain"] = found[name] - found["plain"]
    lr, path = best["plain"], Path(tempfile.mkdtemp()) / "best"
    whole = run_of(seed, 64, lr, n=30)
    stopped = run_of(seed, 64, lr, EarlyStopping(), SaveBest(path), n=30)
    epochs = stopped.epoch
    stopped.load(path)
    pair = [each.evaluate(judge)["accuracy"] for each in (whole, stopped)]
    found |= {"30 epochs": pair[0], "stopped early": pair[1]}
    found["stopped less whole"] = pair[1] - pair[0]
    return {**found, "epochs until the stop": epochs}


# %% [markdown]
r"""
Clipping does not make the best network better. Each at its own best rate, plain
training reaches {record}`worth.plain:.1%` and clipped training
{record}`worth.clipped:.1%`; the difference of the pairs is
{record}`worth.clipped less plain:.2%`, with the same sign for every seed and
too small to matter. What clipping buys is room for the rate. At a rate of 1
plain training falls to {record}`worth.plain, lr 1:.1%`, and clipped training
stays at {record}`worth.clipped, lr 1:.1%`. A run whose rate was never searched
is the better for it.

Accumulation computes the steps of batches of 64, rounding aside, and reaches
{record}`worth.accumulated:.1%`; the difference of the pairs is
{record}`worth.accumulated less plain:.2%`. Its use is memory. Thirty epochs
reach {record}`worth.30 epochs:.1%`. The weights that were best when a patience
of three was over, after {record}`worth.epochs until the stop:.0f` epochs, reach
{record}`worth.stopped early:.1%`: more than half of the time is saved for
{record}`worth.stopped less whole:.2%`, a difference whose interval holds zero
at five seeds.

## What we built

* `Device`, `FiniteLoss`, `ClipGradient`, `Accumulate`, `EarlyStopping`,
  `SaveBest`, `CSVLog` (`training.callbacks`): what people change.
* `clip_grad_norm_`, `clip_grad_value_` (`nn.utils.clip`): gradients in bounds.
* `ByHand` (`manual.by_hand`): the gradients of part 2, behind the learner.
* `Progress` (`training.progress`): bars where somebody watches, lines in a file.

## Questions

:::{dropdown} Why does early stopping lower `stop_epoch` instead of raising `CancelFit`?
Nothing is torn: the epoch is complete, and the other callbacks shall hear of
its end and of the fit's.
:::

:::{dropdown} Why does `ClipGradient` come after `Accumulate`?
What is to be bounded is the gradient of the step. Before the last batch of a
group it is a sum that is not yet divided by its items.
:::

:::{dropdown} Why is the loss read at once on the CPU, and not on a GPU?
A GPU works through a queue. Who asks for a number waits until the queue is
empty, and then the GPU waits until there is a new one.
:::

:::{dropdown} What does a group of batches count if labels are ignored?
The labels that are not. Each batch's mean is multiplied by its own count, and
the sum of the gradients is divided by the sum of the counts.
:::

## Exercises

**1.** Stop a fit when a number of minutes has gone by, at the end of an epoch.
"""


# %% tags=["solution"]
class Minutes(Callback):
    def __init__(self, n: float):
        self.n = n

    def before_fit(self, run: Run) -> None:
        self.end = time.perf_counter() + 60 * self.n

    def after_epoch(self, run: Run) -> None:
        if time.perf_counter() > self.end:
            run.stop_epoch = run.epoch + 1


learn = learner(Minutes(0.01))
learn.fit(1000)
assert_equal(learn.epoch, learn.stop_epoch)
assert learn.epoch < 1000

# %% [markdown]
r"""
**2.** Which share of the images of each digit is right? Ask for predictions with
their targets.
"""

# %% tags=["solution"]
scores, labels = learn.predict(valid, with_targets=True)
counts = confusion_matrix(scores.argmax(1), labels, 10)
shares = counts.diagonal() / counts.sum(1)
together = (counts.diagonal().sum() / counts.sum()).item()
assert_close(together, learn.evaluate()["accuracy"], rtol=1e-6)
shares.min(), shares.max()

# %% [markdown]
r"""
**3.** Freeze the first layer for an epoch, then thaw it. The optimizer steps
what has a gradient.
"""

# %% tags=["solution"]
learn = learner(lr=0.5)
first = learn.model[0]
start = first.weight.detach().clone()
first.weight.requires_grad_(False)
learn.fit(1)
assert_equal(first.weight.detach(), start)
first.weight.requires_grad_(True)
learn.fit(1)
assert not torch.equal(first.weight.detach(), start)

# %% [markdown]
r"""
The story goes on with {doc}`/3_training/5_annealing`.
"""
