"""Gradients as values, and steps on several variables."""

import pytest
import torch

from groundup.autograd import Function, Variable, cat, grad, stack, where
from groundup.testing import assert_close, assert_equal

ONES = torch.ones(3)


def leaf(*shape: int) -> Variable:
    return Variable(torch.randn(*shape), requires_grad=True)


@pytest.mark.parametrize("retain_graph", [False, True])
@pytest.mark.earns("torch.autograd.grad")
def test_grad_is_torchs_and_changes_no_grad(retain_graph: bool):
    torch.manual_seed(0)
    data = [torch.randn(4, 3), torch.randn(3, 2), torch.randn(2)]
    direction = torch.randn(4, 2)
    results = []
    for kind in (Variable, torch.Tensor.clone):
        x, w, b = (kind(value).requires_grad_() for value in data)
        hidden = x @ w
        output = (hidden + b).tanh()
        function = grad if kind is Variable else torch.autograd.grad
        arguments = output, (b, hidden, x, w), direction
        found = function(*arguments, retain_graph=retain_graph)
        assert x.grad is w.grad is b.grad is None
        results.append(found)
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs)


def test_grad_of_one_input_is_a_tuple_of_one():
    x = leaf(3)
    (found,) = grad((x * 2).sum(), x)
    assert_equal(found, 2 * ONES)


def test_grad_by_an_unused_input_is_an_error_unless_allowed():
    x, unused = leaf(3), leaf(3)
    output = (x * 2).sum()
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad(output, (x, unused), retain_graph=True)
    assert grad(output, (x, unused), allow_unused=True)[1] is None


def test_cat_and_stack_take_tensors_too():
    x = leaf(3)
    for joined in (cat([ONES, x]), stack([ONES, x]), where(ONES > 0, x, ONES)):
        x.grad = None
        joined.sum().backward()
        assert_equal(x.grad, ONES)


def test_a_stack_of_unequal_shapes_is_refused():
    with pytest.raises(RuntimeError):
        stack([leaf(2, 3), leaf(3, 2)])


@pytest.mark.parametrize("shapes", [[(2, 3), (3, 2)], [(6,), (2, 3)]])
def test_a_stack_of_unequal_shapes_names_them(shapes):
    with pytest.raises(RuntimeError, match=r"\(2, 3\)"):
        stack([leaf(*shape) for shape in shapes])


def test_grad_runs_no_rule_that_nobody_asked_for():
    class Counted(Function):
        runs = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad_output):
            Counted.runs += 1
            return grad_output * 2

    x, y = leaf(3), leaf(3)
    output = (Counted.apply(x) * y).sum()
    assert_equal(grad(output, y, retain_graph=True)[0], 2 * x.data)
    assert Counted.runs == 0
    grad(output, x)
    assert Counted.runs == 1


def test_a_stack_is_made_of_whatever_can_be_gone_through():
    x = leaf(3)
    for join in (cat, stack):
        x.grad = None
        join(part for part in (x, ONES)).sum().backward()
        assert_equal(x.grad, ONES)
