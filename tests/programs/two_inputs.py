"""Which of two digits is larger? Two inputs, in batches that are dicts."""

import sklearn.datasets
import torch

from groundup import nn, optim
from groundup.data import DataLoader, Dataset
from groundup.inside import examine
from groundup.nn.functional import binary_cross_entropy_with_logits
from groundup.training import F1, Accuracy, Anneal, Learner


class Pairs(Dataset):
    """Two images and whether the left one shows the larger digit."""

    def __init__(self, first: int, last: int, n: int):
        digits = sklearn.datasets.load_digits()
        self.images = torch.tensor(digits.data, dtype=torch.float32) / 16
        self.labels = torch.tensor(digits.target)
        self.places = torch.randint(first, last, (n, 2))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> dict:
        left, right = self.places[i]
        larger = (self.labels[left] > self.labels[right]).float()
        images = self.images[left], self.images[right]
        return {"left": images[0], "right": images[1], "larger": larger}


class Compare(nn.Module):
    """One body looks at both; the larger score wins."""

    def __init__(self):
        self.score = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1, bias=False)
        )

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.score(left) - self.score(right)


class PairLearner(Learner):
    def unpack(self, batch: dict) -> tuple:
        target = batch.pop("larger")
        return batch, target[:, None]  # what is left are the arguments


torch.manual_seed(0)
train = DataLoader(Pairs(0, 1200, 4000), batch_size=64, shuffle=True)
valid = DataLoader(Pairs(1200, 1797, 1000), batch_size=250)
learn = PairLearner(
    Compare(),
    train,
    valid,
    optim=optim.Adam,
    lr=0.01,
    loss=binary_cross_entropy_with_logits,
    metrics=[Accuracy(), F1(2)],
    callbacks=[Anneal.one_cycle(0.01)],
)
found = examine(learn)
learn.fit(5)
