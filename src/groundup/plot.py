# Extracted from book/1_pixels/1_similarity.py; edit it there.
"""Pictures of images: a grid of them, their numbers, their confusions."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from torch import Tensor


def _ink(strength: float = 1.0) -> Colormap:
    """From transparent to the style's first colour."""
    ramp = [to_rgba("C0", alpha=alpha) for alpha in (0.0, strength)]
    return LinearSegmentedColormap.from_list("ink", ramp)


def _draw(ax: Axes, image: Tensor, strength: float = 1.0) -> None:
    """One image in a thin frame, without ticks."""
    ax.imshow(image.numpy(), cmap=_ink(strength), interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.5", linewidth=0.5)


def show_images(
    images: Sequence[Tensor] | Tensor,
    titles: Sequence[object] | None = None,
    columns: int = 8,
) -> Figure:
    """A grid of grey images, n of (h, w), each under its title."""
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    size = (0.7 * columns, (0.7 if titles is None else 0.95) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for i, image in enumerate(images):
        _draw(axes.flat[i], image)
        if titles is not None:
            axes.flat[i].set_title(titles[i], fontsize=10)
    return figure


def show_pixels(image: Tensor) -> Figure:
    """An image (h, w) with the number of each pixel written on it."""
    height, width = image.shape
    figure, ax = plt.subplots(figsize=(0.31 * width, 0.31 * height))
    _draw(ax, image, strength=0.5)
    for row, values in enumerate(image.tolist()):
        for column, value in enumerate(values):
            if value:
                place = {"ha": "center", "va": "center", "fontsize": 9}
                ax.text(column, row, f"{value:g}", **place)
    return figure


def show_confusion(counts: Tensor, ax: Axes | None = None) -> Axes:
    """A confusion matrix (k, k), each row shaded by its own shares."""
    ax = ax or plt.subplots(figsize=(5, 5))[1]
    shares = counts / counts.sum(1, keepdim=True)
    ax.imshow(shares.numpy(), cmap=_ink(0.5))
    for row, values in enumerate(counts.tolist()):
        for column, count in enumerate(values):
            place = {"ha": "center", "va": "center", "fontsize": 9}
            ax.text(column, row, count or "", **place)
    ticks = range(len(counts))
    ax.set(xlabel="answer", ylabel="digit", xticks=ticks, yticks=ticks)
    return ax
