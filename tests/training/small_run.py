"""A learner of five batches, and what a callback did to its optimizer."""

import pytest
import torch
from torch.optim import SGD

from groundup.data.tensor_loader import TensorLoader
from groundup.nn.linear import Linear
from groundup.training.callback import Callback
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from groundup.training.recorder import Recorder

N_BATCHES = 5


def loader(size: int = 4) -> TensorLoader:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(N_BATCHES * size, 6, generator=generator)
    y = torch.randint(3, (N_BATCHES * size,), generator=generator)
    shuffler = torch.Generator().manual_seed(4)
    return TensorLoader(x, y, batch_size=size, shuffle=True, generator=shuffler)


def momentum_sgd(params, lr):
    return SGD(params, lr, momentum=0.9)


def two_groups(params, lr):
    weight, bias = params
    groups = [{"params": [weight], "lr": lr}, {"params": [bias], "lr": lr / 10}]
    return SGD(groups, lr=lr)


def learner(*callbacks, optim=momentum_sgd, valid=None, lr=0.1) -> Learner:
    torch.manual_seed(0)
    return Learner(
        Linear(6, 3),
        loader(),
        valid,
        optim=optim,
        lr=lr,
        defaults=[Recorder(), *callbacks],
    )


class Watch(Callback):
    """Writes down what each step used."""

    order = 50

    def __init__(self):
        self.seen = []

    def before_step(self, run):
        self.seen.append(
            [dict(g, params=0) for g in run.optimizer.param_groups]
        )

    def of(self, name, group=0):
        return [groups[group][name] for groups in self.seen]


class Crash(Callback):
    order = 200

    def after_batch(self, run):
        if run.training and run.step == 7:
            raise RuntimeError("power failure")


def assert_resumes_exactly(make, tmp_path):
    """A run that crashed and went on ends as one that did not."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    through = learner(make(), Checkpoint(whole, every=2))
    through.fit(3)
    killed = learner(make(), Checkpoint(parts, every=2), Crash())
    with pytest.raises(RuntimeError, match="power"):
        killed.fit(3)
    resumed = learner(make(), Checkpoint(parts, every=2))
    resumed.fit(3)
    for one, other in zip(
        resumed.model.parameters(), through.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert resumed[Recorder].lrs == through[Recorder].lrs
