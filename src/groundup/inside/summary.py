# Extracted from book/3_training/5_inside.py; edit it there.
"""What a model is made of: shapes, parameters, multiply-adds."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.inside.hooks import Handles
from groundup.nn.linear import Linear
from groundup.nn.module import Module

CostRule = Callable[[Any, Tensor], int]  # (module, output) -> multiply-adds


def linear_multiply_adds(module: Linear, output: Tensor) -> int:
    """One for each input of each number put out; the bias is an addition."""
    return output.numel() * module.in_features


RULES: Mapping[type, CostRule] = {
    Linear: linear_multiply_adds,
    torch.nn.Linear: linear_multiply_adds,
}


class Row(NamedTuple):
    """A module in a summary; None is unknown."""

    name: str
    kind: str
    shape: tuple[int, ...] | None  # of the last output
    n_params: int  # its own; a shared one counts where it is met first
    multiply_adds: int | None  # of all calls


class _Observer:
    """Notes the shape and the cost of each call of the modules it watches."""

    def __init__(self, rules: Mapping[type, CostRule]):
        self.rules = rules
        self.shapes: dict[str, tuple[int, ...] | None] = {}
        self.costs: dict[str, int | None] = {}

    def note(self, name: str, module: Module, args: tuple, output: Any) -> None:
        """A forward hook, after its first argument."""
        known = isinstance(output, Tensor)
        self.shapes[name] = tuple(output.shape) if known else None
        kinds = [kind for kind in type(module).__mro__ if kind in self.rules]
        own = any(True for _ in module.parameters(recurse=False))
        if kinds:
            cost = self.rules[kinds[0]](module, output)
            self.costs[name] = self.costs.get(name, 0) + cost
        else:
            self.costs[name] = None if own else 0


@torch.no_grad()
def summarize(
    model: Module, *args: Any, rules: Mapping[type, CostRule] | None = None
) -> "Summary":
    """Call the model with `args`, in evaluation mode, and list its modules.

    `rules` adds kinds of modules whose multiply-adds are known.
    """
    modules = dict(model.named_modules())
    modes = {name: module.training for name, module in modules.items()}
    observer = _Observer({**RULES, **(rules or {})})
    hooks = (
        module.register_forward_hook(partial(observer.note, name))
        for name, module in modules.items()
    )
    try:
        with Handles(hooks):
            model.eval()
            model(*args)
    finally:
        for name, module in modules.items():
            module.training = modes[name]
    seen: set[Tensor] = set()
    return Summary(
        Row(
            name,
            type(module).__name__,
            observer.shapes.get(name),
            _count_new(module, seen),
            observer.costs.get(name, 0),
        )
        for name, module in modules.items()
    )


def _count_new(module: Module, seen: set[Tensor]) -> int:
    """Elements of the parameters not seen before, which then are."""
    new = set(module.parameters(recurse=False)) - seen
    seen |= new
    return sum(param.numel() for param in new)


class Summary(tuple[Row, ...]):
    """Rows that print as a table, indented as the modules are nested."""

    @property
    def n_params(self) -> int:
        """Elements of all parameters, each counted once."""
        return sum(row.n_params for row in self)

    @property
    def multiply_adds(self) -> int:
        """Of all calls whose rule is known: at least so many."""
        return sum(row.multiply_adds or 0 for row in self)

    def __repr__(self) -> str:
        table = [("module", "output", "parameters", "multiply-adds")]
        table += [_cells(row) for row in self]
        unknown = any(row.multiply_adds is None for row in self)
        cost = f"{'>= ' if unknown else ''}{self.multiply_adds:,}"
        table.append(("total", "", f"{self.n_params:,}", cost))
        a, b, c, d = (max(map(len, each)) for each in zip(*table, strict=True))
        return "\n".join(
            f"{label:<{a}}  {shape:<{b}}  {params:>{c}}  {cost:>{d}}"
            for label, shape, params, cost in table
        )


def _cells(row: Row) -> tuple[str, str, str, str]:
    """A row in words, indented; zeros are left out."""
    depth = row.name.count(".") + 1 if row.name else 0
    label = f"({row.name.rpartition('.')[2]}): " if row.name else ""
    shape = "-" if row.shape is None else str(row.shape)
    params, cost = (
        "?" if each is None else f"{each:,}" if each else ""
        for each in (row.n_params, row.multiply_adds)
    )
    return "  " * depth + label + row.kind, shape, params, cost
