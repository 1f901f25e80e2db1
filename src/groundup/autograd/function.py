# Extracted from book/2_backward/5_autograd.py; edit it there.
"""Functions whose gradient the user writes, in torch's form."""

from functools import partial

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
    def forward(ctx: Context, *args: object) -> Tensor:
        """The value, computed on plain tensors."""
        raise NotImplementedError("forward(ctx, *args) is not written")

    @staticmethod
    def backward(ctx: Context, grad_output: Tensor) -> Tensor | tuple:
        """A gradient or None for each argument of forward."""
        raise NotImplementedError("backward(ctx, grad_output) is not written")

    @classmethod
    def gradients(cls, ctx: Context, grad: Tensor) -> tuple:
        """What backward returns, checked, as a tuple."""
        grads = cls.backward(ctx, grad)
        grads = grads if isinstance(grads, tuple) else (grads,)
        expected = len(ctx.needs_input_grad)
        if len(grads) != expected:
            raise RuntimeError(
                f"{cls.__name__}.backward: expected {expected} gradients, "
                f"one for each argument of forward, got {len(grads)}"
            )
        return grads

    @classmethod
    def apply(cls, *args: object) -> Variable:
        """Run forward and record backward."""
        ctx = Context(tuple(needs_grad(x) for x in args))
        value = cls.forward(ctx, *map(data_of, args))
        operands = [x if needs_grad(x) else None for x in args]
        rule = partial(cls.gradients, ctx)
        return record(value, operands, rule, list(ctx.saved_tensors))
