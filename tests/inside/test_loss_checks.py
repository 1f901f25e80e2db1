import pytest
import torch
from torch.nn import functional as F

from groundup import nn
from groundup.inside.loss_checks import check_loss, check_scores

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


def test_rows_weigh_what_they_count():
    torch.manual_seed(0)
    output, target = torch.randn(5, 3, 7), torch.randint(3, (5, 7))
    target[0, :5] = target[3] = -100

    def count(target):
        return (target != -100).sum()

    assert check_loss(F.cross_entropy, output, target, count) is None
    assert check_loss(F.cross_entropy, output, target, torch.numel)
    pair = lambda o, t: (F.cross_entropy(o, t), count(t))
    assert check_loss(pair, output, target, count) is None
