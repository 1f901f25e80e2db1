"""The next letter of a spelled number: ignored labels, accumulation, bf16."""

import torch

from groundup import optim
from groundup.data import DataLoader
from groundup.inside import examine
from groundup.training import (
    Accumulate,
    Accuracy,
    Anneal,
    ClipGradient,
    Learner,
    Recorder,
)

ONES = "zero one two three four five six seven eight nine ten eleven twelve "
ONES += "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
LETTERS = ".abcdefghijklmnopqrstuvwxyz "  # a dot begins and ends


def spelled(n: int) -> str:
    if n >= 100:
        rest = f" and {spelled(n % 100)}" if n % 100 else ""
        return f"{spelled(n // 100)} hundred{rest}"
    if n < 20:
        return ONES.split()[n]
    return TENS.split()[n // 10 - 2] + f" {spelled(n % 10)}" * (n % 10 > 0)


def collate(numbers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Letters and the letters after them; -100 behind the end: (n, t) each."""
    texts = [f".{spelled(n)}." for n in numbers]
    t = max(map(len, texts)) - 1
    x, y = torch.zeros(len(texts), t).long(), torch.full((len(texts), t), -100)
    for i, text in enumerate(texts):
        codes = torch.tensor([LETTERS.index(letter) for letter in text])
        x[i, : len(codes) - 1], y[i, : len(codes) - 1] = codes[:-1], codes[1:]
    return x, y


class Causal(torch.nn.Module):
    """Scores of the next letter from the 13 before it: (n, t) -> (n, k, t)."""

    def __init__(self, d: int = 64):
        super().__init__()
        self.embed = torch.nn.Embedding(len(LETTERS), d)
        sizes = [d, d, len(LETTERS)]
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(d, k, 5) for k in sizes
        )

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        x = self.embed(letters).mT
        for i, conv in enumerate(self.convs):
            x = conv(torch.nn.functional.pad(x.relu() if i else x, (4, 0)))
        return x


class Half(Learner):
    def compute_loss(self) -> None:
        """The products in bfloat16, the weights and the loss in float32."""
        with torch.autocast("cpu", torch.bfloat16):
            super().compute_loss()


torch.manual_seed(0)
order = torch.randperm(1000).tolist()
train = DataLoader(order[:800], 16, shuffle=True, collate_fn=collate)
valid = DataLoader(order[800:], 50, collate_fn=collate)
learn = Half(
    Causal(),
    train,
    valid,
    optim=optim.AdamW,
    lr=0.01,
    metrics=[Accuracy()],
    defaults=[
        Recorder(),
        Accumulate(2),
        ClipGradient(1.0),
        Anneal.one_cycle(0.01),
    ],
)
found = examine(learn)
learn.fit(5)
