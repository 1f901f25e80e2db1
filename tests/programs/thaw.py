"""A pretrained body and a new head: frozen, then thawed, one cycle each.

The body has learnt to tell ten digits apart; with few examples the head is to
say whether a digit is odd.
"""

import sklearn.datasets
import torch
from torch import nn

from groundup import optim
from groundup.data import TensorLoader
from groundup.inside import examine
from groundup.training import Accuracy, Anneal, Learner, Recorder

digits = sklearn.datasets.load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
before, shown, hidden = slice(1000), slice(1000, 1050), slice(1050, None)


def body() -> nn.Sequential:
    norm, relu = nn.BatchNorm1d, nn.ReLU
    first, second = nn.Linear(64, 64), nn.Linear(64, 32)
    return nn.Sequential(first, norm(64), relu(), second, norm(32), relu())


def learner(model: nn.Module, rows: slice, y: torch.Tensor, lr: object, **more):
    """One that trains on some rows and is judged by the hidden ones."""
    cut = {"batch_size": 10, "shuffle": True, "drop_last": True}
    train = TensorLoader(x[rows], y[rows], **cut)
    valid = TensorLoader(x[hidden], y[hidden], batch_size=200)
    more |= {"metrics": [Accuracy()], "defaults": [Recorder()]}
    return Learner(model, train, valid, optim=optim.AdamW, lr=lr, **more)


def parts(model: nn.Sequential) -> list:
    return [model[0].parameters(), model[1].parameters()]


torch.manual_seed(0)
pretrained = nn.Sequential(body(), nn.Linear(32, 10))
learner(pretrained, before, y, 0.01).fit(5, [Anneal.one_cycle(0.01)])

model, odd = nn.Sequential(pretrained[0], nn.Linear(32, 2)), y % 2
learn = learner(model, shown, odd, [0.001, 0.02], splitter=parts)
found = examine(learn)
model[0].requires_grad_(False)
model[0].eval()  # or BatchNorm would go on counting
learn.fit(10, [Anneal.one_cycle([0.001, 0.02])])
frozen = dict(learn.results)

model.requires_grad_(True)
model.train()
learn.fit(10, [Anneal.one_cycle([0.001, 0.005])])

scratch = learner(nn.Sequential(body(), nn.Linear(32, 2)), shown, odd, 0.01)
scratch.fit(20, [Anneal.one_cycle(0.01)])
