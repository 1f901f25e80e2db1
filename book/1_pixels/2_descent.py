# %% [markdown]
r"""
# Seven steps of gradient descent

The mean image of {doc}`/1_pixels/1_similarity` never improves: it has no
numbers that could be turned. This chapter is about such numbers. Given a model
with {term}`parameters <parameter>` and a {term}`loss` that says how wrong it
is, **how does a computer find better parameters, and how long does that take?**

We answer with the smallest example that has all the parts: twenty measurements,
three parameters, seven steps. Then we count. The recipe, run as it is usually
shown, stops at a loss a hundred times the least possible one, and the reason is
worth more than the recipe.

| name | shape | meaning |
| --- | --- | --- |
| `time` | `(20,)` | seconds since the start |
| `speed` | `(20,)` | the speed measured then |
| `params` | `(3,)` | the parameters $a, b, c$ of a parabola |
| `lr` | a number | the learning rate |
"""

# %%
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Ellipse
from torch import Tensor, tensor

from groundup.testing import assert_close

# %% [markdown]
r"""
## What is a derivative, three times

Take a function of one number. How fast does it grow at $x = 1.5$?
"""


# %%
def f(x: Tensor) -> Tensor:
    return 2 * x**3 + 3 * x**2 + 4 * x + 1


# %% [markdown]
r"""
**By trying.** Move a little to each side, look how far the value moved, divide.
This is a {term}`finite difference`, and it needs nothing but the function.
"""


# %%
def finite_difference(f: Callable, x: Tensor, h: float = 1e-4) -> Tensor:
    return (f(x + h) - f(x - h)) / (2 * h)


x = tensor(1.5, dtype=torch.float64)
f"{finite_difference(f, x):.9f}"

# %% [markdown]
r"""
**By hand.** The rules of school give $f'(x) = 6x^2 + 6x + 4$. This is exact,
and it asks for a person who can do it.
"""


# %%
def f_prime(x: Tensor) -> Tensor:
    return 6 * x**2 + 6 * x + 4


f_prime(x)

# %% [markdown]
r"""
**By machine.** Torch remembers every operation that touched a tensor marked
with `requires_grad_` and, when `backward` is called on the result, applies the
rules of school to each of them in turn. The answer appears in `grad`. This is
{term}`automatic differentiation`. We have not built it, so we take it on loan:
{doc}`/2_backward/5_autograd` pays it back.
"""

# %% A borrowed derivative loans="torch.Tensor.requires_grad_ torch.Tensor.backward torch.Tensor.grad" repaid="2_backward/5_autograd"
marked = x.clone().requires_grad_()
f(marked).backward()
marked.grad

# %% [markdown]
r"""
All three say 26.5. The finite difference says so only nearly, and how nearly
depends on the step. Too long a step, and the function has bent on the way. Too
short, and the difference of two almost equal numbers is all rounding error.
"""

# %% alt="The error of the finite difference against its step, both on logarithmic axes. The error falls as the square of the step, reaches a smallest value and rises again; in float32 the lowest point lies far higher and at a longer step than in float64." tags=["hide-input"]
steps = torch.logspace(-9, 0, 60, dtype=torch.float64)
for dtype, colour in [(torch.float32, "C1"), (torch.float64, "C0")]:
    at = x.to(dtype)
    errors = [
        abs(finite_difference(f, at, h).item() - 26.5) for h in steps.tolist()
    ]
    plt.loglog(steps, errors, ".-", color=colour, label=str(dtype)[6:])
plt.xlabel("step h")
plt.ylabel("error of the derivative")
plt.legend()
plt.show()

# %% [markdown]
r"""
So finite differences are for checking, in float64, with a step near the bottom
of that curve. Part 2 checks every gradient that it derives that way.

Several inputs change nothing. Each has its own derivative, with the others held
still, and the list of them is the {term}`gradient`.
"""

# %%
points = tensor([3.0, 4.0, 10.0]).requires_grad_()
total = f(points).sum()
total.backward()
points.grad

# %%
assert_close(total.item(), 2628.0)
assert_close(points.grad, tensor([76.0, 124.0, 664.0]))
assert_close(points.grad, f_prime(tensor([3.0, 4.0, 10.0])))
assert_close(finite_difference(f, x), f_prime(x))

# %% [markdown]
r"""
## The roller coaster

A roller coaster climbs a hill, slows down, and speeds up on the other side.
Once a second somebody reads its speed, with an error of about 3.
"""

# %%
torch.manual_seed(0)
time = torch.arange(20.0)
speed = torch.randn(20) * 3 + 0.75 * (time - 9.5) ** 2 + 1

# %% alt="Twenty measured speeds over time: they fall from about 70 to about 0 at ten seconds and rise again, roughly a parabola." tags=["hide-input"]
plt.scatter(time, speed, s=16)
plt.xlabel("time (s)")
plt.ylabel("speed")
plt.show()

# %% [markdown]
r"""
The points look like a parabola, so the model is one: $a t^2 + b t + c$. Which
parabola is a question of three numbers. Note the two kinds of argument. The
*input* `t` is what we are given; the *parameters* are what we may choose.
"""


# %%
def model(t: Tensor, params: Tensor) -> Tensor:
    a, b, c = params
    return a * t**2 + b * t + c


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    return ((predictions - targets) ** 2).mean()


def loss_at(params: Tensor) -> Tensor:
    return mse(model(time, params), speed)


# %% [markdown]
r"""
`mse` is the {term}`loss`: one number, small when the predictions are good. It
is the mean of the squared errors. Its root would be in the units of speed and
easier to read. The square is easier to differentiate, and it is least at the
same parameters.

The gradient of the loss needs the loan once more. One function holds it, so
that the rest of the chapter can forget about it.
"""


# %%
def gradient(loss: Callable, params: Tensor) -> Tensor:
    leaf = params.clone().requires_grad_()
    loss(leaf).backward()
    return leaf.grad


# %% [markdown]
r"""
## The seven steps

**One: initialise.** Random numbers will do. Where we start matters less than
that we can improve.
"""

# %%
first = torch.randn(3)
first

# %% [markdown]
r"""
**Two: predict.** Run the model. **Three: measure** how wrong it is.
"""

# %%
loss_at(first)

# %% [markdown]
r"""
**Four: the gradient.** It answers, for each parameter, how much the loss grows
if that parameter grows by a little.
"""

# %%
gradient(loss_at, first)

# %% [markdown]
r"""
The judge is the finite difference, one parameter at a time. The loss is a
parabola in each of them, and on a parabola the difference of both sides is
exact for a step of any length, so we take one of length 1 and keep rounding out
of it.
"""


# %%
def numerical_gradient(loss: Callable, params: Tensor) -> Tensor:
    axes = torch.eye(len(params))
    rises = [loss(params + axis) - loss(params - axis) for axis in axes]
    return torch.stack(rises) / 2


assert_close(gradient(loss_at, first), numerical_gradient(loss_at, first))

# %% [markdown]
r"""
The loss is most sensitive to $a$, which is multiplied by numbers up to
$19^2 = 361$, and least to $c$. Keep that in mind.

**Five: step.** Move each parameter against its gradient. How far is the
gradient times the {term}`learning rate`. The gradient is steep here, so the
rate must be small; $10^{-5}$ works, and we shall see what does not.
"""

# %%
lr = 1e-5
second = first - lr * gradient(loss_at, first)
loss_at(first), loss_at(second)

# %% [markdown]
r"""
**Six: repeat.** **Seven: stop**, here after ten steps.
"""


# %%
def descend(loss: Callable, params: Tensor, lr: float, n: int) -> Tensor:
    """The parameters at every step: (n + 1, len(params))."""
    path = [params]
    for _ in range(n):
        path.append(path[-1] - lr * gradient(loss, path[-1]))
    return torch.stack(path)


path = descend(loss_at, first, lr, 10)
losses = [loss_at(params).item() for params in path]
[round(loss) for loss in losses]

# %% alt="Four panels with the measured speeds and the model's curve after zero, one, two and ten steps. The curve starts by falling far below the points and ends as an arc that is flat on the left, where the points are high, and rises through them on the right." tags=["hide-input"]
figure, panels = plt.subplots(
    2, 2, figsize=(6.5, 4.4), sharex=True, sharey=True
)
for panel, step in zip(panels.flat, [0, 1, 2, 10], strict=True):
    panel.scatter(time, speed, s=8, color="0.5")
    panel.plot(time, model(time, path[step]), color="C1")
    panel.set(title=f"step {step}", ylim=(-20, 90))
for i in range(2):
    panels[1, i].set_xlabel("time (s)")
    panels[i, 0].set_ylabel("speed")
plt.show()

# %% [markdown]
r"""
The loss falls from tens of thousands to some hundreds and then stands still.
The list above looks like success. The last panel does not.

## Is that the best parabola?

For this model the best parameters can be computed outright, by linear least
squares. We only look at the answer, as a judge.
"""

# %% tags=["reference"]
columns = torch.stack([time**2, time, torch.ones(20)], 1).double()
best = torch.linalg.lstsq(columns, speed.double()[:, None]).solution[:, 0]
best_loss = mse(model(time.double(), best), speed.double()).item()
best, round(best_loss, 3)

# %%
round(losses[-1] / best_loss)

# %% [markdown]
r"""
The best parabola's loss is near 6, and descent stopped about a hundred times
above it. Did it stop, or is it still walking? Give it ten thousand steps.
"""

# %%
patient = descend(loss_at, first, lr, 10_000)
loss_at(patient[-1])

# %% [markdown]
r"""
It is still walking. The obvious cure is a longer stride, so let us try one.

## How far is too far

Here is the loss over thirty steps for four rates.
"""

# %% alt="Loss over thirty steps on a logarithmic axis for four learning rates. 1e-5 levels off near 600 after five steps, 1e-6 is still on its way; 3.5e-5 falls slowly, 3.6e-5 rises without end." tags=["hide-input"]
for i, rate in enumerate([1e-6, 1e-5, 3.5e-5, 3.6e-5]):
    walk = descend(loss_at, first, rate, 30)
    curve = [loss_at(params).item() for params in walk]
    plt.semilogy(curve, color=f"C{i}")
    plt.text(30.5, curve[-1], f"lr {rate:g}", va="center", color=f"C{i}")
plt.xlim(-1, 36)
plt.xlabel("step")
plt.ylabel("loss")
plt.show()

# %% [markdown]
r"""
Between $3.5 \cdot 10^{-5}$ and $3.6 \cdot 10^{-5}$ lies an edge. Below it the
loss falls; above it every step overshoots by more than it gains, and the loss
grows without end. That is {term}`divergence`. The edge can be predicted.

Along any straight line our loss is a parabola too. If it bends with curvature
$\lambda$ (its second derivative), then a step from distance $d$ off the bottom
lands at $d - \eta \lambda d = (1 - \eta\lambda)\,d$, where $\eta$ is the
learning rate. The distance shrinks as long as $|1 - \eta \lambda| < 1$, that is

$$\eta < \frac{2}{\lambda}.$$

The line that bends most decides. The second derivatives of a mean of squares
are the products of the model's columns $t^2, t, 1$, two at a time:
"""


# %%
def curvature(columns: Tensor) -> Tensor:
    """Second derivatives of the loss of a linear model: (n, p) -> (p, p)."""
    return 2 * (columns[:, :, None] * columns[:, None, :]).mean(0)


columns = torch.stack([time**2, time, torch.ones(20)], 1)
curvature(columns)

# %% [markdown]
r"""
To find the direction that bends most, start anywhere and let the matrix pull:
multiply, make the length 1 again, repeat. This is *power iteration*.
"""


# %%
def sharpest(matrix: Tensor) -> tuple[float, Tensor]:
    direction = torch.ones(len(matrix))
    for _ in range(100):
        pulled = (matrix * direction).sum(1)
        length = (pulled**2).sum().sqrt()
        direction = pulled / length
    return length.item(), direction


largest, direction = sharpest(curvature(columns))
edge = 2 / largest
f"{edge:.2e}", direction

# %%
# a step below the edge the loss falls, a step above it grows
below, above = (
    descend(loss_at, first, factor * edge, 200)[-1] for factor in (0.99, 1.01)
)
assert loss_at(below) < loss_at(first) < loss_at(above)

# %% [markdown]
r"""
The predicted edge is $3.54 \cdot 10^{-5}$, between the two curves above. And
the direction that bends most is almost exactly that of $a$.

## Why the valley is so long

The stride is bound by the steepest direction. How fast do the others get on
with it? A direction of curvature $\lambda$ shrinks by the factor $1 -
\eta\lambda$ a step, so the flattest direction is the slowest. The ratio of the
largest curvature to the smallest is the {term}`condition number`. The
eigenvalues of the matrix are the curvatures along its own axes.
"""

# %% tags=["reference"]
eigenvalues = torch.linalg.eigvalsh(curvature(columns.double()))
condition = (eigenvalues[-1] / eigenvalues[0]).item()
eigenvalues, round(condition)

# %% [markdown]
r"""
Over two hundred thousand. With the best rate, just below the edge, the flattest
direction shrinks by the factor $1 - 2/\kappa$ a step, where $\kappa$ is that
number: after $\kappa$ steps it is down to $e^{-2}$, about a seventh. The ten
steps of the recipe walked down the steep wall of a valley and stood at the edge
of its long flat floor.

Three numbers cause this: $t^2$ reaches 361, $t$ reaches 19, and 1 is 1. The
loss does not care about the units of its inputs. Descent does.

## Scale the inputs

Measure time from its middle, in units of its own spread. The parabolas that
the model can draw are the same ones; only the numbers that name them change.
"""

# %%
scaled = (time - time.mean()) / time.std()
columns_scaled = torch.stack([scaled**2, scaled, torch.ones(20)], 1)
curvature(columns_scaled).round(decimals=3)


# %%
def scaled_loss_at(params: Tensor) -> Tensor:
    return mse(model(scaled, params), speed)


largest_scaled, _ = sharpest(curvature(columns_scaled))

# %% tags=["reference"]
smallest_scaled = torch.linalg.eigvalsh(curvature(columns_scaled))[0].item()
round(largest_scaled, 2), round(smallest_scaled, 2)

# %% [markdown]
r"""
No entry is above 4 now, and all but one pair of the off-diagonal ones are 0 but
for rounding: $t$ no longer leans on the two others. The largest curvature is
4.62, the smallest 0.62, so the condition number fell from over two hundred
thousand to about 7.
"""

# %%
lr_scaled = 2 / (largest_scaled + smallest_scaled)
path_scaled = descend(scaled_loss_at, first, lr_scaled, 30)
losses_scaled = [scaled_loss_at(params).item() for params in path_scaled]
n_close = next(
    i for i, loss in enumerate(losses_scaled) if loss < 1.1 * best_loss
)
n_close, round(losses_scaled[n_close], 2), round(best_loss, 2)

# %%
assert abs(n_close - 15) <= 1, "steps to within a tenth of the best"
assert losses[-1] > 80 * best_loss, "ten unscaled steps stop far above it"

# %% alt="The loss on a logarithmic axis, over thirty steps. The unscaled run drops to about 600 and stays there; the scaled run goes straight down to the dashed line of the best possible loss, near 6, in about fifteen steps." tags=["hide-input"]
raw = descend(loss_at, first, lr, 30)
plt.semilogy([loss_at(p).item() for p in raw], color="C1", label="as measured")
plt.semilogy(losses_scaled, color="C0", label="scaled")
plt.axhline(best_loss, color="0.5", ls="--", label="the best parabola")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown]
r"""
And what the two have found after these thirty steps, over the measurements:
"""

# %% alt="The two parabolas over the measured speeds: after thirty steps the unscaled one misses the left half of the points, the scaled one runs through all of them." tags=["hide-input"]
plt.scatter(time, speed, s=16, color="0.5")
plt.plot(time, model(time, raw[-1]), color="C1", label="as measured")
plt.plot(time, model(scaled, path_scaled[-1]), color="C0", label="scaled")
plt.xlabel("time (s)")
plt.ylabel("speed")
plt.legend()
plt.show()

# %% [markdown]
r"""
The same thing seen from inside. Split the distance from the best parameters
into its three parts, one along each of the loss's own axes, and follow each.
The theory says that every part shrinks by its own factor $1 - \eta\lambda$ a
step.
"""


# %% tags=["reference"]
def own_axes(columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The curvatures, their axes and the best parameters."""
    columns = columns.double()
    solution = torch.linalg.lstsq(columns, speed.double()[:, None]).solution
    return *torch.linalg.eigh(curvature(columns)), solution[:, 0]


walks = {"as measured": (columns, raw), "scaled": (columns_scaled, path_scaled)}
seen = {}
for name, (table, walk) in walks.items():
    curvatures, axes, solution = own_axes(table)
    away = walk.double() - solution
    seen[name] = curvatures, (away[:, :, None] * axes).sum(1)

# %% [markdown]
r"""
First as a map, from above: across lies a flat axis, upwards the steepest, both
in the same units. The ellipses join what costs the same. Of the two flat axes
as measured this is the *steeper* one; along the other the needle would be eight
times as long.
"""

# %% alt="Two maps with paths of thirty steps. As measured, the lines of equal loss are so long and narrow that they look like needles; the path drops straight onto the needle's axis and stays there, far from the middle. Scaled, the lines are ellipses less than three times as wide as high, and the path jumps from side to side into the middle." tags=["hide-input"]
figure, panels = plt.subplots(2, 1, figsize=(6, 6), height_ratios=[1, 2])
for panel, name, i in zip(panels, seen, (1, 0), strict=True):
    curvatures, parts = seen[name]
    flat, steep = parts[:, i], parts[:, 2]
    for level in (0.3, 0.6, 0.9, 1.2):
        width = 2 * level * flat[0].abs()
        height = width * (curvatures[i] / curvatures[2]).sqrt()
        panel.add_patch(Ellipse((0, 0), width, height, fc="none", ec="0.5"))
    panel.plot(flat, steep, ".-", color="C0", lw=1)
    panel.set(title=name, aspect="equal")
plt.show()

# %% [markdown]
r"""
Above, the path drops to the floor of the valley and stands there. Below, each
step jumps across and a little ahead, and the path arrives. Now each of the
three axes over the steps:
"""

# %% alt="Two panels: the distance from the best parameters along each of the loss's three axes, over thirty steps, on a logarithmic axis. Left, raw time: the axis of curvature 56499 drops to nothing in a few steps, the two others, 16 and 0.26, are flat lines. Right, scaled time: all three fall as straight lines." tags=["hide-input"]
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3), sharey=True)
for panel, (name, (curvatures, parts)) in zip(
    panels, seen.items(), strict=True
):
    for i in range(3):
        label = f"curvature {curvatures[i].item():.3g}"
        panel.semilogy(parts[:, i].abs(), ".-", color=f"C{i}", label=label)
    panel.set(title=name, xlabel="step", ylim=(1e-4, 1e3))
    panel.legend(fontsize="small")
panels[0].set_ylabel("distance from the best")
plt.show()

# %% [markdown]
r"""
Left, one axis is done after five steps and the other two have not begun. Right,
the steepest and the flattest axis shrink by the same factor: that is what makes
$\eta = 2 / (\lambda_{\max} + \lambda_{\min})$ the best rate.
"""

# %% [markdown]
r"""
Scaling inputs is not a trick for parabolas. {doc}`/2_backward/2_init` does it
to images and to every layer of a network, for the same reason. Optimisers that
scale each parameter's step by itself follow in part 3.

## What we built

* `finite_difference`: the derivative by trying, kept for checking.
* `gradient`: the derivative by machine, on loan until
  {doc}`/2_backward/5_autograd`.
* `descend`: the seven steps in a loop of one line.
* A prediction of where descent diverges, $2/\lambda$, and of how long it takes,
  the condition number.

Nothing here goes into the library. The loop gets its final form in part 3.

## Questions

:::{dropdown} What is gradient descent, and what makes it stochastic?
:name: topic-12
Repeating one move: change every parameter a little, against its derivative of
the loss. It is *stochastic* (SGD) if the loss is that of a random few examples
at a time. Here we used all twenty at once.
:::

:::{dropdown} What are the seven steps?
:name: topic-14
Initialise the parameters, predict, compute the loss, compute its gradient, step
against it, repeat from the prediction, stop.
:::

:::{dropdown} Where do the first parameters come from?
:name: topic-15
From a random generator. For three parameters almost any will do; for a deep
network their size matters a great deal, which is the subject of
{doc}`/2_backward/2_init`.
:::

:::{dropdown} What is a loss?
:name: topic-16
One number that is small when the model does well. Small being good is a
convention; being a single number that changes smoothly with the parameters is
not.
:::

:::{dropdown} Why not always take a large learning rate?
:name: topic-17
A step along a direction of curvature $\lambda$ multiplies the distance from the
bottom by $1 - \eta\lambda$. Beyond $\eta = 2/\lambda$ that factor's size is
above 1 and the loss grows with every step. Just below, it swings from side to
side.
:::

:::{dropdown} What is a gradient?
:name: topic-18
The derivatives of the loss with respect to each parameter, in a tensor of the
parameters' shape. It points where the loss grows fastest.
:::

:::{dropdown} Must one know how to compute gradients by hand?
:name: topic-19
Not to use them: automatic differentiation does it. To know why a network does
not learn, or how to make it fast, yes, and part 2 does nothing else.
:::

:::{dropdown} How are new weights computed from a learning rate?
:name: topic-23
`weight = weight - lr * gradient`.
:::

:::{dropdown} What does `backward` do?
:name: topic-30
It computes the derivatives of the tensor it is called on with respect to every
tensor that was marked by `requires_grad_` and took part, and adds them to their
`grad`.
:::

:::{dropdown} Why does the recipe's loss seem to converge at 600?
The steep direction has converged and the flat one has hardly begun. A loss that
stands still says that steps are small, not that the bottom is reached.
:::

## Exercises

**1.** A source of this chapter calls a function `mse` that returns the *root*
of the mean squared error. Show that its gradient is that of the true one
divided by $2\sqrt{\text{mse}}$, and say what that does to the learning rate.
"""


# %% tags=["solution"]
def rmse_at(params: Tensor) -> Tensor:
    return loss_at(params).sqrt()


assert_close(
    gradient(rmse_at, first) * 2 * rmse_at(first), gradient(loss_at, first)
)
# far from the bottom the steps are shorter by the factor 2 * rmse: the same
# rate walks slowly there, and does not slow down near the bottom
2 * rmse_at(first)

# %% [markdown]
r"""
**2.** Scale only by dividing: `time / 19`, without moving the middle to 0. How
far does the condition number fall? What does moving the middle add?
"""

# %% tags=["solution", "reference"]


def condition_number(inputs: Tensor) -> float:
    table = torch.stack([inputs**2, inputs, torch.ones(20)], 1).double()
    values = torch.linalg.eigvalsh(curvature(table))
    return (values[-1] / values[0]).item()


divided, moved = condition_number(time / 19), condition_number(scaled)
assert condition > 100 * divided > 1000 * moved
round(divided), round(moved, 1)

# %% [markdown]
r"""
**3.** After scaling, the columns $u^2$ and $1$ still lean on each other.
Standardise the column $u^2$ as well. How many steps does descent need now, and
why?
"""


# %% tags=["solution"]
def standardise(column: Tensor) -> Tensor:
    column = column - column.mean()
    return column / (column**2).mean().sqrt()


table = torch.stack(
    [standardise(scaled**2), standardise(time), torch.ones(20)], 1
)


def loss_of_table(params: Tensor) -> Tensor:
    return mse((table * params).sum(1), speed)


# the curvature is 2 in every direction, so one step of 1/2 is exact
assert_close(curvature(table), 2 * torch.eye(3), atol=1e-4)
one_step = descend(loss_of_table, first, 0.5, 1)[-1]
assert_close(loss_of_table(one_step).item(), best_loss)
loss_of_table(one_step)

# %% [markdown]
r"""
**4.** Predict, without running it, whether `lr = 0.45` converges on the scaled
problem. Then run it.
"""

# %% tags=["solution"]
# the edge is 2 / largest_scaled
prediction = 0.45 < 2 / largest_scaled
outcome = scaled_loss_at(descend(scaled_loss_at, first, 0.45, 200)[-1])
assert prediction == bool(outcome < 2 * best_loss)
round(2 / largest_scaled, 3), outcome

# %% [markdown]
r"""
Three parameters found their values by descent. {doc}`/1_pixels/3_network` does
the same with 785 of them, and then with 23,581, on the threes and sevens.
"""
