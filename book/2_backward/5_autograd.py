# %% [markdown] module="autograd.rules"
r"""
# An autograd engine

In {doc}`/2_backward/4_layers` we wrote a `backward` for each layer and called
them in the reverse order. The formulas were work. The order was not: it is the
order of the forward pass, read backwards. **Can the program note that order
while it computes, and so differentiate itself?** It can {cite:p}`baydin2018`.

Part 1 assumed that it can: it borrowed `backward` from torch. This chapter
builds it: first for single numbers, in the manner of micrograd
{cite:p}`karpathy2020`, then for tensors, in that of torch {cite:p}`paszke2017`.
Each of the two trains a network. The starred chapter
{doc}`/2_backward/9_engine` finishes it, to torch's corners.

| name | what it is |
| --- | --- |
| `x`, `a`, `b` | the operands of a step |
| `y`, `value` | its result |
| `grad` | the gradient of the final number by `value`: the shape of `value` |
| slope | how fast a result changes with one operand |
| rule | a function from `grad` to the gradient of one operand |
| `Variable` | a tensor that knows the step that made it |
"""

# %% Imports tags=["hide-input"]
import time
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count, pairwise
from statistics import median

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.manual.gradients import numerical_gradient
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## A number that remembers

The {term}`chain rule` needs two things from a step: which numbers went in, and
how fast the result changes with each of them. Call the second the *slope*. A
sum has slopes 1 and 1. A product $ab$ has slopes $b$ and $a$. Both are known
the moment that the step is computed, so the result can keep them.
"""


# %%
class Value:
    def __init__(self, data: float, *parents: tuple["Value", float]):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other: "Value") -> "Value":
        return Value(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other: "Value") -> "Value":
        slopes = (self, other.data), (other, self.data)
        return Value(self.data * other.data, *slopes)


a, b = Value(2.0), Value(-3.0)
c = a * b
d = c + a
e = c * d
e.data

# %% [markdown]
r"""
Now `e` leads back to all that it was made of: a {term}`computational graph`.
"""

# %% tags=["hide-input"] alt="A graph of five values from left to right: a = 2 and b = -3 feed the product c = -6; c and a feed the sum d = -4; c and d feed the product e = 24. Each arrow carries a slope: -3 and 2 into c, 1 and 1 into d, -4 and -6 into e."
places = {"a": (0, 1), "b": (0, 0), "c": (1, 0), "d": (2, 1), "e": (3, 0.5)}
values = {"a": a, "b": b, "c": c, "d": d, "e": e}
names = {id(value): name for name, value in values.items()}
figure, axis = plt.subplots(figsize=(4.6, 2.6))
for name, value in values.items():
    x, y = places[name]
    label = f"{name} = {value.data:g}"
    box = {"boxstyle": "round", "facecolor": "none", "edgecolor": "0.5"}
    axis.text(x, y, label, ha="center", va="center", bbox=box)
    for parent, slope in value.parents:
        x0, y0 = places[names[id(parent)]]
        line = {"arrowstyle": "->", "color": "C0", "shrinkA": 24, "shrinkB": 24}
        axis.annotate("", (x, y), (x0, y0), arrowprops=line)
        middle = (x0 + 0.6 * (x - x0), y0 + 0.6 * (y - y0) + 0.09)
        axis.text(*middle, f"{slope:g}", ha="center", color="C0")
axis.set(xlim=(-0.4, 3.4), ylim=(-0.3, 1.3))
axis.axis("off")
plt.show()

# %% [markdown]
r"""
How fast does $e$ change with $a$? Every path from $a$ to $e$ carries a
change along. On one path the slopes multiply; the changes of different paths
add up. That is the whole chain rule. Going backwards from $e$, it is four
lines.
"""


# %%
def backward(value: Value, grad: float = 1.0) -> None:
    value.grad += grad
    for parent, slope in value.parents:
        backward(parent, grad * slope)


backward(e)
a.grad, b.grad

# %% [markdown]
r"""
Watch the gradients arrive. Each panel shows one call: the node that has just
been given something, and what it holds so far.
"""


# %% Gradients fill the graph alt="Nine small copies of the graph, one for each call of backward. e is given 1. c gets -4, by way of it a gets 12 and b -8. Then d gets -6 and hands c another -6, which makes -10. By way of c a rises to 30 and b to -20. Last, d gives a its own -6, which makes 24." tags=["hide-input"]
def draw(axis, held: dict[str, float], colors: dict[str, str]) -> None:
    """The graph, what each node holds, and some of them in colour."""
    for name, value in values.items():
        for parent, _ in value.parents:
            line = {"arrowstyle": "-", "color": "0.7"}
            start = places[names[id(parent)]]
            ends = {"shrinkA": 11, "shrinkB": 11}
            axis.annotate("", places[name], start, arrowprops=line | ends)
        text = f"{name}\n{held[name]:g}" if held[name] else name
        color = colors.get(name, "0.5")
        style = {"ha": "center", "va": "center", "fontsize": 9}
        axis.text(*places[name], text, color=color, **style)
    axis.set(xlim=(-0.4, 3.4), ylim=(-0.5, 1.5))
    axis.axis("off")


def calls(value: Value, grad: float = 1.0) -> list[tuple[Value, float]]:
    """The calls of `backward`, in their order."""
    below = [calls(parent, grad * slope) for parent, slope in value.parents]
    return [(value, grad), *sum(below, [])]


held = dict.fromkeys(values, 0.0)
figure, panels = plt.subplots(3, 3, figsize=(4.6, 4.4), layout="tight")
for axis, (node, grad) in zip(panels.flat, calls(e), strict=True):
    name = names[id(node)]
    held[name] += grad
    draw(axis, held, {name: "C1"})
plt.show()

# %% [markdown]
r"""
With $e = ab(ab + a) = a^2b^2 + a^2b$, the rules of school give
$\partial e/\partial a = 2ab^2 + 2ab = 24$ and
$\partial e/\partial b = 2a^2b + a^2 = -20$. Every version has to agree.
"""


# %%
def check() -> None:
    a, b = Value(2.0), Value(-3.0)
    c = a * b
    backward(c * (c + a))
    assert_equal([a.grad, b.grad], [24.0, -20.0])


check()

# %% [markdown]
r"""
### One visit a node

The function walks every path. How many are there? Double a number again and
again: each doubling offers two ways back, so $n$ doublings offer $2^n$.
"""


# %%
def doubled(x: Value, times: int) -> Value:
    for _ in range(times):
        x = x + x
    return x


def count_visits(value: Value) -> int:
    return 1 + sum(count_visits(parent) for parent, _ in value.parents)


[count_visits(doubled(Value(1.0), times)) for times in (1, 2, 4, 8, 16)]

# %% [markdown]
r"""
A network reuses its values all the time. So a node waits, and passes its gradient
on **once**, when all who used it have handed in theirs. Users first is called a
{term}`topological order`; micrograd walks depth-first, and reads that backwards.
"""


# %%
def visit(value: Value, seen: set[Value], order: list[Value]) -> None:
    if value not in seen:
        seen.add(value)
        for parent, _ in value.parents:
            visit(parent, seen, order)
        order.append(value)


def backward(value: Value) -> None:
    order: list[Value] = []
    visit(value, set(), order)
    value.grad = 1.0
    for node in reversed(order):
        for parent, slope in node.parents:
            parent.grad += node.grad * slope


check()
x = Value(1.0)
backward(doubled(x, 100))
assert_equal(x.grad, 2.0**100)

# %% [markdown]
r"""
The walk calls itself once for each step back, and Python limits how deep that
goes. A loop over a thousand words is no unusual network.
"""

# %%
try:
    backward(doubled(Value(1.0), 2000))
except RecursionError as error:
    too_deep = str(error)
too_deep

# %% [markdown]
r"""
There is an order that needs no walk. A value exists before it is used, so **the
order of birth is a topological order**. Give each value a number when it is
made. Then go from the newest to the oldest. A list of steps in the order in
which they ran is called a *tape*, and going back is winding it back.

We keep the values that hold a gradient in a {term}`heap` and always take the
newest. Whoever used it is newer still, hence done.
"""


# %%
class Value(Value):
    births = count()

    def __init__(self, data: float, *parents: tuple["Value", float]):
        super().__init__(data, *parents)
        self.number = next(Value.births)

    def __lt__(self, other: "Value") -> bool:  # the heap's top is the newest
        return self.number > other.number


# %%
def backward(value: Value) -> None:
    value.grad, waiting, seen = 1.0, [value], {value}
    while waiting:
        node = heappop(waiting)
        for parent, slope in node.parents:
            parent.grad += node.grad * slope
            if parent not in seen:
                seen.add(parent)
                heappush(waiting, parent)


# %% [markdown]
r"""
Here is the heap at work on the graph of the first picture: orange is the node
that is taken, blue are those that wait.
"""

# %% The heap at work alt="Five small copies of the graph, one for each node that is taken. e is taken; c and d wait. d is taken, not c, and hands c and a -6 each; c and a wait. c is taken, complete with -10, and hands a 30 and b -20; a and b wait. b is taken, then a, with 24." tags=["hide-input"]
a, b = Value(2.0), Value(-3.0)
c = a * b
d = c + a
e = c * d
values = {"a": a, "b": b, "c": c, "d": d, "e": e}
names = {id(value): name for name, value in values.items()}
waiting, e.grad, taken = [e], 1.0, []
figure, panels = plt.subplots(2, 3, figsize=(4.6, 3), layout="tight")
panels.flat[-1].axis("off")
for axis in panels.flat[:-1]:
    node = heappop(waiting)
    taken.append(names[id(node)])
    for parent, slope in node.parents:
        parent.grad += node.grad * slope
        if parent not in waiting:  # a taken one is never met again
            heappush(waiting, parent)
    held = {name: value.grad for name, value in values.items()}
    colors = {names[id(each)]: "C0" for each in waiting}
    draw(axis, held, colors | {taken[-1]: "C1"})
plt.show()
assert_equal(taken, ["e", "d", "c", "b", "a"])

# %% [markdown]
r"""
`c` waits from the first step on, and is not taken before `d`, which used it, has
handed in its part: five visits for five nodes. Torch's engine does the same. It
numbers its steps and takes the newest {cite:p}`paszke2017`. The same check; then
many paths, and a depth that made the walk fail:
"""

# %%
check()
x = Value(1.0)
backward(doubled(x, 1000))
assert_equal(x.grad, 2.0**1000)
x = deep = Value(0.5)
for _ in range(100_000):
    deep = deep + x
backward(deep)
assert_equal(x.grad, 100_001.0)

# %% [markdown]
r"""
## A network of single numbers

A class that adds and multiplies, and a loop: is that an engine? It is one if a
network can learn by it. We give `Value` a bend and write a neuron as it stands
in the books: a weighted sum, a bias, a bend.
"""


# %%
class Value(Value):
    def relu(self) -> "Value":
        return Value(max(self.data, 0.0), (self, float(self.data > 0)))


def neuron(inputs: list[Value], weights: list[Value]) -> Value:
    *weights, total = weights  # the last is the bias
    for weight, x in zip(weights, inputs, strict=True):
        total = total + weight * x
    return total


# %% [markdown]
r"""
The task: is a point of the plane inside a ring? No line can say. Eight neurons
with a bend, and one that weighs them.
"""

# %%
torch.manual_seed(1)
points = torch.rand(60, 2) * 4 - 2
inside = (points**2).sum(1) < 1.5


def random_weights(n_inputs: int) -> list[Value]:
    start = torch.randn(n_inputs + 1) / n_inputs**0.5
    return [Value(weight) for weight in start.tolist()]


hidden = [random_weights(2) for _ in range(8)]
last = random_weights(8)


def score(point: list[float]) -> Value:
    inputs = [Value(x) for x in point]
    return neuron([neuron(inputs, w).relu() for w in hidden], last)


# %%
def hinge(point: list[float], is_inside: bool) -> Value:
    """How much is missing to a score of 1, or of -1."""
    against = Value(-1.0 if is_inside else 1.0)
    return (Value(1.0) + against * score(point)).relu()


# %%
losses, weights, born = [], [*last, *sum(hidden, [])], next(Value.births)
for _ in range(120):
    total = Value(0.0)
    for point, is_inside in zip(points.tolist(), inside.tolist(), strict=True):
        total = total + hinge(point, is_inside)
    backward(total)
    for weight in weights:
        weight.data -= 0.2 * weight.grad / len(points)
        weight.grad = 0.0
    losses.append(total.data / len(points))
born = next(Value.births) - born
signs = torch.tensor([score(point).data > 0 for point in points.tolist()])
n_right = (signs == inside).sum().item()
assert losses[-1] < 0.5 * losses[0] and n_right >= 54
round(losses[0], 2), round(losses[-1], 2), n_right, born

# %% The network of single numbers alt="Sixty points in a square, those near the middle in one colour and the others in another, over a map of the network's score: a closed island of positive score lies around the points of the middle." tags=["hide-input"]
line = torch.linspace(-2, 2, 33).tolist()
grid = [[score([x, y]).data for x in line] for y in line]
plt.figure(figsize=(4.2, 4))
plt.contourf(line, line, grid, [-99, 0, 99], colors=["C0", "C1"], alpha=0.25)
for truth, color in ((False, "C0"), (True, "C1")):
    chosen = points[inside == truth]
    plt.plot(chosen[:, 0], chosen[:, 1], "o", color=color, ms=5)
plt.axis("equal")
plt.axis("off")
plt.show()

# %% [markdown]
r"""
The first and the last loss, how many of the sixty points are right, and how many
numbers were born for it: one for every operation and every input of every pass.

## From numbers to tensors

A graph of single numbers is far too slow for images. So a step becomes an
operation on whole tensors. Its slope is a {term}`Jacobian`, all results by all
operands, and much too large to keep. But the way back needs only its product
with one gradient, and for each operation that product is a formula.

So a step returns its value and, for each operand, a *rule*: a function from the
gradient of the value to the gradient of the operand. (Mathematicians call it a
pullback, and libraries a vector-Jacobian product, VJP.) A rule also says what
it keeps from the forward pass. The rules of arithmetic are those of school.
"""

# %% A rule tags=["export"] namespace=true
"""The steps of a computation: each its value, and a rule for each operand."""

from collections.abc import Callable
from operator import mul, neg, truediv

import torch
from torch import Tensor


class Rule:
    """How the gradient of an operand follows from that of the value."""

    def __init__(self, function: Callable[..., Tensor], *saved: object):
        self.function, self.saved = function, saved

    def __call__(self, grad: Tensor) -> Tensor:
        return self.function(grad, *self.saved)


Step = tuple[Tensor, *tuple[Rule, ...]]


# %% Arithmetic tags=["export"]
def add_rule(a: Tensor, b: Tensor) -> Step:
    """a + b."""
    return a + b, Rule(lambda grad: grad), Rule(lambda grad: grad)


def sub_rule(a: Tensor, b: Tensor) -> Step:
    """a - b."""
    return a - b, Rule(lambda grad: grad), Rule(neg)


def mul_rule(a: Tensor, b: Tensor) -> Step:
    """a * b."""
    return a * b, Rule(mul, b), Rule(mul, a)


def div_rule(a: Tensor, b: Tensor) -> Step:
    """a / b."""
    by_b = Rule(lambda grad, a, b: -grad * (a / b) / b, a, b)
    return a / b, Rule(truediv, b), by_b


# %%
value, rule_a, rule_b = mul_rule(torch.tensor(2.0), torch.tensor(-3.0))
value, rule_a(torch.tensor(1.0)), rule_b(torch.tensor(1.0))

# %% [markdown]
r"""
`Rule(mul, b)` multiplies the gradient by `b`, and keeps nothing but `b`. That
is all the saving of intermediates that chapter 2.3 did by hand. If nobody asks
for the gradient of `a`, we drop its rule, and `b` goes with it.

Next the bend. A mask *chooses*: multiplied by 0, an infinite gradient would
become nan.
"""


# %% A bend tags=["export"]
def relu_rule(x: Tensor) -> Step:
    """max(x, 0), with slope 0 at 0."""
    y = x.clamp(min=0)
    return y, Rule(lambda grad, y: torch.where(y > 0, grad, 0), y)


# %% [markdown]
r"""
Are they right? {term}`Finite differences <finite difference>` judge. A step that
returns a tensor is weighed with a random gradient, and so becomes one number.
"""


# %%
def check_rules(step: Callable, *operands: Tensor) -> None:
    """Each rule of a step against finite differences."""
    value, *rules = step(*operands)
    grad = torch.randn_like(value)

    def weighed(x: Tensor, i: int) -> Tensor:
        return (step(*operands[:i], x, *operands[i + 1 :])[0] * grad).sum()

    for i, (rule, x) in enumerate(zip(rules, operands, strict=True)):
        expected = numerical_gradient(lambda x, i=i: weighed(x, i), x)
        assert_close(rule(grad), expected)


torch.manual_seed(0)
a, b = torch.rand(2, 5).double() + 0.5
for step in (add_rule, sub_rule, mul_rule, div_rule):
    check_rules(step, a, b)
check_rules(relu_rule, a - 1)

# %% [markdown]
r"""
## Variables

A {term}`variable <leaf>` is to a tensor what `Value` was to a number. It is made
by a step, and keeps its parents and their rules. `apply` takes a step.
"""


# %%
class Variable:
    births = count()

    def __init__(self, data: object, *parents: tuple, wants_grad: bool = False):
        self.data, self.parents = torch.as_tensor(data), parents
        self.wants_grad = wants_grad or bool(parents)  # nobody asks yet
        self.grad: torch.Tensor | None = None
        self.number = next(Variable.births)

    def __lt__(self, other: "Variable") -> bool:
        return self.number > other.number


def apply(step: Callable, *operands: object) -> Variable:
    made = [x if isinstance(x, Variable) else Variable(x) for x in operands]
    value, *rules = step(*(x.data for x in made))
    return Variable(value, *zip(made, rules, strict=True))


# %% [markdown]
r"""
The way back is the loop of the single numbers, with a rule in place of a slope.
"""


# %%
def backward(output: Variable) -> None:
    output.grad, waiting = torch.ones_like(output.data), [output]
    seen = {output}
    while waiting:
        node = heappop(waiting)
        for parent, rule in node.parents:
            piece = rule(node.grad)
            parent.grad = piece if parent.grad is None else parent.grad + piece
            if parent not in seen:
                seen.add(parent)
                heappush(waiting, parent)


# %% [markdown]
r"""
Two rules of operations with axes are all that a network needs besides: the
matrix product, with the two formulas of {doc}`/2_backward/3_backward`, and the
mean. The operators are one line each.
"""


# %%
def matmul_rule(a: torch.Tensor, b: torch.Tensor) -> Step:
    by_a = Rule(lambda grad, b: grad @ b.T, b)
    return a @ b, by_a, Rule(lambda grad, a: a.T @ grad, a)


def mean_rule(x: torch.Tensor) -> Step:
    shape, n = x.shape, x.numel()
    return x.mean(), Rule(lambda grad: (grad / n).expand(shape))


a, b = torch.randn(4, 3).double(), torch.randn(3, 2).double()
check_rules(matmul_rule, a, b)
check_rules(mean_rule, a)


# %%
class Variable(Variable):
    def __add__(self, other: object) -> "Variable":
        return apply(add_rule, self, other)

    def __sub__(self, other: object) -> "Variable":
        return apply(sub_rule, self, other)

    def __mul__(self, other: object) -> "Variable":
        return apply(mul_rule, self, other)

    def __matmul__(self, other: object) -> "Variable":
        return apply(matmul_rule, self, other)

    def relu(self) -> "Variable":
        return apply(relu_rule, self)

    def mean(self) -> "Variable":
        return apply(mean_rule, self)


# %% [markdown]
r"""
A check that every version has to pass: a layer with a bias and a squared error,
beside torch. The weight is used twice.
"""


# %%
def loss_of(x, weight, bias, target):
    error = (x @ weight + bias).relu() - target
    return (error * error).mean() + (weight * weight).mean()


torch.manual_seed(1)
data = [torch.randn(*shape) for shape in ((5, 4), (4, 3), (3,), (5, 3))]

# %% Torch's own gradients tags=["reference"]
theirs = [value.clone().requires_grad_() for value in data[1:3]]
loss_of(data[0], *theirs, data[3]).backward()
expected = [value.grad for value in theirs]


# %%
def passes() -> str:
    """What the check says of the engine as it is now."""
    weight, bias = (Variable(each, wants_grad=True) for each in data[1:3])
    backward(loss_of(Variable(data[0]), weight, bias, data[3]))
    for found, grad in zip((weight.grad, bias.grad), expected, strict=True):
        if found.shape != grad.shape:
            return f"shape {tuple(found.shape)} for {tuple(grad.shape)}"
        assert_close(found, grad)
    return "passes"


passes()

# %% [markdown]
r"""
The weight's gradient is right. The bias's has the wrong shape.

## Un-broadcasting

$a + b$ with shapes `(4, 3)` and `(3,)` reads each element of $b$ four times, on
four paths to the result. **What broadcasting repeats, the way back sums.** No
rule deals with it: the engine does it once, for all, as minitorch does
{cite:p}`rush2020`.
"""


# %% Un-broadcasting tags=["export"] module="autograd.broadcasting"
"""What broadcasting repeats, the way back sums."""


def unbroadcast(grad: Tensor, shape: torch.Size) -> Tensor:
    """A gradient summed over the axes that broadcasting from shape added."""
    if grad.shape == shape:
        return grad
    extra = grad.dim() - len(shape)
    pairs = list(zip(shape, grad.shape[max(extra, 0) :], strict=False))
    if extra < 0 or any(size not in (1, found) for size, found in pairs):
        found = tuple(grad.shape)
        raise RuntimeError(
            f"a gradient of shape {found} for a value of {tuple(shape)}"
        )
    ones = [extra + i for i, size in enumerate(shape) if size == 1]
    axes = [*range(extra), *ones]
    return grad.sum(axes).reshape(shape)


# %% What broadcasting repeats alt="Left, the forward pass: one row of three cells is read by each of four rows of a table. Right, the way back: the four rows of gradients are added up into one row of three." tags=["hide-input"]
figure, panels = plt.subplots(1, 2, figsize=(6.4, 3.2))
titles = "forward: read four times", "back: four summed"
for axis, title, color in zip(panels, titles, ("C0", "C1"), strict=True):
    axis.set_title(title, fontsize=11)
    for column in range(3):
        for row in range(4):
            place = (column, row)
            axis.add_patch(plt.Rectangle(place, 1, 1, fc="none", ec="0.5"))
        bottom = (column, -1.8)
        axis.add_patch(plt.Rectangle(bottom, 1, 1, fc="none", ec=color, lw=2))
    ends = ((1.5, -0.75), (1.5, -0.1))
    start, end = ends if color == "C0" else ends[::-1]
    arrow = {"arrowstyle": "->", "color": color, "lw": 2}
    axis.annotate("", end, start, arrowprops=arrow)
    axis.text(3.2, 2, "(4, 3)", va="center")
    axis.text(3.2, -1.3, "(3,)", va="center")
    axis.set(xlim=(-0.2, 4.4), ylim=(-2, 4.2), aspect="equal")
    axis.axis("off")
plt.show()

# %%
a, b = torch.randn(2, 4, 3).double(), torch.randn(4, 1).double()
numeric = numerical_gradient(lambda b: (a * b).sum(), b)
assert_close(unbroadcast(a, b.shape), numeric)

# %% [markdown]
r"""
One line of the way back changes, and the check passes.
"""


# %%
def backward(output: Variable) -> None:
    output.grad, waiting = torch.ones_like(output.data), [output]
    seen = {output}
    while waiting:
        node = heappop(waiting)
        for parent, rule in node.parents:
            piece = unbroadcast(rule(node.grad), parent.data.shape)
            parent.grad = piece if parent.grad is None else parent.grad + piece
            if parent not in seen:
                seen.add(parent)
                heappush(waiting, parent)


assert_equal(passes(), "passes")

# %% [markdown]
r"""
## Only what is asked for

So far the engine computes a gradient for everything, the images too. For those
{doc}`/2_backward/4_layers` found it to cost more than anything else, and nobody
wants it. So a variable says whether it wants a gradient, and a rule that leads
nowhere is dropped when the step is taken, with the tensors that it keeps.

Sometimes nothing at all shall be recorded: in validation, and in the step of
the weights. A switch does that. It is a context variable, so that a thread that
evaluates does not disturb a thread that trains.
"""


# %%
from contextlib import contextmanager
from contextvars import ContextVar

recording = ContextVar("recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    before = recording.set(False)
    try:
        yield
    finally:
        recording.reset(before)


# %%
def apply(step: Callable, *operands: object) -> Variable:
    made = [x if isinstance(x, Variable) else Variable(x) for x in operands]
    value, *rules = step(*(x.data for x in made))
    pairs = zip(made, rules, strict=True)
    wanted = [(x, rule) for x, rule in pairs if x.wants_grad]
    return Variable(value, *(wanted if recording.get() else []))


# %%
with no_grad():
    unrecorded = (Variable(1.0, wants_grad=True) * 2).parents
images = Variable(data[0])
product = images @ Variable(data[1], wants_grad=True)
assert_equal([len(product.parents), len(unrecorded)], [1, 0])
passes()

# %% [markdown]
r"""
## A network that trains

A {term}`layer` holds its weights, a network its layers. The loop is the one that
part 3 will write down once and for all: predict, loss, backward, step, forget.
"""


# %%
class Dense:
    def __init__(self, d_in: int, d_out: int):
        start = torch.randn(d_in, d_out) / d_in**0.5
        self.weight = Variable(start, wants_grad=True)
        self.bias = Variable(torch.zeros(d_out), wants_grad=True)

    def __call__(self, x: Variable) -> Variable:
        return x @ self.weight + self.bias


class Net:
    def __init__(self, *sizes: int):
        self.layers = [Dense(*two) for two in pairwise(sizes)]

    def __call__(self, x: torch.Tensor) -> Variable:
        x = Variable(x)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)

    def parameters(self) -> list[Variable]:
        return [p for each in self.layers for p in (each.weight, each.bias)]


# %%
def squared_error(scores: Variable, target: torch.Tensor) -> Variable:
    error = scores - target
    return (error * error).mean()


def fit(net: Net, batches: Iterable, lr: float) -> list[float]:
    losses = []
    for x_batch, y_batch in batches:
        loss = squared_error(net(x_batch), y_batch)
        backward(loss)
        for param in net.parameters():
            param.data -= lr * param.grad
            param.grad = None
        losses.append(loss.data.item())
    return losses


# %% [markdown]
r"""
Threes and sevens, as in {doc}`/1_pixels/3_network`: 1 for a three, −1 for a seven.
"""

# %%
images, labels = mnist()
chosen = (labels == 3) | (labels == 7)
x = images[chosen].flatten(1) / 255
y = torch.where(labels[chosen] == 3, 1.0, -1.0).unsqueeze(1)
x_train, y_train, x_valid, y_valid = x[:-2000], y[:-2000], x[-2000:], y[-2000:]

torch.manual_seed(3)
net = Net(28 * 28, 30, 1)
shuffled = [torch.randperm(len(x_train)).split(64) for _ in range(2)]
batches = [(x_train[rows], y_train[rows]) for rows in sum(shuffled, ())]
losses = fit(net, batches, lr=0.05)
with no_grad():
    right = (net(x_valid).data > 0) == (y_valid > 0)
share = right.float().mean().item()
assert share > 0.98
round(share, 4)

# %% [markdown]
r"""
## What it costs

The arithmetic is torch's, the bookkeeping is Python. How much is that? The time
of a pass there and back by the processor's clock, ours divided by torch's, for
batches of different size; the median of the pairs. The network is that of 2.3.
"""

# %%
x_all = images[:50_000].flatten(1) / 255
y_all = labels[:50_000].float().unsqueeze(1)
ours = Net(784, 50, 1)


# %% tags=["reference"]
def torchs_loss(weights: list, x: torch.Tensor, y: torch.Tensor):
    w1, b1, w2, b2 = weights
    error = (x @ w1 + b1).relu() @ w2 + b2 - y
    return (error * error).mean()


theirs = [param.data.clone().requires_grad_() for param in ours.parameters()]


# %% tags=["reference", "hide-input"]
def seconds(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def our_pass(n: int) -> None:
    backward(squared_error(ours(x_all[:n]), y_all[:n]))


def torchs_pass(n: int) -> None:
    torchs_loss(theirs, x_all[:n], y_all[:n]).backward()


ratios = {}
for n, repeats in ((16, 300), (256, 100), (4096, 20), (50_000, 7)):
    pairs = [
        (seconds(lambda n=n: our_pass(n)), seconds(lambda n=n: torchs_pass(n)))
        for _ in range(repeats)
    ]
    ratios[n] = median(our / their for our, their in pairs)
assert ratios[16] > ratios[50_000]
{n: round(ratio, 2) for n, ratio in ratios.items()}

# %% tags=["hide-input"]
Markdown(
    f"On sixteen images a pass takes **{ratios[16]:.2f}** times torch's time, "
    f"on all of them **{ratios[50_000]:.2f}** times. A record in Python counts "
    "for more the less there is to compute. Speed is not what ours lacks, then. "
    "It has seven rules, runs nowhere but here, and cannot differentiate its "
    "own way back. So from here on the book uses torch's engine, and knows what "
    "it does."
)

# %% [markdown]
r"""
## What we built

* `Value` and `backward`: numbers that remember, and the way back, newest first.
* `Rule`, `add_rule` and its kind (`autograd.rules`): a value, and a rule for each
  operand.
* `unbroadcast` (`autograd.broadcasting`): what broadcasting repeated, summed.
* `Variable`, `no_grad`: the engine on tensors, in three versions.

The starred chapter {doc}`/2_backward/9_engine` exports `Variable` with all its
methods, `no_grad`, `grad`, functions of your own, and `gradcheck`.

## Questions

:::{dropdown} Why does the way back start at the result, not at the operands?
A network has one loss and a million weights. One pass from the result gives the
gradient by all of them. A pass from an operand, *forward mode*, gives the
changes of all results by that one operand: a million passes
{cite:p}`baydin2018`.
:::

:::{dropdown} Why is the order of birth a topological order?
A step needs its operands, so they were made before it and have smaller numbers.
Every user of a value is therefore newer than the value. Newest first means
users first.
:::

:::{dropdown} Which gradient does `b` get in `x + b`, with shapes (4, 3) and (3,)?
The gradient of the sum has shape (4, 3). Each element of `b` was read by four
rows, so its gradient is the sum of a column: `grad.sum(0)`.
:::

:::{dropdown} Does the loss's value matter on the way back?
No. The pass starts with a gradient of 1, whatever the loss was. The number is
for us to look at.
:::

## Exercises

**1.** Give the scalar `Value` a `tanh`. Check its gradient at 0.5.
"""


# %% tags=["solution"]
def tanh(x: Value) -> Value:
    y = torch.tensor(x.data).double().tanh().item()
    return Value(y, (x, 1 - y * y))


[(_, slope)] = tanh(Value(0.5)).parents
numeric = numerical_gradient(torch.tanh, torch.tensor(0.5).double())
assert_close(slope, numeric.item())

# %% [markdown]
r"""
**2.** And a `Variable`, by a rule that keeps the result. Check it.
"""


# %% tags=["solution"]
def tanh_rule(x: torch.Tensor) -> Step:
    y = x.tanh()
    return y, Rule(lambda grad, y: grad * (1 - y * y), y)


check_rules(tanh_rule, torch.randn(5).double())

# %% [markdown]
r"""
**3.** Which rules does `x @ w` keep if `x` is data and `w` a weight, and which
tensor?
"""

# %% tags=["solution"]
x = Variable(torch.randn(5, 4))
weight = Variable(torch.randn(4, 3), wants_grad=True)
[(parent, rule)] = (x @ weight).parents  # the data's rule is gone
assert parent is weight
[saved] = rule.saved
assert_equal(saved, x.data)

# %% [markdown]
r"""
The engine differentiates whatever is computed from weights. What is missing is
a place to keep the weights: {doc}`/2_backward/6_linear` builds modules and
parameters.
"""
