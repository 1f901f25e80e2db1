import pytest
import torch
from torch.nn import functional as F

from groundup import nn
from groundup.inside.step_checks import (
    check_gradients,
    check_parameters,
    check_step_size,
)

seeds = pytest.mark.parametrize("seed", range(5))


class Network(nn.Module):
    """Two layers, the first perhaps in a list, or behind a `detach`."""

    def __init__(self, listed=False, detached=False):
        first = nn.Linear(8, 16)
        self.first = [first] if listed else first
        self.detached = detached
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        first = self.first[0] if isinstance(self.first, list) else self.first
        hidden = first(x).relu()
        return self.last(hidden.detach() if self.detached else hidden)


def setup(seed, **bugs):
    torch.manual_seed(seed)
    net = Network(**bugs)
    x, y = torch.randn(64, 8), torch.randint(4, (64,))
    return net, lambda: F.cross_entropy(net(x), y)


def stepper(net, loss, lr=0.1, clear="before"):
    def step():
        if clear == "before":
            net.zero_grad()
        loss().backward()
        with torch.no_grad():
            for param in net.parameters():
                param -= lr * param.grad
        if clear == "after":
            net.zero_grad()
        if clear == "after, to zeros":
            net.zero_grad(set_to_none=False)

    return step


@seeds
def test_a_layer_in_a_list_is_found(seed):
    net, loss = setup(seed)
    assert check_parameters(loss(), net.parameters()) is None
    net, loss = setup(seed, listed=True)
    found = check_parameters(loss(), net.parameters())
    assert "2 of 4 tensors" in found and "(16, 8)" in found


def test_a_tensor_that_is_used_twice_is_named_once():
    weight = torch.ones(3, requires_grad=True)
    found = check_parameters((weight * weight).sum(), [])
    assert "1 of 1 tensors" in found


def test_a_frozen_parameter_need_not_be_trained():
    net, loss = setup(0)
    net.first.requires_grad_(False)
    assert check_parameters(loss(), net.last.parameters()) is None


@seeds
def test_a_detached_gradient_is_found(seed):
    for detached in (False, True):
        net, loss = setup(seed, detached=detached)
        loss().backward()
        found = check_gradients(net.named_parameters())
        assert found == (
            "no gradient reaches first.weight, first.bias" if detached else None
        )


def test_a_gradient_of_zeros_is_none():
    net, loss = setup(0)
    net.first.bias.data -= 100  # every unit is dead
    loss().backward()
    found = check_gradients(net.named_parameters())
    assert "first.weight" in found and "last.bias" not in found


@seeds
@pytest.mark.parametrize(
    "lr, is_right", [(1e-5, False), (0.1, True), (50, False)]
)
def test_a_step_of_the_wrong_size_is_found(seed, lr, is_right):
    net, loss = setup(seed)
    before = [param.clone() for param in net.parameters()]
    found = check_step_size(net, stepper(net, loss, lr))
    assert (found is None) == is_right
    for old, new in zip(before, net.parameters(), strict=True):
        assert old.equal(new)


def test_the_size_of_a_step_is_told():
    net, _ = setup(0)

    def step():
        for param in net.parameters():
            param.data *= 1.5

    assert check_step_size(net, step) == (
        "a step moves the weights by 0.5 of their length"
    )


def test_a_step_to_no_number_is_found():
    net, loss = setup(0)
    assert "nan" in check_step_size(net, stepper(net, loss, torch.nan))


@pytest.mark.parametrize("weight", [300.0, 1e-2])
def test_squares_are_summed_in_float32(weight):
    net = nn.Linear(8, 16).half()
    with torch.no_grad():
        for param in net.parameters():
            param.fill_(weight)

    def step():
        with torch.no_grad():
            for param in net.parameters():
                param *= 1 - 2**-8

    assert check_step_size(net, step) is None


def test_parameters_without_names_are_refused():
    net, _ = setup(0)
    with pytest.raises(TypeError, match=r"pass `model\.named_parameters\(\)`"):
        check_gradients(net.parameters())
