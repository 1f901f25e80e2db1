"""Equality of what samplers draw, seed for seed."""

import torch
from torch.utils import data as theirs

from groundup import data as ours

BOTH = ours, theirs


def check_same(make) -> None:
    """Two epochs and the generators afterwards, with and without an own one."""
    for own in (False, True):
        found = []
        for library in BOTH:
            torch.manual_seed(7)
            generator = torch.Generator().manual_seed(8) if own else None
            sampler = make(library, generator)
            epochs = [list(sampler), list(sampler), len(sampler)]
            state = (generator or torch.default_generator).get_state()
            found.append((epochs, state.tolist()))
        assert found[0] == found[1]
