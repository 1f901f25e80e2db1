# Extracted from book/3_training/13_inside.py; edit it there.
"""What a model is made of: shapes, parameters, multiply-adds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


def _cost(module: Module, output: Any, rules: Mapping) -> int | None:
    """By the rule of the module's class or of its nearest base, if one has."""
    for kind in type(module).__mro__:
        if kind in rules:
            return rules[kind](module, output)
    return None if list(module.parameters(recurse=False)) else 0


class Row(NamedTuple):
    """A module in a summary; None is unknown."""

    name: str
    kind: str
    shape: tuple[int, ...] | None  # of the last output
    n_params: int  # its own; a shared one counts where it is met first
    multiply_adds: int | None  # of all calls


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


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _count_new(module: Module, seen: set[Tensor]) -> int:
    """Elements of the parameters not seen before, which then are."""
    new = set(module.parameters(recurse=False)) - seen
    seen |= new
    return sum(param.numel() for param in new)


def summarize(
    model: Module, *args: Any, rules: Mapping[type, CostRule] | None = None
) -> Summary:
    """Call the model with `args`, in evaluation mode, and list its modules.

    `rules` adds kinds of modules whose multiply-adds are known.
    """
    modules, known = dict(model.named_modules()), {**RULES, **(rules or {})}
    shapes: dict[str, tuple[int, ...] | None] = {}
    costs: dict[str, int | None] = dict.fromkeys(modules, 0)

    def note(name: str, module: Module, args: tuple, output: Any) -> None:
        known_shape = isinstance(output, Tensor)
        shapes[name] = tuple(output.shape) if known_shape else None
        cost, so_far = _cost(module, output, known), costs[name]
        costs[name] = None if None in (cost, so_far) else so_far + cost

    hooks = (
        module.register_forward_hook(partial(note, name))
        for name, module in modules.items()
    )
    with Handles(hooks), _evaluating(model):
        model(*args)
    kinds = {name: type(module).__name__ for name, module in modules.items()}
    seen: set[Tensor] = set()
    return Summary(
        Row(n, kinds[n], shapes.get(n), _count_new(each, seen), costs[n])
        for n, each in modules.items()
    )
