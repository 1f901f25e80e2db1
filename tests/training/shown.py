"""A learner in a terminal, for a process of its own."""

import os
import sys

import torch
from torch import nn

from groundup.training import Accuracy, Callback, Learner


class Stop(Callback):
    def __init__(self, step: int):
        self.step = step

    def after_step(self, run):
        if run.step == self.step:
            raise KeyboardInterrupt


def show(terminal: str, stop: int) -> None:
    """Write what a fit shows that Ctrl-C stops at a step, if it gets there."""
    os.dup2(os.open(terminal, os.O_RDWR), sys.__stdout__.fileno())
    sys.stdout = open(terminal, "w", encoding="utf-8")  # else bars are of X
    x = torch.randn(120, 4)
    batches = list(zip(x.split(6), (x.sum(1) > 0).long().split(6)))
    learn = Learner(
        nn.Linear(4, 2),
        batches,
        batches,
        optim=torch.optim.SGD,
        lr=0.1,
        metrics=[Accuracy()],
        callbacks=[Stop(stop)],
    )
    try:
        learn.fit(2)
    except KeyboardInterrupt as error:
        print(error)
    print("end")
    sys.stdout.close()
