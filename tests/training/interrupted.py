"""A training run that kills its own process.

A test starts `run_killed` in another process and goes on with `run` in its own.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from groundup.data.loader import DataLoader
from groundup.data.tensor_loader import TensorLoader
from groundup.nn import Linear, ReLU, Sequential
from groundup.training import (
    Accumulate,
    Accuracy,
    Callback,
    Checkpoint,
    EarlyStopping,
    Learner,
    Recorder,
)


class Noise(Callback):
    """Draws from all three generators in every batch, like dropout."""

    def before_batch(self, run):
        if run.training:
            factor = random.random() + np.random.rand()
            run.input = run.input + factor * torch.randn_like(run.input) / 10


class Decay(Callback):
    """A schedule that knows only how often it was called."""

    def __init__(self):
        self.calls = 0

    def after_step(self, run):
        self.calls += 1
        run.optimizer.param_groups[0]["lr"] = 0.05 / (1 + self.calls)

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state_dict):
        self.calls = state_dict["calls"]


class At(Callback):
    """Does something at the n-th time of an event, after all others."""

    order = 200

    def __init__(self, event: str, n: int, action: Callable[[], None]):
        self.n, self.action = n, action
        setattr(self, event, self.count)

    def count(self, run):
        self.n -= 1
        if self.n == 0:
            self.action()


KINDS = [
    "tensors",
    "tensors, own generator",
    "ours",
    "torch's",
    "torch's, own generator",
    "list",
]


def loader(kind: str):
    torch.manual_seed(7)
    x = torch.randn(100, 5)
    y = (x[:, 0] * x[:, 1] > 0).long()
    own = torch.Generator().manual_seed(8)
    theirs = torch.utils.data
    match kind:
        case "tensors":
            return TensorLoader(x, y, batch_size=8, shuffle=True)
        case "tensors, own generator":
            return TensorLoader(x, y, batch_size=8, shuffle=True, generator=own)
        case "ours":
            rows = list(zip(x, y, strict=True))
            return DataLoader(rows, batch_size=8, shuffle=True)
        case "torch's":
            data = theirs.TensorDataset(x, y)
            return theirs.DataLoader(data, batch_size=8, shuffle=True)
        case "torch's, own generator":
            data = theirs.TensorDataset(x, y)
            return theirs.DataLoader(
                data, batch_size=8, shuffle=True, generator=own
            )
        case "list":
            return list(zip(x.split(8), y.split(8), strict=True))


def run(
    folder, *more: Callback, kind="tensors", n_epochs=3, every=2
) -> Learner:
    train = loader(kind)
    torch.manual_seed(0)
    random.seed(1)
    np.random.seed(2)
    model = Sequential(Linear(5, 8), ReLU(), Linear(8, 2))
    learn = Learner(
        model,
        train,
        loader("list")[:4],
        optim=torch.optim.Adam,
        lr=0.05,
        metrics=[Accuracy()],
        defaults=[
            Recorder(),
            Noise(),
            Decay(),
            Accumulate(2),
            EarlyStopping(patience=9),
            Checkpoint(folder, every=every),
        ],
    )
    learn.fit(n_epochs, more)
    return learn


def final(folder) -> bytes:
    """The newest checkpoint: all of the run that matters, and its SHA-256."""
    return max(Path(folder).glob("*.safetensors")).read_bytes()


def kill(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.1)


def kill_at_call(name: str, n: int, before: Callable = lambda: None) -> None:
    """Replace a function of `os` by one that kills at its n-th call."""
    left, real = [n], getattr(os, name)

    def function(*args):
        left[0] -= 1
        if left[0] == 0:
            kill()
        return real(*args)

    setattr(os, name, function)


def run_killed(folder, point: str, n: int) -> None:
    """Until the n-th time of an event, a function of `os` or a signal."""
    torch.set_num_threads(1)
    more, every = [], 2
    if point in ("fsync", "replace"):
        kill_at_call(point, n)
    elif point.startswith("SIG"):
        number = getattr(signal, point)
        more = [At("before_step", n, lambda: kill(number))]
        every = 50  # so that only the signal makes it save
    else:
        more = [At(point, n, kill)]
    run(folder, *more, every=every)
