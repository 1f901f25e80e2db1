# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""Several optimizers that are used as one."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor


class CombinedOptimizer:
    """Several optimizers as one, each with parameters of its own."""

    def __init__(self, *optimizers: Any):
        if not optimizers:
            raise ValueError("no optimizers to combine")
        self.optimizers = optimizers
        params = [set(_parameters(each)) for each in optimizers]
        if len(set().union(*params)) < sum(map(len, params)):
            raise ValueError("a parameter appears in more than one optimizer")

    @property
    def param_groups(self) -> list[dict]:
        """The groups of all, the first optimizer's first."""
        return list(chain(*(each.param_groups for each in self.optimizers)))

    @property
    def state(self) -> dict[Tensor, dict]:
        """What each remembers of its parameters."""
        return dict(chain(*(each.state.items() for each in self.optimizers)))

    @property
    def defaults(self) -> dict[str, Any]:
        """The options that all of them have, as the first has them."""
        first, *others = (each.defaults for each in self.optimizers)
        shared = set(first).intersection(*others)
        return {name: first[name] for name in first if name in shared}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or fill them with zeros."""
        for each in self.optimizers:
            each.zero_grad(set_to_none)

    def step(self, closure: Callable | None = None) -> Any:
        """Step each, once; the closure's loss if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for each in self.optimizers:
            each.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Their state dicts, in order; memory shared."""
        return {"optimizers": [each.state_dict() for each in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load each, or none if one of them refuses."""
        saved = state_dict["optimizers"]
        if len(saved) != len(self.optimizers):
            raise ValueError(
                f"saved from {len(saved)} optimizers, loaded into "
                f"{len(self.optimizers)}"
            )
        before = [each.state_dict() for each in self.optimizers]
        try:
            for each, its in zip(self.optimizers, saved, strict=True):
                each.load_state_dict(its)
        except BaseException:
            for each, its in zip(self.optimizers, before, strict=True):
                each.load_state_dict(its)
            raise

    def __repr__(self) -> str:
        inside = ",\n".join(map(repr, self.optimizers))
        return f"{type(self).__name__}(\n{inside}\n)"


def _parameters(optimizer: Any) -> Iterator[Tensor]:
    return chain(*(group["params"] for group in optimizer.param_groups))
