import pytest
import torch
from torch.nn import functional as F

from groundup import nn
from groundup.inside.repeat_checks import (
    check_fresh,
    check_repeats,
    check_rows,
    first_rows,
)

seeds = pytest.mark.parametrize("seed", range(5))


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        self.function = function

    def forward(self, input):
        return self.function(input)


def network(seed, *more, middle=None, kind=nn):
    torch.manual_seed(seed)
    layers = [kind.Linear(8, 16), middle or kind.ReLU(), kind.Linear(16, 4)]
    return kind.Sequential(*layers, *more)


def data(seed, n=64):
    torch.manual_seed(seed + 100)
    return torch.randn(n, 8), torch.randint(4, (n,))


@seeds
@pytest.mark.parametrize(
    "last",
    [torch.squeeze, lambda x: x - x.mean(0), lambda x: x.softmax(0)],
    ids=["squeeze", "mean over the batch", "softmax over the batch"],
)
def test_rows_that_depend_on_the_batch_are_found(seed, last):
    x, _ = data(seed)
    assert check_rows(network(seed), x) is None
    assert check_rows(network(seed, Apply(last)), x) is not None


def test_a_missing_axis_is_shown_with_both_shapes():
    found = check_rows(network(0, Apply(torch.squeeze)), data(0)[0])
    assert "(4,), not (1, 4)" in found


@seeds
def test_dropout_that_is_switched_on_is_found(seed):
    x, _ = data(seed)
    net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Dropout(0.1))
    assert check_repeats(net.eval(), x) is None
    assert "asked twice" in check_repeats(net.train(), x)


def test_rows_of_any_batch_are_taken():
    x = torch.arange(6).view(3, 2)
    got = first_rows({"a": x, "b": (x, "text")}, 2, 1)
    assert got["a"].equal(x[1:]) and got["b"][1] == "text"
    assert got["b"][0].equal(x[1:])


@pytest.mark.parametrize("check", [check_rows, check_repeats])
def test_checks_record_no_graph(check):
    enabled = []
    last = Apply(lambda x: enabled.append(torch.is_grad_enabled()) or x)
    check(network(0, last), data(0)[0])
    assert enabled and not any(enabled)


@seeds
def test_half_precision_rounds_more(seed):
    x, _ = data(seed)
    net = network(seed).to(torch.bfloat16)
    assert check_rows(net, x.bfloat16()) is None


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
@pytest.mark.parametrize("clear", ["before", "after", "after, to zeros"])
def test_gradients_that_are_cleared_are_fresh(seed, clear):
    net, loss = setup(seed)
    before = [param.clone() for param in net.parameters()]
    step = stepper(net, loss, clear=clear)
    for _ in range(2):
        assert check_fresh(net, step) is None
    for old, new in zip(before, net.parameters(), strict=True):
        assert old.equal(new)


@seeds
@pytest.mark.parametrize("n_before", [0, 3])
def test_gradients_that_pile_up_are_found(seed, n_before):
    net, loss = setup(seed)
    step = stepper(net, loss, clear="never")
    for _ in range(n_before):
        step()
    assert "is it cleared?" in check_fresh(net, step)


@seeds
def test_random_steps_are_compared_with_one_draw(seed):
    net, _ = setup(seed)
    x, y = torch.randn(64, 8), torch.randint(4, (64,))
    noisy = stepper(net, lambda: F.cross_entropy(net(F.dropout(x)), y))
    state = torch.get_rng_state()
    assert check_fresh(net, noisy) is None
    assert torch.get_rng_state().equal(state)
