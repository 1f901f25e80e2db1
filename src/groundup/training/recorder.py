# Extracted from book/3_training/4_learner.py; edit it there.
"""The course of a training run, kept and drawn."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from groundup.training.callback import Callback, Run
from groundup.training.metrics import floats, weighted_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Recorder(Callback, default=True):
    """Keeps losses and learning rates, a row of numbers an epoch, and plots."""

    def __init__(self):
        self.losses: list[Tensor | float] = []  # of each batch
        self.counts: list[Tensor | float] = []  # the items of each loss
        self.lrs: list[float] = []
        self.rows: list[dict[str, float]] = []
        self.ends: list[int] = []  # batches before the end of each epoch
        self.start = 0  # of this epoch

    def before_epoch(self, run: Run) -> None:
        """Remember where the epoch starts."""
        self.start = len(self.losses)

    def after_loss(self, run: Run) -> None:
        """Keep the loss, on its device, and the learning rate."""
        if run.training:
            self.losses.append(run.loss.detach())
            self.counts.append(run.count)
            self.lrs.append(run.optimizer.param_groups[0]["lr"])

    def after_training(self, run: Run) -> None:
        """Read the epoch's losses, all at once."""
        for kept in (self.losses, self.counts):
            kept[self.start :] = floats(kept[self.start :])

    after_cancel_training = after_training

    def after_epoch(self, run: Run) -> None:
        """Add a row: the mean training loss, and the validation's results."""
        part = slice(self.start, None)
        loss = weighted_mean(self.losses[part], self.counts[part])
        results = dict(run.results) if run.valid is not None else {}
        if "loss" in results:
            results = {"valid_loss": results.pop("loss"), **results}
        self.rows.append({"epoch": run.epoch, "train_loss": loss, **results})
        self.ends.append(len(self.losses))

    def plot_loss(self, ax: "Axes | None" = None, smooth: int = 20) -> "Axes":
        """The losses of the batches, averaged over some, and of validation."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        losses = torch.tensor(floats(self.losses))
        n = max(1, min(smooth, len(losses)))
        means = losses[: len(losses) // n * n].view(-1, n).mean(1)
        ax.plot(torch.arange(1, len(means) + 1) * n, means, label="training")
        if self.rows and "valid_loss" in self.rows[0]:
            losses = [row["valid_loss"] for row in self.rows]
            ax.plot(self.ends, losses, "o-", label="validation")
        ax.set(xlabel="batch", ylabel="loss")
        ax.legend()
        return ax

    def plot_lr(self, ax: "Axes | None" = None) -> "Axes":
        """The learning rate at each batch."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        ax.plot(floats(self.lrs))
        ax.set(xlabel="batch", ylabel="learning rate")
        return ax

    def state_dict(self) -> dict[str, Any]:
        """All that was recorded, for checkpoints."""
        state = {"rows": self.rows, "ends": self.ends, "start": self.start}
        for name in ("losses", "lrs", "counts"):
            values = floats(vars(self)[name])
            state[name] = torch.tensor(values, dtype=torch.float64)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what another recorder kept."""
        for name in ("losses", "lrs", "counts"):
            setattr(self, name, state_dict[name].tolist())
        self.rows, self.ends = [*state_dict["rows"]], [*state_dict["ends"]]
        self.start = state_dict["start"]
