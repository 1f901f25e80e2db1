"""The optimizers, and a few steps of one."""

import torch

from groundup import optim

ALL = [
    optim.SGD,
    optim.RMSprop,
    optim.Adagrad,
    optim.Adam,
    optim.AdamW,
    optim.LAMB,
    optim.Muon,
]
TORCHS = [
    kind
    for kind in ALL
    if getattr(torch.optim, kind.__name__, None) is not None
]


def parameter(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randn(shape, generator=generator).requires_grad_()


def run(optimizer, params, steps, first=0):
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator)
        optimizer.step()


def assert_equal_states(actual, expected):
    for number, state in expected["state"].items():
        for key, value in state.items():
            assert torch.equal(actual["state"][number][key], value)
    assert actual["param_groups"] == expected["param_groups"]
