"""One module with everything a module can hold, ours and torch's."""

import pytest
import torch

from groundup import nn


class Scale(nn.Module):
    """A module with everything a module can hold."""

    def __init__(self):
        self.weight = nn.Parameter(torch.randn(3))
        self.register_parameter("bias", None)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.inner = nn.Linear(3, 2)

    def forward(self, x, *, shift=0.0):
        return self.inner((x - self.mean) * self.weight) + shift


class TorchScale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))
        self.register_parameter("bias", None)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.inner = torch.nn.Linear(3, 2)

    forward = Scale.forward


@pytest.fixture
def both():
    made = []
    for kind in (Scale, TorchScale):
        torch.manual_seed(0)
        made.append(kind())
    return made
