"""Values and gradients of every operation, over torch's own samples."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_leaves, tree_map

from groundup.autograd import Variable, axes, cat, rules, stack, where
from groundup.testing import assert_close

# torch's name of an operation -> ours, called with the sample's arguments
OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "__radd__": lambda a, b: b + a,
    "__rsub__": lambda a, b: b - a,
    "__rmul__": lambda a, b: b * a,
    "__rdiv__": lambda a, b: b / a,
    "__rmatmul__": lambda a, b: b @ a,
    "neg": lambda x: -x,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "nn.functional.relu": lambda x: x.relu(),
    "abs": lambda x: x.abs(),
    "where": lambda a, condition, b: where(condition, a, b),
    "matmul": lambda a, b: a @ b,
    "sum": lambda x, **kw: x.sum(**kw),
    "mean": lambda x, **kw: x.mean(**kw),
    "amax": lambda x, **kw: x.amax(**kw),
    "reshape": lambda x, *shape: x.reshape(*shape),
    "view": lambda x, *shape: x.view(*shape),
    "permute": lambda x, dims: x.permute(dims),
    "transpose": lambda x, *dims: x.transpose(*dims),
    "expand": lambda x, sizes: x.expand(sizes),
    "unsqueeze": lambda x, dim: x.unsqueeze(dim),
    "squeeze": lambda x, *dim: x.squeeze(*dim),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "__getitem__": lambda x, index: x[index],
    "gather": lambda x, *args: x.gather(*args),
    "cat": lambda tensors, dim=0: cat(tensors, dim),
    "stack": lambda tensors, dim=0: stack(tensors, dim),
}
KEYWORDS = {"dim", "keepdim"}


def copied(x: object) -> object:
    """A leaf of its own: torch's samples share tensors."""
    if not isinstance(x, Tensor):
        return x
    return x.detach().clone().requires_grad_(x.requires_grad)


def ours(sample: object) -> object:
    """The sample's arguments, variables in place of torch's tensors."""

    def variable(x: object) -> object:
        wanted = isinstance(x, Tensor) and x.requires_grad
        return Variable(x.detach(), requires_grad=True) if wanted else x

    return tree_map(variable, sample)


def offered(sample: object) -> bool:
    """False for keywords that a variable does not take, such as alpha."""
    return not set(sample.kwargs) - KEYWORDS


OPS = [
    op
    for op in op_db
    if op.name in OPERATIONS
    and op.variant_test_name in ("", "no_rounding_mode")
]


def test_every_operation_is_in_torchs_list():
    assert set(OPERATIONS) == {op.name for op in OPS}


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in OPS])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.earns(
    "torch.Tensor.backward", "torch.Tensor.grad", "torch.Tensor.requires_grad_"
)
def test_value_and_gradients_equal_torchs(op: object, dtype: torch.dtype):
    tested = 0
    warnings.simplefilter("ignore")  # torch's own, about x.T of a vector
    for sample in op.sample_inputs("cpu", dtype, requires_grad=True):
        if not offered(sample):
            continue
        theirs = tree_map(copied, (sample.input, sample.args, sample.kwargs))
        mine = ours(theirs)
        expected = op(theirs[0], *theirs[1], **theirs[2])
        output = OPERATIONS[op.name](mine[0], *mine[1], **mine[2])
        assert_close(output.data, expected.detach())

        direction = torch.randn_like(expected)
        expected.backward(direction)
        output.backward(direction)
        for x, y in zip(tree_leaves(theirs), tree_leaves(mine), strict=True):
            if isinstance(y, Variable):
                zero = torch.zeros_like(x)
                grads = [zero if v.grad is None else v.grad for v in (y, x)]
                assert_close(*grads)
                tested += 1
    assert tested, "no sample of torch's could be used"


POINTS = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.0])
FUNCTIONS = {
    "relu": lambda x: x.relu(),
    "abs": lambda x: x.abs(),
    "amax": lambda x: x.amax(),
    "max": lambda x: x.max(),
    "clamp both": lambda x: x.clamp(-0.5, 0.5),
    "clamp below": lambda x: x.clamp(min=0),
    "clamp above": lambda x: x.clamp(max=0.5),
    "pow 0": lambda x: x**0,
    "pow 1": lambda x: x**1,
    "pow 2": lambda x: x**2,
    "pow 3.0": lambda x: x**3.0,
    "pow -1": lambda x: (x + 3) ** -1,
    "pow 0.5": lambda x: (x + 3) ** 0.5,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bounds_powers_and_slopes_at_corners_are_torchs(name: str):
    mine, theirs = Variable(POINTS, requires_grad=True), copied(POINTS)
    theirs.requires_grad_()
    output, expected = FUNCTIONS[name](mine), FUNCTIONS[name](theirs)
    assert_close(output.data, expected.detach())
    output.sum().backward()
    expected.sum().backward()
    assert_close(mine.grad, theirs.grad)


def test_a_variable_as_exponent_is_refused_and_not_ignored():
    x = Variable([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="number"):
        x**x


@pytest.mark.parametrize("a", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("b", [torch.float32, torch.float64], ids=str)
def test_a_gradient_has_the_dtype_of_its_operand(
    a: torch.dtype, b: torch.dtype
):
    x = Variable(torch.ones(3, dtype=a), requires_grad=True)
    y = Variable(torch.ones(3, dtype=b), requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (a, b)


def test_max_along_an_axis_gives_torchs_indices_and_gradient():
    x = torch.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
    mine, theirs = Variable(x, requires_grad=True), x.clone().requires_grad_()
    values, indices = mine.max(1)
    expected = theirs.max(1)
    values.sum().backward()
    expected.values.sum().backward()
    assert_close(values.data, expected.values.detach())
    assert torch.equal(indices, expected.indices)
    assert_close(mine.grad, theirs.grad)


def test_the_sigmoid_has_a_gradient_where_its_parts_overflow():
    x = Variable([-1000.0, 1000.0], requires_grad=True)
    x.sigmoid().sum().backward()
    assert_close(x.grad, torch.zeros(2))


def operands(name: str) -> tuple:
    """Arguments for the rule of that name."""
    x = torch.rand(2, 3) + 0.5
    special = {
        "where_rule": (x, x, x > 1),
        "pow_rule": (x, 3),
        "clamp_rule": (x, 0, 1),
        "matmul_rule": (x, x.mT),
        "transpose_rule": (x, 0, 1),
        "permute_rule": (x, 1, 0),
        "reshape_rule": (x, 6),
        "expand_rule": (x, 4, 2, 3),
        "index_rule": (x, torch.tensor([0, 0])),
        "gather_rule": (x, 1, torch.tensor([[0, 2]])),
    }
    n_operands = 2 if name.split("_")[0] in ("add", "sub", "mul", "div") else 1
    return special.get(name, (x,) * n_operands)


RULES = {
    name: step
    for module in (rules, axes)
    for name, step in vars(module).items()
    if name.endswith("_rule")
}


def held(function: object) -> list[Tensor]:
    """The tensors that a function keeps alive by its closure."""
    cells = getattr(function, "__closure__", None) or ()
    return [c for cell in cells if isinstance(c := cell.cell_contents, Tensor)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_keeps_no_tensor_that_it_does_not_name(name: str):
    """What is kept in silence is neither watched nor freed."""
    _, *found = RULES[name](*operands(name))
    assert found
    for rule in found:
        assert not held(rule.function)
