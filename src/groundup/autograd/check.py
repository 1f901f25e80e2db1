# Extracted from book/2_backward/9_engine.py; edit it there.
"""A gradient checked by finite differences."""

from collections.abc import Callable

import torch
from torch import Tensor

from groundup.autograd.several import grad
from groundup.autograd.variable import Variable, data_of, needs_grad
from groundup.manual.gradients import numerical_gradient


def _random_direction(output: Variable) -> Tensor:
    """Weights for the elements of a tensor; the same for the same shape."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(output.shape, generator=generator).double()


def _along(
    function: Callable, inputs: tuple, position: int, direction: Tensor
) -> Callable[[Tensor], Tensor]:
    """The output weighed by direction, as a function of one input's data."""

    def weighed(value: Tensor) -> Tensor:
        before, after = inputs[:position], inputs[position + 1 :]
        output = function(*before, Variable(value), *after)
        return (data_of(output) * direction).sum()

    return weighed


def gradcheck(
    function: Callable,
    inputs: Variable | tuple,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> bool:
    """True if the gradients are those of central differences, else an error."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    wanted = [i for i, x in enumerate(inputs) if needs_grad(x)]
    if not wanted or any(inputs[i].dtype != torch.float64 for i in wanted):
        raise ValueError("inputs that require a gradient, in float64, needed")
    output = function(*inputs)
    direction = _random_direction(output)
    variables = tuple(inputs[i] for i in wanted)
    grads = grad(output, variables, direction, allow_unused=True)
    for i, found in zip(wanted, grads, strict=True):
        x = inputs[i].data
        found = torch.zeros_like(x) if found is None else found
        weighed = _along(function, inputs, i, direction)
        expected = numerical_gradient(weighed, x, eps)
        if not torch.allclose(found, expected, rtol, atol):
            both = f"{found}\nby differences:\n{expected}"
            raise RuntimeError(f"gradient of input {i}:\n{both}")
    return True
