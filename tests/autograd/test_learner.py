"""A network trained on this engine by the learner of part 3."""

from collections.abc import Callable

import torch

from groundup import nn, optim
from groundup.autograd import Variable
from groundup.data import TensorLoader
from groundup.testing import assert_close
from groundup.training import Learner


def squared_error(prediction: object, target: object) -> object:
    return ((prediction - target) ** 2).mean()


class Network(nn.Module):
    """8-30-1, on the weights as an engine knows them."""

    def __init__(self, known: Callable[[list], list]):
        self.known = known
        self.first, self.last = nn.Linear(8, 30), nn.Linear(30, 1)

    def forward(self, x: torch.Tensor) -> object:
        self.weights = w1, b1, w2, b2 = self.known([*self.parameters()])
        self.output = (x @ w1.mT + b1).relu() @ w2.mT + b2
        return self.output.data


def variables(params: list) -> list:
    return [Variable(p.data, requires_grad=True) for p in params]


def trained(known: Callable[[list], list]) -> Network:
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    target = x[:, :1] * x[:, 1:2]
    model = Network(known)

    def backward(loss: torch.Tensor) -> None:
        squared_error(model.output, learn.target).backward()
        for param, weight in zip(
            model.parameters(), model.weights, strict=True
        ):
            param.grad = weight.grad

    learn = Learner(
        model,
        TensorLoader(x, target, batch_size=32, shuffle=True),
        optim=optim.SGD,
        lr=0.1,
        loss=squared_error,
        backward=backward,
        defaults=[],
    )
    torch.manual_seed(1)
    before = squared_error(model(x), target).item()
    learn.fit(20)
    assert squared_error(model(x), target).item() < 0.5 * before
    return model


def test_the_learner_trains_on_gradients_of_this_engine_as_on_torchs():
    ours, theirs = trained(variables), trained(list)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.data, q.data, rtol=1e-4, atol=1e-5)
