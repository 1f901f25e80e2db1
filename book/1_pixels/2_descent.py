# %% [markdown]
r"""
# Seven steps of gradient descent

The mean image of {doc}`/1_pixels/1_similarity` never improves: it has no
numbers that could be turned. This chapter is about such numbers. A model has
{term}`parameters <parameter>`, and a {term}`loss` says how wrong it is. **How
does a computer find parameters that make the loss small, and how long does that
take?**

We begin with one parameter, where everything can be drawn, and go on to three.
Then we count. The recipe, run as it is usually shown, comes to a stop far above
the best it could reach, and one line mends it. Of mathematics you need that
$x^2$ has the slope $2x$.

| name | shape | meaning |
| --- | --- | --- |
| `t`, `v` | `(5,)` | a cart: seconds, and its speed then |
| `w` | a number | the cart's one parameter |
| `time`, `speed` | `(20,)` | a roller coaster: seconds, and its speed then |
| `params` | `(3,)` | its parameters $a, b, c$ |
| `lr` | a number | the learning rate |
"""

# %% Imports tags=["hide-input"]
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from matplotlib.patches import Ellipse
from torch import Tensor

from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## One number

A cart rolls down a ramp. Every second it gets faster by the same amount $w$, so
after $t$ seconds its speed is $w t$. How large is $w$? Here are five readings.
(They are stored in `float64`, with sixteen digits, so that rounding stays out
of this chapter.)
"""

# %%
t = torch.tensor([1, 2, 3, 4, 5], dtype=torch.float64)
v = torch.tensor([1.8, 4.3, 5.7, 8.4, 9.6], dtype=torch.float64)

# %% [markdown]
r"""
A guess is good if the speeds that it predicts are near the ones that were read.
How near, {doc}`/1_pixels/1_similarity` has built and earned: the
{term}`mean squared error`, `mse_loss`. Try two guesses.
"""


# %%
def cart_loss(w: Tensor) -> Tensor:
    return F.mse_loss(w * t, v)


guess, better = torch.tensor([0.5, 1.5], dtype=torch.float64)
cart_loss(guess), cart_loss(better)

# %% [markdown]
r"""
Now all guesses from −1 to 5 at once:
"""

# %% The loss of every guess: a bowl tags=["hide-input"] alt="The loss over the parameter w from -1 to 5: a bowl, a parabola open upwards, with its bottom near 2. The guess 0.5 is a dot high on the left wall."
guesses = torch.linspace(-1, 5, 61, dtype=torch.float64)
bowl = torch.stack([cart_loss(w) for w in guesses])


def draw_bowl(ax: plt.Axes) -> None:
    ax.plot(guesses, bowl, color="0.5")
    ax.set(xlabel="w", ylabel="loss", ylim=(-8, 110))


figure, ax = plt.subplots(figsize=(5, 3))
draw_bowl(ax)
ax.plot(guess, cart_loss(guess), "o", color="C1")
ax.text(0.65, 27, "the guess 0.5", color="C1")
plt.show()

# %% [markdown]
r"""
You see the bottom at once. A computer does not: this picture cost 61
evaluations of the loss, and with two parameters it would cost $61^2$. With the
hundreds of the next chapter nobody could draw it. What a computer can do is to stand
at one guess and ask: **which way is down?**

## A slope, three times

The answer is the *slope*, or derivative: how fast the loss grows as $w$ grows.

**By trying.** Move a little to each side, look how far the loss moved, divide.
This is a {term}`finite difference`, and it needs nothing but the function.
"""


# %%
def finite_difference(f: Callable, x: Tensor, h: float = 1e-4) -> Tensor:
    return (f(x + h) - f(x - h)) / (2 * h)


finite_difference(cart_loss, guess)

# %% [markdown]
r"""
**By hand.** One reading costs $(wt - v)^2 = t^2 w^2 - 2tv\,w + v^2$. In $w$,
the slope of $w^2$ is $2w$, that of $w$ is 1, and $v^2$ does not change:
$2t^2 w - 2tv = 2t\,(wt - v)$. The loss is the mean over the readings, so its
slope is the mean of their slopes.
"""


# %%
def slope_by_hand(w: Tensor) -> Tensor:
    return (2 * t * (w * t - v)).mean()


slope_by_hand(guess)

# %% [markdown]
r"""
**By machine.** Torch remembers every operation that touched a tensor marked
with `requires_grad_`. When `backward` is called on the result, it applies the
rules of school to each of them in turn, and the slope appears in `grad`. This
is {term}`automatic differentiation`. We have not built it, so we take it on
loan: {doc}`/2_backward/5_autograd` builds it and
{doc}`/2_backward/9_engine` pays it back. One function holds the loan,
so that the rest of the chapter can forget about it.
"""


# %% A borrowed derivative loans="torch.Tensor.requires_grad_ torch.Tensor.backward torch.Tensor.grad" repaid="2_backward/9_engine"
def gradient(loss: Callable, params: Tensor) -> Tensor:
    marked = params.clone().requires_grad_()
    loss(marked).backward()
    return marked.grad


gradient(cart_loss, guess)

# %%
assert_close(gradient(cart_loss, guess), slope_by_hand(guess))
assert_close(gradient(cart_loss, guess), finite_difference(cart_loss, guess))

# %% [markdown]
r"""
All three agree. Drawn into the bowl, the slope is the *tangent*: the straight
line that touches the bowl at our guess. It falls to the right, so the slope is
negative, and down is where $w$ grows.
"""

# %% The tangent at the guess 0.5 tags=["hide-input"] alt="The bowl again, with a straight line that touches it at the guess 0.5 and falls steeply to the right. An arrow along the bottom of the picture points right: the way down."
figure, ax = plt.subplots(figsize=(5, 3))
draw_bowl(ax)
near = torch.tensor([-0.4, 1.2], dtype=torch.float64)
tangent = cart_loss(guess) + gradient(cart_loss, guess) * (near - guess)
ax.plot(near, tangent, color="C0", lw=2)
ax.plot(guess, cart_loss(guess), "o", color="C1")
arrow = {"arrowstyle": "->", "color": "C1", "lw": 2}
ax.annotate("", (1.4, -4), (0.5, -4), arrowprops=arrow)
ax.text(-0.3, 85, "tangent", color="C0")
plt.show()

# %% [markdown]
r"""
## One step down

The sign of the slope says which way. Its size says how steep it is here, not
how far to go. So take a step against the slope, as long as the slope times a
small number that we choose, the {term}`learning rate`:
"""

# %%
lr = 0.02
cart_loss(guess), cart_loss(guess - lr * gradient(cart_loss, guess))

# %% [markdown]
r"""
The loss fell. Do it again, and again: that is {term}`gradient descent`.
"""


# %%
def descend(loss: Callable, params: Tensor, lr: float, n: int) -> Tensor:
    """The parameters before the first step and after each of n."""
    path = [params]
    for _ in range(n):
        path.append(path[-1] - lr * gradient(loss, path[-1]))
    return torch.stack(path)


descend(cart_loss, guess, lr, 6)

# %% [markdown]
r"""
How long should a step be? Eight steps with each of four learning rates:
"""

# %% Four learning rates on one bowl tags=["hide-input"] alt="Four bowls with a path of eight steps from the same guess. With lr 0.003 the dots creep down the left wall and are still far from the bottom. With 0.035 they reach the bottom from the left. With 0.083 they jump from wall to wall and come slowly lower. With 0.096 they jump from wall to wall and climb out."
figure, panels = plt.subplots(2, 2, figsize=(5, 4.6), sharex=True, sharey=True)
rates = {0.003: "too short", 0.035: "right", 0.083: "long", 0.096: "too long"}
for ax, (rate, name) in zip(panels.flat, rates.items(), strict=True):
    draw_bowl(ax)
    walk = descend(cart_loss, guess, rate, 8)
    heights = torch.stack([cart_loss(w) for w in walk])
    ax.plot(walk, heights, ".-", color="C0", lw=1)
    ax.set(title=f"lr {rate}: {name}")
    ax.label_outer()
plt.show()

# %% [markdown]
r"""
Too short, and we do not arrive. Right, and we do. Longer, and each step jumps
across the bottom, but comes down. Too long, and each step lands higher than it
began, where the slope is steeper, so the next step is longer still. That is
{term}`divergence`.

Where is the border? Watch the slope around the best $w$:
"""

# %%
best_w = (t * v).sum() / (t * t).sum()  # where the slope by hand is 0
slopes = [slope_by_hand(best_w + d).item() for d in (-1, -0.5, 0, 0.5, 1)]
[round(slope, 6) for slope in slopes]

# %% [markdown]
r"""
The slope is the distance from the bottom times a number, here 22. This number
is the {term}`curvature` $\lambda$: how fast the slope changes. From a distance
$d$, a step of `lr` times the slope then lands at

$$d - \text{lr} \cdot \lambda d = (1 - \text{lr} \cdot \lambda)\, d.$$

**Every step multiplies the distance by the same factor**,
$1 - \text{lr} \cdot \lambda$. For the four rates above it is:
"""

# %%
curvature = 2 * (t * t).mean()
assert_equal(curvature.item(), 22)
factors = {rate: (1 - rate * curvature).item() for rate in rates}
for rate, factor in factors.items():
    away = descend(cart_loss, guess, rate, 8) - best_w
    assert_close(away[1:], factor * away[:-1])
{rate: round(factor, 3) for rate, factor in factors.items()}

# %% [markdown]
r"""
A factor near 1 shrinks the distance slowly. A factor near 0 is best. A negative
one jumps across. And beyond −1 the distance grows. So the learning rate has a
border that we can compute, $\text{lr} < 2/\lambda$:
"""

# %%
border = (2 / curvature).item()
inside, outside = (
    cart_loss(descend(cart_loss, guess, factor * border, 50)[-1])
    for factor in (0.99, 1.01)
)
assert inside < cart_loss(guess) < outside
border

# %% [markdown]
r"""
## Any function, any number of inputs

Nothing in `gradient` knows that the cart's loss is a parabola. Here is a
function that takes more rules than $2x$. We need none of them: the machine
knows them, and trying is the judge.
"""


# %%
def cubic(x: Tensor) -> Tensor:
    return 2 * x**3 + 3 * x**2 + 4 * x + 1


x = torch.tensor(1.5, dtype=torch.float64)
assert_close(gradient(cubic, x), finite_difference(cubic, x))
gradient(cubic, x)

# %% [markdown]
r"""
How good a judge is it? The finite difference is right only nearly, and how
nearly depends on the step. Too long a step, and the function has bent on the
way. Too short, and the difference of two almost equal numbers is all rounding
error.
"""

# %% The error of a finite difference tags=["hide-input"] alt="The error of the finite difference against its step, both on logarithmic axes. The error falls as the step shrinks, reaches a smallest value and rises again; in float32 the lowest point lies far higher and at a longer step than in float64."
figure, ax = plt.subplots(figsize=(5, 3))
steps = torch.logspace(-9, 0, 60, dtype=torch.float64)
exact = gradient(cubic, x).item()
for dtype, colour in [(torch.float32, "C1"), (torch.float64, "C0")]:
    at = x.to(dtype)
    tries = [finite_difference(cubic, at, h).item() for h in steps.tolist()]
    errors = [abs(value - exact) for value in tries]
    ax.loglog(steps, errors, ".-", color=colour, label=str(dtype)[6:])
ax.set(xlabel="step h", ylabel="error of the slope")
ax.legend()
plt.show()

# %% [markdown]
r"""
So trying is for checking, in `float64`, with a step near the bottom of that
curve. Part 2 checks every gradient that it derives that way.

Several inputs change nothing. Each has its own slope, with the others held
still, and the list of them is the {term}`gradient`.
"""


# %%
def total(x: Tensor) -> Tensor:
    return cubic(x).sum()


points = torch.tensor([3.0, 4.0, 10.0])
total(points), gradient(total, points)

# %%
assert_close(gradient(cubic, x).item(), 26.5)
assert_close(total(points).item(), 2628.0)
assert_close(gradient(total, points), torch.tensor([76.0, 124.0, 664.0]))

# %% [markdown]
r"""
## Three numbers: the roller coaster

A roller coaster climbs a hill, slows down, and speeds up on the other side.
Once a second somebody reads its speed, with an error of about 3.
"""

# %%
torch.manual_seed(0)
time = torch.arange(20, dtype=torch.float64)
speed = torch.randn(20).double() * 3 + 0.75 * (time - 9.5) ** 2 + 1

# %% Twenty speeds of a roller coaster tags=["hide-input"] alt="Twenty measured speeds over time: they fall from about 70 to about 0 at ten seconds and rise again, roughly a parabola."
figure, ax = plt.subplots(figsize=(5, 3))
ax.scatter(time, speed, s=16, color="0.5")
ax.set(xlabel="time (s)", ylabel="speed")
plt.show()

# %% [markdown]
r"""
The points look like a parabola, so the model is one: $a t^2 + b t + c$. Which
parabola is a question of three numbers. Note the two kinds of argument. The
*input* is what we are given; the *parameters* are what we may choose.
"""


# %%
def model(input: Tensor, params: Tensor) -> Tensor:
    a, b, c = params
    return a * input**2 + b * input + c


def loss_at(params: Tensor) -> Tensor:
    return F.mse_loss(model(time, params), speed)


# %% [markdown]
r"""
The bowl now has three directions and cannot be drawn. The method is the same.
It has seven steps, and every training run of this book goes round this ring:
"""

# %% Seven steps, four of them in a ring tags=["hide-input"] alt="A ring of four boxes: 2 predict, 3 loss, 4 gradient, 5 step. The arrow from step back to predict is marked 6 repeat. Into predict leads an arrow from a box 1 initialise; out of the ring, from step, leads one to a box 7 stop."
figure, ax = plt.subplots(figsize=(4.6, 4))
box = {"boxstyle": "round,pad=0.45", "fc": "none", "ec": "C0"}
outside_box = box | {"ec": "0.5"}
ring = {"2 predict": (0, 1), "3 loss": (1, 0)}
ring |= {"4 gradient": (0, -1), "5 step": (-1, 0)}
places = ring | {"1 initialise": (-1.25, 1.55), "7 stop": (-1.25, -1.55)}
for name, place in places.items():
    style = box if name in ring else outside_box
    ax.text(*place, name, ha="center", va="center", bbox=style, fontsize=12)
arrow = {"arrowstyle": "-|>", "color": "C0", "lw": 1.5}
arrow |= {"shrinkA": 24, "shrinkB": 24}
round_ring = [*ring.values(), ring["2 predict"]]
for start, end in zip(round_ring[:-1], round_ring[1:], strict=True):
    bent = arrow | {"connectionstyle": "arc3,rad=-0.3"}
    ax.annotate("", end, start, arrowprops=bent)
straight = arrow | {"color": "0.5"}
for start, end in (("1 initialise", "2 predict"), ("5 step", "7 stop")):
    ax.annotate("", places[end], places[start], arrowprops=straight)
ax.text(-0.25, 0.3, "6 repeat", ha="center", color="C0", fontsize=12)
ax.set(xlim=(-2, 1.7), ylim=(-1.9, 1.9), aspect="equal")
ax.axis("off")
plt.show()

# %% [markdown]
r"""
**One: initialise.** Random numbers will do here. **Two: predict**, which is to
run the model. **Three: the loss** says how wrong it is.
"""

# %%
first = torch.randn(3).double()
first, loss_at(first)

# %% [markdown]
r"""
**Four: the gradient.** It says for each parameter how much the loss grows if
that parameter alone grows by a little. The judge is trying, one parameter at a
time.
"""


# %%
def by_trying(loss: Callable, params: Tensor, h: float = 1e-4) -> Tensor:
    steps = h * torch.eye(len(params), dtype=params.dtype)
    rises = [loss(params + step) - loss(params - step) for step in steps]
    return torch.stack(rises) / (2 * h)


assert_close(gradient(loss_at, first), by_trying(loss_at, first))
gradient(loss_at, first)

# %% [markdown]
r"""
The loss is most sensitive to $a$, which is multiplied by numbers up to
$19^2 = 361$, and least to $c$. Keep that in mind.

**Five: step.** Each parameter moves against its slope. It is steep here, so the
rate must be small. We take $10^{-5}$, and come back to the choice.
"""

# %%
lr = 1e-5
loss_at(first), loss_at(first - lr * gradient(loss_at, first))

# %% [markdown]
r"""
**Six: repeat**, and **seven: stop**, here after ten steps. `descend` does all of
it. A step of three parameters is the same line of code as a step of one.
"""

# %%
path = descend(loss_at, first, lr, 10)
losses = [loss_at(params).item() for params in path]
[round(loss) for loss in losses]

# %% The model after 0, 1, 2 and 10 steps tags=["hide-input"] alt="Four panels with the measured speeds and the model's curve after zero, one, two and ten steps. The curve starts by falling far below the points and ends as an arc that is flat on the left, where the points are high, and rises through them on the right."
figure, panels = plt.subplots(2, 2, figsize=(5, 4.4), sharex=True, sharey=True)
for ax, step in zip(panels.flat, [0, 1, 2, 10], strict=True):
    ax.scatter(time, speed, s=8, color="0.5")
    ax.plot(time, model(time, path[step]), color="C1")
    ax.set(title=f"step {step}", ylim=(-20, 90))
    ax.set(xlabel="time (s)", ylabel="speed")
    ax.label_outer()
plt.show()

# %% [markdown]
r"""
The loss falls from tens of thousands to some hundreds and then stands still.
The list above looks like success. The last panel does not.

## Is that the best parabola?

For this model the best parameters can be computed outright, by a method called
linear least squares. We only look at its answer, as a judge.
"""

# %% tags=["reference"]
columns = torch.stack([time**2, time, torch.ones_like(time)], 1)
best = torch.linalg.lstsq(columns, speed[:, None]).solution[:, 0]
best_loss = loss_at(best).item()
best, best_loss

# %% [markdown]
r"""
So ten steps end at how many times the least loss? Did descent stop there, or is
it still walking? Give it up to ten thousand steps:
"""

# %%
patient = descend(loss_at, first, lr, 10_000)
ratios = {n: loss_at(patient[n]).item() / best_loss for n in (10, 100, 10_000)}
assert ratios[10] > 80 and ratios[10_000] > 40
{n: round(ratio) for n, ratio in ratios.items()}

# %% [markdown]
r"""
It is still walking, very slowly. The obvious cure is a longer step, so let us
try one.

## How far is too far

The loss over thirty steps, for four rates:
"""

# %% Four learning rates for the roller coaster tags=["hide-input"] alt="Loss over thirty steps on a logarithmic axis for four learning rates. 1e-5 levels off after five steps, 1e-6 is still on its way; 3.5e-5 falls slowly, 3.6e-5 rises without end."
figure, ax = plt.subplots(figsize=(5, 3.2))
for i, rate in enumerate([1e-6, 1e-5, 3.5e-5, 3.6e-5]):
    walk = descend(loss_at, first, rate, 30)
    curve = [loss_at(params).item() for params in walk]
    ax.semilogy(curve, color=f"C{i}")
    ax.text(30.5, curve[-1], f"lr {rate:g}", va="center", color=f"C{i}")
ax.set(xlim=(-1, 39), xlabel="step", ylabel="loss")
plt.show()

# %% [markdown]
r"""
Between the last two rates lies the border again. The cart's was $2/\lambda$. Here
each parameter, with the others held still, has a bowl of its own, and so a
curvature: how much its slope grows as it grows by 1.
"""


# %%
def curvatures(loss: Callable, params: Tensor) -> Tensor:
    """How fast the slope in each parameter changes with that parameter."""
    here = gradient(loss, params)
    axes = torch.eye(len(params), dtype=params.dtype)
    changes = [gradient(loss, params + axis) - here for axis in axes]
    return torch.stack(changes).diagonal()


curvature = curvatures(loss_at, first)
curvature

# %% [markdown]
r"""
Were $a$ alone, the border would be 2 divided by the first of these. The three
move together, and then it lies between 2 divided by the *sum* of the
curvatures and 2 divided by the *largest*. (The design note below says why.)
Since the first is nearly all of the sum, the two are close:
"""

# %%
lower, upper = 2 / curvature.sum().item(), 2 / curvature.max().item()
for rate, falls in ((lower, True), (upper, False)):
    end = descend(loss_at, first, rate, 300)[-1]
    assert_equal(bool(loss_at(end) < loss_at(first)), falls)
f"{lower:.4g}", f"{upper:.4g}"

# %% [markdown]
r"""
So $a$ sets the rate, for all three. What does that rate do for $c$? With its
own curvature and the others held still, each step would multiply the distance
of $c$ from its best value by $1 - \text{lr} \cdot \lambda$. How many steps
until it is halved?
"""

# %% tags=["remove-input"]
steep, _, gentle = curvature.tolist()
factor = 1 - lower * gentle
halving = math.log(0.5) / math.log(factor)
Markdown(
    f"The curvature in $c$ is {gentle:.0f}, so the factor is {factor:.6f}, and "
    f"it takes **{halving:,.0f} steps**. Left to itself, $c$ could have taken a "
    f"rate of 1/{gentle:.0f} and arrived in one. The curvature in $a$ is "
    f"**{steep / gentle:,.0f} times** as large."
)

# %% [markdown]
r"""
That is the reason. **The steepest direction sets the rate, and the
flattest sets the time.** The ten steps of the recipe walked down the steep wall
of a valley and stood at the edge of its long flat floor.

Three numbers cause it: $t^2$ reaches $19^2$, $t$ reaches 19, and 1 is 1. The best
parabola does not depend on the unit of time. Descent does.

## Scale the inputs

Measure time from its middle, in units of its own spread. The parabolas that
the model can draw are the same ones; only the numbers that name them change.
"""

# %%
scaled = (time - time.mean()) / time.std()


def scaled_loss_at(params: Tensor) -> Tensor:
    return F.mse_loss(model(scaled, params), speed)


curvatures(scaled_loss_at, first)

# %% [markdown]
r"""
Now all three are alike, so one rate suits all, and it may be thousands of times
larger. Which one? Count the steps to within a tenth of the least loss, for a
few rates below the border:
"""


# %%
def steps_to_best(loss: Callable, lr: float, limit: int = 2_000) -> int:
    """Steps until the loss is below 1.1 times the least; or the limit."""
    params = first
    for n in range(limit):
        if loss(params) < 1.1 * best_loss:
            return n
        params = params - lr * gradient(loss, params)
    return limit


counts = {lr: steps_to_best(scaled_loss_at, lr) for lr in (0.1, 0.2, 0.3, 0.4)}
counts

# %% [markdown]
r"""
And the raw times, at rates up to their own border? Here is what is left of the
loss after ten thousand steps, in multiples of the least one:
"""

# %%
rates = (1e-5, 2e-5, 3e-5, 3.5e-5)
ends = [descend(loss_at, first, rate, 10_000)[-1] for rate in rates]
left = [round(loss_at(end).item() / best_loss, 1) for end in ends]
assert min(counts.values()) <= 20 and min(left) > 10
dict(zip(rates, left, strict=True))

# %% tags=["remove-input"]
fastest = min(counts, key=counts.get)
Markdown(
    f"**{counts[fastest]} steps** with scaled times, at lr {fastest}. With the "
    f"raw ones ten thousand are not enough at any of these rates: the best ends "
    f"at {min(left):.0f} times the least loss."
)

# %% The loss with raw and with scaled times tags=["hide-input"] alt="The loss on a logarithmic axis, over thirty steps. The run with raw times drops at first and then stays level; the scaled run goes straight down to the dashed line of the least loss in some twenty steps."
figure, ax = plt.subplots(figsize=(5, 3))
raw = descend(loss_at, first, 1e-5, 30)
path_scaled = descend(scaled_loss_at, first, fastest, 30)
ax.semilogy([loss_at(p).item() for p in raw], color="C1", label="raw")
curve = [scaled_loss_at(p).item() for p in path_scaled]
ax.semilogy(curve, color="C0", label="scaled")
ax.axhline(best_loss, color="0.5", ls="--", label="the best parabola")
ax.set(xlabel="step", ylabel="loss")
ax.legend()
plt.show()

# %% Both parabolas after thirty steps tags=["hide-input"] alt="The two parabolas over the measured speeds: after thirty steps the raw one misses the left half of the points, the scaled one runs through all of them."
figure, ax = plt.subplots(figsize=(5, 3))
ax.scatter(time, speed, s=16, color="0.5")
ax.plot(time, model(time, raw[-1]), color="C1", label="raw")
ax.plot(time, model(scaled, path_scaled[-1]), color="C0", label="scaled")
ax.set(xlabel="time (s)", ylabel="speed")
ax.legend()
plt.show()

# %% [markdown]
r"""
Scaling inputs is not a trick for parabolas. {doc}`/2_backward/2_init` does it
to images and to every layer of a network, for the same reason. Optimizers that
scale each parameter's step by itself follow in part 3.

## Design note: the valley's own axes

*You may skip this section; nothing later depends on it.* The argument with one
curvature for each parameter leaves something out: the parameters do not move
one at a time. If $a$ grows, the slope in $c$ changes too. All these changes
together form a matrix, and for a mean of squares it is twice the mean of the
products of the model's columns $t^2$, $t$ and 1:
"""


# %%
def curvature_matrix(input: Tensor) -> Tensor:
    """How each slope changes with each parameter: (n,) -> (3, 3)."""
    columns = torch.stack([input**2, input, torch.ones_like(input)], 1)
    return 2 * (columns[:, :, None] * columns[:, None, :]).mean(0)


assert_close(curvature_matrix(time).diagonal(), curvature)
curvature_matrix(time), curvature_matrix(scaled).round(decimals=2)

# %% [markdown]
r"""
The diagonal holds the curvatures that we know. What is off the diagonal says
how the parameters lean on each other. For every such matrix there are three
directions, at right angles, along which nothing leans on anything: its
*eigenvectors*. Along each of them the loss is a bowl of its own, and the
curvature there is called the *eigenvalue*. So what we found for the cart holds
along each of these axes, exactly. The border is $2/\lambda_{\max}$, where
$\lambda_{\max}$ is the largest eigenvalue. It cannot be below the largest
number on the diagonal, nor above the sum of the diagonal, which is the sum of
the eigenvalues. Hence the two borders above. And the number that rules the time
is the {term}`condition number`, the largest eigenvalue over the smallest.
"""

# %% tags=["reference"]
kinds = {"raw": time, "scaled": scaled}
axes = {
    name: torch.linalg.eigh(curvature_matrix(input))
    for name, input in kinds.items()
}
conditions = {
    name: (values[-1] / values[0]).item() for name, (values, _) in axes.items()
}
{name: values for name, (values, _) in axes.items()}

# %% tags=["remove-input"]
assert lower < 2 / axes["raw"][0][-1].item() < upper
Markdown(
    f"The condition number is {conditions['raw']:,.0f} with raw times and "
    f"{conditions['scaled']:.1f} with scaled ones. The first is larger than the "
    f"{steep / gentle:,.0f} from above: leaning made it worse. With a rate just "
    f"below the border, a flat axis of condition number $\\kappa$ shrinks by the "
    f"factor $1 - 2/\\kappa$ a step, so it takes about $\\kappa$ steps to come "
    f"down to $e^{{-2}}$, a seventh."
)

# %% [markdown]
r"""
Split the distance from the best parameters into three parts, one along each of
the axes, and look at the first thirty steps from above. Across lies a flat
axis, upwards the steepest, both in the same units; the ellipses join what costs
the same. Of the two flat axes of the raw times this is the *steeper* one. Along
the other the needle would be many times as long.
"""


# %% Two valleys from above tags=["hide-input"] alt="Two maps with paths of thirty steps. Raw, the lines of equal loss are so long and narrow that they look like needles; the path drops straight onto the needle's axis and stays there, far from the middle. Scaled, the lines are ellipses less than three times as wide as high, and the path runs into the middle."
def parts(name: str, walk: Tensor) -> Tensor:
    """The distance from the best, along each axis: (n, 3) -> (n, 3)."""
    values, directions = axes[name]
    powers = torch.stack([kinds[name] ** 2, kinds[name], time**0])
    right = (powers * speed).mean(1, keepdim=True)
    best = (right * directions).sum(0) / (values / 2)  # along each axis
    return (walk[:, :, None] * directions).sum(1) - best


seen = {"raw": parts("raw", raw), "scaled": parts("scaled", path_scaled)}
figure, panels = plt.subplots(2, 1, figsize=(5, 5), height_ratios=[1, 2])
for ax, name, i in zip(panels, seen, (1, 0), strict=True):
    flat, steep = seen[name][:, i], seen[name][:, 2]
    values = axes[name][0]
    for level in (0.3, 0.6, 0.9, 1.2):
        width = 2 * level * flat[0].abs()
        height = width * (values[i] / values[2]).sqrt()
        ax.add_patch(Ellipse((0, 0), width, height, fc="none", ec="0.5"))
    ax.plot(flat, steep, ".-", color="C0", lw=1)
    ax.set(title=name, aspect="equal")
plt.show()

# %% [markdown]
r"""
Above, the path drops to the floor of the valley and stands there. Below, it
arrives. The same over the steps, along each of the three axes:
"""

# %% The way to the best, along each axis tags=["hide-input"] alt="Two panels: the distance from the best parameters along each of the loss's three axes, over thirty steps, on a logarithmic axis. With raw times the steepest axis drops to nothing in a few steps, the two others are flat lines. With scaled times all three fall as straight lines."
figure, panels = plt.subplots(2, 1, figsize=(5, 5.4), sharex=True)
for ax, (name, distances) in zip(panels, seen.items(), strict=True):
    for i, value in enumerate(axes[name][0].tolist()):
        label = f"curvature {value:.3g}"
        ax.semilogy(distances[:, i].abs(), ".-", color=f"C{i}", label=label)
    ax.set(title=name, ylabel="distance", xlabel="step", ylim=(1e-5, 1e4))
    ax.legend(fontsize=9, ncols=2)
    ax.label_outer()
plt.show()

# %% [markdown]
r"""
## What we built

* `finite_difference`: a slope by trying, kept for checking.
* `gradient`: the slopes by machine, on loan until
  {doc}`/2_backward/9_engine`.
* `descend`: gradient descent, a loop of one line.
* A law for a step on a bowl: it multiplies the distance by
  $1 - \text{lr} \cdot \lambda$. From it follow the border $2/\lambda$ and the
  time that descent takes.

Nothing here goes into the library. The loop gets its final form in part 3.

## Questions

:::{dropdown} What is gradient descent, and what makes it stochastic?
:name: topic-12
Repeating one move: change every parameter a little, against its slope of the
loss. It is *stochastic* ({term}`SGD`) if the loss is that of a random few
examples at a time. Here we used all of them at once.
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
On a bowl of curvature $\lambda$ a step multiplies the distance from the bottom
by $1 - \text{lr} \cdot \lambda$. Above $\text{lr} = 2/\lambda$ that is beyond −1,
and the loss grows with every step. Just below, it jumps from side to side.
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

:::{dropdown} The loss stands still. Is the bottom reached?
Not by that alone. Steps are short where the slope is small, and also where the
learning rate is held down by another, steeper direction. The roller coaster's
loss stood still far above the bottom.
:::

## Exercises

**1. In one step.** Which learning rate takes the cart to the best $w$ in a
single step, from any guess? Check it from three guesses.
"""

# %% tags=["solution"]
# the factor 1 - lr * curvature is 0 for lr = 1 / curvature
lr = 1 / (2 * (t * t).mean().item())
for start in torch.tensor([-7.0, 0.5, 100.0], dtype=torch.float64):
    end = descend(cart_loss, start, lr, 1)[-1]
    assert_close(end, best_w)

# %% [markdown]
r"""
**2. Predict.** Without running it: does `lr = 0.45` converge on the scaled
roller coaster? The two borders, from the sum and from the largest of the
curvatures, do not decide it; the design note's eigenvalue does. Then run it.
"""

# %% tags=["solution"]
alone = curvatures(scaled_loss_at, first)
assert 2 / alone.sum() < 0.45 < 2 / alone.max()
converges = bool(2 / axes["scaled"][0][-1] > 0.45)
end = descend(scaled_loss_at, first, 0.45, 200)[-1]
assert_equal(converges, bool(scaled_loss_at(end) < 2 * best_loss))
converges, scaled_loss_at(end)

# %% [markdown]
r"""
**3. Half the work.** Scale only by dividing, `time / 19`, without moving the
middle to 0. The curvatures are alike then, too. How many steps does descent
take, at the best of a few rates? What did moving the middle add?
"""


# %% tags=["solution"]
def divided_loss_at(params: Tensor) -> Tensor:
    return F.mse_loss(model(time / 19, params), speed)


alone = curvatures(divided_loss_at, first)
assert alone.max() < 5 * alone.min()
divided = min(steps_to_best(divided_loss_at, lr) for lr in (0.2, 0.4, 0.6))
assert divided > 10 * counts[fastest]
# The columns u², u and 1 are all positive now, so they lean on each other
# hard: growing a and shrinking b nearly cancel. Moved to the middle, u takes
# both signs, and leans neither on u² nor on 1.
divided

# %% [markdown]
r"""
**4. Nothing leans.** After scaling, the columns $u^2$ and 1 still lean on each
other. Standardise the column $u^2$ as well. How many steps does descent need
now, and why?
"""


# %% tags=["solution"]
def standardise(column: Tensor) -> Tensor:
    column = column - column.mean()
    return column / (column**2).mean().sqrt()


one = torch.ones_like(time)
table = torch.stack([standardise(scaled**2), standardise(time), one], 1)


def table_loss_at(params: Tensor) -> Tensor:
    return F.mse_loss((table * params).sum(1), speed)


# each curvature is 2 and nothing leans, so one step of 1/2 is exact
assert_close(curvatures(table_loss_at, first), 2 * torch.ones_like(first))
one_step = descend(table_loss_at, first, 0.5, 1)[-1]
assert_close(table_loss_at(one_step).item(), best_loss)
steps_to_best(table_loss_at, 0.5)

# %% [markdown]
r"""
**5. The root.** A source of this chapter calls a function `mse` that returns the
*root* of the mean squared error. Show that its gradient is that of the true one
divided by twice the root, and say what that does to the steps.
"""


# %% tags=["solution"]
def rmse_at(params: Tensor) -> Tensor:
    return loss_at(params).sqrt()


assert_close(
    gradient(rmse_at, first) * 2 * rmse_at(first), gradient(loss_at, first)
)
# Far from the bottom the steps are shorter by that factor, so the same rate
# walks slowly there. Near it they do not shrink with the distance any more.
2 * rmse_at(first)

# %% [markdown]
r"""
Three parameters found their values by descent. {doc}`/1_pixels/3_network` does
the same with hundreds of them, and then with thousands, on the threes and
sevens.
"""
