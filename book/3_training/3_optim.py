# %% [markdown] module="optim.sgd"
r"""
# Optimisers, step by step

A gradient says which way is down. It does not say how far to go, whether the
last step was any good, or that one parameter lives on a slope many times
steeper than its neighbour's. **What can an optimiser know beyond the gradient,
and what is that knowledge worth?**

Each idea is a few lines: a step, and what it remembers. We draw each in the same
valley, hold the steps in a class, and at the end let them train a network, each
at the learning rate that suits it best.

| name | shape | meaning |
| --- | --- | --- |
| `param` | any | the parameter $\theta$, changed in place |
| `grad` | as `param` | the gradient $g$ |
| `state` | a dictionary | what the optimiser remembers of a parameter |
| `lr` | a number | the learning rate $\eta$ |
"""

# %% Imports tags=["hide-input"]
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Ellipse
from torch import Tensor, tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy
from groundup.scores import accuracy
from groundup.testing import assert_close

# %% [markdown]
r"""
## The valley

The loss of {doc}`/1_pixels/2_descent` was a long narrow valley. Ours has two
parameters, and across it the slope changes 25 times as fast as along it:

$$L(\theta) = \tfrac12 \left( \theta_1^2 + 25\, \theta_2^2 \right), \qquad g = (\theta_1,\, 25\, \theta_2).$$
"""

# %%
CURVATURE = tensor([1.0, 25.0])
START = tensor([-4.0, 1.0])


def loss_at(param: Tensor) -> Tensor:
    return (CURVATURE * param**2).sum(-1) / 2


def slope(param: Tensor) -> Tensor:
    return CURVATURE * param


# %% [markdown]
r"""
A *stepper* is a function of a parameter, its gradient and its state. It changes
the parameter, and the state, and returns nothing. The first one remembers
nothing.
"""


# %%
def sgd_step(param: Tensor, grad: Tensor, state: dict, lr: float) -> None:
    param -= lr * grad


def descend(
    step: Callable,
    n: int = 30,
    slope: Callable = slope,
    start: Tensor = START,
    **options: Any,
) -> Tensor:
    """The points that a stepper visits: (n + 1, 2)."""
    param, path = start.clone(), [start]
    state = defaultdict(lambda: torch.zeros(2), step=tensor(0.0))
    for _ in range(n):
        step(param, slope(param), state, **options)
        path.append(param.clone())
    return torch.stack(path)


loss_at(descend(sgd_step, lr=0.07))[[0, 1, 10, 30]]


# %% Drawing paths tags=["hide-input"]
def draw(paths: dict[str, Tensor]) -> None:
    """A panel a path, over contours of the valley."""
    n = len(paths)
    figure, panels = plt.subplots(n, figsize=(5, 1.6 * n), sharex=True)
    for i, (panel, name) in enumerate(zip(panels, paths, strict=True)):
        for height in (0.5, 2.5, 12.5):
            axes = 2 * (2 * height / CURVATURE).sqrt()
            contour = Ellipse((0, 0), *axes, fill=False, ec="0.5", alpha=0.5)
            panel.add_patch(contour)
        panel.plot(*paths[name].T, ".-", color=f"C{i}", markersize=4, lw=1)
        panel.set(xlim=(-4.6, 1.6), ylim=(-1.6, 1.6), yticks=(-1, 0, 1))
        panel.set_title(name, fontsize="medium", loc="left")
    plt.show()


# %% Descent at three rates alt="Three paths of gradient descent in a long valley. At a rate of 0.01 the path turns into the valley floor and creeps along it; at 0.07 it jumps from wall to wall and still gets along faster; at 0.081 the jumps grow." tags=["hide-input"]
draw({f"lr = {lr}": descend(sgd_step, lr=lr) for lr in (0.01, 0.07, 0.081)})

# %% [markdown]
r"""
The steep direction allows no rate above 2/25: beyond it the jumps from wall to
wall grow. At that rate, how many steps does the flat direction take to come ten
times closer? Most of this chapter is about this conflict.
"""

# %%
assert loss_at(descend(sgd_step, lr=0.079)[-1]) < loss_at(START)
assert loss_at(descend(sgd_step, lr=0.081)[-1]) > loss_at(START)
math.log(0.1) / math.log(1 - 2 / 25)

# %% [markdown]
r"""
## Weight decay, and L2

There are two ways to keep weights small. One can let them *decay*: multiply them
by a little less than 1 in every step. Or one can add the *penalty*
$\tfrac\lambda2 \lVert\theta\rVert^2$ to the loss, called {term}`L2
regularisation`; its gradient is $\lambda\theta$, so there is nothing to compute
but a sum.
"""


# %%
def sgd_decay(param, grad, state, lr, weight_decay):
    param *= 1 - lr * weight_decay
    sgd_step(param, grad, state, lr)


def sgd_l2(param, grad, state, lr, weight_decay):
    sgd_step(param, grad + weight_decay * param, state, lr)


decayed = descend(sgd_decay, lr=0.02, weight_decay=2.0)
assert_close(descend(sgd_l2, lr=0.02, weight_decay=2.0), decayed)

# %% [markdown]
r"""
The same path. For plain gradient descent the two names mean one thing, and
people use them as if they always did. Wait for Adam.

## Momentum

Jumping from wall to wall, the gradient across the valley changes its sign at
every step; along the valley it always says the same. So *add up* gradients, and
forget slowly {cite:p}`polyak1964`:

$$m \leftarrow \mu\, m + g, \qquad \theta \leftarrow \theta - \eta\, m.$$

What alternates cancels; what agrees grows, up to $1/(1-\mu)$ times as large.
"""


# %%
def sgd_step(param, grad, state, lr, momentum=0.0):
    if momentum:
        state["momentum_buffer"] *= momentum
        state["momentum_buffer"] += grad
        grad = state["momentum_buffer"]
    param -= lr * grad


heavy = descend(sgd_step, lr=0.02, momentum=0.9)
loss_at(heavy)[[0, 1, 10, 30]]

# %% [markdown]
r"""
A heavy ball overshoots. {term}`Nesterov momentum` looks ahead: take the gradient
where the ball *will be* once its momentum has carried it. In the form that needs
the gradient only where we stand {cite:p}`sutskever2013`, the step uses the
buffer one update further on, $g + \mu m$ in place of $m$.

That is the stepper of the library. It works in place: `add_` with `alpha` is
one pass over the memory, where `param -= lr * grad` makes a tensor first. Its
`dampening` is torch's, and makes all gradients but the first one smaller.
"""


# %% Stochastic gradient descent tags=["export"]
"""Gradient descent with momentum."""


def sgd_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
) -> None:
    """One step against the gradient, or against a running sum of gradients."""
    if momentum:
        if (buffer := state.get("momentum_buffer")) is None:
            buffer = state["momentum_buffer"] = grad.clone()
        else:
            buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
    param.add_(grad, alpha=-lr)


# %% Descent, momentum, Nesterov's momentum, at one rate alt="Three paths at a rate of 0.02. Plain descent turns into the floor and has not arrived after 30 steps. Momentum 0.9 swings across the valley several times and past the goal. Nesterov's swings once and then follows the floor." tags=["hide-input"]
assert_close(descend(sgd_step, lr=0.02, momentum=0.9), heavy)
ahead = descend(sgd_step, lr=0.02, momentum=0.9, nesterov=True)
plain = descend(sgd_step, lr=0.02)
draw({"plain": plain, "momentum 0.9": heavy, "Nesterov, 0.9": ahead})

# %% [markdown]
r"""
At one rate, which is nobody's best. To compare them each gets its own: the best
of 60 rates, over 60 steps. What is left of the loss then?
"""


# %%
def best(step: Callable, turn: Tensor = torch.eye(2), **options: Any) -> float:
    """The smallest loss after 60 steps, over 60 rates from 0.003 to 1."""
    rates = torch.logspace(-2.5, 0, 60).tolist()
    options |= turned(turn)
    ends = [descend(step, 60, lr=lr, **options)[-1] for lr in rates]
    losses = loss_at(torch.stack(ends) @ turn.T)
    return losses.nan_to_num(torch.inf).min().item()


def turned(turn: Tensor) -> dict[str, Any]:
    """The valley, turned: of use further below."""
    start = {"start": turn.T @ START}
    return start | {"slope": lambda x: turn.T @ slope(turn @ x)}


left = {
    (name, momentum): best(sgd_step, momentum=momentum, nesterov=nesterov)
    for name, nesterov in (("heavy", False), ("Nesterov", True))
    for momentum in (0.5, 0.7, 0.9)
}
left = {("plain", 0.0): best(sgd_step)} | left
assert left["heavy", 0.5] < 1e-9 < 1e-4 < left["heavy", 0.9]
assert left["heavy", 0.5] < left["Nesterov", 0.5]
assert left["Nesterov", 0.9] < left["heavy", 0.9] / 100
{which: f"{loss:.0e}" for which, loss in left.items()}

# %% [markdown]
r"""
How much momentum is worth depends on the valley. A momentum of 0.5 suits this
one, and wins by many powers of ten. A ball as heavy as 0.9 is still swinging
after 60 steps and has gained next to nothing; there looking ahead helps. At 0.5
Nesterov's form is the slower one.

## Version 1: something to hold it

A stepper serves one parameter. A model has many, and whoever trains it wants to
say `step()`. A few lines are enough for that, and a check for this and all later
versions: an optimiser ends where its stepper does.
"""


# %%
class SGD:
    def __init__(self, params, **options):
        self.params, self.options = list(params), options
        self.state = {param: {} for param in self.params}

    def step(self):
        for param in self.params:
            sgd_step(param, param.grad, self.state[param], **self.options)


def check(kind: Callable, path: Tensor, **options: Any) -> Tensor:
    """Step from the start of a path to its end: (2,)."""
    param = path[0].clone()
    optimizer = kind([param], **options)
    for _ in path[1:]:
        param.grad = slope(param)
        optimizer.step()
    assert_close(param, path[-1])
    return param


check(SGD, heavy, lr=0.02, momentum=0.9)

# %% [markdown]
r"""
## A rate for every parameter

Momentum treats all parameters alike. But if one slope is always 25 times as
steep as another, why not divide it by 25? Nobody tells us the 25, but the
gradients do. {term}`RMSprop` {cite:p}`tieleman2012` keeps a running *mean* of
their squares, with a memory of about $1/(1-\alpha)$ steps, and divides by the
root:

$$v \leftarrow \alpha v + (1-\alpha)\, g^2, \qquad \theta \leftarrow \theta - \eta\, \frac{g}{\sqrt{v} + \epsilon}.$$

Before it, {term}`Adagrad` {cite:p}`duchi2011` took a sum that never forgets.
"""


# %%
def rmsprop_step(param, grad, state, lr, alpha=0.99, eps=1e-8):
    state["square_avg"] *= alpha
    state["square_avg"] += (1 - alpha) * grad**2
    param -= lr * grad / (state["square_avg"].sqrt() + eps)


TURN = tensor([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)
rates = {"lr": 0.15, "alpha": 0.9}
rmsprop = descend(rmsprop_step, **rates)
mixed = descend(rmsprop_step, **rates, **turned(TURN))

# %% RMSprop, and RMSprop in a valley that is turned alt="RMSprop goes down a straight diagonal to the valley floor and reaches the goal. In the valley turned by 45 degrees, drawn turned back, it falls to the floor at once and creeps along it." tags=["hide-input"]
draw({"RMSprop": rmsprop, "RMSprop, the valley turned": mixed @ TURN.T})

# %% [markdown]
r"""
It crosses both directions at the same pace: that the valley is narrow has
disappeared. But only because its axes are the parameters'. The second panel is
the valley turned by an eighth of a circle (the path is turned back). Each parameter now sees a
mixture of both slopes, and there is nothing left to tell apart. Again after 60
steps, each at its best rate:
"""


# %%
rivals = {
    "plain": (sgd_step, {}),
    "momentum": (sgd_step, {"momentum": 0.5}),
    "RMSprop": (rmsprop_step, {"alpha": 0.9}),
}
straight = {k: best(step, **o) for k, (step, o) in rivals.items()}
twisted = {k: best(step, TURN, **o) for k, (step, o) in rivals.items()}
assert straight["RMSprop"] < 1e-3 * straight["plain"]
assert twisted["RMSprop"] > straight["plain"]
assert_close(twisted["plain"], straight["plain"], rtol=0.01)
{k: (f"{straight[k]:.0e}", f"{twisted[k]:.0e}") for k in rivals}

# %% [markdown]
r"""
Descent and momentum do not notice the turn. RMSprop loses all that it had
gained, and at its best is no better than plain descent. A rate for every
parameter pays where the steep and the flat directions are parameters, and not
where they are mixtures of them.

## Adam

{term}`Adam` {cite:p}`kingma2015` is both: a running mean $m$ of the gradients,
which is momentum, over the root of a running mean $v$ of their squares. And one
more thought. Both means start at 0, so at first they are far too small, $m_1 =
(1-\beta_1)\, g$. Dividing by $1 - \beta^t$ makes up for that exactly if the
gradients are all alike:

$$\hat m = \frac{m}{1-\beta_1^t}, \qquad \hat v = \frac{v}{1-\beta_2^t}, \qquad \theta \leftarrow \theta - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon}.$$
"""


# %%
def adam_step(param, grad, state, lr, betas=(0.9, 0.999), eps=1e-8):
    beta1, beta2 = betas
    state["step"] += 1
    t = state["step"]
    state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * grad
    state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
    mean = state["exp_avg"] / (1 - beta1**t)
    square = state["exp_avg_sq"] / (1 - beta2**t)
    param -= lr * mean / (square.sqrt() + eps)


def uncorrected_step(param, grad, state, lr, betas=(0.9, 0.999), eps=1e-8):
    state["exp_avg"].lerp_(grad, 1 - betas[0])
    state["exp_avg_sq"].lerp_(grad**2, 1 - betas[1])
    param -= lr * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + eps)


corrected = descend(adam_step, lr=0.2, n=40)
uncorrected = descend(uncorrected_step, lr=0.2, n=40)
moves = [path.diff(dim=0).abs() / 0.2 for path in (corrected, uncorrected)]
assert_close(moves[0][0], torch.ones(2))
assert_close(moves[1][0], torch.full((2,), 0.1 / math.sqrt(0.001)))
assert (moves[1][1] > moves[1][0]).all()
moves[0][0], moves[1][0]

# %% Adam, and Adam without its correction alt="Adam at a rate of 0.2 goes diagonally across the floor and curls in towards the goal after one swing. Without the correction its first steps are several times as long, and it shoots past the goal and out of the panel before it returns." tags=["hide-input"]
draw({"Adam": corrected, "uncorrected": uncorrected})

# %% [markdown]
r"""
The first step of Adam is $\eta$ in every direction, whatever the gradient: its
sign is all that is left. Without the correction it is
$(1-\beta_1)/\sqrt{1-\beta_2}$ times as long, the number above, and the second
step is longer still.

The stepper of the library saves a pass over the memory by moving the
corrections out of the tensors. With $c = \sqrt{1-\beta_2^t}$ the step is

$$\theta \leftarrow \theta - \frac{\eta c}{1-\beta_1^t} \cdot \frac{m}{\sqrt v + c\,\epsilon}.$$

From {doc}`/2_backward/8_optimizer` come `real_views`, which takes complex
numbers as pairs, and `root_plus`, a root and a sum in one tensor. AMSGrad
{cite:p}`reddi2018` divides by the largest $v$ so far, if the state has room.
"""

# %% Adam tags=["export"] module="optim.adam"
"""Adam and AdamW: momentum over the root mean square."""
from groundup.optim.steps import add_l2, new_state, real_views, root_plus


def adam_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> None:
    """One step: the mean gradient over the root of the mean square.

    With a "max_exp_avg_sq" in the state, of the largest mean square so far.
    """
    state["step"] += 1
    t = state["step"].item()
    beta1, beta2 = betas
    param, grad, mean, square = real_views(
        param, grad, state["exp_avg"], state["exp_avg_sq"]
    )
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    if "max_exp_avg_sq" in state:
        (largest,) = real_views(state["max_exp_avg_sq"])
        square = largest.clamp_(min=square)
    correction = math.sqrt(1 - beta2**t)
    scale = root_plus(square, correction * eps)
    param.addcdiv_(mean, scale, value=-lr * correction / (1 - beta1**t))


# %%
assert_close(descend(adam_step, lr=0.2, n=40), corrected, atol=1e-4)
assert best(adam_step) > 1e9 * left["heavy", 0.5]
f"{best(adam_step):.0e}"

# %% [markdown]
r"""
In the valley, at its best rate, Adam does not come near a momentum of 0.5. Its
worth will show in a network.

## Where decay and L2 part

With L2 the penalty's gradient $\lambda\theta$ is part of $g$, and Adam divides
$g$ by its size. A weight with large gradients is hardly decayed at all, one
with small ones very much. Decay that is *decoupled*, $\theta \leftarrow (1 -
\eta\lambda)\,\theta$, shrinks them all alike {cite:p}`loshchilov2019`: that is
{term}`AdamW`. To see it, take weights whose gradients are pure noise, so there
is nothing to learn and only the decay acts.
"""

# %%
torch.manual_seed(0)
spread = torch.logspace(-3, 1, 9)  # the size of each weight's gradients
l2, decoupled = torch.ones(9, 500), torch.ones(9, 500)
states = [
    {"step": tensor(0.0)}
    | {name: torch.zeros(9, 500) for name in ("exp_avg", "exp_avg_sq")}
    for _ in range(2)
]
for _ in range(300):
    noise = torch.randn(9, 500) * spread[:, None]
    adam_step(l2, noise + 0.1 * l2, states[0], lr=0.01)
    decoupled *= 1 - 0.01 * 0.1
    adam_step(decoupled, noise, states[1], lr=0.01)
l2.mean(1), decoupled.mean(1)

# %% What is left of a weight, by the size of its gradients alt="Mean weight after 300 steps against the size of its gradients. Decoupled decay leaves every weight at about 0.74. With L2 the weights with small gradients are at zero, those with large gradients still at one." tags=["hide-input"]
plt.figure(figsize=(5, 3))
plt.semilogx(spread, l2.mean(1), "o-", color="C1", label="L2 inside Adam")
plt.semilogx(spread, decoupled.mean(1), "o-", color="C0", label="AdamW")
plt.minorticks_off()
plt.xlabel("size of the gradients")
plt.ylabel("mean weight")
plt.legend()
plt.show()

# %%
assert l2.mean(1)[0].abs() < 0.1 and l2.mean(1)[-1] > 0.9
assert_close(decoupled.mean(1), torch.full((9,), 0.999**300), rtol=0.05)

# %% [markdown]
r"""
## Version 2: what they share

Only one line of the class is about gradient descent; the others would be the
same for Adam. So they are written once, and a subclass fills in `update`. And
parameters may stand in *groups*, with options of their own: a group is a
dictionary, and what it leaves out comes from the defaults.
"""


# %%
class Optimizer:
    def __init__(self, params, defaults):
        groups = list(params)
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups = [{**defaults, **group} for group in groups]
        self.state = defaultdict(dict)

    def step(self):
        for group in self.param_groups:
            for param in group["params"]:
                state = self.state[param]
                if not state:
                    state.update(self.start(param, group))
                self.update(param, param.grad, state, group)

    def start(self, param, group):
        return {}


# %%
class SGD(Optimizer):
    def __init__(self, params, lr, momentum=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def update(self, param, grad, state, group):
        sgd_step(param, grad, state, group["lr"], group["momentum"])


class Adam(Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def start(self, param, group):
        return new_state(param, group, "exp_avg", "exp_avg_sq")

    def update(self, param, grad, state, group):
        adam_step(param, grad, state, group["lr"])


check(SGD, heavy, lr=0.02, momentum=0.9), check(Adam, corrected, lr=0.2)

# %% [markdown]
r"""
## Version 3: the one to keep

An optimiser steps in silence what it is given. So the one to keep has to refuse
a parameter that is given twice, a negative rate, a group that does not fit; it
has to drop gradients, and be saved and loaded. None of this is about a step. It
is the *frame* of {doc}`/2_backward/8_optimizer`: this `Optimizer` grown up, with
the same two methods to fill in, and `check`, which may refuse options. So a
class of the library is short.
"""


# %% SGD and its options tags=["export"]
from groundup.optim.groups import require_betas, require_nonnegative
from groundup.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, dampening or Nesterov's."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        options = {"lr": lr, "momentum": momentum, "dampening": dampening}
        options |= {"weight_decay": weight_decay, "nesterov": nesterov}
        options |= {"maximize": maximize, "differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)


# %% Gradient descent as an optimizer tags=["export"]
class SGD(SGD):
    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `sgd_step`, the weight decay as L2."""
        sgd_step(
            param,
            add_l2(grad, param, group["weight_decay"]),
            state,
            float(group["lr"]),
            group["momentum"],
            group["dampening"],
            group["nesterov"],
        )

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "momentum")
        if group["nesterov"] and not (
            group["momentum"] > 0 and group["dampening"] == 0
        ):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening"
            )


# %%
check(partial(SGD, fused=False), heavy, lr=0.02, momentum=0.9)
check(partial(SGD, fused=False), ahead, lr=0.02, momentum=0.9, nesterov=True)

# %% [markdown]
r"""
The third version passes. Nesterov's look ahead makes no sense without momentum,
nor with dampening: torch refuses both, and so does `check`.

### In one pass

Five operations on tensors read and write every number five times over. Torch
has a {term}`fused kernel` for a whole step, and does not use it unless asked.
Once our steppers are shown to equal them, we may ask, and the frame does so for
all parameters that a kernel can take.

Plain gradient descent *is* one pass, so only momentum is fused, and not its
first step, which copies the gradient. One more exception: torch's kernel for
CPUs computes a step for numbers of half precision and then [forgets to store
it](https://github.com/pytorch/pytorch/issues/191763), without a word.
"""


# %% Gradient descent by a kernel tags=["export"] earns="torch.optim.SGD torch._fused_sgd_"
class SGD(SGD):
    def fits(self, param: Tensor, state: dict, group: dict) -> bool:
        """With momentum, from the second step on; on a CPU from 32 bits on."""
        if not group["momentum"] or state.get("momentum_buffer") is None:
            return False
        stored = param.is_cuda or param.itemsize >= 4  # pytorch issue 191763
        return stored and super().fits(param, state, group)

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        torch._fused_sgd_(
            params,
            [param.grad for param in params],
            [state["momentum_buffer"] for state in states],
            lr=float(group["lr"]),
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=float(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=False,
        )


# %%
check(SGD, heavy, lr=0.02, momentum=0.9)
check(SGD, ahead, lr=0.02, momentum=0.9, nesterov=True)

# %% [markdown]
r"""
Adam in the same way. It serves both kinds of decay, as torch's does.
"""


# %% Adam and its options tags=["export"] module="optim.adam"
class Adam(Optimizer):
    """The mean gradient over its root mean square; weight decay is L2."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps, "amsgrad": amsgrad}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        options |= {"decoupled_weight_decay": decoupled_weight_decay}
        options |= {"capturable": capturable, "differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)


# %% Adam as an optimizer tags=["export"] module="optim.adam"
class Adam(Adam):
    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "eps")
        require_betas(group)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """Both running means at zero, and AMSGrad's maximum."""
        names = ["exp_avg", "exp_avg_sq"]
        names += ["max_exp_avg_sq"] * group["amsgrad"]
        return new_state(param, group, *names)

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `adam_step` after the weight decay of either kind."""
        lr, weight_decay = float(group["lr"]), group["weight_decay"]
        if group["decoupled_weight_decay"]:
            param.mul_(1 - lr * weight_decay)
        else:
            grad = add_l2(grad, param, weight_decay)
        beta1, beta2 = map(float, group["betas"])
        adam_step(param, grad, state, lr, (beta1, beta2), group["eps"])


# %%
check(partial(Adam, fused=False), corrected, lr=0.2)

# %% [markdown]
r"""
There is a kernel for either kind of decay.
"""


# %% Adam by a kernel tags=["export"] module="optim.adam" earns="torch.optim.Adam torch._fused_adam_ torch._fused_adamw_"
class Adam(Adam):
    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        for state in states:
            state["step"] += 1
        decoupled = group["decoupled_weight_decay"]
        kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        beta1, beta2 = map(float, group["betas"])
        kernel(
            params,
            [param.grad for param in params],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states if group["amsgrad"]],
            [state["step"] for state in states],
            lr=group["lr"] if group["capturable"] else float(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=group["amsgrad"],
            maximize=group["maximize"],
        )


# %% [markdown]
r"""
AdamW is Adam with the other decay. It stays decoupled whatever it loads, for an
old state dict knows nothing of that option.
"""


# %% AdamW tags=["export"] module="optim.adam" earns="torch.optim.AdamW"
class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ):
        fixed = {"decoupled_weight_decay": True}
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, **fixed, **options
        )

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense, and stay decoupled."""
        super().check(group)
        group["decoupled_weight_decay"] = True  # whatever was loaded


# %%
check(Adam, corrected, lr=0.2)
weight = START.clone()
weight.grad = slope(weight)
AdamW([weight], lr=0.2, weight_decay=0.5).step()
assert_close(weight, 0.9 * START - 0.2 * START.sign())
weight

# %% [markdown]
r"""
## What it is worth

Now the question of the beginning, on Fashion-MNIST: a network of two hidden
layers, one epoch, full batches. The learning rate falls in a straight line to
zero; {doc}`/3_training/5_annealing` is about that. At a constant rate the end
of a short run shows mostly how much each method still shakes.
"""


# %%
def pixels(train: bool) -> tuple[Tensor, Tensor]:
    images, kinds = fashion_mnist(train=train)
    return images.flatten(1).float() / 255, kinds


def network(seed: int) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(
        Linear(784, 128), ReLU(), Linear(128, 64), ReLU(), Linear(64, 10)
    )


def train_epoch(model: Sequential, optimizer: Any, loader: Iterable) -> list:
    """An epoch, the rates falling to zero; the losses."""
    losses, first = [], [group["lr"] for group in optimizer.param_groups]
    for i, (input, target) in enumerate(loader):
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["lr"] = lr * (1 - i / len(loader))
        loss = cross_entropy(model(input), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
Three methods get three rates each. The one that is best on 10,000 held-out
images counts, and is scored on the test images.
"""

# %%
torch.set_num_threads(1)  # a batch is too small to be worth two
(x, y), test = pixels(train=True), pixels(train=False)
options = {"batch_size": 128, "shuffle": True, "drop_last": True}
train = TensorLoader(x[:50_000], y[:50_000], **options)
contest = {
    "SGD": (SGD, (0.9, 0.3, 0.1)),
    "momentum": (partial(SGD, momentum=0.9), (0.3, 0.1, 0.03)),
    "Adam": (Adam, (0.03, 0.01, 0.003)),
}


scores, courses = defaultdict(list), defaultdict(list)
for name, (kind, rates) in contest.items():
    for lr in rates:
        model = network(seed=0)
        losses = train_epoch(model, kind(model.parameters(), lr=lr), train)
        right = [
            accuracy(model(images).argmax(1), digits).item()
            for images, digits in ((x[50_000:], y[50_000:]), test)
        ]
        scores[name].append((*right, lr))
        courses[name].append((right[0], losses))
{name: max(tried)[1:] for name, tried in scores.items()}

# %% The loss of an epoch, each at its best rate alt="Loss against step, smoothed over 20 steps, for one epoch. All three fall fast at first; then plain descent stays highest, momentum lies below it, and Adam is lowest." tags=["hide-input"]
plt.figure(figsize=(5, 3))
for name, tried in courses.items():
    sums = tensor(max(tried)[1]).cumsum(0)
    plt.plot((sums[20:] - sums[:-20]) / 20, label=name)
plt.ylim(0.3, 1.2)
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
plain, ball, adam = (max(tried)[1] for tried in scores.values())
assert plain + 0.01 < ball < adam
assert all(max(tried)[2] == tried[1][2] for tried in scores.values())

# %% [markdown]
r"""
From the same gradients momentum makes more than plain descent, and Adam more
than momentum. The middle one of the three rates is the best each time. One seed
and one set-up say no more than that: {doc}`/3_training/8_optimizers` takes five,
more methods, a constant rate and larger batches.

## What we built

* `SGD`, with momentum and Nesterov's, and its step, `sgd_step` (`optim.sgd`).
* `Adam`, `AdamW` and their step, `adam_step` (`optim.adam`).

## Questions

:::{dropdown} Why does momentum help in a narrow valley?
Across the valley successive gradients have opposite signs and cancel. Along it
they agree, and the sum grows to $1/(1-\mu)$ times one gradient.
:::

:::{dropdown} With which optimiser are L2 and weight decay the same, and why not with Adam?
With plain gradient descent. Adam divides the penalty's gradient by the size of
the whole gradient, so weights with large gradients are hardly decayed.
:::

:::{dropdown} How long is Adam's first step?
The learning rate, in every coordinate: $\hat m = g$ and $\hat v = g^2$, so only
the sign of the gradient is left.
:::

:::{dropdown} Why does turning the valley by 45° take away what RMSprop gained?
It keeps one rate for each parameter. When the steep and the flat direction are
mixtures of the parameters, both parameters see the same mixture of slopes and
get the same rate.
:::

## Exercises

**1.** Show that Adam does not notice if the loss is multiplied by 1000 (and
$\epsilon$ is small enough), and that SGD does.
"""

# %% tags=["solution"]
tiny = {"lr": 0.1, "eps": 1e-12}
louder = descend(adam_step, slope=lambda p: 1000 * slope(p), **tiny)
assert_close(louder, descend(adam_step, **tiny), atol=1e-4)
louder = descend(sgd_step, slope=lambda p: 1000 * slope(p), lr=0.01)
assert not louder.isfinite().all()

# %% [markdown]
r"""
**2.** Lion {cite:p}`chen2023` steps by the sign of $\beta_1 m + (1-\beta_1)\,
g$ and afterwards sets $m \leftarrow \beta_2 m + (1-\beta_2)\, g$. Write it as a
subclass of `Optimizer`.
"""


# %% tags=["solution"]
class Lion(Optimizer):
    def start(self, param, group):
        return {"exp_avg": torch.zeros_like(param)}

    def update(self, param, grad, state, group):
        mean, (beta1, beta2) = state["exp_avg"], group["betas"]
        param.sub_(mean.lerp(grad, 1 - beta1).sign(), alpha=group["lr"])
        mean.lerp_(grad, 1 - beta2)


weight = START.clone()
lion = Lion([weight], {"lr": 0.1, "betas": (0.9, 0.99)})
for _ in range(40):
    weight.grad = slope(weight)
    lion.step()
assert loss_at(weight) < 1 < loss_at(START)

# %% [markdown]
r"""
**3.** Which learning rate is best for plain descent in our valley, and by what
factor does it lower the loss in a step, in the long run? Derive it for
curvatures $a < b$ and check.
"""

# %% tags=["solution"]
# each coordinate is multiplied by 1 - lr * curvature; the two factors are
# equally large where lr = 2 / (a + b), and then they are (b - a) / (b + a)
best_rate = 2 / (1 + 25)
path = descend(sgd_step, lr=best_rate, n=60)
factor = loss_at(path[60]) / loss_at(path[59])
assert_close(factor, tensor((24 / 26) ** 2))
for share in (0.9, 1.03):
    other = descend(sgd_step, lr=share * best_rate, n=60)
    assert loss_at(other[-1]) > loss_at(path[60])

# %% [markdown]
r"""
Each chapter from here on would write the loop above again. The next,
{doc}`/3_training/4_learner`, writes it once.
"""
