"""Tests of groundup.training.snapshot: what is put back is what was taken."""

import random

import numpy as np
import torch

from groundup.training import Run
from groundup.training.snapshot import all_random_states, set_all_random_states


def test_all_generators_are_put_back():
    run = Run()
    own = torch.Generator().manual_seed(1)
    data = torch.utils.data.TensorDataset(torch.arange(4))
    sampler = torch.utils.data.RandomSampler(data, generator=own)
    run.train = torch.utils.data.DataLoader(data, sampler=sampler)
    run.valid = None

    def draw():
        numbers = random.random(), np.random.rand(), torch.rand(1).item()
        return *numbers, torch.rand(1, generator=own).item(), str(list(sampler))

    state = all_random_states(run)
    first = draw()
    assert draw() != first
    set_all_random_states(run, state)
    assert draw() == first
