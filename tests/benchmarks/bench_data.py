"""groundup.data beside torch.utils.data, and fastai's loader if it is there."""

import importlib.util
from collections import deque

import torch
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import TensorDataset as TorchDataset

from _config.runs.benchmarks import Pair, benchmark
from groundup import data

N_ROWS = 4_000
NAME = "torch.utils.data.DataLoader"


def tensors(n: int = N_ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """MNIST's shape: rows of 784 pixels, and digits."""
    return torch.rand(n, 784), torch.randint(10, (n,))


def theirs():
    """Torch's loader over a TensorDataset."""
    return TorchLoader(TorchDataset(*tensors()), 64, shuffle=True)


def alone(work):
    """The call on one thread: a batch is too small to be worth two."""

    def call() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        work()
        torch.set_num_threads(threads)

    return call


def epoch(loader):
    """A call that reads one epoch."""
    return alone(lambda: deque(loader, maxlen=0))


@benchmark(NAME, label="TensorLoader, 64 of 784", at_most=1 / 6)
def tensor_loader() -> Pair:
    """Indexing beside items that are stacked."""
    ours = data.TensorLoader(*tensors(), batch_size=64, shuffle=True)
    return epoch(ours), epoch(theirs())


def beside_indexing(n: int) -> Pair:
    """An epoch of the loader, and the indexing that it does."""
    x, y = tensors(n)
    ours = data.TensorLoader(x, y, batch_size=64, shuffle=True)

    def bare() -> None:
        for rows in torch.randperm(n).split(64):
            batch = x.index_select(0, rows), y.index_select(0, rows)
        del batch

    return epoch(ours), alone(bare)


@benchmark(NAME, label="TensorLoader beside bare indexing", at_most=1.15)
def bare_indexing() -> Pair:
    """What the loader costs on as many images as MNIST has to train on."""
    return beside_indexing(50_000)


@benchmark(NAME, label="TensorLoader beside bare indexing, 63 batches")
def few_batches() -> Pair:
    """What an epoch costs by itself: random states are read when it begins.

    Most of that is NumPy's way to give its own.
    """
    return beside_indexing(N_ROWS)


@benchmark(NAME, label="over a TensorDataset", at_most=0.6)
def rows() -> Pair:
    """The same arguments as torch's."""
    dataset = data.TensorDataset(*tensors())
    return epoch(data.DataLoader(dataset, 64, shuffle=True)), epoch(theirs())


@benchmark(NAME, label="item by item", at_most=1.2)
def items() -> Pair:
    """A dataset that is no tensors: collation is all there is."""
    dataset = [(torch.rand(784), i) for i in range(1000)]
    return epoch(data.DataLoader(dataset, 64)), epoch(TorchLoader(dataset, 64))


@benchmark("torch.utils.data.default_collate", label="64 pairs", at_most=1.3)
def collate() -> Pair:
    """One batch of images and labels."""
    batch = [(torch.rand(784), i) for i in range(64)]
    ours, judge = data.default_collate, torch.utils.data.default_collate
    return alone(lambda: ours(batch)), alone(lambda: judge(batch))


if importlib.util.find_spec("fastai"):

    @benchmark(NAME, label="TensorLoader beside fastai's", at_most=1 / 9)
    def fastai_loader() -> Pair:
        """fastai's TfmdDL over the same rows."""
        from fastai.data.load import DataLoader as FastaiLoader

        dataset = TorchDataset(*tensors())
        judge = FastaiLoader(dataset, bs=64, shuffle=True, num_workers=0)
        ours = data.TensorLoader(*tensors(), batch_size=64, shuffle=True)
        return epoch(ours), epoch(judge)
