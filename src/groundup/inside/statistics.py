# Extracted from book/3_training/6_inside.py; edit it there.
"""Means, deviations, histograms and dead units over training, and pictures."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Snapshot(NamedTuple):
    """What one tensor looked like, in numbers on its own device."""

    step: int
    mean: Tensor  # ()
    std: Tensor  # ()
    counts: Tensor  # (n_bins,), from -reach to reach, ends included
    zeros: Tensor  # (units,), the share of zeros


class Statistics:
    """Snapshots of named tensors, of every `every`-th that comes by a name.

    A unit is an index of `unit_axis`: 1 is right for (n, d) and (n, c, h, w).
    """

    def __init__(
        self,
        every: int = 1,
        reach: float = 4.0,
        n_bins: int = 32,
        unit_axis: int = 1,
    ):
        if every < 1 or reach <= 0:
            raise ValueError(
                f"expected every >= 1 and reach > 0, got {every} and {reach}"
            )
        self.every, self.reach, self.n_bins = every, reach, n_bins
        self.unit_axis = unit_axis
        self.n_seen: Counter[str] = Counter()
        self.kept: dict[str, list[Snapshot]] = defaultdict(list)

    def snapshot(self, step: int, tensor: Tensor) -> Snapshot:
        """The numbers that are kept of one tensor."""
        ends = -self.reach, self.reach
        inside = tensor.clamp(*ends).nan_to_num(self.reach)
        counts = inside.histc(self.n_bins, *ends)
        units = tensor.movedim(self.unit_axis, 0).flatten(1)
        zeros = (units == 0).float().mean(1)
        return Snapshot(
            step, tensor.mean(), tensor.std(correction=0), counts, zeros
        )

    @torch.no_grad()
    def record(self, name: str, tensor: Tensor) -> None:
        """See a tensor; keep its snapshot if its turn has come."""
        step = self.n_seen[name]
        self.n_seen[name] += 1
        if not -tensor.dim() <= self.unit_axis < tensor.dim():
            shape = tuple(tensor.shape)
            raise ValueError(
                f"{name!r} has shape {shape}: no axis {self.unit_axis} of units"
            )
        if step % self.every == 0 and tensor.numel():
            self.kept[name].append(self.snapshot(step, tensor.float()))

    def series(self, name: str, field: str) -> Tensor:
        """One field over the snapshots, such as "mean": (steps, ...)."""
        if name not in self.kept:
            raise KeyError(f"{name!r} is not one of {sorted(self.kept)}")
        values = [getattr(each, field) for each in self.kept[name]]
        return torch.stack([torch.as_tensor(value) for value in values]).cpu()

    def dead(self, name: str, last: int = 5) -> Tensor:
        """Which units gave nothing but zeros in the last snapshots: (units,)"""
        return (self.series(name, "zeros")[-last:] == 1).all(0)


def plot_moments(stats: Statistics, names: Iterable[str] | None = None) -> Any:
    """Mean and deviation over training, a line for each name."""
    import matplotlib.pyplot as plt

    size = {"figsize": (5.2, 2.8), "layout": "constrained"}
    figure, axes = plt.subplots(1, 2, **size)
    for name in stats.kept if names is None else names:
        steps = stats.series(name, "step")
        for ax, field in zip(axes, ("mean", "std"), strict=True):
            ax.plot(steps, stats.series(name, field), lw=1, label=name)
            ax.set(xlabel="batch", title=field)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center")
    return figure


def draw_histograms(ax: Any, stats: Statistics, name: str) -> None:
    """The histograms of a name over training: a colour for each doubling."""
    reach, end = stats.reach, int(stats.series(name, "step")[-1]) + stats.every
    ax.imshow(
        (1 + stats.series(name, "counts").T).log2().floor().numpy(),
        extent=(0, end, -reach, reach),
        origin="lower",
        aspect="auto",
        interpolation="none",
    )
    ax.set(xlabel="batch", title=name)


def plot_histograms(
    stats: Statistics, names: Iterable[str] | None = None
) -> Any:
    """The histograms of each name over training, side by side."""
    import matplotlib.pyplot as plt

    names = list(stats.kept if names is None else names)
    if not names:
        raise ValueError("no histograms: nothing was recorded")
    size = (1.75 * len(names), 2.4)
    figure, axes = plt.subplots(1, len(names), figsize=size, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=True):
        draw_histograms(ax, stats, name)
        ax.label_outer()
    return figure


def plot_dead(stats: Statistics, names: Iterable[str] | None = None) -> Any:
    """The share of units that give only zeros in a batch, over training."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5.2, 2.6))
    for name in stats.kept if names is None else names:
        share = (stats.series(name, "zeros") == 1).float().mean(1)
        ax.plot(stats.series(name, "step"), share, label=name)
    ax.set(xlabel="batch", ylabel="share of dead units", ylim=(-0.02, 1.02))
    ax.legend()
    return figure
