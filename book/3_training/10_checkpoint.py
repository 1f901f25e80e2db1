# %% [markdown] module="training.saving" starred=true
r"""
# Checkpoint and exact resume

This chapter finishes what {doc}`/3_training/4_learner` began: what a run leaves
on the disk, so that it can go on. You may go on without it.

A process can end at any moment: the power, the queue's time limit, a kernel
update. **What must be written down so that another process goes on, and ends
with the same weights to the last bit?**

| name | meaning |
| --- | --- |
| checkpoint | a file with all that the future of a run depends on |
| {term}`exact resume` | the resumed run ends bit for bit where the uninterrupted one does |
| place | how many batches of the epoch are gone |
"""

# %% Imports tags=["hide-input"]
import hashlib
import json
import math
import os
import signal
import tempfile
import threading
import timeit
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import safetensors.torch
import torch
from torch import Tensor

from groundup.data.resume import Resumable
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.optim.sgd import SGD
from groundup.testing import assert_equal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy
from groundup.training.recorder import Recorder
from groundup.training.snapshot import (
    all_random_states,
    load_run_state,
    run_state,
    set_all_random_states,
)

# %% [markdown]
r"""
The data, the network and a learner of {doc}`/3_training/4_learner`: 10,000
images to train on.
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


def learner(*callbacks: Callback, lr: float = 0.1, **options: Any) -> Learner:
    options = {"optim": SGD, "metrics": [Accuracy()], **options}
    return Learner(
        network(), train, valid, lr=lr, defaults=callbacks, **options
    )


# %% [markdown]
r"""
## A checkpoint

{term}`Exact resume` is stronger than "continues training", and worth the effort
for one reason: it can be tested. A run that continues almost right looks like
one that continues right.

What determines the future of a run?

* the weights and buffers, and gradients that wait for a step;
* the optimizer's state, and in it the learning rates that a schedule has set;
* what callbacks know, such as the recorder's lists;
* the random states of torch, Python and NumPy;
* the loader's place: its generator as it was when the epoch began, and how many
  batches are gone;
* the step, the epoch, and where the fit was to end.

It is a tree: dictionaries and lists with numbers, text and tensors as leaves. A
pickle could hold it, and could also run any code when it is read. So we write
two formats that cannot, in one file: safetensors for the tensors, and JSON, in
its header, for the rest.
"""


# %% Refused tags=["export"]
"""All of a run, in a file that is whole or absent, and checked to the bit."""


class CheckpointError(Exception):
    """A checkpoint that is not what was written, or not of this run."""


# %% A tree apart tags=["export", "internal"]
def take_apart(
    tree: Any, tensors: dict[str, Tensor], path: str = "state"
) -> Any:
    """The tree for JSON; its tensors go into `tensors`, copied, by path."""
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case Tensor():
            whole = torch.contiguous_format
            tensors[path] = tree.detach().cpu().clone(memory_format=whole)
            return {"tensor": path}
        case Mapping():
            items = [
                [key, take_apart(value, tensors, f"{path}.{key}")]
                for key, value in tree.items()
            ]
            return {"dict": items}
        case list() | tuple():
            items = [
                take_apart(value, tensors, f"{path}.{i}")
                for i, value in enumerate(tree)
            ]
            return {type(tree).__name__: items}
    raise TypeError(
        f"{path} is of type {type(tree).__name__}; a checkpoint holds tensors, "
        "numbers, text and None in dicts, lists and tuples"
    )


# %% And together tags=["export", "internal"]
def put_together(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `take_apart` took apart."""
    if not isinstance(tree, dict):
        return tree
    [(kind, value)] = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: put_together(each, tensors) for key, each in value}
    items = [put_together(each, tensors) for each in value]
    return tuple(items) if kind == "tuple" else items


# %% [markdown]
r"""
Numbers survive: Python writes a float with as many digits as it takes to read
the same bits again. Keys stay integers, since pairs are written as lists.
"""

# %%
tensors = {}
tree = take_apart({"lr": 0.1, 0: (torch.ones(2), None)}, tensors)
json.dumps(tree), tensors

# %% [markdown]
r"""
A file appears whole or not at all: it is written under another name in the same
folder, *synced* (the system may keep it in memory for half a minute otherwise),
and renamed. A rename is one step, and either has happened or has not.
"""


# %% Whole or absent tags=["export", "internal"]
def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole, and on the disk, or not at all."""
    path = Path(path)
    new = path.with_name(path.name + ".tmp")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name too
    finally:
        os.close(folder)


# %% [markdown]
r"""
Neither safetensors nor `torch.load` notices a flipped bit in a weight. So the
header also holds a SHA-256 over the *whole* file, computed with zeros in its
own place.
"""


# %% A checked file tags=["export"]
_DIGEST = b'\\"sha256\\": \\"'  # as JSON inside of JSON
_ZEROS = b"0" * 64


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> str:
    """Write a tree of tensors, numbers and text; return its SHA-256."""
    tensors: dict[str, Tensor] = {}
    tree = take_apart(state, tensors)
    text = json.dumps({"sha256": _ZEROS.decode(), "state": tree})
    data = safetensors.torch.save(tensors, metadata={"checkpoint": text})
    digest = hashlib.sha256(data).hexdigest()
    write_file(path, data.replace(_ZEROS, digest.encode(), 1))
    return digest


# %% tags=["export"]
def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tree that was written; CheckpointError if one bit is another."""
    data = Path(path).read_bytes()
    start = data.find(_DIGEST) + len(_DIGEST)
    told = data[start : start + len(_ZEROS)]
    blank = data[:start] + _ZEROS + data[start + len(_ZEROS) :]
    found = hashlib.sha256(blank).hexdigest()
    if found.encode() != told:
        raise CheckpointError(
            f"{path} is damaged: it says its SHA-256 is "
            f"{told.decode(errors='replace')}, but it is {found}"
        )
    try:
        return _parsed(data)
    except Exception as error:  # whatever a forger thought of
        raise CheckpointError(f"{path} is no checkpoint: {error!r}") from None


def _parsed(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tree = json.loads(header["__metadata__"]["checkpoint"])["state"]
    state = put_together(tree, safetensors.torch.load(data))
    if not isinstance(state, dict):
        raise TypeError(f"a {type(state).__name__} in place of a dict")
    return state


# %% [markdown]
r"""
One bit of a file is turned over:
"""

# %%
folder = Path(tempfile.mkdtemp())
write_checkpoint(folder / "a.safetensors", {"model": network().state_dict()})
damaged = bytearray((folder / "a.safetensors").read_bytes())
damaged[-1000] ^= 4
(folder / "b.safetensors").write_bytes(damaged)
try:
    read_checkpoint(folder / "b.safetensors")
except CheckpointError as error:
    message = str(error)
message

# %% [markdown]
r"""
safetensors itself reads the damaged file without a word.

## The loader's place

Our loaders can tell their place and go back to it: {doc}`/3_training/2_data`
has made them `Resumable`. Any other iterable is resumed in the plain way: put
the random states back to where they were when the epoch began, start to
iterate, and let go of the batches that are gone. That is exact if the order of
the batches follows from the random states at that moment, as with torch's
loader.
"""


# %% The rest of an epoch tags=["export", "internal"]
def batches_after(
    n: int, run: Run, began: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator:
    """The epoch's batches but the first n, which are loaded and let go."""
    set_all_random_states(run, began)
    batches = iter(run.train)
    for _ in zip(range(n), batches, strict=False):
        pass
    set_all_random_states(run, now)
    yield from batches


# %%
class Shuffled:
    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.randperm(8).split(2))


run = Run()
run.train, run.valid = Shuffled(), None
began = all_random_states(run)
batches = list(run.train)
rest = list(batches_after(2, run, began, all_random_states(run)))
assert_equal(torch.stack(rest), torch.stack(batches[2:]))
batches, rest

# %% [markdown]
r"""
## Save

Now the callback. It comes last at every event, so that it sees what the others
have done. A script need not know whether it is run for the first time: with a
checkpoint in the folder it goes on, without one it begins.
"""


# %% A folder tags=["export"] module="training.checkpoint"
"""Checkpoints from which a killed run goes on as if nothing had been."""


class Checkpoint(Callback):
    """Saves a run in a folder of its own, and goes on where it was killed.

    Saves every so many batches, after each epoch's training, at the end, and
    when Ctrl-C or SIGTERM ask to stop; `keep` files stay. The resumed run ends
    bit for bit where the uninterrupted one does.
    """

    order = 100  # after all others

    def __init__(self, folder: str | Path, every: int = 1000, keep: int = 2):
        if min(every, keep) < 1:
            raise ValueError(f"expected 1 or more, got {every=} and {keep=}")
        self.folder, self.every, self.keep = Path(folder), every, keep
        self.n_epochs = 0  # of this fit, as it was asked for
        self.saved = 0  # batches of this epoch in the last checkpoint
        self.began: dict[str, Any] | None = None  # random states, at its start
        self.state: dict[str, Any] | None = None  # to go on from
        self.file: Path | None = None  # in which that state stands
        self.signal: int | None = None  # what asks to stop
        self.handlers: dict[int, Any] = {}  # of signals, before the fit


# %% [markdown]
r"""
A file's name says where in the run it was written, so that the newest comes
last.
"""


# %% Its files tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def path(self, run: Run, batch: int, over: bool) -> Path:
        """The file of a place; the last of a fit carries the fit's number."""
        end = f"-fit-{run.fits:04}" if over else ""
        name = f"epoch-{run.epoch:06}-batch-{batch:08}{end}.safetensors"
        return self.folder / name

    def files(self) -> list[Path]:
        """The checkpoints in the folder, the newest last."""
        return sorted(self.folder.glob("epoch-*-batch-*.safetensors"))


# %% [markdown]
r"""
First what is saved. A *fit* is one call of `fit`; a script may have several,
and the killed one is known by its number. The newest files are kept, and the
last one of every fit, so that a script that is run again finds after each of
its fits what was there the first time.
"""


# %% A state tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def state_of(self, run: Run, batch: int, trained: bool) -> dict[str, Any]:
        """A run's state, and its place: so many batches of the epoch."""
        resumable = isinstance(run.train, Resumable) and batch and not trained
        return {
            **run_state(run),
            "fit": {"number": run.fits, "n_epochs": self.n_epochs},
            "epochs": [run.start_epoch, run.epoch, run.stop_epoch],
            "batch": batch,
            "trained": trained,
            "loader": run.train.state_dict() if resumable else None,
            "began": self.began,
            "now": all_random_states(run),
        }


# %% [markdown]
r"""
A nan must not be saved: from then on every resumed run would be ill. The weights
are looked through before each file is written.
"""


# %% Nothing ill is saved tags=["export", "internal"] module="training.checkpoint"
def check_finite(run: Run) -> None:
    """Raise FloatingPointError if a weight is not a finite number."""
    for name, param in run.model.named_parameters():
        if not param.detach().isfinite().all():
            raise FloatingPointError(
                f"{name} is not finite in {run.place}: nothing is saved, the "
                "checkpoint before is from before that"
            )


# %%
ill = learner()
ill.fit(0)
ill.model[0].bias.data[3] = math.nan
try:
    check_finite(ill)
except FloatingPointError as error:
    message = str(error)
message

# %% [markdown]
r"""
What may fail is the disk. In the middle of a run that costs a warning: the last
file is still there, and so is the run. At the end of a fit it is an error, since
the result would be lost.
"""


# %% A file tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def save(
        self, run: Run, batch: int, trained: bool = False, over: bool = False
    ) -> None:
        """Write a checkpoint after so many batches of the epoch.

        If that fails, warn; if the fit is over, raise.
        """
        check_finite(run)
        state = self.state_of(run, batch, trained)
        try:
            write_checkpoint(self.path(run, batch, over), state)
        except OSError as error:
            if over:
                raise
            text = f"no checkpoint in {run.place}: {error}; training goes on"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        for old in self.files()[: -self.keep]:
            if "-fit-" not in old.name:
                old.unlink()
        self.saved = batch


# %%
one = learner(Recorder())
one.fit(1)
checkpoint = Checkpoint(tempfile.mkdtemp())
checkpoint.save(one, batch=0)
[newest] = checkpoint.files()
newest.name, list(read_checkpoint(newest))

# %% [markdown]
r"""
The look costs this share of the time of a whole save:
"""

# %% tags=["hide-input"]
saving = min(timeit.repeat(lambda: checkpoint.save(one, 0), number=1, repeat=7))
looking = min(timeit.repeat(lambda: check_finite(one), number=1, repeat=7))
assert looking < 0.5 * saving
round(looking / saving, 3)

# %% [markdown]
r"""
Then when: after so many batches, at the end of an epoch's training and at the
end of the fit.
"""


# %% When to save tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def after_batch(self, run: Run) -> None:
        """Save if enough batches have gone by."""
        done = run.batch_idx + 1
        if run.training and done - self.saved >= self.every:
            self.save(run, done)

    def after_training(self, run: Run) -> None:
        """Save before the validation: an epoch's training is done."""
        self.save(run, run.batch_idx + 1, trained=True)

    def after_fit(self, run: Run) -> None:
        """Save the result, unless there was nothing left to do."""
        if self.began is not None:
            self.save(run, 0, over=True)


# %%
checkpoint = Checkpoint(tempfile.mkdtemp(), every=60, keep=3)
learner(checkpoint).fit(1)
[path.name for path in checkpoint.files()]

# %% [markdown]
r"""
## Go on

Going on has two parts. Before the fit we learn where to begin. A checkpoint of
an earlier fit is none of this one's. One of this fit, or of a later one, may say
that this one is over: then its last state is loaded, which is all that the
script needs from it, and a warning says that nothing was trained. And a file may
be sound and yet of another run: other layers, another optimizer, other
callbacks, or no run at all. That ends in one kind of error, which names the
file.
"""


# %% Of another run tags=["export", "internal"] module="training.checkpoint"
def check_place(state: Mapping[str, Any]) -> None:
    """Raise ValueError unless a state's numbers are a place in a fit."""
    start, now, stop = state["epochs"]
    numbers = state["step"], state["batch"], start, now, stop
    end = start + state["fit"]["n_epochs"]
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if not whole or not start <= now <= stop <= end:
        raise ValueError(f"no place in a fit that ends at {end}: {numbers}")


# %% tags=["export"] module="training.checkpoint"
@contextmanager
def _of_this_run(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        text = f"{path} is not of this run: {type(error).__name__}: {error}"
        raise CheckpointError(text) from error


# %%
nowhere = {"epochs": [0, 3, 2], "step": 9, "batch": 0, "fit": {"n_epochs": 2}}
try:
    check_place(nowhere)
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
With that the file is looked for and put into the run.
"""


# %% Where to begin tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def before_fit(self, run: Run) -> None:
        """Find out where to begin."""
        self._find(run)

    def _find(self, run: Run) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob("*.tmp"):
            torn.unlink()
        self.n_epochs, self.began = run.stop_epoch - run.start_epoch, None
        self.state, path = None, self._newest(run.fits)
        if path is not None:
            self.file, state = path, self.read(path)
            with _of_this_run(path):
                self._begin_at(run, state)
            if run.epoch >= run.stop_epoch:
                text = f"{path}: fit {run.fits} was over, nothing is trained"
                warnings.warn(text, RuntimeWarning, stacklevel=2)


# %% The file to go on from tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def _newest(self, fit: int) -> Path | None:
        """The newest file of a fit, the last one's if it is over."""
        over = sorted(self.folder.glob(f"epoch-*-fit-{fit:04}.safetensors"))
        if over:
            return over[-1]
        *_, last = self.files() or [None]
        if last is None:
            return None
        with _of_this_run(last):
            number = self.read(last)["fit"]["number"]
            if number > fit:
                raise LookupError(f"fit {number}, and no end of fit {fit}")
        return last if number == fit else None


# %% [markdown]
r"""
A damaged file is not passed over in silence: that would be another run.
"""


# %% Read it tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def read(self, path: Path) -> dict[str, Any]:
        """A checkpoint; damaged, it is refused, not passed over."""
        others = [each for each in self.files() if each < path]
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            offer = f"; to go on from {others[-1]}, delete it" if others else ""
            raise CheckpointError(f"{error}{offer}") from None

    def _begin_at(self, run: Run, state: Mapping[str, Any]) -> None:
        check_place(state)
        load_run_state(run, state)
        set_all_random_states(run, state["now"])
        run.start_epoch, run.epoch, stop = state["epochs"]
        same = state["fit"]["n_epochs"] == self.n_epochs
        run.stop_epoch = stop if same else run.start_epoch + self.n_epochs
        self.state = state


# %%
again = Checkpoint(checkpoint.folder)
last = again.read(again.files()[-1])
last["fit"], last["epochs"], last["batch"]

# %% [markdown]
r"""
When that epoch begins, the other callbacks begin it too, and what they forget
at the beginning of an epoch, they must know again. So the state is loaded a
second time, after them.
"""


# %% The middle of an epoch tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def before_epoch(self, run: Run) -> None:
        """Begin the epoch, or go on in the middle of it."""
        state, self.state, self.saved = self.state, None, 0
        if state is None or state["batch"] == 0:
            self.began = all_random_states(run)
            return
        with _of_this_run(self.file):
            self._go_on(run, state)

    def _go_on(self, run: Run, state: Mapping[str, Any]) -> None:
        load_run_state(run, state)
        set_all_random_states(run, state["now"])
        n, self.began = state["batch"], state["began"]
        self.saved, run.first_batch, run.batch_idx = n, n, n - 1
        if state["trained"]:
            run.loader = ()
        elif isinstance(run.train, Resumable):
            run.train.load_state_dict(state["loader"])
            run.loader = iter(run.train)  # here, where its errors are told
        else:
            run.loader = batches_after(n, run, self.began, state["now"])


# %% [markdown]
r"""
The proof. A network with dropout-like noise in its training, so that random
numbers are drawn between the batches, with momentum, two epochs. One run goes
through. Another is killed by an error after 200 batches, and a third
learner, made anew as by another process, goes on in its folder.
"""


# %%
class Crash(Callback):
    order = 200

    def after_batch(self, run: Run) -> None:
        if run.training and run.step == 200:
            raise RuntimeError("power failure")


class Noise(Callback):
    def before_batch(self, run: Run) -> None:
        if run.training:
            run.input = run.input + 0.1 * torch.randn_like(run.input)


def momentum(params: Iterable, lr: float) -> SGD:
    return SGD(params, lr, momentum=0.9)


def run_in(folder: str, *more: Callback) -> Learner:
    last = Checkpoint(folder, every=60)
    learn = learner(Recorder(), Noise(), last, lr=0.05, optim=momentum)
    learn.fit(2, more)
    return learn


whole, parts = tempfile.mkdtemp(), tempfile.mkdtemp()
through = run_in(whole)

# %%
try:
    run_in(parts, Crash())
except RuntimeError:
    left = [path.name for path in sorted(Path(parts).iterdir())]
left

# %%
resumed = run_in(parts)
for one, other in zip(
    resumed.model.state_dict().values(),
    through.model.state_dict().values(),
    strict=True,
):
    assert_equal(one, other)
ends = [max(Path(folder).iterdir()) for folder in (whole, parts)]
digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in ends]
assert_equal(*digests)
digests[0]

# %% [markdown]
r"""
The last checkpoints are the same file, byte for byte: weights, momentum, random
states, every loss ever recorded.
"""

# %% alt="Training loss of two runs over 314 batches. The resumed one, drawn as a thin line from batch 180 on, lies exactly on the uninterrupted one; a mark at batch 200 shows where the first process died." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(9, 3))
ax.plot(through[Recorder].losses, color="0.6", lw=3, label="uninterrupted")
again = resumed[Recorder].losses
ax.plot(range(180, len(again)), again[180:], color="C1", lw=1, label="resumed")
ax.axvline(200, color="0.5", ls="--")
ax.text(202, 1.5, "killed")
ax.set(xlabel="batch", ylabel="loss")
ax.legend()
plt.show()

# %% [markdown]
r"""
## Asked to stop

A signal may come in the middle of a step, when half of the weights are new. So
Ctrl-C and `SIGTERM`, with which a cluster announces that it will kill, wait for
the end of the batch, and what was done since the last checkpoint is saved too.
Who presses Ctrl-C twice means it.
"""


# %% Signals tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def before_fit(self, run: Run) -> None:
        """Find out where to begin; signals wait for the end of a batch."""
        self._find(run)
        self.signal = None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._asked)

    def _asked(self, number: int, frame: Any) -> None:
        if self.signal is not None:
            self._leave()
        self.signal = number

    def _leave(self) -> None:
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)

    def after_cancel_fit(self, run: Run) -> None:
        """Handle signals as before."""
        while self.handlers:
            signal.signal(*self.handlers.popitem())


# %% [markdown]
r"""
The end of a batch and of a fit are now also places to leave.
"""


# %% Leaving tags=["export"] module="training.checkpoint"
class Checkpoint(Checkpoint):
    def after_batch(self, run: Run) -> None:
        """Save if it is time, and leave if a signal asks for it."""
        done = run.batch_idx + 1
        new = done - self.saved
        enough = self.every if self.signal is None else 1
        if run.training and new >= enough:
            self.save(run, done)
        if self.signal is not None:
            self._leave()

    def after_fit(self, run: Run) -> None:
        """Save the result, and handle signals as before."""
        try:
            if self.began is not None:
                self.save(run, 0, over=True)
        finally:
            self.after_cancel_fit(run)
        if self.signal is not None:
            self._leave()


# %%
class Interrupt(Callback):
    def before_step(self, run: Run) -> None:
        if run.step == 99:
            signal.raise_signal(signal.SIGINT)


checkpoint = Checkpoint(tempfile.mkdtemp())
try:
    learner(checkpoint, Interrupt()).fit(1)
except KeyboardInterrupt as interrupt:
    told = str(interrupt)
told, [path.name for path in checkpoint.files()]

# %% [markdown]
r"""
## What we built

* `write_checkpoint`, `read_checkpoint`, `CheckpointError` (`training.saving`):
  a tree of tensors, numbers and text in a file that is whole or absent.
* `Checkpoint` (`training.checkpoint`): exact resume.

## Questions

:::{dropdown} Why is a run saved before an epoch's validation, and not after it?
The training of the epoch is what took long. A process that dies in validation
then repeats the validation alone.
:::

:::{dropdown} Why is a checkpoint written under another name first?
A process that dies while it writes leaves half a file. Under another name that
does no harm, and a rename happens at once or not at all.
:::

:::{dropdown} Which random state must be kept twice, and why?
That from which the order of the batches was drawn, at the beginning of the
epoch, and that of now. The first gives the order again, the second what is
drawn next.
:::

:::{dropdown} Why does the checksum cover the header too?
A flipped bit in the learning rate is as bad as one in a weight.
:::

## Exercises

**1.** Which part of a checkpoint grows with the run, and which does not? Measure
it.
"""


# %% tags=["solution"]
def sizes(file: Path) -> dict[str, int]:
    state = read_checkpoint(file)
    return {key: len(json.dumps(take_apart(state[key], {}))) for key in state}


early, late = (sizes(path) for path in Checkpoint(whole, keep=9).files())
grown = [key for key in late if late[key] > early[key] + 100]
assert_equal(grown, ["callbacks"])  # the recorder's losses

# %% [markdown]
r"""
**2.** A callback that counts the digits it has seen must survive a crash. Write
it, and show that it does.
"""


# %% tags=["solution"]
class Seen(Callback):
    def __init__(self) -> None:
        self.counts = torch.zeros(10, dtype=torch.long)

    def after_batch(self, run: Run) -> None:
        if run.training:
            self.counts += run.target.bincount(minlength=10)

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.counts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.counts = state["counts"]


parts = tempfile.mkdtemp()
try:
    run_in(parts, Seen(), Crash())
except RuntimeError:
    pass
seen = Seen()
run_in(parts, seen)
assert_equal(seen.counts, 2 * y[:10_000].bincount(minlength=10))

# %% [markdown]
r"""
**3.** `read_checkpoint` never unpickles. Which attack does that rule out, and
which does the checksum *not* rule out?
"""

# %% tags=["solution"]
# A pickle may call any function when it is read; JSON and safetensors hold
# only data. The checksum finds accidents: who changes a file on purpose can
# also compute the checksum anew, as here.
state = read_checkpoint(ends[0])
state["step"] = -1
write_checkpoint(folder / "forged.safetensors", state)
assert_equal(read_checkpoint(folder / "forged.safetensors")["step"], -1)

# %% [markdown]
r"""
A run can now be killed at any moment. Nothing that follows needs more than the
one line `Checkpoint(folder)`.
"""
