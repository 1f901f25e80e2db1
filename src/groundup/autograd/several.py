# Extracted from book/2_backward/9_engine.py; edit it there.
"""Functions of several variables: gradients as values, choices, joins."""

from collections.abc import Iterable

from torch import Tensor

from groundup.autograd.axes import cat_rule, reshape_rule
from groundup.autograd.functions import where_rule
from groundup.autograd.graph import first_grad, propagate
from groundup.autograd.variable import Variable, apply, data_of


def grad(
    output: Variable,
    inputs: Variable | tuple[Variable, ...],
    grad_output: object = None,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of output by each of inputs; no grad is changed."""
    inputs = (inputs,) if isinstance(inputs, Variable) else inputs
    targets = [x.grad_fn or x for x in inputs]
    start = first_grad(output, data_of(grad_output))
    root = output.grad_fn or output
    found = propagate(root, start, set(targets), retain_graph)
    if not allow_unused and any(x not in found for x in targets):
        raise RuntimeError(
            "the output does not depend on one of the inputs; "
            "allow_unused=True gives None for it"
        )
    return tuple(found.get(x) for x in targets)


def where(condition: Tensor, a: object, b: object) -> Variable:
    """Elements of a where the condition holds, else of b."""
    return apply(where_rule, a, b, condition)


def cat(tensors: Iterable[Variable], dim: int = 0) -> Variable:
    """Variables joined along an axis that exists."""
    return apply(cat_rule, *tensors, dim=dim)


def stack(tensors: Iterable[Variable], dim: int = 0) -> Variable:
    """Variables joined along a new axis."""
    tensors = list(tensors)
    shapes = {tuple(data_of(x).shape) for x in tensors}
    if len(shapes) > 1:
        raise RuntimeError(f"a stack of unequal shapes: {sorted(shapes)}")
    longer = [
        apply(reshape_rule, x, data_of(x).unsqueeze(dim).shape) for x in tensors
    ]
    return cat(longer, dim)
