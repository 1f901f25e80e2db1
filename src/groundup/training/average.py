# Extracted from book/4_convnets/5_remedies.py; edit it there.
"""Averages of a model's weights over the steps of its training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from groundup.training.callback import Callback, Run


class EMA(Callback):
    """Averages the weights over the steps; validation sees the averages.

    They stay in the model until the next training batch, and after the fit.
    The first step's weights are the first average, as torch has it.
    """

    order = 10

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay <= 1:
            raise ValueError(f"expected a decay in 0 to 1, got {decay}")
        self.decay = decay
        self.other: list[Tensor] = []  # averages, or the weights meanwhile
        self.averaged = False  # whether the model holds the averages
        self.steps = 0  # that are in the average

    def before_fit(self, run: Run) -> None:
        """Begin a new average."""
        self.other = [each.detach().clone() for each in _numbers(run.model)]
        self.averaged, self.steps = False, 0

    @torch.no_grad()
    def _take_in(self, run: Run) -> None:
        share = 1 - self.decay if self.steps else 1.0
        for mean, new in zip(self.other, _numbers(run.model), strict=True):
            mean.lerp_(new, share)
        self.steps += 1

    @torch.no_grad()
    def _hold(self, run: Run, averaged: bool) -> None:
        """Let the model hold the averages or not: exchange the numbers."""
        if not self.other or averaged == self.averaged:
            return
        for one, other in zip(_numbers(run.model), self.other, strict=True):
            held = one.clone()
            one.copy_(other)
            other.copy_(held)
        self.averaged = averaged

    def before_batch(self, run: Run) -> None:
        """Train the weights, not their averages."""
        if run.training:
            self._hold(run, averaged=False)

    def after_step(self, run: Run) -> None:
        """Take in the weights of this step."""
        self._hold(run, averaged=False)
        self._take_in(run)

    def before_validation(self, run: Run) -> None:
        """Judge the averages."""
        self._hold(run, averaged=True)

    def after_fit(self, run: Run) -> None:
        """Leave the averages in the model."""
        self._hold(run, averaged=True)
        self.other = []

    after_cancel_fit = after_fit

    def state_dict(self) -> dict[str, Any]:
        """The averages, and how many steps are in them."""
        names = "other", "averaged", "steps"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there; after the end of a fit, from nothing."""
        held = zip(state_dict["other"], self.other, strict=False)
        self.other = [each.to(mine.device) for each, mine in held]
        self.averaged = state_dict["averaged"]
        self.steps = state_dict["steps"]


def _numbers(model: Any) -> list[Tensor]:
    """Weights and buffers, but for counts."""
    held = (*model.parameters(), *model.buffers())
    return [t for t in held if t.is_floating_point() or t.is_complex()]
