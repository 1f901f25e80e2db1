"""`examine` accuses no healthy learner, and finds each bug."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from groundup import nn, optim
from groundup.data import DataLoader, TensorLoader
from groundup.inside import examine
from groundup.testing import assert_equal
from groundup.training import Accumulate, Callback, ClipGradient, Learner


def deal(*tensors, size=32):
    return list(zip(*(each.split(size) for each in tensors), strict=True))


def blobs(n=320, n_classes=4, shape=(8,)):
    y = torch.randint(n_classes, (n,))
    return torch.randn(n_classes, *shape)[y] + torch.randn(n, *shape), y


def mlp(d_in=8, d_out=4, kind=nn, *more):
    layers = [kind.Linear(d_in, 16), kind.ReLU(), kind.Linear(16, d_out)]
    return kind.Sequential(*layers, *more)


def classifier(model=None, data=None, batches=None, kind=Learner, **options):
    x, y = data or blobs()
    n = len(x) * 4 // 5 // 32 * 32
    options = {"optim": optim.SGD, "lr": 0.1, "defaults": []} | options
    return kind(
        mlp() if model is None else model,
        batches or deal(x[:n], y[:n]),
        deal(x[n:], y[n:]),
        **options,
    )


def torchs():
    net = mlp(8, 4, torch.nn)
    net.insert(2, torch.nn.Dropout(0.2))
    return classifier(net, optim=torch.optim.AdamW, lr=3e-3)


def convolutional():
    """LeNet's five layers, as torch starts them."""
    net = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.ReLU()),
        *(torch.nn.AvgPool2d(2), torch.nn.Conv2d(6, 16, 5), torch.nn.ReLU()),
        *(torch.nn.AvgPool2d(2), torch.nn.Flatten()),
        *(torch.nn.Linear(64, 120), torch.nn.ReLU()),
        *(torch.nn.Linear(120, 84), torch.nn.ReLU(), torch.nn.Linear(84, 4)),
    )
    return classifier(net, blobs(shape=(1, 16, 16)), optim=optim.Adam, lr=1e-3)


def normalised():
    net = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()),
        *(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()),
        torch.nn.Linear(32, 4),
    )
    return classifier(
        net, blobs(shape=(1, 8, 8)), optim=partial(optim.SGD, momentum=0.9)
    )


def rings():
    """Classes that differ in no mean."""
    y = torch.randint(2, (320,))
    angle = 2 * math.pi * torch.rand(320)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    x = (1 + y)[:, None] * circle + 0.1 * torch.randn(320, 2)
    return classifier(mlp(2, 2), (x, y))


def rare():
    """One class in twenty, shuffled by a loader."""
    x, y = blobs(640, 2)
    keep = (y == 0) | (torch.rand(640) < 0.1)
    x, y = x[keep], y[keep]
    loader = TensorLoader(x[:256], y[:256], batch_size=32, shuffle=True)
    return classifier(mlp(8, 2), (x, y), loader)


def regression():
    x = torch.randn(320, 3)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(320, 1)
    return classifier(mlp(3, 1), (x, y), loss=F.mse_loss, lr=0.01)


def yes_or_no():
    """A table of a few bits: rows repeat by nature."""
    x = torch.randint(2, (320, 4)).float()
    y = (x.sum(1) + torch.randn(320) > 2).float()[:, None]
    net = mlp(4, 1)
    return classifier(net, (x, y), loss=F.binary_cross_entropy_with_logits)


def probabilities():
    """A softmax in the model is right where the loss has none."""

    def loss(output, target):
        return F.nll_loss(output.log(), target)

    return classifier(mlp(8, 4, torch.nn, torch.nn.Softmax(-1)), loss=loss)


class Language(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(12, 16)
        self.recurrent = torch.nn.GRU(16, 16, batch_first=True)
        self.head = torch.nn.Linear(16, 12)

    def forward(self, tokens):
        out, _ = self.recurrent(self.embed(tokens))
        return self.head(out).transpose(1, 2)


def language():
    """Ignored labels, in groups of two batches, clipped."""
    x = torch.randint(12, (320, 6))
    y = x.roll(-1, 1)
    y[torch.rand(y.shape) < 0.3] = -100
    callbacks = [Accumulate(2), ClipGradient(1.0)]
    return classifier(
        Language(), (x, y), optim=optim.AdamW, lr=1e-3, callbacks=callbacks
    )


def weighted():
    loss = torch.nn.CrossEntropyLoss(torch.tensor([1.0, 5.0, 2.0, 0.5]))
    return classifier(loss=loss)


class Two(nn.Module):
    def __init__(self):
        self.by_a, self.by_b = nn.Linear(8, 4), torch.nn.Embedding(3, 4)

    def forward(self, a, b):
        return self.by_a(a) + self.by_b(b)


class Named(Learner):
    def unpack(self, batch):
        return {"a": batch["a"], "b": batch["b"]}, batch["y"]


def two_inputs():
    x, y = blobs()
    b = torch.randint(3, (320,))
    batches = [{"a": i, "b": j, "y": k} for i, j, k in deal(x, b, y)]
    return Named(
        Two(), batches[:8], batches[8:], optim=optim.SGD, lr=0.1, defaults=[]
    )


def autoencoder():
    """No target, no validation."""

    class Inputs(Learner):
        def unpack(self, batch):
            return batch, batch

    x, _ = blobs()
    return Inputs(
        mlp(8, 8), x.split(32), optim=optim.Adam, lr=1e-3, loss=F.mse_loss
    )


class Both(nn.Module):
    def __init__(self):
        self.generator, self.critic = mlp(4, 8), mlp(8, 1)

    def forward(self, noise):
        return self.generator(noise)


class GAN(Learner):
    def train_step(self):
        critic, generator = self.optimizer.optimizers
        made = self.model(torch.randn(len(self.input), 4))
        scores = self.model.critic(torch.cat([made.detach(), self.input]))
        signs = torch.ones(len(scores), 1)
        signs[: len(made)] = -1
        self.loss = F.softplus(-signs * scores).mean()
        self.backward(self.loss)
        self.update(critic)
        self.backward(F.softplus(-self.model.critic(made)).mean())
        self.update(generator)


def gan():
    x, _ = blobs()
    model = Both()

    def optimizers(params, lr):
        parts = model.critic, model.generator
        made = [optim.Adam(each.parameters(), lr) for each in parts]
        return optim.CombinedOptimizer(*made)

    return GAN(model, x.split(32), optim=optimizers, lr=2e-3, defaults=[])


def frozen():
    """A body that is kept, a head that is trained."""
    net = mlp()
    net[0].requires_grad_(False)

    def head(model):
        return [list(model[2].parameters()), list(model[0].parameters())]

    return classifier(net, splitter=head)


def streamed():
    x, y = blobs()

    class Stream:
        def __iter__(self):
            return itertools.cycle(deal(x[:256], y[:256]))

    return classifier(data=(x, y), batches=Stream())


def bfloat16():
    x, y = blobs()
    return classifier(mlp().to(torch.bfloat16), (x.bfloat16(), y))


HEALTHY = [
    classifier,
    torchs,
    convolutional,
    normalised,
    rings,
    rare,
    regression,
    yes_or_no,
    probabilities,
    language,
    weighted,
    two_inputs,
    autoencoder,
    gan,
    frozen,
    streamed,
    bfloat16,
]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("make", HEALTHY, ids=lambda make: make.__name__)
def test_a_healthy_learner_is_not_accused(make, seed):
    torch.manual_seed(seed)
    found = examine(make(), n_batches=12)
    assert {n: text for n, text in found.items() if text is not None} == {}


def test_what_does_not_apply_is_left_out():
    torch.manual_seed(0)
    found = examine(regression())
    assert not found.keys() & {"shuffled", "labels", "scores"}
    assert found.keys() >= {"overlap", "scale", "loss", "parameters", "fresh"}
    assert len(examine(classifier())) == 14
    assert examine(gan()).keys() == {"step size", "fresh"}


class Apply(nn.Module):
    def __init__(self, function):
        self.function = function

    def forward(self, input):
        return self.function(input)


class Listed(nn.Module):
    def __init__(self):
        self.layers, self.last = [nn.Linear(8, 16)], nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.layers[0](x).relu())


class Forgets(Learner):
    def update(self, optimizer=None):
        self.optimizer.step()


class ForgetsByHand(Learner):
    def train_step(self):
        self.compute_loss()
        self.backward(self.loss)
        self.optimizer.step()


def sorted_batches():
    x, y = blobs()
    order = y.argsort()
    return classifier(batches=deal(x[order], y[order]), data=(x, y))


def shuffled_labels():
    x, y = blobs()
    return classifier(data=(x, y[torch.randperm(320)]))


def same_sets():
    learn = classifier()
    learn.valid = learn.train
    return learn


def other_scale():
    learn = classifier()
    learn.valid = [(x / 255, y) for x, y in learn.valid]
    return learn


def large_weights():
    net = mlp()
    net[0].weight.data *= 100
    return classifier(net)


def wrong_axis():
    def loss(output, target):
        return F.nll_loss(output.log_softmax(0), target)

    return classifier(loss=loss)


def linear_twice():
    return classifier(nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4)))


def cut_off():
    return classifier(
        nn.Sequential(nn.Linear(8, 8), Apply(torch.Tensor.detach), *mlp())
    )


SICK = {
    "shuffled": [sorted_batches],
    "labels": [shuffled_labels],
    "overlap": [same_sets],
    "scale": [other_scale],
    "rows": [lambda: classifier(mlp(8, 4, nn, Apply(torch.squeeze)))],
    "repeats": [lambda: classifier(mlp(8, 4, nn, Apply(F.dropout)))],
    "activations": [large_weights],
    "nonlinear": [linear_twice],
    "scores": [lambda: classifier(mlp(8, 4, nn, torch.nn.Softmax(-1)))],
    "loss": [wrong_axis],
    "parameters": [lambda: classifier(Listed())],
    "gradients": [cut_off],
    "fresh": [
        lambda: classifier(kind=Forgets),
        lambda: classifier(kind=ForgetsByHand),
    ],
    "step size": [lambda: classifier(lr=50.0), lambda: classifier(lr=1e-7)],
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "name, make", [(name, make) for name in SICK for make in SICK[name]]
)
def test_each_bug_is_found_by_its_check(name, make, seed):
    torch.manual_seed(seed)
    assert examine(make(), n_batches=12)[name] is not None


@pytest.mark.parametrize("make", HEALTHY, ids=lambda make: make.__name__)
@pytest.mark.parametrize("fits", [0, 1])
def test_the_learner_goes_on_as_if_nobody_had_looked(make, fits):
    weights = []
    for looks in (False, True):
        torch.manual_seed(1)
        learn = make()
        learn.fit(fits, n_batches=4)
        torch.manual_seed(2)
        if looks:
            examine(learn, n_batches=8)
        torch.manual_seed(2)
        learn.fit(1, n_batches=4)
        weights.append([p.clone() for p in learn.model.parameters()])
        assert (learn.epoch, learn.fits) == (fits + 1, 2)
        assert all(p.grad is None for p in learn.model.parameters())
        assert not any(
            m._forward_hooks if isinstance(m, torch.nn.Module) else m._hooks
            for m in learn.model.modules()
        )
    for before, after in zip(*weights, strict=True):
        assert_equal(before, after)


def test_only_callbacks_that_shape_a_step_hear_of_it():
    heard = []

    class Hears(Callback):
        def before_fit(self, run):
            heard.append(run)

    examine(classifier(callbacks=[Hears()]))
    assert heard == []


def test_a_loader_with_workers_serves():
    x, y = blobs()
    pairs = list(zip(x, y, strict=True))
    loader = DataLoader(pairs[:256], batch_size=32, shuffle=True)
    assert not any(examine(classifier(batches=loader, data=(x, y))).values())
