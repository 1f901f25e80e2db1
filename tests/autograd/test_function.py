"""Functions with a written gradient, beside torch's of the same text."""

import pytest
import torch
from torch import Tensor

from groundup.autograd import Function, Variable, gradcheck
from groundup.testing import assert_close


def scaled_exp(base: type) -> type:
    """exp(x) * w * scale; the same class on torch's base and on ours."""

    class ScaledExp(base):
        @staticmethod
        def forward(ctx: object, x: Tensor, w: Tensor, scale: float) -> Tensor:
            y = x.exp()
            ctx.save_for_backward(y, w)
            ctx.scale = scale
            return y * w * scale

        @staticmethod
        def backward(ctx: object, grad_output: Tensor) -> tuple:
            y, w = ctx.saved_tensors
            grad = grad_output * y * ctx.scale
            by_x = grad * w if ctx.needs_input_grad[0] else None
            by_w = grad if ctx.needs_input_grad[1] else None
            return by_x, by_w, None

    return ScaledExp


@pytest.mark.earns("torch.autograd.Function")
@pytest.mark.parametrize("for_x", [True, False])
@pytest.mark.parametrize("for_w", [True, False])
def test_a_function_equals_torchs(for_x: bool, for_w: bool):
    torch.manual_seed(0)
    x, w, direction = torch.randn(4, 3), torch.randn(3), torch.randn(4, 3)
    results = []
    for base, kind in (
        (Function, Variable),
        (torch.autograd.Function, torch.Tensor.clone),
    ):
        a, b = kind(x).requires_grad_(for_x), kind(w).requires_grad_(for_w)
        output = scaled_exp(base).apply(a, b, 2.0)
        assert output.requires_grad == (for_x or for_w)
        if for_x or for_w:
            output.backward(direction)
        results.append((output.data, a.grad, b.grad))
    for ours, theirs in zip(*results, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert_close(ours, theirs)


def test_saved_tensors_are_watched_and_freed():
    x, w = (Variable(torch.ones(3), requires_grad=True) for _ in range(2))
    y = scaled_exp(Function).apply(x, w, 1.0).sum()
    w.data.mul_(2)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()
    y = scaled_exp(Function).apply(x, w, 1.0).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_gradcheck_accepts_it():
    x, w = (
        Variable(torch.randn(3).double(), requires_grad=True) for _ in range(2)
    )
    assert gradcheck(lambda x, w: scaled_exp(Function).apply(x, w, 0.5), (x, w))


class Wrong(Function):
    @staticmethod
    def forward(ctx: object, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    @staticmethod
    def backward(ctx: object, grad_output: Tensor) -> Tensor:
        return grad_output


def test_a_missing_gradient_is_named():
    x = Variable(torch.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"Wrong.*expected 2.*got 1"):
        Wrong.apply(x, x).sum().backward()


def test_a_gradient_of_a_wrong_shape_shows_both():
    class Short(Wrong):
        @staticmethod
        def backward(ctx: object, grad_output: Tensor) -> tuple:
            return grad_output[:2], None

    x = Variable(torch.ones(3), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"\(2,\).*\(3,\)"):
        Short.apply(x, torch.ones(3)).sum().backward()


def test_an_unwritten_method_says_so():
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(torch.ones(1))
    with pytest.raises(NotImplementedError, match="backward"):
        Function.backward(None, torch.ones(1))


def test_a_result_of_whole_numbers_is_not_recorded():
    class Sign(Wrong):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return (x > 0).long()

    assert Sign.apply(Variable(torch.ones(2), requires_grad=True)).is_leaf


def two_values(base: type) -> type:
    """x * w and its sum; the same class on torch's base and on ours."""

    class TwoValues(base):
        @staticmethod
        def forward(ctx: object, x: Tensor, w: Tensor) -> tuple:
            ctx.save_for_backward(x, w)
            return x * w, (x * w).sum()

        @staticmethod
        def backward(ctx: object, by_all: Tensor, by_sum: Tensor) -> tuple:
            x, w = ctx.saved_tensors
            grad = by_all + by_sum
            return grad * w, (grad * x).sum(0)

    return TwoValues


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_a_function_of_two_values_equals_torchs(used: tuple):
    torch.manual_seed(0)
    x, w = torch.randn(4, 3), torch.randn(3)
    results = []
    for base, kind in (
        (Function, lambda x: Variable(x, requires_grad=True)),
        (torch.autograd.Function, lambda x: x.clone().requires_grad_()),
    ):
        leaves = kind(x), kind(w)
        values = two_values(base).apply(*leaves)
        total = sum((values[i] ** 2).sum() for i in used)
        total.backward()
        results.append([leaf.grad for leaf in leaves])
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs)
