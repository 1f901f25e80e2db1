# %% [markdown] module="autograd.variable" starred=true
r"""
# The engine, finished

This chapter finishes what `Variable` of {doc}`/2_backward/5_autograd` began: the
engine with torch's operations, methods and refusals. You may go on without it.

That engine trains a network. To stand in for torch's it lacks most operations,
gradients that are asked for as values, functions of your own, and every refusal
that keeps a user from a wrong number. **What does a small engine need to be
trusted?**

| name | what it is |
| --- | --- |
| rule | a function from `grad` to the gradient of one operand |
| `Node` | a recorded step: its rules, and where their results go |
| target | a node, or a {term}`leaf` in its place |
| `Variable` | a tensor that knows the step that made it |
"""

# %% Imports tags=["hide-input"]
from collections.abc import Callable

import torch

from groundup.autograd.broadcasting import unbroadcast
from groundup.autograd.rules import (
    Rule,
    Step,
    add_rule,
    div_rule,
    mul_rule,
    relu_rule,
    sub_rule,
)
from groundup.manual.gradients import numerical_gradient
from groundup.testing import assert_close, assert_equal


# %%
def check_rules(step: Callable, *operands: torch.Tensor) -> None:
    """Each rule of a step against finite differences."""
    value, *rules = step(*operands)
    grad = torch.randn_like(value)

    def weighed(x: torch.Tensor, i: int) -> torch.Tensor:
        return (step(*operands[:i], x, *operands[i + 1 :])[0] * grad).sum()

    for i, (rule, x) in enumerate(zip(rules, operands, strict=True)):
        expected = numerical_gradient(lambda x, i=i: weighed(x, i), x)
        assert_close(rule(grad), expected)


def error_of(call: Callable[[], object]) -> str:
    """The error that a call raises, as text; it must raise one."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("no error was raised")


# %% [markdown]
r"""
## Functions of one operand

The slopes of the negative, the exponential and the logarithm are those of
school. Where a slope is easier to say with the result $y$ than with $x$, the
rule keeps the result: $(e^x)' = y$.
"""


# %% Functions of one operand tags=["export"] module="autograd.functions" namespace=true
"""Steps of one operand, element by element: each its value, and a rule."""

from collections.abc import Callable
from operator import mul, neg, truediv

import torch
from torch import Tensor


def neg_rule(x: Tensor) -> Step:
    """-x."""
    return -x, Rule(neg)


def exp_rule(x: Tensor) -> Step:
    """e to the power of x."""
    y = x.exp()
    return y, Rule(mul, y)


def log_rule(x: Tensor) -> Step:
    """The natural logarithm."""
    return x.log(), Rule(truediv, x)


# %% [markdown]
r"""
So with $\tanh' = 1 - y^2$ and $\sigma' = y(1 - y)$.
"""


# %% Two that saturate tags=["export"] module="autograd.functions"
def tanh_rule(x: Tensor) -> Step:
    """The hyperbolic tangent."""
    y = x.tanh()
    return y, Rule(lambda grad, y: grad * (1 - y * y), y)


def sigmoid_rule(x: Tensor) -> Step:
    """1 / (1 + exp(-x))."""
    y = 1 / (1 + (-x).exp())
    return y, Rule(lambda grad, y: grad * y * (1 - y), y)


# %% Powers tags=["export"] module="autograd.functions"
def pow_rule(x: Tensor, exponent: float) -> Step:
    """x to the power of a number."""
    if isinstance(exponent, Tensor):
        raise TypeError("x ** y needs a number y; else (y * x.log()).exp()")
    if exponent == 0:
        return x**0, Rule(torch.zeros_like)
    rule = Rule(lambda grad, x: grad * exponent * x ** (exponent - 1), x)
    return x**exponent, rule


# %%
torch.manual_seed(0)
a = torch.rand(5).double() + 0.5
for step in (neg_rule, exp_rule, log_rule, tanh_rule, sigmoid_rule):
    check_rules(step, a)
check_rules(lambda x: pow_rule(x, 3), a)

# %% [markdown]
r"""
Some functions have a corner, where no slope exists. Torch's choices are ours:
at the corner ReLU and the absolute value have slope 0, and clamping to a range
still lets the gradient pass at its two ends. A mask *chooses*: multiplied by 0 an
infinite gradient would become nan.
"""


# %% Functions with a corner tags=["export"] module="autograd.functions"
def abs_rule(x: Tensor) -> Step:
    """The absolute value, with slope 0 at 0."""

    def rule(grad: Tensor, x: Tensor) -> Tensor:
        return torch.where(x > 0, grad, torch.where(x < 0, -grad, 0))

    return x.abs(), Rule(rule, x)


def clamp_rule(
    x: Tensor, min: float | None = None, max: float | None = None
) -> Step:
    """x forced between two bounds, with slope 1 at a bound."""
    y = x.clamp(min, max)
    return y, Rule(lambda grad, x, y: torch.where(y == x, grad, 0), x, y)


def where_rule(a: Tensor, b: Tensor, condition: Tensor) -> Step:
    """Elements of a where the condition holds, else of b."""
    by_a = Rule(lambda grad, chosen: torch.where(chosen, grad, 0), condition)
    by_b = Rule(lambda grad, chosen: torch.where(chosen, 0, grad), condition)
    return torch.where(condition, a, b), by_a, by_b


# %%
corner, ones = torch.tensor([-1.0, 0.0, 1.0]), torch.ones(3)
steps = relu_rule(corner), abs_rule(corner), clamp_rule(corner, 0, 1)
[rule(ones).tolist() for _, rule in steps]

# %% [markdown]
r"""
## The rules with axes

The matrix product has the two formulas of chapter 2.3:
$\nabla_a = \nabla_y\, b^\top$ and $\nabla_b = a^\top \nabla_y$. Further axes in
front are batches, and `mT` transposes the last two. A vector is given the axis
that it lacks.
"""


# %% The matrix product tags=["export"] module="autograd.axes" namespace=true
"""Steps that work along axes: products, reductions, changes of shape."""

from copy import deepcopy


def matmul_rule(a: Tensor, b: Tensor) -> Step:
    """a @ b: (..., n, k), (..., k, m) -> (..., n, m); also of vectors."""
    row, column = a.dim() == 1, b.dim() == 1

    def matrix(grad: Tensor) -> Tensor:
        grad = grad.unsqueeze(-1) if column else grad
        return grad.unsqueeze(-2) if row else grad

    def by_a(grad: Tensor, b: Tensor) -> Tensor:
        right = b.unsqueeze(1) if column else b
        return matrix(grad) @ right.mT

    def by_b(grad: Tensor, a: Tensor) -> Tensor:
        left = a.unsqueeze(0) if row else a
        grad = left.mT @ matrix(grad)
        return grad.squeeze(-1) if column else grad

    return a @ b, Rule(by_a, b), Rule(by_b, a)


# %%
a, b = torch.randn(4, 3).double(), torch.randn(3, 2).double()
check_rules(matmul_rule, a, b)
check_rules(matmul_rule, a, b[:, 0])

# %% [markdown]
r"""
A sum is the opposite of broadcasting. What it adds up, the way back repeats:
`expand` makes the copies without memory, with a stride of 0. To line up, the
gradient first gets back the axes of size 1 that the sum dropped.
"""


# %% Sums and means tags=["export"] module="autograd.axes"
Dim = int | tuple[int, ...] | None


def kept(shape: torch.Size, dim: Dim) -> list[int]:
    """The shape that a reduction over dim has with keepdim=True."""
    dims = range(len(shape)) if dim is None or dim == () else dim
    dims = (dims,) if isinstance(dims, int) else dims
    reduced = {d % max(len(shape), 1) for d in dims}
    return [1 if d in reduced else size for d, size in enumerate(shape)]


def sum_rule(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Step:
    """The sum over some axes, or over all."""
    shape, ones = x.shape, kept(x.shape, dim)
    value = x.sum(dim, keepdim=keepdim)
    return value, Rule(lambda grad: grad.reshape(ones).expand(shape))


def mean_rule(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Step:
    """The mean over some axes, or over all."""
    shape, ones = x.shape, kept(x.shape, dim)
    value = x.mean(dim, keepdim=keepdim)
    share = value.numel() / max(x.numel(), 1)
    return value, Rule(lambda grad: (grad * share).reshape(ones).expand(shape))


# %% [markdown]
r"""
The maximum passes its gradient to the element that won; if several did, they
share it.
"""


# %% Maxima tags=["export"] module="autograd.axes"
def amax_rule(x: Tensor, dim: Dim = (), keepdim: bool = False) -> Step:
    """The maximum over some axes, or over all; ties share the gradient."""
    ones = kept(x.shape, dim)
    y = x.amax(() if dim is None else dim, keepdim=keepdim)

    def rule(grad: Tensor, x: Tensor, y: Tensor) -> Tensor:
        won = x == y.reshape(ones)
        shares = unbroadcast(won.to(grad.dtype), torch.Size(ones))
        return torch.where(won, grad.reshape(ones) / shares, 0)

    return y, Rule(rule, x, y)


# %%
for step in (sum_rule, mean_rule, amax_rule):
    check_rules(lambda x, step=step: step(x, 1), a)
value, rule = amax_rule(torch.tensor([3.0, 1.0, 3.0]))
rule(torch.tensor(1.0))

# %% [markdown]
r"""
Operations that only move elements have rules that move them back. To expand is
to broadcast on purpose, and the engine sums that already. A permutation is
undone by the permutation that sorts it. Torch takes a shape or an order number
by number or as one tuple, and so do we.
"""


# %% Changes of shape tags=["export"] module="autograd.axes"
def reshape_rule(x: Tensor, *shape: int | tuple[int, ...]) -> Step:
    """The same elements in another shape."""
    before = x.shape
    return x.reshape(*shape), Rule(lambda grad: grad.reshape(before))


def expand_rule(x: Tensor, *sizes: int | tuple[int, ...]) -> Step:
    """Axes of size 1 repeated, without a copy."""
    return x.expand(*sizes), Rule(lambda grad: grad)


def transpose_rule(x: Tensor, dim0: int, dim1: int) -> Step:
    """Two axes exchanged."""
    value = x.transpose(dim0, dim1)
    return value, Rule(lambda grad: grad.transpose(dim0, dim1))


def permute_rule(x: Tensor, *dims: int | tuple[int, ...]) -> Step:
    """The axes in another order."""
    listed = dims[0] if dims and not isinstance(dims[0], int) else dims
    order = [d % x.dim() for d in listed]
    back = sorted(range(x.dim()), key=order.__getitem__)
    return x.permute(order), Rule(lambda grad: grad.permute(back))


# %%
value, rule = permute_rule(torch.randn(4, 3, 2), 2, 0, 1)
value.shape, rule(value).shape

# %% [markdown]
r"""
To join is to split on the way back. (Torch joins an empty vector to anything,
so its piece is given its shape again.) Picking elements is the last: the way back
puts each gradient where its element came from and leaves zeros elsewhere. An
element that was picked twice gets both, so writing is not enough: it must be
*adding*. To cover every kind of index at once we ask the index itself where it
leads, with a tensor of positions.
"""


# %% Joining tags=["export"] module="autograd.axes"
def cat_rule(*tensors: Tensor, dim: int = 0) -> Step:
    """Tensors joined along an axis that exists."""
    value, shapes = torch.cat(tensors, dim), [x.shape for x in tensors]
    sizes = [0 if shape == (0,) else shape[dim] for shape in shapes]

    def rule(i: int) -> Rule:
        return Rule(lambda grad: grad.split(sizes, dim)[i].reshape(shapes[i]))

    return value, *map(rule, range(len(sizes)))


# %% [markdown]
r"""
An index may be a list or an array, and whoever made it may change it before the
way back. Tensors are watched (see below); all else is copied.
"""


# %% Picking tags=["export"] module="autograd.axes"
def _fixed(index: object) -> object:
    """An index of which nobody else holds a part, tensors apart."""
    if isinstance(index, tuple):
        return tuple(_fixed(each) for each in index)
    return index if isinstance(index, Tensor) else deepcopy(index)


def index_rule(x: Tensor, index: object) -> Step:
    """x[index], for any index that a tensor takes."""
    shape, index = x.shape, _fixed(index)

    def rule(grad: Tensor, index: object) -> Tensor:
        places = torch.arange(shape.numel()).reshape(shape)[index].flatten()
        zeros = grad.new_zeros(shape.numel())
        return zeros.index_add(0, places, grad.flatten()).reshape(shape)

    return x[index], Rule(rule, index)


# %% Picking along one axis tags=["export"] module="autograd.axes"
def gather_rule(x: Tensor, dim: int, index: Tensor) -> Step:
    """Elements picked along one axis: value[i][j] = x[i][index[i][j]]."""
    shape = x.shape

    def rule(grad: Tensor, index: Tensor) -> Tensor:
        return grad.new_zeros(shape).scatter_add(dim, index, grad)

    return x.gather(dim, index), Rule(rule, index)


# %%
value, rule = index_rule(torch.tensor([10.0, 20.0, 30.0]), [0, 2, 2])
value, rule(torch.tensor([1.0, 1.0, 1.0]))

# %% [markdown]
r"""
## The record

What does a recorded step keep? Its number, so that the newest can be found. The
shape and dtype of its value, so that a gradient that arrives can be made to
fit. Where the results of its rules go. And the rules.

It does *not* keep its operands. A sum of two large tensors needs neither of
them on the way back, so their memory should be free to go.

One danger is left. A rule keeps a tensor, not a copy. If someone changes that
tensor in place before the way back, the rule computes with wrong numbers and
nobody notices. Torch counts the changes of each tensor in `_version`, so we
note the count when the step is recorded and compare it when the rule is used.
To find the tensors, also those inside an index, one function looks into tuples
and lists.
"""

# %% What a step keeps tags=["export"] module="autograd.graph" namespace=true
"""The record of a computation, and the way back through it."""

from collections.abc import Iterable, Iterator, Set
from heapq import heappop, heappush
from itertools import count
from typing import Any

_FREED = (
    "backward a second time: the saved values are freed after the first; "
    "pass retain_graph=True to it to keep them"
)
_CHANGED = (
    "a value that backward needs was changed in place after it was used; "
    "make the change on a copy, or after backward"
)
_births = count()
Target = Any  # a Node, or a leaf in its place: both have shape and dtype


def _tensors(saved: object) -> Iterator[Tensor]:
    if isinstance(saved, Tensor):
        yield saved
    elif isinstance(saved, tuple | list):
        for item in saved:
            yield from _tensors(item)


# %%
list(_tensors((torch.ones(2), [torch.zeros(1), 3])))


# %% A recorded step tags=["export"] module="autograd.graph"
class Node:
    """A recorded step: where its gradients go, and how they are computed."""

    def __init__(
        self,
        value: Tensor,
        targets: list[Target | None],
        rule: Callable[[Tensor, list[bool]], Iterable[Tensor | None]],
        saved: object,
    ):
        self.number = next(_births)
        self.shape, self.dtype = value.shape, value.dtype
        self.targets, self.rule = targets, rule
        self.saved = [(tensor, tensor._version) for tensor in _tensors(saved)]


# %% [markdown]
r"""
Handing on has its conditions: nothing was freed, nothing was changed, and only
who is asked for gets something.
"""


# %% Handing on tags=["export"] module="autograd.graph"
class Node(Node):
    def backward(
        self, grad: Tensor, leading: Set[Target] | None
    ) -> Iterator[tuple[Target, Tensor]]:
        """Each target that leads to what is asked for, with its gradient."""
        if self.rule is None:
            raise RuntimeError(_FREED)
        if any(tensor._version != version for tensor, version in self.saved):
            raise RuntimeError(_CHANGED)
        asked = [
            each is not None and (leading is None or each in leading)
            for each in self.targets
        ]
        pieces = zip(self.targets, asked, self.rule(grad, asked), strict=True)
        for target, is_asked, piece in pieces:
            if is_asked and piece is not None:
                fitting = unbroadcast(piece, target.shape)
                yield target, fitting.to(target.dtype)

    def free(self) -> None:
        """Forget the saved values: a second way through here is an error."""
        if self.saved:
            self.rule = self.saved = None


# %% [markdown]
r"""
The targets are the operands as the graph knows them. One that was itself
computed is represented by the node that made it. One that was not, a
{term}`leaf`, stands for itself. Here is a product with 3, whose one target is
the leaf `x`:
"""

# %%
x = torch.tensor([0.0, 1.0])
y, by_x, _ = mul_rule(x, torch.tensor(3.0))
product = Node(y, [x], lambda grad, asked: [by_x(grad)], by_x.saved)
list(product.backward(torch.ones(2), leading={x}))

# %% [markdown]
r"""
## The way back

The loop is that of the single numbers. Gradients wait with the node that they
belong to; a second one is added to the first. The newest node is taken, its
rules run, and its saved values are freed. Leaves are never taken. What is still
waiting at the end is theirs.

Who asks for a few gradients only shall not pay for the others. The nodes are
walked once, oldest first, and each is marked that leads to one of the few; the
rest is never run.
"""


# %% What leads there tags=["export"] module="autograd.graph"
def nodes_that_lead(root: Target, wanted: Set[Target]) -> set[Target]:
    """What lies between root and the wanted, both included."""
    found, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            waiting += [each for each in node.targets if each is not None]
    leading = set(wanted)
    for node in sorted(found, key=lambda node: node.number):
        if any(target in leading for target in node.targets):
            leading.add(node)
    return leading


# %% [markdown]
r"""
With nothing named, all is wanted.
"""


# %% The way back tags=["export"] module="autograd.graph"
def propagate(
    root: Target,
    grad: Tensor,
    keep: Set[Target] = frozenset(),
    retain_graph: bool = False,
) -> dict[Target, Tensor]:
    """The gradients of all leaves, or of the leaves and nodes in keep."""
    leading = nodes_that_lead(root, keep) if keep else None
    waiting: dict[Target, Tensor] = {}
    newest: list[tuple[int, Node]] = []

    def arrive(target: Target, grad: Tensor) -> None:
        if target in waiting:
            waiting[target] = waiting[target] + grad
        else:
            waiting[target] = grad
            if isinstance(target, Node):
                heappush(newest, (-target.number, target))

    arrive(root, grad)
    while newest:
        _, node = heappop(newest)
        grad = waiting[node] if node in keep else waiting.pop(node)
        for target, piece in node.backward(grad, leading):
            arrive(target, piece)
        if not retain_graph:
            node.free()
    return waiting


# %% [markdown]
r"""
A second step on top of the first, $e^{3x}$, has the slope $3 e^{3x}$:
"""

# %%
z, by_y = exp_rule(y)
power = Node(z, [product], lambda grad, asked: [by_y(grad)], by_y.saved)
grads = propagate(power, torch.ones(2))
assert_close(grads[x], 3 * (3 * x).exp())
grads[x]

# %% [markdown]
r"""
The switch of the story again, in torch's form: a `with` block, a decorator with
or without brackets, and on a generator it is off only while the generator runs,
not while its caller does.
"""

# %% The switch tags=["export"] module="autograd.grad_mode" earns="torch.no_grad torch.is_grad_enabled"
"""The switch that turns recording off."""

import warnings
from collections.abc import Generator
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps
from inspect import isclass, isgeneratorfunction
from typing import Self

_recording = ContextVar("recording", default=True)


def is_grad_enabled() -> bool:
    """True if steps are being recorded."""
    return _recording.get()


# %% The switch itself tags=["export"] module="autograd.grad_mode"
class no_grad(ContextDecorator):  # torch's name
    """Record nothing inside; a block, or a decorator with or without ()."""

    def __new__(cls, function: Callable | None = None) -> "Self | Callable":
        """The switch, or a function with it."""
        made = super().__new__(cls)
        return made if function is None else made(function)

    def __enter__(self) -> Self:
        self.before = [*vars(self).get("before", ()), _recording.get()]
        _recording.set(False)
        return self

    def __exit__(self, *error: object) -> None:
        *self.before, last = self.before
        _recording.set(last)

    def _recreate_cm(self) -> Self:
        return type(self)()

    def __call__(self, function: Callable) -> Callable:
        """The function, with recording off while it runs."""
        if isclass(function):
            message = "decorating a class is deprecated: decorate its __init__"
            warnings.warn(message, FutureWarning, stacklevel=2)
        if isgeneratorfunction(function):
            return _switched_generator(function)
        return super().__call__(function)


# %%
with no_grad():
    inside = is_grad_enabled()
inside, is_grad_enabled()

# %% [markdown]
r"""
A generator is run in parts, and each part by itself under the switch. What the
caller sends or throws goes through.
"""


# %% A generator in parts tags=["export"] module="autograd.grad_mode"
def _switched_generator(function: Callable) -> Callable:
    @wraps(function)
    def generator(*args: object, **options: object) -> Generator:
        steps = function(*args, **options)
        go_on, given = steps.send, (None,)
        while True:
            try:
                with no_grad():
                    item = go_on(*given)
            except StopIteration as end:
                return end.value
            try:
                go_on, given = steps.send, ((yield item),)
            except GeneratorExit:
                with no_grad():
                    steps.close()
                raise
            except BaseException as error:
                go_on, given = steps.throw, (error,)

    return generator


# %%
@no_grad
def modes() -> Iterator[bool]:
    yield is_grad_enabled()


[(its, is_grad_enabled()) for its in modes()]

# %% [markdown]
r"""
## Variables

A variable must behave like the tensor in it: the same operators, the same
methods. Each is one rule, applied to the variable and to whatever else was
given. So the methods are made, not written. `apply` will take the step; we
write it below.
"""


# %% Methods from rules tags=["export"]
"""Variables: tensors that remember how they were computed."""


def _lift(rule: Callable[..., Step]) -> Callable:
    """The method that applies a rule to self and what follows."""

    @wraps(rule)
    def method(
        self: "Variable", *others: object, **options: object
    ) -> "Variable":
        return apply(rule, self, *others, **options)

    return method


def _operators(rule: Callable[..., Step]) -> tuple[Callable, Callable]:
    """The methods for x - 2 and for 2 - x."""
    return (
        wraps(rule)(lambda self, other: apply(rule, self, _number(other))),
        wraps(rule)(lambda self, other: apply(rule, _number(other), self)),
    )


# %% [markdown]
r"""
NumPy's numbers and arrays stand on either side, too. Comparisons give plain
tensors.
"""


# %% What is no variable tags=["export"]
def _number(other: object) -> object:
    """A copy of NumPy's numbers as torch's; anything else as it is."""
    known = isinstance(other, Variable | Tensor | int | float)
    return other if known else torch.tensor(other)


def _compare(comparison: Callable) -> Callable:
    """The method for a comparison: a plain tensor of truth values."""
    return lambda self, other: comparison(self.data, data_of(other))


# %% [markdown]
r"""
Now the variable itself. It is a tensor, a gradient, and the node that made it.
NumPy does not count the changes of its arrays, so one that is given is copied.
Only floating-point numbers have gradients: to move a whole number "a little"
has no meaning. And only a leaf can be told whether it wants one. Of a computed
variable, its operands have decided that.
"""


# %% A variable tags=["export"] earns="torch.Tensor.grad torch.Tensor.grad_fn torch.Tensor.is_leaf torch.Tensor.requires_grad torch.Tensor.requires_grad_"
class Variable:
    """A tensor that remembers how it was computed."""

    def __init__(self, data: object, requires_grad: bool = False):
        self.data = data if isinstance(data, Tensor) else torch.tensor(data)
        self.grad: Tensor | None = None
        self.grad_fn: Node | None = None
        self.wants_grad = False
        self.requires_grad_(requires_grad)

    @property
    def is_leaf(self) -> bool:
        """True unless a recorded step made it."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """True if a gradient should reach it."""
        return self.wants_grad or self.grad_fn is not None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for a gradient, or no longer; for a leaf of floating point."""
        if not self.is_leaf:
            raise RuntimeError("only a leaf can be told; detach() makes one")
        dtype = self.data.dtype
        if requires_grad and not dtype.is_floating_point:
            raise RuntimeError(f"a gradient of {dtype} has no meaning")
        self.wants_grad = requires_grad
        return self


# %%
x = Variable([1.0, 2.0], requires_grad=True)
x.is_leaf, x.requires_grad, error_of(Variable([1, 2]).requires_grad_)

# %% [markdown]
r"""
It shows where it comes from, and what its tensor looks like. `detach` gives a
variable with the same data and no past.
"""


# %% What a variable shows tags=["export"] earns="torch.Tensor.detach"
class Variable(Variable):
    __array_ufunc__ = None  # NumPy's numbers on the left leave it to us

    def __repr__(self) -> str:
        origin = self.grad_fn and ", computed"
        leaf = ", requires_grad=True" if self.wants_grad else ""
        return f"Variable({self.data}{origin or leaf})"

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.data)

    @property
    def shape(self) -> torch.Size:
        """The size of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of the elements."""
        return self.data.dtype

    def detach(self) -> Self:
        """The same data without its past."""
        return Variable(self.data)


# %% [markdown]
r"""
### Taking a step

Now a step can be taken. `apply` computes it on plain tensors, then throws away
the rules that nobody needs, and with them what they hold: this is how the
gradient of the *data*, which chapter 2.4 found to cost more than anything else,
is never computed. A value that cannot have a gradient, such as a whole number
or a truth value, is not recorded at all.
"""


# %% What a variable is to a step tags=["export"]
def data_of(x: object) -> object:
    """The tensor inside a variable; anything else as it is."""
    return x.data if isinstance(x, Variable) else x


def needs_grad(x: object) -> bool:
    """True for a variable that a gradient should reach."""
    return isinstance(x, Variable) and x.requires_grad


# %%
x = Variable([1.0, 2.0], requires_grad=True)
data_of(x), data_of(3), needs_grad(x), needs_grad(3)


# %% Recording a step tags=["export"]
def record(
    value: Tensor,
    operands: list[Variable | None],
    rule: Callable[[Tensor, list[bool]], Iterable[Tensor | None]],
    saved: object,
) -> Variable:
    """A variable for value that knows its way back, if anyone needs it."""
    output = Variable(value)
    wanted = any(x is not None for x in operands)
    if wanted and is_grad_enabled() and value.is_floating_point():
        targets = [x if x is None else x.grad_fn or x for x in operands]
        output.grad_fn = Node(value, targets, rule, saved)
    return output


# %% [markdown]
r"""
And `apply` asks the step for its value and its rules. A variable that wants a
gradient and has no rule, as a bound of `clamp`, is refused: it would never learn.
"""


# %% Taking a step tags=["export"]
def apply(
    step: Callable[..., Step], *operands: object, **options: object
) -> Variable:
    """Take one step on the operands' tensors and record it."""
    value, *rules = step(*map(data_of, operands), **options)
    if any(map(needs_grad, operands[len(rules) :])):
        raise TypeError(f"{step.__name__} has no gradient for all it was given")
    pairs = zip(operands, rules, strict=False)  # options are no operands
    wanted = [(x, rule) for x, rule in pairs if needs_grad(x)]
    rules = [rule for _, rule in wanted]
    return record(
        value,
        [x for x, _ in wanted],
        lambda grad, asked: [
            rule(grad) if its else None
            for rule, its in zip(rules, asked, strict=True)
        ],
        [rule.saved for rule in rules],
    )


# %%
x, w = Variable([1.0, 2.0]), Variable([3.0, 4.0], requires_grad=True)
y = apply(mul_rule, x, w)
y, y.grad_fn.targets, y.grad_fn.saved

# %% [markdown]
r"""
One target and one saved tensor, with the count of its changes: the other rule
is gone.

### The first gradient

It is that of the output by itself, and is 1. That is plain for one number only.
For a tensor there is no such choice, so there we demand one.
"""


# %% The first gradient tags=["export"] module="autograd.graph"
def first_grad(output: Any, grad: Tensor | None = None) -> Tensor:
    """The gradient to start from: grad, or 1 if the output is one number."""
    if not output.requires_grad:
        raise RuntimeError("nothing that requires a gradient led to this value")
    shape = tuple(output.shape)
    if grad is None:
        if output.data.numel() != 1:
            raise RuntimeError(
                f"a gradient of shape {shape} is needed to start from: "
                "it is 1 only for a single number"
            )
        return torch.ones_like(output.data)
    if grad.shape != output.shape:
        raise RuntimeError(
            f"expected a gradient of shape {shape}, got {tuple(grad.shape)}"
        )
    return grad


# %% Backward tags=["export"] earns="torch.Tensor.backward"
class Variable(Variable):
    def backward(
        self, gradient: object = None, retain_graph: bool = False
    ) -> None:
        """Add to the grad of every leaf that led here."""
        grad = first_grad(self, data_of(gradient))
        grads = propagate(self.grad_fn or self, grad, retain_graph=retain_graph)
        for leaf, grad in grads.items():
            if leaf.grad is None:
                leaf.grad = grad.clone()  # two leaves may share one
            else:
                leaf.grad += grad


# %%
x, w = Variable([1.0, 2.0]), Variable([3.0, 4.0], requires_grad=True)
apply(mul_rule, x, w).backward(torch.ones(2))
w.grad

# %% [markdown]
r"""
Two choices are hidden in the last lines. Gradients *accumulate*: a second
`backward` adds to the first. And the first one is copied. The rule of a sum
hands the same tensor to both operands; without the copy, clipping one gradient
in place would clip the other.

### Operators and methods

What remains is to write steps as torch does. Here is all of arithmetic, in one
line an operator.
"""

# %% The operators tags=["export"]
from operator import eq, ge, gt, le, lt, ne


class Variable(Variable):
    __add__, __radd__ = _operators(add_rule)
    __sub__, __rsub__ = _operators(sub_rule)
    __mul__, __rmul__ = _operators(mul_rule)
    __truediv__, __rtruediv__ = _operators(div_rule)
    __matmul__, __rmatmul__ = _operators(matmul_rule)
    __lt__, __le__ = _compare(lt), _compare(le)
    __gt__, __ge__ = _compare(gt), _compare(ge)
    __eq__, __ne__ = _compare(eq), _compare(ne)
    __hash__ = object.__hash__  # a class that compares must say so
    __neg__ = _lift(neg_rule)
    __pow__ = _lift(pow_rule)
    __getitem__ = _lift(index_rule)


# %%
x = Variable([1.0, 2.0], requires_grad=True)
y = 1 - x**2
y, y < 0

# %% [markdown]
r"""
The methods are of the same kind.
"""


# %% Functions and reductions tags=["export"]
class Variable(Variable):
    exp = _lift(exp_rule)
    log = _lift(log_rule)
    tanh = _lift(tanh_rule)
    sigmoid = _lift(sigmoid_rule)
    relu = _lift(relu_rule)
    abs = _lift(abs_rule)
    clamp = _lift(clamp_rule)
    sum = _lift(sum_rule)
    mean = _lift(mean_rule)
    amax = _lift(amax_rule)
    gather = _lift(gather_rule)


# %% [markdown]
r"""
So are those that change a shape. To squeeze an axis or to add one is to
reshape.
"""


# %% Changes of a variable's shape tags=["export"]
class Variable(Variable):
    reshape = view = _lift(reshape_rule)
    expand = _lift(expand_rule)
    transpose = _lift(transpose_rule)
    permute = _lift(permute_rule)

    def unsqueeze(self, dim: int) -> Self:
        """A new axis of size 1."""
        return self.reshape(self.data.unsqueeze(dim).shape)

    def squeeze(self, *dim: int) -> Self:
        """Without one axis of size 1, or without all of them."""
        return self.reshape(self.data.squeeze(*dim).shape)

    @property
    def mT(self) -> Self:
        """The last two axes exchanged."""
        return self.transpose(-2, -1)

    @property
    def T(self) -> Self:
        """The transpose of a matrix."""
        if self.data.dim() != 2:
            raise RuntimeError(
                f"T is for matrices, got shape {tuple(self.shape)}: mT "
                "exchanges the last two axes, permute any"
            )
        return self.transpose(0, 1)


# %% [markdown]
r"""
Only `max` needs more. Along an axis it also says where the maximum lies, and
the gradient takes that one place.
"""


# %% The maximum and its place tags=["export"]
class Variable(Variable):
    def max(
        self, dim: int | None = None, keepdim: bool = False
    ) -> Self | tuple[Self, Tensor]:
        """The maximum; along an axis, with the indices where it lies."""
        if dim is None:
            return self.amax()
        indices = self.data.max(dim, keepdim=True).indices
        values = self.gather(dim, indices)
        if keepdim:
            return values, indices
        return values.squeeze(dim), indices.squeeze(dim)


# %%
x = Variable([[1.0, 3.0, 2.0], [4.0, 0.0, 5.0]], requires_grad=True)
values, places = x.max(1)
values.sum().backward()
places, x.grad

# %% [markdown]
r"""
Then there is `w -= step`, the update of a weight. It changes the tensor in
place, which is no step that could be recorded. While we record it is therefore
an error, and the update belongs into `no_grad`.
"""


# %% Changes in place tags=["export"]
class Variable(Variable):
    def _change(self, change: Callable, other: object) -> Self:
        """Self after a change of its data, where no step is recorded."""
        if is_grad_enabled() and (needs_grad(self) or needs_grad(other)):
            raise RuntimeError(
                "a change in place is not recorded: make it under no_grad, "
                "or write x = x + y in place of x += y"
            )
        change(self.data, data_of(other))
        return self

    def __iadd__(self, other: object) -> Self:
        return self._change(Tensor.add_, other)

    def __isub__(self, other: object) -> Self:
        return self._change(Tensor.sub_, other)

    def __imul__(self, other: object) -> Self:
        return self._change(Tensor.mul_, other)

    def __itruediv__(self, other: object) -> Self:
        return self._change(Tensor.div_, other)


# %%
def one_step(x: Variable) -> Variable:
    x -= 0.5
    return x


x = Variable([1.0, 2.0], requires_grad=True)
refused = error_of(lambda: one_step(x))
with no_grad():
    stepped = one_step(x)
refused, stepped

# %% [markdown]
r"""
### The first test

The values of the graph at the top, as tensors of one number.
"""

# %%
a = Variable(2.0, requires_grad=True)
b = Variable(-3.0, requires_grad=True)
c = a * b
e = c * (c + a)
e.backward()
assert_equal([a.grad.item(), b.grad.item()], [24.0, -20.0])
e

# %% [markdown]
r"""
And a linear layer with its loss, beside torch. `b` broadcasts, `w` is used
twice.
"""


# %%
def loss_of(x, w, b):
    y = (x @ w + b).relu()
    return ((y @ w.mT) ** 2).mean() + (w * w).sum() / 100


torch.manual_seed(1)
data = torch.randn(5, 4), torch.randn(4, 3), torch.randn(3)
ours = [Variable(value, requires_grad=True) for value in data]
loss_of(*ours).backward()
ours[2].grad

# %% Torch's own gradients tags=["reference"]
theirs = [value.clone().requires_grad_() for value in data]
loss_of(*theirs).backward()
for our, their in zip(ours, theirs, strict=True):
    assert_close(our.grad, their.grad)

# %% [markdown]
r"""
## The rules of use

Each rule that a user of torch trips over has its reason in the code above. A
computed variable keeps no gradient: `propagate` handed it on and dropped it.
"""

# %%
x = Variable([1.0, 2.0, 3.0], requires_grad=True)
y = x * 2
y.sum().backward()
(x.is_leaf, x.grad), (y.is_leaf, y.grad)

# %% [markdown]
r"""
A second pass adds to the first. So a training loop sets the gradient to `None`
before each pass.
"""

# %%
(x * 2).sum().backward()
twice = x.grad
x.grad = None
twice

# %% [markdown]
r"""
After the way back the saved values are gone, and with them most of the memory
of the forward pass. To go back again one must have said so.
"""

# %%
y = (x * x).sum()
y.backward()
error_of(y.backward)

# %% [markdown]
r"""
A value that was changed after its use is noticed.
"""

# %%
y = (x * x).sum()
x.data.mul_(2)
error_of(y.backward)

# %% [markdown]
r"""
`detach` cuts the past off, and `no_grad` never records one.
"""


# %%
@no_grad()
def square(x: Variable) -> Variable:
    return x * x


square(x).requires_grad, (x * x).detach().requires_grad

# %% [markdown]
r"""
What else is refused: a start from many numbers, and a gradient of a whole
number.
"""

# %%
error_of(lambda: (x * x).backward())

# %%
error_of(lambda: Variable([1, 2, 3], requires_grad=True))

# %% [markdown]
r"""
## The gradient as a value

Sometimes the gradient is wanted as a result, and of a variable that is no leaf.
Then nothing should be added to any `grad`. `propagate` can do this already: we
name what to keep.
"""


# %% The gradient as a value tags=["export"] module="autograd.several" earns="torch.autograd.grad"
"""Functions of several variables: gradients as values, choices, joins."""


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


# %%
x = Variable([1.0, 2.0, 3.0], requires_grad=True)
y = x.exp()
grad((y * y).sum(), (x, y)), x.grad

# %% [markdown]
r"""
## Several variables at once

Three functions take more than one variable and belong to none of them. A stack
is a join along a new axis.
"""


# %% Several variables at once tags=["export"] module="autograd.several"
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


# %%
a, b = (Variable(torch.randn(3), requires_grad=True) for _ in range(2))
stack([a, where(a > b, a, b)]).shape, cat([a, b]).shape

# %% [markdown]
r"""
## A function of your own

Sigmoid could have been written from the parts: $1 / (1 + e^{-x})$. Its value
would be right everywhere. Look at its gradient far to the left.
"""

# %%
x = Variable([-100.0, -1.0, 2.0], requires_grad=True)
y = 1 / (1 + (-x).exp())
y.sum().backward()
y.data, x.grad

# %% [markdown]
r"""
At $-100$, $e^{-x}$ overflows to infinity. The value survives as $1/\infty = 0$.
The rules, each right by itself, then multiply infinity by zero. A gradient that
is right on paper can be wrong in numbers, and the mend is to write down the
rule of the whole: $y(1-y)$. That is why `sigmoid_rule` exists.

Users need the same freedom. Torch's form for it is a class with two static
methods and a *context* `ctx` between them. One method computes all gradients at
once, so the user says what is saved, and asks `needs_input_grad` what can be
left out. It takes the same `record`.
"""

# %% What forward leaves tags=["export"] module="autograd.function"
"""Functions whose gradient the user writes, in torch's form."""

from itertools import accumulate


class Context:
    """What forward leaves for backward."""

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors, watched for changes and freed after backward."""
        self.saved_tensors = tensors


# %% A function of your own tags=["export"] module="autograd.function" earns="torch.autograd.Function"
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


# %% [markdown]
r"""
What the user's `backward` returns may be one gradient or several, so it is
checked before the engine takes it.
"""


# %% Running a function of your own tags=["export"] module="autograd.function"
class Function(Function):
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


# %% [markdown]
r"""
As an example, a function whose gradient is a lie, and useful: rounding has
slope 0 almost everywhere, so nothing could learn through it. The
*straight-through* estimator pretends that it was the identity
{cite:p}`bengio2013`.
"""


# %%
class Round(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


x = Variable([0.4, 1.7], requires_grad=True)
(Round.apply(x) * 3).sum().backward()
x.grad

# %% [markdown]
r"""
A function may return several values, and its `backward` takes a gradient for
each, zeros for one that nobody used. The engine knows steps of one value. So
the values are laid end to end into one, which is recorded, and each is a piece
of it.
"""


# %% Several values tags=["export"] module="autograd.function"
class Function(Function):
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


# %% One of several values tags=["export"] module="autograd.function"
def _piece(whole: Variable, value: Tensor, start: int) -> Variable:
    """A value that lies within another from `start` on."""

    size, dtype = whole.shape, whole.dtype  # and not the values themselves

    def rule(grad: Tensor, asked: list[bool]) -> list[Tensor]:
        zeros = grad.new_zeros(size, dtype=dtype)
        zeros[start : start + grad.numel()] = grad.flatten()
        return [zeros]

    return record(value, [whole] if needs_grad(whole) else [], rule, [])


# %%
class SinCos(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, by_sin, by_cos):
        (x,) = ctx.saved_tensors
        return by_sin * x.cos() - by_cos * x.sin()


x = Variable([0.5, 2.0], requires_grad=True)
sine, cosine = SinCos.apply(x)
(sine * 2 + cosine).sum().backward()
assert_close(x.grad, 2 * x.data.cos() - x.data.sin())
x.grad

# %% [markdown]
r"""
## Does it hold?

A rule that is wrong does not crash. It trains a little worse. So every rule
gets the test that needs no second opinion: finite differences, in float64. A
function may return a tensor, so we weigh its elements with a random direction
and check the gradient of that one number.
"""

# %% One number of a tensor tags=["export"] module="autograd.check"
"""A gradient checked by finite differences."""


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


# %% [markdown]
r"""
The check itself asks for the gradients by `grad` and holds each against the
differences.
"""


# %% A gradient checked tags=["export"] module="autograd.check" earns="torch.autograd.gradcheck"
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


# %% [markdown]
r"""
It passes what is right, and finds the lie.
"""

# %%
torch.manual_seed(2)
a, b = (
    Variable(torch.randn(*shape).double(), requires_grad=True)
    for shape in ((2, 3, 4), (4, 2))
)
gradcheck(lambda a, b: (a @ b).tanh().mean(-1), (a, b))

# %%
error_of(lambda: gradcheck(Round.apply, a)).splitlines()[0]

# %% [markdown]
r"""
`tests/autograd/` goes further: torch's own samples for each of our operations,
empty axes and odd indices included, and random graphs, made by the hundred,
with shared nodes and every kind of broadcasting, values and gradients equal to
torch's.

## The loans of part 1

Chapter 1.2 borrowed `backward` to fit a parabola to measurements of a speed.
Here are the same measurements, scaled as there. With the engine in its place
the seven steps need no loan.
"""

# %%
torch.manual_seed(0)
seconds = torch.arange(20.0)
speed = torch.randn(20) * 3 + 0.75 * (seconds - 9.5) ** 2 + 1
scaled = (seconds - seconds.mean()) / seconds.std()
params = Variable(torch.zeros(3), requires_grad=True)

losses = []
for _ in range(30):
    a, b, c = params
    loss = ((a * scaled**2 + b * scaled + c - speed) ** 2).mean()
    params.grad = None
    loss.backward()
    with no_grad():
        params -= 0.33 * params.grad
    losses.append(loss.data.item())
round(losses[0], 2), round(losses[-1], 4)

# %% [markdown]
r"""
The least possible is the loss of the exact least-squares fit. We came close.
"""

# %% tags=["reference"]
columns = torch.stack([scaled**2, scaled, torch.ones(20)], 1)
exact = torch.linalg.lstsq(columns, speed[:, None]).solution
best = ((columns @ exact - speed[:, None]) ** 2).mean().item()
assert best <= losses[-1] < 1.01 * best
round(best, 4)

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `exp_rule`, `relu_rule`, … | `autograd.functions` | a value, and a rule for its operand |
| `matmul_rule`, `sum_rule`, … | `autograd.axes` | the same for operations with axes |
| `Node` | `autograd.graph` | a recorded step |
| `propagate` | `autograd.graph` | the way back, newest node first |
| `record`, `apply` | `autograd.variable` | how a step is taken |
| `Variable` | `autograd.variable` | a tensor that remembers: its methods, made from rules, and `backward` |
| `grad` | `autograd.several` | gradients as values |
| `no_grad`, `is_grad_enabled` | `autograd.grad_mode` | the switch |
| `where`, `cat`, `stack` | `autograd.several` | steps on several variables |
| `Function`, `Context` | `autograd.function` | a gradient written by the user |
| `gradcheck` | `autograd.check` | a gradient against finite differences |

:::{admonition} Design note: one gradient of a gradient
:class: note

Our rules compute on plain tensors. So the way back is not recorded, and a
gradient cannot be differentiated again; torch can, with `create_graph=True`.
The change would be small, rules that compute on variables under `no_grad`
unless told otherwise, and every backward pass would pay for it. No chapter of
this book differentiates twice.
:::

## Questions

:::{dropdown} Why does a node hold no reference to its operands' data?
A rule that needs an operand holds it. If none does, as in a sum, the memory can
be freed while the forward pass still runs. A reference in the node would keep
every intermediate result until the end.
:::

:::{dropdown} Why is `x.grad` added to, and not replaced?
Then the gradients of several losses, or of several parts of a batch too large
for memory, add up by themselves. The price: whoever forgets to reset it trains
on the sum of all gradients so far.
:::

:::{dropdown} Why is an index list or an array copied, and a tensor only watched?
Nothing counts the changes of a list or of NumPy's arrays. Torch counts those of
a tensor for us.
:::

:::{dropdown} Which tensors does `x @ w` keep if `x` is data and `w` a weight?
Only `x`: the gradient of `w` is `x.T @ grad`. The rule for `x`, which holds
`w`, is dropped when the step is recorded.
:::
"""

# %% tags=["answer"]
x = Variable(torch.randn(5, 4))
w = Variable(torch.randn(4, 3), requires_grad=True)
((saved, _),) = (x @ w).grad_fn.saved
assert_equal(saved, x.data)

# %% [markdown]
r"""
## Exercises

**1.** Chapter 2.2's shifted ReLU has two readings: $\max(x, 0) - \tfrac12$ and
$\max(x, -\tfrac12)$. Write both with the methods of a variable. For which $x$
do their gradients differ?
"""

# %% tags=["solution"]
x = torch.tensor([-2.0, -0.25, 3.0])
readings = [lambda x: x.relu() - 0.5, lambda x: x.clamp(min=-0.5)]
slopes = []
for reading in readings:
    variable = Variable(x, requires_grad=True)
    reading(variable).sum().backward()
    slopes.append(variable.grad)
assert_equal(slopes[0], torch.tensor([0.0, 0.0, 1.0]))
assert_equal(slopes[1], torch.tensor([0.0, 1.0, 1.0]))  # between -1/2 and 0

# %% [markdown]
r"""
**2.** Write the log-softmax of the last axis so that neither its value nor its
gradient overflows, out of existing methods. (Subtract the maximum first. Does
its own gradient matter?)
"""


# %% tags=["solution"]
def log_softmax(x: Variable) -> Variable:
    x = x - x.amax(-1, keepdim=True).detach()  # any constant would do
    return x - x.exp().sum(-1, keepdim=True).log()


x = torch.tensor([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
assert log_softmax(Variable(x)).data.isfinite().all()
gradcheck(log_softmax, Variable(x.double() / 100, requires_grad=True))

# %% [markdown]
r"""
**3.** Write the sum of products $y = \sum_{ij} x_i A_{ij} x_j$ as a `Function`
that saves `x` and `A` and makes only those gradients that are needed. Check
it.
"""


# %% tags=["solution"]
class Quadratic(Function):
    @staticmethod
    def forward(ctx, x, matrix):
        ctx.save_for_backward(x, matrix)
        return x @ matrix @ x

    @staticmethod
    def backward(ctx, grad_output):
        x, matrix = ctx.saved_tensors
        for_x, for_matrix = ctx.needs_input_grad
        return (
            grad_output * (matrix + matrix.T) @ x if for_x else None,
            grad_output * x[:, None] * x if for_matrix else None,
        )


x = Variable(torch.randn(3).double(), requires_grad=True)
matrix = Variable(torch.randn(3, 3).double(), requires_grad=True)
gradcheck(Quadratic.apply, (x, matrix))

# %% [markdown]
r"""
**4.** A network too deep for memory can forget its intermediate values and
compute them again on the way back: *checkpointing* {cite:p}`chen2016`. Write
`checkpoint(step, x)` as a function that records one node for the whole of
`step`, and count how often `step` runs.
"""


# %% tags=["solution"]
class Checkpoint(Function):
    @staticmethod
    def forward(ctx, step, x):
        ctx.step = step
        ctx.save_for_backward(x)
        return step(Variable(x)).data

    @staticmethod
    def backward(ctx, grad_output):
        x = Variable(ctx.saved_tensors[0], requires_grad=True)
        return None, *grad(ctx.step(x), x, grad_output)


runs = 0


def block(x: Variable) -> Variable:
    global runs
    runs += 1
    for _ in range(10):
        x = (x * 1.1).tanh()
    return x


x = torch.randn(4).double()
plain, thrifty = (Variable(x, requires_grad=True) for _ in range(2))
block(plain).sum().backward()
runs = 0
Checkpoint.apply(block, thrifty).sum().backward()
assert_equal(thrifty.grad, plain.grad)
assert_equal(runs, 2)  # once on each way

# %% [markdown]
r"""
That is the engine. Part 3 trains with torch's, which does the same in C++, and
knows what it does. Its learner, {doc}`/3_training/4_learner`, takes the gradients
from whoever makes them: `tests/autograd/test_learner.py` trains a network
through it on this engine, and ends with the weights that torch's engine gives.
"""
