import pytest
import torch
from torch.nn import functional as F

from groundup import nn
from groundup.inside.model_checks import (
    check_activations,
    check_loss,
    check_nonlinear,
    check_repeats,
    check_rows,
    check_scores,
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


@seeds
@pytest.mark.parametrize("scale", [0.0, 1e-3, 100.0])
def test_weights_of_the_wrong_size_are_found(seed, scale):
    x, _ = data(seed)
    net = network(seed)
    assert check_activations(net, x) is None
    net[0].weight.data *= scale  # the units still differ, by their biases
    assert " in 0" in check_activations(net, x)


def test_deviations_that_are_no_number_are_found():
    net = network(0)
    net[0].bias.data[0] = torch.nan
    assert "nan" in check_activations(net, data(0)[0])


@seeds
@pytest.mark.parametrize("kind", [nn, torch.nn])
def test_a_forgotten_nonlinearity_is_found(seed, kind):
    x, _ = data(seed)
    assert check_nonlinear(network(seed, kind=kind), x) is None
    net = kind.Sequential(kind.Linear(8, 16), kind.Linear(16, 4))
    assert "between 0 and 1" in check_nonlinear(net, x)


def test_a_nonlinearity_in_forward_counts_in_place_too():
    for inplace in (False, True):
        middle = Apply(lambda x, i=inplace: F.relu(x, i))
        assert check_nonlinear(network(0, middle=middle), data(0)[0]) is None


@seeds
def test_probabilities_are_no_scores(seed):
    x, _ = data(seed)
    assert check_scores(network(seed)(x)) is None
    assert check_scores(network(seed)(x).log_softmax(-1)) is None
    assert "softmax itself" in check_scores(network(seed)(x).softmax(-1))
    assert check_scores(network(seed)(x).sigmoid()) is None


def over_the_batch(output, target):
    return F.nll_loss(output.log_softmax(0), target)


def broadcast(output, target):
    """(n, 1) against (n,): every row against every other."""
    return ((output[:, :1] - target) ** 2).mean()


@seeds
@pytest.mark.parametrize("wrong", [over_the_batch, broadcast])
def test_a_loss_that_mixes_rows_is_found(seed, wrong):
    x, y = data(seed)
    output = network(seed)(x)
    assert check_loss(F.cross_entropy, output, y) is None
    found = check_loss(wrong, output, y)
    assert "its rows' mean is" in found


@pytest.mark.parametrize(
    "check", [check_rows, check_repeats, check_activations, check_nonlinear]
)
def test_checks_record_no_graph(check):
    enabled = []
    last = Apply(lambda x: enabled.append(torch.is_grad_enabled()) or x)
    check(network(0, last), data(0)[0])
    assert enabled and not any(enabled)


@seeds
def test_checks_leave_no_hook_and_no_gradient(seed):
    x, _ = data(seed)
    net = network(seed)
    check_activations(net, x)
    check_nonlinear(net, x)
    assert not any(module._hooks for module in net.modules())
    assert all(param.grad is None for param in net.parameters())
