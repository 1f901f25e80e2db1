# Extracted from book/4_convnets/7_paper.py; edit it there.
"""Alternating flip (Jordan, 2024): each image mirrored every second epoch."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader


def flip_where(images: Tensor, flipped: Tensor) -> Tensor:
    """Left for right in some images: (n, ..., w), (n,) bool -> (n, ..., w)."""
    wrong = flipped.dtype != torch.bool or images.ndim < 2
    if wrong or flipped.shape != images.shape[:1]:
        given = f"{flipped.dtype} of {(*flipped.shape,)}"
        wanted = f"a bool for each image of {(*images.shape,)}"
        raise ValueError(f"expected {wanted}, got {given}")
    chosen = flipped.view(-1, *[1] * (images.ndim - 1))
    return torch.where(chosen, images.flip(-1), images)


def alternating_flip(images: Tensor, first: Tensor, epoch: int) -> Tensor:
    """Images as an epoch shows them: (n, ..., w), (n,) bool -> (n, ..., w).

    `first` says which of them are mirrored in epoch 0.
    """
    return flip_where(images, first if epoch % 2 == 0 else ~first)


class AlternatingFlipLoader(TensorLoader):
    """Batches whose first tensor, images, is mirrored every second epoch.

    Each pass over it is an epoch: do not evaluate with it. `seed` is that of
    the coins for the first epoch.
    """

    def __init__(
        self,
        images: Tensor,
        *others: Tensor,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ):
        coins = torch.Generator().manual_seed(seed)
        first = torch.rand(len(images), generator=coins) < 0.5
        tensors = images, *others, first.to(images.device)
        order = {"shuffle": shuffle, "generator": generator}
        super().__init__(
            *tensors, batch_size=batch_size, drop_last=drop_last, **order
        )
        self.epochs = 0  # begun so far

    def _new_epoch(self) -> dict[str, Any]:
        return {**super()._new_epoch(), "epoch": self.epochs}

    def _batches(self, epoch: dict[str, Any]) -> Any:
        self.epochs = epoch["epoch"] + 1
        return map(partial(_flipped, epoch["epoch"]), super()._batches(epoch))


def _flipped(epoch: int, batch: list[Tensor]) -> list[Tensor]:
    """A batch without its coins, as an epoch shows it."""
    images, *others, first = batch
    return [alternating_flip(images, first, epoch), *others]
