"""The way back: random graphs, depth, memory, freed and changed values."""

import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.autograd import Variable, cat, grad, stack, where
from groundup.testing import assert_close

SHAPES = [(), (1,), (3,), (2, 1), (2, 3), (1, 1, 3), (4, 2, 3)]
SHAPES += [(0,), (0, 3), (2, 0, 3)]


def is_ours(x: object) -> bool:
    return isinstance(x, Variable)


def joined(x: object, parts: list, ours: object, theirs: object) -> object:
    return (ours if is_ours(x) else theirs)(parts, -1 if x.shape else 0)


UNARY = {
    "neg": lambda x: -x,
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "gaussian": lambda x: (-(x**2)).exp(),
    "log": lambda x: (x**2 + 1).log(),
    "sum": lambda x: x.sum(),
    "mean last": lambda x: x.mean(-1, keepdim=True),
    "amax": lambda x: x.amax(0),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x.squeeze(),
    "turned": lambda x: x.permute(tuple(range(len(x.shape)))[::-1]),
    "flat": lambda x: x.reshape(-1),
    "pick": lambda x: x[[0, 0, -1]],
    "number left": lambda x: 2 - x,
    "number right": lambda x: x / 3,
    "twice": lambda x: x * x,
    "abs": lambda x: x.abs(),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "sum of none": lambda x: x.sum(()),
    "expand": lambda x: x.expand(2, *x.shape),
    "window": lambda x: x[..., 1:],
    "every second": lambda x: x[::2],
    "new axis": lambda x: x[None],
    "mask": lambda x: x[torch.ones(x.shape[:1], dtype=torch.bool)],
    "largest": lambda x: x.max(-1)[0],
    "first": lambda x: x.gather(0, torch.zeros(x.shape, dtype=torch.long)),
}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b * b + 1),
    "matmul": lambda a, b: a @ b,
    "outer": lambda a, b: a.reshape(-1, 1) @ b.reshape(1, -1),
    "batched": lambda a, b: a.unsqueeze(-1) @ b.unsqueeze(-2),
    "gram": lambda a, b: a.transpose(-2, -1) @ b,
    "cat": lambda a, b: joined(a, [a, b, a], cat, torch.cat),
    "stack": lambda a, b: joined(a, [a, b], stack, torch.stack),
    "where": lambda a, b: (where if is_ours(a) else torch.where)(a > b, a, b),
}
STEPS = st.tuples(
    st.sampled_from([*UNARY, *BINARY]), st.integers(0, 99), st.integers(0, 99)
)


def run(values: list, steps: list[tuple[str, int, int]]) -> list:
    """All values after the steps; a step that does not fit is left out."""
    values = list(values)
    for name, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        try:
            result = UNARY[name](a) if name in UNARY else BINARY[name](a, b)
        except (RuntimeError, IndexError):
            continue
        if result.shape.numel() <= 200:
            values.append(result)
    return values


def same(a: Tensor, b: Tensor) -> None:
    """Equal, and nan where the other is nan: the mean of nothing."""
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4),
    steps=st.lists(STEPS, max_size=15),
)
@pytest.mark.earns(
    "torch.Tensor.backward",
    "torch.Tensor.grad",
    "torch.Tensor.requires_grad_",
    "torch.Tensor.grad_fn",
)
def test_random_graphs_equal_torchs(seed: int, shapes: list, steps: list):
    generator = torch.Generator().manual_seed(seed)
    data = [torch.randn(s, generator=generator).double() for s in shapes]
    ours = [Variable(x, requires_grad=True) for x in data]
    theirs = [x.clone().requires_grad_() for x in data]
    pairs = list(zip(run(ours, steps), run(theirs, steps), strict=True))
    for x, y in pairs:
        same(x.data, y.detach())
        assert (x.grad_fn is None) == (y.grad_fn is None)
    sum(x.mean() for x, _ in pairs).backward()
    sum(y.mean() for _, y in pairs).backward()
    for x, y in zip(ours, theirs, strict=True):
        same(x.grad, y.grad)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
    steps=st.lists(STEPS, min_size=1, max_size=10),
    changed=st.integers(0, 99),
)
def test_a_change_in_place_never_gives_a_wrong_gradient(
    seed: int, shapes: list, steps: list, changed: int
):
    """Either the way back raises, or it gives what it gave without."""
    generator = torch.Generator().manual_seed(seed)
    data = [torch.randn(s, generator=generator).double() for s in shapes]

    def gradients(change: bool) -> list[Tensor]:
        leaves = [Variable(x.clone(), requires_grad=True) for x in data]
        values = run(leaves, steps)
        root = sum(value.mean() for value in values)
        if change:
            value = values[changed % len(values)].data
            if value.numel():  # the first number, also where all are one
                value[(0,) * value.dim()].mul_(2).add_(1)
        root.backward()
        return [leaf.grad for leaf in leaves]

    try:
        found = gradients(True)
    except RuntimeError as error:
        assert "in place" in str(error)
        return
    for each, expected in zip(found, gradients(False), strict=True):
        same(each, expected)


def test_a_shared_value_is_passed_through_once():
    """A hundred doublings: 2**100 paths, a hundred visits."""
    x = y = Variable(1.0, requires_grad=True)
    for _ in range(100):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**100


def test_depth_is_not_limited_by_the_call_stack():
    x = y = Variable(1.0, requires_grad=True)
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 20_001


def test_gradients_of_one_value_add_up_wherever_it_is_used():
    x = torch.randn(3)
    ours, theirs = Variable(x, requires_grad=True), x.clone().requires_grad_()

    def many_uses(x: object, stack: object, where: object) -> object:
        parts = stack([x, x * 2, x[[2, 1, 0]]])
        return (parts.mT @ parts).sum() + where(x > 0, x, -x).sum()

    many_uses(ours, stack, where).backward()
    many_uses(theirs, torch.stack, torch.where).backward()
    assert_close(ours.grad, theirs.grad)


def square(x: Variable) -> Variable:
    return (x * x).sum()


def test_a_second_backward_through_freed_values_is_an_error():
    y = square(Variable(torch.ones(2), requires_grad=True))
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_retain_graph_allows_a_second_backward_that_accumulates():
    x = Variable(torch.ones(2), requires_grad=True)
    y = square(x)
    y.backward(retain_graph=True)
    y.backward()
    assert_close(x.grad, torch.full((2,), 4.0))


def test_a_graph_that_saved_nothing_can_be_walked_twice_as_in_torch():
    x = Variable(torch.ones(2), requires_grad=True)
    y = (x + x).sum()
    y.backward()
    y.backward()
    assert_close(x.grad, torch.full((2,), 4.0))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x.data.mul_(2), id="itself"),
        pytest.param(lambda x: x.data[0].zero_(), id="a view of it"),
    ],
)
def test_a_saved_value_that_was_changed_is_an_error(change: object):
    x = Variable(torch.ones(2), requires_grad=True)
    y = square(x)
    change(x)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_an_index_that_was_changed_is_an_error():
    x = Variable(torch.ones(3), requires_grad=True)
    index = torch.tensor([0, 1])
    y = x[(index,)].sum()
    index.add_(1)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_a_change_after_use_is_fine_where_nothing_was_saved():
    x = Variable(torch.ones(2), requires_grad=True)
    y = (x + 1).sum()
    x.data.mul_(2)
    y.backward()
    assert_close(x.grad, torch.ones(2))


def kept_alive(step: object, *others: object) -> bool:
    """Whether the record of a step keeps its operand's data in memory."""
    x = Variable(torch.ones(3), requires_grad=True)
    hidden = x * 2
    data = weakref.ref(hidden.data)
    output = step(hidden, *others)
    del hidden
    gc.collect()
    alive = data() is not None
    del output
    return alive


W = torch.ones(3, 2)


@pytest.mark.parametrize(
    "step, alive",
    [
        pytest.param(lambda x: x + 1, False, id="a sum keeps nothing"),
        pytest.param(lambda x: x.sum(), False, id="a reduction its shape"),
        pytest.param(lambda x: x @ W, False, id="a product the other factor"),
        pytest.param(lambda x: x * x, True, id="a square its operand"),
    ],
)
def test_only_what_backward_needs_stays_in_memory(step: object, alive: bool):
    assert kept_alive(step) == alive


def test_backward_frees_what_was_saved():
    x = Variable(torch.ones(3), requires_grad=True)
    hidden = x * 2
    data = weakref.ref(hidden.data)
    output = (hidden * hidden).sum()
    del hidden
    output.backward()
    gc.collect()
    assert data() is None


def test_unneeded_gradients_are_not_computed():
    """The gradient of the data would be the costly one."""
    x, w = Variable(torch.ones(5, 3)), Variable(torch.ones(3, 2))
    node = (x @ w.requires_grad_()).grad_fn
    assert node.targets == [w]
    ((saved, _),) = node.saved
    assert saved is x.data


def test_a_gradient_kept_for_grad_is_still_passed_on():
    x = Variable(torch.tensor(2.0), requires_grad=True)
    y = x * x
    by_y, by_x = grad(y * y, (y, x))
    assert (by_y.item(), by_x.item()) == (8.0, 32.0)


def test_tensors_are_accepted_beside_variables():
    x: Tensor = torch.ones(2)
    w = Variable(torch.ones(2), requires_grad=True)
    for output in (x + w, w + x, x * w, x - w, x / w, x @ w):
        assert isinstance(output, Variable)
