# %% [markdown] module="training.saving" starred=true
r"""
# Checkpoint and exact resume

This chapter finishes what {doc}`/3_training/4_learner` began: what a run leaves
on the disk, so that it can go on. You may go on without it.

A process can end at any moment: the power, the queue's time limit, a kernel
update. **What must be written down so that another process goes on, and ends
with the same weights to the last bit?**

A checkpoint grows in three versions, put to one check: a run that crashed and
went on is held against one that did not. Two fail it, each by what it leaves
out. The last passes, and is then finished for daily use.

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
import resource
import signal
import tempfile
import threading
import timeit
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
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
## The check

{term}`Exact resume` is stronger than "continues training", and worth the effort
for one reason: it can be tested. A run that continues almost right looks like
one that continues right.

The run of our check has all that makes it hard to go on: momentum, another
order of the batches in each epoch, random noise in each batch, a log. A witness
notes what a step depends on: at the first step of a process, where a run may go
on, and at the last.
"""


# %%
class Noise(Callback):
    def before_batch(self, run: Run) -> None:
        if run.training:
            run.input = run.input + 0.1 * torch.randn_like(run.input)


class Witness(Callback):
    def __init__(self) -> None:
        self.notes: dict[int, dict[str, Tensor]] = {}

    def before_step(self, run: Run) -> None:
        if self.notes and run.step not in (157, 180, 313):
            return
        states = run.optimizer.state_dict()["state"].values()
        kept = [each["momentum_buffer"].flatten() for each in states]
        weights = [param.detach().flatten() for param in run.model.parameters()]
        self.notes[run.step] = {
            "weights": torch.cat(weights),
            "momentum": torch.cat([torch.empty(0), *kept]),
            "place": torch.tensor([run.epoch, run.batch_idx, run.step]),
            "input": run.input,
            "log": torch.tensor([*map(float, run[Recorder].losses)]),
        }


# %% [markdown]
r"""
The power fails after step 200. Or it fails later, and in the middle of a write:
from step 200 on the system takes a limited number of bytes, so that half a file
is left.
"""


# %%
class Crash(Callback):
    order = 200  # after all others, the checkpoint too

    def __init__(self, step: int, room: int | None = None):
        self.step, self.room = step, room  # for so many bytes of a file

    def after_step(self, run: Run) -> None:
        if run.step == 200 and self.room is not None:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, most))

    def after_batch(self, run: Run) -> None:
        if run.step == self.step:
            raise RuntimeError("power failure")


def momentum(params: Iterable, lr: float) -> SGD:
    return SGD(params, lr, momentum=0.9)


def run_with(*more: Callback) -> Learner:
    """Two epochs of a learner made anew, as by another process."""
    own = Recorder(), Noise(), Witness()
    learn = learner(*own, lr=0.05, optim=momentum)
    learn.fit(2, more)
    return learn


# %% [markdown]
r"""
A version is a callback that saves every 60 steps in a folder, and goes on if it
finds something there. `check` lets it crash, lets another learner go on, and
tells what is as in the uninterrupted run: at the step where it goes on, and at
the `end`. Last, whether it reaches the same end after a write that left `half`
a file.
"""


# %%
def crash(checkpoint: Callback, how: Crash) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        run_with(checkpoint, how)
    except Exception as error:
        assert "power" in str(error) or "too large" in str(error), error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, bool]:
    return {part: torch.equal(one[part], other[part]) for part in other}


# %%
def check(
    version: Callable[[Path], Callback], at: int = 180
) -> dict[str, bool | str]:
    """What is the same where a run goes on, and at its end."""
    folder, notes = Path(tempfile.mkdtemp()), through[Witness].notes
    crash(version(folder / "a"), Crash(200))
    first, *_, last = run_with(version(folder / "a"))[Witness].notes.values()
    logs.append(last["log"])
    told = same(first, notes[at])
    told["end"] = all(same(last, notes[313]).values())
    crash(version(folder / "b"), Crash(240, room=100_000))
    try:
        *_, last = run_with(version(folder / "b"))[Witness].notes.values()
        told["half"] = all(same(last, notes[313]).values())
    except Exception as error:
        told["half"] = type(error).__name__
    return told


logs: list[Tensor] = []
through = run_with()

# %% [markdown]
r"""
## Weights alone

The first version writes what {doc}`/3_training/4_learner` can already write.
"""


# %%
class Checkpoint(Callback):
    order = 100  # after all others, so that it sees what they have done

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.path = folder / "last.safetensors"

    def before_fit(self, run: Run) -> None:
        if self.path.exists():
            run.load(self.path)

    def after_batch(self, run: Run) -> None:
        if run.training and run.step % 60 == 0:
            run.save(self.path)


told = check(Checkpoint)
kept = [part for part in told if told[part] is True]
assert_equal(kept, ["weights"])
told

# %% [markdown]
r"""
The weights are there. The new process takes them for those of a run that
begins: its two epochs start over, without momentum, with other batches.

## Optimizer and counters

The second version also saves the optimizer's state and the place. That is a
tree: dictionaries and lists with numbers, text and tensors as leaves. A pickle
could hold it, and could also run any code when it is read. So we write two
formats that cannot: safetensors for the tensors, and JSON for the rest.
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
With that, the second version. It skips the batches of the epoch that are gone.
"""


# %%
class Checkpoint(Callback):
    order = 100

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.path, self.batch = folder / "last.safetensors", 0

    def before_fit(self, run: Run) -> None:
        if self.path.exists():
            tensors = safetensors.torch.load(self.path.read_bytes())
            tree = json.loads(self.path.with_suffix(".json").read_text())
            state = put_together(tree, tensors)
            run.model.load_state_dict(state["model"])
            run.optimizer.load_state_dict(state["optimizer"])
            run.epoch, self.batch, run.step = state["place"]

    def before_epoch(self, run: Run) -> None:
        run.first_batch, self.batch = self.batch, 0
        run.loader = islice(run.train, run.first_batch, None)

    def after_batch(self, run: Run) -> None:
        if run.training and run.step % 60 == 0:
            state = {"model": dict(run.model.state_dict())}
            state["optimizer"] = run.optimizer.state_dict()
            state["place"] = run.epoch, run.batch_idx + 1, run.step
            tree = take_apart(state, tensors := {})
            self.path.write_bytes(safetensors.torch.save(tensors))
            self.path.with_suffix(".json").write_text(json.dumps(tree))


# %%
told = check(Checkpoint)
kept = [part for part in told if told[part] is True]
assert_equal(kept, ["weights", "momentum", "place"])
told

# %% [markdown]
r"""
The weights, the momentum and the place are there, and the next batch is still
another one: nobody saved the random numbers, from which order and noise come.
The log is gone. And who died in the middle of a write finds half a file, of
which not even the weights can be read.

## Everything, whole or absent

So what determines the future of a run?

* the weights and buffers, and gradients that wait for a step;
* the optimizer's state, and in it the learning rates that a schedule has set;
* what callbacks know, such as the recorder's lists;
* the random states of torch, Python and NumPy;
* the loader's place: its generator as it was when the epoch began, and how many
  batches are gone;
* the step, the epoch, and where the fit was to end.

All but the last two are in `run_state` and `all_random_states`, which
{doc}`/3_training/5_annealing` needed to go back after a sweep. They go into one
file, with the JSON in safetensors' header, that appears whole or not at all: it
is written under another name in the same folder, *synced* (the system may keep
it in memory for half a minute otherwise), and renamed. A rename is one step,
and either has happened or has not.
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
    if _DIGEST not in data:
        text = "is no checkpoint, or is damaged: it tells no SHA-256"
        raise CheckpointError(f"{path} {text}")
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
    message = str(error).replace(str(folder), "")
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
The third version. The other callbacks begin an epoch too, and what they forget
at its beginning they must know again: so the state is loaded after them.
"""


# %%
class Checkpoint(Callback):
    order = 100

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.path, self.state = folder / "last.safetensors", None

    def before_fit(self, run: Run) -> None:
        if self.path.exists():
            self.state = read_checkpoint(self.path)
            run.epoch = self.state["epoch"]

    def before_epoch(self, run: Run) -> None:
        state, self.state = self.state, None
        self.began = state["began"] if state else all_random_states(run)
        if state:
            load_run_state(run, state)
            n, run.first_batch = state["batch"], state["batch"]
            run.loader = batches_after(n, run, self.began, state["now"])

    def after_batch(self, run: Run) -> None:
        if run.training and run.step % 60 == 0:
            place = {"epoch": run.epoch, "batch": run.batch_idx + 1}
            random = {"began": self.began, "now": all_random_states(run)}
            write_checkpoint(self.path, run_state(run) | place | random)


told = check(Checkpoint)
assert_equal(told, dict.fromkeys(told, True))
told

# %% [markdown]
r"""
It passes. By eye the three are hard to tell apart:
"""

# %% The three versions go on alt="Training loss over the 134 batches after going on, for the uninterrupted run and the three versions. All four fluctuate alike between 0.1 and 0.6; the third lies exactly on the uninterrupted run, the other two do not." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
straight = through[Witness].notes[313]["log"][180:]
ax.plot(straight, color="0.6", lw=4, label="uninterrupted")
names = "weights alone", "optimizer and counters", "everything"
for i, (name, log) in enumerate(zip(names, logs, strict=True)):
    after = log[180:] if name == "everything" else log
    ax.plot(after[:134], color=f"C{i}", lw=1, label=name)
ax.set(xlabel="batches after going on", ylabel="loss")
figure.legend(loc="outside upper center", ncols=2)
plt.show()

# %% [markdown]
r"""
## Save

What is left is daily use. A file that was damaged a week later must not end the
run: several are kept. A script may call `fit` more than once, the disk may be
full, a loader may know its own place. And a script need not know whether it is
run for the first time: with a checkpoint in the folder it goes on, without one
it begins.
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
            "optimizer_class": type(run.optimizer).__name__,
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
To look through the weights costs this share of a whole save:
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
        old, new = state["optimizer_class"], type(run.optimizer).__name__
        if old != new:
            raise ValueError(
                f"saved with the optimizer {old}, put back in {new}"
            )
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
And as in the third version, the state is loaded again when that epoch begins,
after the other callbacks have begun it.
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
The same check. A full disk costs a warning now, and the crash comes after it.
This version saves after so many batches of an epoch and at the end of its
training, so it goes on from step 157.
"""

# %%
version = partial(Checkpoint, every=60)
with warnings.catch_warnings(record=True) as heard:
    told = check(version, at=157)
assert_equal(told, dict.fromkeys(told, True))
assert_equal(len(heard), 1)
told, str(heard[0].message).split(": ")[0]

# %% [markdown]
r"""
Stronger still: the last checkpoints of the whole run and of the resumed one are
the same file, byte for byte.
"""

# %%
ends = []
for crashes in (False, True):
    folder = Path(tempfile.mkdtemp())
    if crashes:
        crash(version(folder), Crash(200))
    run_with(version(folder))
    ends.append(max(folder.iterdir()))
digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in ends]
assert_equal(*digests)
digests[0]

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


early, late = (sizes(path) for path in Checkpoint(folder).files())
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


again = Path(tempfile.mkdtemp())
try:
    run_with(Seen(), version(again), Crash(200))
except RuntimeError:
    pass
seen = Seen()
run_with(seen, version(again))
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
write_checkpoint(again / "forged.safetensors", state)
assert_equal(read_checkpoint(again / "forged.safetensors")["step"], -1)

# %% [markdown]
r"""
A run can now be killed at any moment. Nothing that follows needs more than the
one line `Checkpoint(folder)`.
"""
