"""The learner beside a bare PyTorch loop, and an epoch beside other libraries.

`python -m _config.bench` measures the overhead, a pass over the same batches
with the same model, and the whole epoch with the library's own parts.
`python tests/benchmarks/bench_learner.py` sets the bare loop, the learner,
fastai and Lightning side by side, those that are installed.
"""

import contextlib
import importlib.util
import io
import logging
import time
from collections.abc import Callable, Iterable
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from _config.runs.benchmarks import Pair, benchmark
from groundup import nn as ours
from groundup import optim
from groundup.data.tensor_loader import TensorLoader
from groundup.manual import ByHand
from groundup.nn.functional.loss import cross_entropy
from groundup.training import Callback, Learner, default_callbacks

N = 6400
x = torch.randn(N, 784, generator=torch.Generator().manual_seed(0))
y = torch.arange(N) % 10


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))


def convnet() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28)),
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def bare(
    model: nn.Module, loader: Iterable, make: Callable = torch.optim.SGD
) -> Callable[[], None]:
    """An epoch of the loop that everybody writes."""
    optimizer = make(model.parameters(), 0.01)

    def epoch() -> None:
        model.train()
        for input, target in loader:
            loss = F.cross_entropy(model(input), target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch


def learner(
    model: nn.Module,
    loader: Iterable,
    callbacks: Iterable[Callback],
    make: Callable = torch.optim.SGD,
    **own: Callable,
) -> Callable[[], None]:
    """The same epoch by a learner, its table thrown away."""
    own = {"loss": F.cross_entropy, **own}
    learn = Learner(
        model, loader, optim=make, lr=0.01, defaults=callbacks, **own
    )

    def epoch() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            learn.fit(1)

    return epoch


def overhead(
    make: Callable, n_batches: int, callbacks: Iterable[Callback], shape: tuple
) -> Pair:
    rows = x[: 64 * n_batches].view(-1, *shape), y[: 64 * n_batches]
    loader = TensorLoader(*rows, batch_size=64, shuffle=True)
    model = make()
    model(rows[0][:2])
    return learner(model, loader, callbacks), bare(model, loader)


@benchmark("torch.nn.Module", label="fit, no callbacks", at_most=1.03)
def without_callbacks() -> Pair:
    """784-50-10, batches of 64, one thread."""
    torch.set_num_threads(1)
    return overhead(mlp, 40, (), (784,))


@benchmark("torch.nn.Module", label="fit, default callbacks", at_most=1.10)
def with_the_default_callbacks() -> Pair:
    """784-50-10, batches of 64, one thread."""
    torch.set_num_threads(1)
    return overhead(mlp, 40, default_callbacks(), (784,))


@benchmark("torch.nn.Module", label="fit, small convnet", at_most=1.01)
def convolutional() -> Pair:
    """Two convolutions, batches of 64, one thread."""
    torch.set_num_threads(1)
    return overhead(convnet, 20, (), (28, 28))


def our_parts() -> tuple[ours.Sequential, TensorLoader]:
    """The library's own network and loader."""
    net = ours.Sequential(
        ours.Linear(784, 50), ours.ReLU(), ours.Linear(50, 10)
    )
    return net, TensorLoader(x, y, batch_size=64, shuffle=True)


def our_epoch() -> Callable[[], None]:
    """What a user of the library writes."""
    net, loader = our_parts()
    callbacks = default_callbacks()
    return learner(net, loader, callbacks, fused_sgd, loss=cross_entropy)


def by_hand_epoch() -> Callable[[], None]:
    """The same with the gradients of part 2."""
    net, loader = our_parts()
    model, callbacks = ByHand(net), default_callbacks()
    own = {"loss": model.loss, "backward": model.backward}
    return learner(model, loader, callbacks, fused_sgd, **own)


def fused_sgd(parameters: Iterable, lr: float) -> optim.SGD:
    return optim.SGD(parameters, lr, fused=True)


def torch_epoch() -> Callable[[], None]:
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True)
    return bare(mlp(), loader)


@benchmark("torch.nn.Module", label="fit by hand, no callbacks", at_most=1.07)
def by_hand() -> Pair:
    """784-50-10, batches of 64, the gradients of part 2 on both sides."""
    torch.set_num_threads(1)
    (net, loader), (other, batches) = our_parts(), our_parts()
    model, bare_model = ByHand(net), ByHand(other)
    own = {"loss": model.loss, "backward": model.backward}
    optimizer = fused_sgd(bare_model.parameters(), 0.01)

    def bare_epoch() -> None:
        for input, target in batches:
            bare_model.backward(bare_model.loss(bare_model(input), target))
            optimizer.step()
            optimizer.zero_grad()

    return learner(model, loader, (), fused_sgd, **own), bare_epoch


@benchmark("torch.utils.data.DataLoader", label="an epoch", at_most=0.6)
def whole_epoch() -> Pair:
    """784-50-10, batches of 64: loader, layers, loss, optimizer, learner."""
    torch.set_num_threads(1)
    return our_epoch(), torch_epoch()


@benchmark("torch.utils.data.DataLoader", label="an epoch by hand", at_most=0.5)
def whole_epoch_by_hand() -> Pair:
    """The same with a backward pass of its own."""
    torch.set_num_threads(1)
    return by_hand_epoch(), torch_epoch()


def fastai_epoch() -> Callable[[], None]:
    from fastai import learner as fastai
    from fastai.callback import progress  # noqa: F401, adds `no_bar`
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader as FastLoader
    from fastai.optimizer import SGD

    data = list(zip(x, y, strict=True))
    loaders = DataLoaders(
        FastLoader(data, bs=64, shuffle=True, num_workers=0),
        FastLoader(data[:0], bs=64, num_workers=0),
    )
    learn = fastai.Learner(loaders, mlp(), F.cross_entropy, SGD, lr=0.01)

    def epoch() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit(1)

    return epoch


def lightning_epoch() -> Callable[[], None]:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = mlp()

        def training_step(self, batch: tuple, index: int) -> torch.Tensor:
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.01)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True)

    def epoch() -> None:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Module(), loader)

    return epoch


RIVALS = {
    "bare loop, torch's DataLoader": ("torch", torch_epoch),
    "bare loop, TensorLoader": (
        "torch",
        lambda: bare(mlp(), TensorLoader(x, y, batch_size=64, shuffle=True)),
    ),
    "groundup": ("groundup", our_epoch),
    "groundup, by hand": ("groundup", by_hand_epoch),
    "fastai": ("fastai", fastai_epoch),
    "Lightning": ("lightning", lightning_epoch),
}


def side_by_side(turns: int = 7) -> dict[str, float]:
    """Median CPU seconds an epoch of each that is installed, in turns."""
    torch.set_num_threads(1)
    calls = {
        name: make()
        for name, (package, make) in RIVALS.items()
        if importlib.util.find_spec(package)
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns + 1):
        for name, epoch in calls.items():
            start = time.process_time()  # of one thread, whatever else runs
            epoch()
            times[name].append(time.process_time() - start)
    return {name: median(seconds[1:]) for name, seconds in times.items()}


if __name__ == "__main__":
    x, y = x.repeat(10, 1), y.repeat(10)  # so that making a trainer is nothing
    table = side_by_side()
    first = next(iter(table.values()))
    for name, seconds in table.items():
        print(f"{name:32}{seconds:8.3f} s {seconds / first:8.2f}")
    for name, (package, _) in RIVALS.items():
        if name not in table:
            print(f"{name:32} not installed ({package})")
