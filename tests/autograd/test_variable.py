"""Leaves, accumulation, changes in place, comparisons, errors."""

import operator

import numpy as np
import pytest
import torch
from torch import nn

from groundup.autograd import Variable, no_grad
from groundup.testing import assert_close, assert_equal

ONES = torch.ones(3)


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Variable:
    return Variable(torch.randn(*shape, dtype=dtype), requires_grad=True)


@pytest.mark.earns(
    "torch.Tensor.requires_grad",
    "torch.Tensor.requires_grad_",
    "torch.Tensor.is_leaf",
    "torch.Tensor.grad_fn",
    "torch.Tensor.detach",
)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: x, id="plain"),
        pytest.param(lambda x: x.requires_grad_(), id="asked"),
        pytest.param(lambda x: x.requires_grad_(False), id="not asked"),
        pytest.param(lambda x: x * 2, id="computed from data"),
        pytest.param(lambda x: x.requires_grad_() * 2, id="computed"),
        pytest.param(lambda x: (x.requires_grad_() * 2).detach(), id="cut"),
        pytest.param(lambda x: x.requires_grad_() > 0, id="truth values"),
    ],
)
def test_the_state_of_a_value_is_torchs(make: object):
    ours, theirs = make(Variable(ONES.clone())), make(ONES.clone())
    assert ours.requires_grad == theirs.requires_grad
    assert ours.is_leaf == theirs.is_leaf
    assert (ours.grad_fn is None) == (theirs.grad_fn is None)


def test_detach_shares_the_memory():
    x = leaf(3)
    x.detach().data.zero_()
    assert_equal(x.data, torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_a_gradient_of_these_dtypes_is_refused(dtype: torch.dtype):
    with pytest.raises(RuntimeError, match=str(dtype)):
        Variable(torch.ones(2, dtype=dtype), requires_grad=True)


def test_a_computed_value_cannot_be_told_to_want_no_gradient():
    with pytest.raises(RuntimeError, match="leaf"):
        (leaf(3) * 2).requires_grad_(False)


@pytest.mark.earns("torch.Tensor.grad", "torch.Tensor.backward")
def test_gradients_accumulate_in_leaves_and_only_there_as_in_torch():
    ours, theirs = Variable(ONES, requires_grad=True), ONES.clone()
    theirs.requires_grad_()
    for x in (ours, theirs):
        y = x * 2
        y.sum().backward()
        (x * 3).sum().backward()
    assert_close(ours.grad, theirs.grad)
    ours_twice = ours * 2
    ours_twice.sum().backward()
    assert ours_twice.grad is None


def test_two_leaves_never_share_one_gradient():
    a, b = leaf(3), leaf(3)
    (a + b).sum().backward()
    a.grad.zero_()
    assert_equal(b.grad, ONES)


def test_backward_without_a_gradient_is_for_one_number():
    x = leaf(1, 1)
    (x * 2).backward()
    assert_equal(x.grad, torch.tensor([[2.0]]))
    with pytest.raises(RuntimeError, match=r"\(3,\)"):
        (leaf(3) * 2).backward()


def test_a_first_gradient_of_a_wrong_shape_shows_both():
    with pytest.raises(RuntimeError, match=r"\(3,\), got \(2,\)"):
        (leaf(3) * 2).backward(torch.ones(2))


def test_backward_of_a_value_that_nothing_led_to_is_an_error():
    with pytest.raises(RuntimeError, match="nothing that requires"):
        Variable(1.0).backward()


def test_the_repr_says_where_a_variable_comes_from():
    x = Variable([1.0], requires_grad=True)
    assert repr(Variable([1.0])) == "Variable(tensor([1.]))"
    assert repr(x) == "Variable(tensor([1.]), requires_grad=True)"
    assert repr(x * 2) == "Variable(tensor([2.]), computed)"


def test_a_change_in_place_is_refused_while_recording():
    x = Variable(torch.randn(3), requires_grad=True)
    with pytest.raises(RuntimeError, match="no_grad"):
        x -= 1


@pytest.mark.parametrize("operator", ["iadd", "isub", "imul", "itruediv"])
def test_changes_in_place_under_no_grad_are_torchs(operator: str):
    x, expected = Variable(torch.randn(3), requires_grad=True), None
    data, expected = x.data, x.data.clone()
    with no_grad():
        assert getattr(x, f"__{operator}__")(2.0) is x
    getattr(expected, f"__{operator}__")(2.0)
    assert x.data is data and x.is_leaf
    assert_equal(x.data, expected)


def test_comparisons_are_plain_truth_values():
    x = Variable([1.0, 2.0])
    assert_equal(x == torch.tensor([1.0, 3.0]), torch.tensor([True, False]))
    assert_equal(torch.tensor([1.0, 3.0]) == x, torch.tensor([True, False]))
    assert_equal(x > Variable(1.0), torch.tensor([False, True]))
    assert len({x, x, Variable([1.0, 2.0])}) == 2


@pytest.mark.earns("torch.Tensor.backward", "torch.no_grad")
@pytest.mark.parametrize("sizes", [(784, 50, 1), (784, 50, 10)], ids=str)
def test_training_a_network_equals_torch_step_by_step(sizes: tuple):
    torch.manual_seed(0)
    x = torch.randn(64, sizes[0])
    target = torch.randn(64, sizes[-1])
    theirs = nn.Sequential(
        nn.Linear(*sizes[:2]), nn.ReLU(), nn.Linear(*sizes[1:])
    )
    ours = [
        Variable(p.detach().clone(), requires_grad=True)
        for p in theirs.parameters()
    ]
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05)
    for _ in range(5):
        w1, b1, w2, b2 = ours
        loss = (((x @ w1.T + b1).relu() @ w2.T + b2 - target) ** 2).mean()
        loss.backward()
        with no_grad():
            for p in ours:
                p -= 0.05 * p.grad
                p.grad = None

        optimizer.zero_grad()
        expected = nn.functional.mse_loss(theirs(x), target)
        expected.backward()
        optimizer.step()

        assert_close(loss.data, expected.detach())
        for p, q in zip(ours, theirs.parameters(), strict=True):
            assert_close(p.data, q.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("data", [[0.0], [1.0], 0.0, -2.0])
def test_a_variable_is_true_if_its_number_is(data):
    assert bool(Variable(data)) is bool(torch.tensor(data))


def test_the_truth_of_many_numbers_is_refused():
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(Variable([1.0, 2.0]))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_T_is_for_matrices(shape):
    with pytest.raises(RuntimeError, match="for matrices, got shape"):
        _ = Variable(torch.ones(shape)).T


@pytest.mark.parametrize("make", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    "operation",
    [operator.add, operator.sub, operator.mul, operator.truediv],
)
@pytest.mark.parametrize("left", [True, False])
def test_numbers_of_numpy_on_either_side(make, operation, left):
    number = make(2)
    x = Variable([1.0, 4.0], requires_grad=True)
    their = torch.tensor([1.0, 4.0], requires_grad=True)
    found = operation(number, x) if left else operation(x, number)
    expected = operation(2.0, their) if left else operation(their, 2.0)
    assert_close(found.data, expected.detach())
    found.sum().backward()
    expected.sum().backward()
    assert_close(x.grad, their.grad)


# What NumPy holds changes and nobody counts it: it is copied

CHANGED_LATER = {
    "factor": lambda x, array: x * array,
    "factor on the left": lambda x, array: array * x,
    "divisor": lambda x, array: x / array,
    "matrix": lambda x, array: x @ array,
    "matrix on the left": lambda x, array: array @ x,
    "variable": lambda x, array: x * Variable(array),
    "variable squared": lambda x, array: x * Variable(array) ** 2,
}


@pytest.mark.parametrize("name", CHANGED_LATER)
def test_an_array_that_changes_later_changes_no_gradient(name: str):
    gradients = []
    for change in (False, True):
        array = np.array([1.0, 2.0])
        x = Variable(np.array([3.0, 4.0]), requires_grad=True)
        output = CHANGED_LATER[name](x, array).sum()
        array[:] = 0.5 if change else array
        output.backward()
        gradients.append(x.grad)
    assert_equal(*gradients)


@pytest.mark.parametrize("kind", [list, np.array, lambda x: ([*x],)])
def test_an_index_that_changes_later_changes_no_gradient(kind):
    index = kind([0, 2, 2])
    x = leaf(3)
    output = x[index].sum()
    (index[0] if isinstance(index, tuple) else index)[0] = 1
    output.backward()
    assert_equal(x.grad, torch.tensor([1.0, 0.0, 2.0]))


def test_one_number_has_no_parts_to_go_through():
    with pytest.raises(TypeError):
        list(Variable(1.0))
    assert [x.data.item() for x in Variable([1.0, 2.0])] == [1.0, 2.0]


def test_a_variable_that_would_get_no_gradient_is_refused():
    bound = Variable(0.5, requires_grad=True)
    with pytest.raises(TypeError, match="clamp_rule"):
        leaf(3).clamp(bound)
    assert leaf(3).clamp(bound.detach()).requires_grad
