# Extracted from book/2_backward/9_engine.py; edit it there.
"""Functions whose gradient the user writes, in torch's form."""

from itertools import accumulate

import torch
from torch import Tensor

from groundup.autograd.variable import Variable, data_of, needs_grad, record


class Context:
    """What forward leaves for backward."""

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors, watched for changes and freed after backward."""
        self.saved_tensors = tensors


class Function:
    """A base to fill in: a step with a gradient written by hand."""

    @staticmethod
    def forward(ctx: Context, *args: object) -> Tensor | tuple[Tensor, ...]:
        """The value, or several, computed on plain tensors."""
        raise NotImplementedError("forward(ctx, *args) is not written")

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> Tensor | tuple:
        """A gradient or None for each argument of forward."""
        raise NotImplementedError("backward(ctx, grad_output) is not written")

    @classmethod
    def gradients(cls, ctx: Context, *grads: Tensor) -> tuple:
        """What backward returns, checked, as a tuple."""
        found = cls.backward(ctx, *grads)
        found = found if isinstance(found, tuple) else (found,)
        expected = len(ctx.needs_input_grad)
        if len(found) != expected:
            raise RuntimeError(
                f"{cls.__name__}.backward: expected {expected} gradients, "
                f"one for each argument of forward, got {len(found)}"
            )
        return found

    @classmethod
    def apply(cls, *args: object) -> Variable | tuple[Variable, ...]:
        """Run forward and record backward."""
        ctx = Context(tuple(needs_grad(x) for x in args))
        values = cls.forward(ctx, *map(data_of, args))
        operands = [x if needs_grad(x) else None for x in args]
        if isinstance(values, tuple):
            return cls._several(ctx, values, operands)
        return record(
            values,
            operands,
            lambda grad, asked: cls.gradients(ctx, grad),
            list(ctx.saved_tensors),
        )

    @classmethod
    def _several(cls, ctx: Context, values: tuple, operands: list) -> tuple:
        sizes = [value.numel() for value in values]
        kinds = [(value.shape, value.dtype) for value in values]

        def rule(grad: Tensor, asked: list[bool]) -> tuple:
            pieces = zip(grad.split(sizes), kinds, strict=True)
            grads = [g.reshape(shape).to(dtype) for g, (shape, dtype) in pieces]
            return cls.gradients(ctx, *grads)

        flat = torch.cat([value.flatten() for value in values])
        saved = list(ctx.saved_tensors)
        whole = record(flat, operands, rule, saved)
        ends = accumulate(sizes)
        return tuple(
            _piece(whole, value, end - value.numel())
            for value, end in zip(values, ends, strict=True)
        )


def _piece(whole: Variable, value: Tensor, start: int) -> Variable:
    """A value that lies within another from `start` on."""

    size, dtype = whole.shape, whole.dtype  # and not the values themselves

    def rule(grad: Tensor, asked: list[bool]) -> list[Tensor]:
        zeros = grad.new_zeros(size, dtype=dtype)
        zeros[start : start + grad.numel()] = grad.flatten()
        return [zeros]

    return record(value, [whole] if needs_grad(whole) else [], rule, [])
