"""Two networks against each other, with an optimizer each."""

import math
import tempfile
from itertools import pairwise

import torch

from groundup import nn, optim
from groundup.data import TensorLoader
from groundup.inside import examine
from groundup.nn.functional import binary_cross_entropy_with_logits
from groundup.training import Checkpoint, Learner, Recorder


def ring(n: int) -> torch.Tensor:
    """Points about a circle of radius 2: (n, 2)."""
    angle = 2 * math.pi * torch.rand(n)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    return 2 * circle + 0.1 * torch.randn(n, 2)


def mlp(*sizes: int) -> nn.Sequential:
    layers = []
    for d_in, d_out in pairwise(sizes):
        layers += [nn.Linear(d_in, d_out), torch.nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class Pair(nn.Module):
    """A generator of points and a critic of them."""

    def __init__(self):
        self.generator, self.critic = mlp(4, 64, 64, 2), mlp(2, 64, 64, 1)

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        return self.generator(noise)


def says(scores: torch.Tensor, real: float) -> torch.Tensor:
    """How far the critic is from calling all of them real, or not."""
    target = torch.full_like(scores, real)
    return binary_cross_entropy_with_logits(scores, target)


class GAN(Learner):
    def train_step(self) -> None:
        """A step of the critic, then one of the generator."""
        critic, generator = self.optimizer.optimizers
        real = self.input
        made = self.model(torch.randn(len(real), 4))
        on_made = says(self.model.critic(made.detach()), 0.0)
        self.loss = says(self.model.critic(real), 1.0) + on_made
        self.call("after_loss")
        self.backward(self.loss)
        self.update(critic)
        self.backward(says(self.model.critic(made), 1.0))
        self.update(generator)


def two_adams(params: object, lr: float) -> optim.CombinedOptimizer:
    parts = model.critic, model.generator
    each = [optim.Adam(p.parameters(), lr, betas=(0.5, 0.99)) for p in parts]
    return optim.CombinedOptimizer(*each)


torch.manual_seed(0)
model, folder = Pair(), tempfile.mkdtemp()
loader = TensorLoader(ring(8192), batch_size=128, shuffle=True)
defaults = [Recorder(), Checkpoint(folder)]
learn = GAN(model, loader, optim=two_adams, lr=1e-3, defaults=defaults)
found = examine(learn)
learn.fit(12)
with torch.no_grad():
    points = model(torch.randn(2000, 4))
