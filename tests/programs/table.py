"""Regression on a table: a data set class, a scale, early stopping."""

import tempfile

import sklearn.datasets
import torch

from groundup import nn, optim
from groundup.data import DataLoader, Dataset
from groundup.inside import examine
from groundup.nn.functional import mse_loss
from groundup.scores import mean_absolute_error
from groundup.training import (
    CSVLog,
    EarlyStopping,
    EpochMetric,
    Learner,
    SaveBest,
)


class Patients(Dataset):
    """Ten measurements of a patient, and how the illness went on in a year."""

    def __init__(self, rows: slice):
        table = sklearn.datasets.load_diabetes()
        self.x = torch.tensor(table.data, dtype=torch.float32)[rows] * 20
        self.y = torch.tensor(table.target, dtype=torch.float32)[rows] / 100

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple:
        return self.x[i], self.y[i : i + 1]


def explained(prediction: torch.Tensor, target: torch.Tensor) -> float:
    """The share of the variance that is explained."""
    left = (target - prediction).square().mean()
    return 1 - left / target.var(correction=0)


torch.manual_seed(0)
train = DataLoader(Patients(slice(0, 342)), batch_size=32, shuffle=True)
valid = DataLoader(Patients(slice(342, None)), batch_size=50)
folder = tempfile.mkdtemp()
best, log = f"{folder}/best.safetensors", f"{folder}/log.csv"
learn = Learner(
    nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1)),
    train,
    valid,
    optim=optim.AdamW,
    lr=0.01,
    loss=mse_loss,
    metrics=[mean_absolute_error, EpochMetric(explained, "explained")],
    callbacks=[EarlyStopping(patience=10), SaveBest(best), CSVLog(log)],
)
found = examine(learn)
learn.fit(100)
learn.load(best)
results = learn.evaluate()
predicted, told = learn.predict(valid, with_targets=True)
