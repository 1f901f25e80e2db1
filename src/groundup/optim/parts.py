# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""An optimizer of a model, or of its parts with a rate each."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any


def parameter_groups(
    model: Any, splitter: Callable[[Any], Iterable], lr: float | Sequence[float]
) -> list[dict[str, Any]]:
    """A group for each part of the model, with the part's learning rate."""
    parts = [list(part) for part in splitter(model)]
    rates = list(lr) if isinstance(lr, Sequence) else [lr] * len(parts)
    if len(rates) != len(parts):
        raise ValueError(f"{len(rates)} rates for {len(parts)} parts: {rates}")
    held = {id(param) for part in parts for param in part}
    named = model.named_parameters()
    left = [name for name, param in named if id(param) not in held]
    if left:
        raise ValueError(f"the splitter leaves out {left}")
    pairs = zip(parts, rates, strict=True)
    return [{"params": part, "lr": rate} for part, rate in pairs]


def make_optimizer(
    model: Any, optim: Callable, lr: Any, splitter: Callable | None
) -> Any:
    """An optimizer of all parameters, or of a group for each part."""
    if not callable(optim):
        name = type(optim).__name__
        raise TypeError(f"optim makes an optimizer: {name}, not {name}(...)")
    if splitter is not None:
        groups = parameter_groups(model, splitter, lr)
        return optim(groups, groups[-1]["lr"])
    if isinstance(lr, Sequence):
        raise ValueError(f"{len(lr)} rates need a splitter, which says of what")
    return optim(model.parameters(), lr)
