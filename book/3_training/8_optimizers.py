# %% [markdown] module="optim.adagrad" starred=true
r"""
# Optimisers, finished

This chapter finishes what {doc}`/3_training/3_optim` began: the steps that were
only mentioned there, the time that a step takes, and a record of what all of
them are worth. You may go on without it: later chapters use `SGD`, `Adam` and
`AdamW`, and say so where they use more.

**What else can be done with a gradient than to divide it by its size?** A layer
can get a rate of its own, and a matrix can be taken for what it is. The frame of
{doc}`/2_backward/8_optimizer` stays: a class says how a state begins and how a
parameter is stepped.

| name | shape | meaning |
| --- | --- | --- |
| `param` | any | the parameter $\theta$, changed in place |
| `grad` | as `param` | the gradient $g$ |
| `state` | a dictionary | what the optimiser remembers of a parameter |
| `lr` | a number | the learning rate $\eta$ |
"""

# %% Imports tags=["hide-input"]
import copy
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from time import process_time
from timeit import timeit
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor, tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn import Linear, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy
from groundup.optim.adam import Adam, AdamW, adam_step
from groundup.optim.groups import require_betas, require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.several import CombinedOptimizer
from groundup.optim.sgd import SGD
from groundup.optim.steps import (
    add_l2,
    new_counter,
    new_state,
    real_views,
    root_plus,
)
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
The valley of the story, $L(\theta) = \tfrac12 (\theta_1^2 + 25\,\theta_2^2)$, and
a walk in it with any optimiser.
"""

# %%
CURVATURE = tensor([1.0, 25.0])
START = tensor([-4.0, 1.0])


def loss_at(param: Tensor) -> Tensor:
    return (CURVATURE * param**2).sum(-1) / 2


def walk(kind: Callable, n: int = 30, **options: Any) -> Tensor:
    """The points that an optimiser visits: (n + 1, 2)."""
    param = START.clone()
    optimizer, path = kind([param], **options), [START]
    for _ in range(n):
        param.grad = CURVATURE * param
        optimizer.step()
        path.append(param.clone())
    return torch.stack(path)


# %% [markdown]
r"""
## Adagrad

{term}`Adagrad` {cite:p}`duchi2011` sums up the squares of all gradients, and
divides by the root:

$$s \leftarrow s + g^2, \qquad \theta \leftarrow \theta - \eta\, \frac{g}{\sqrt{s} + \epsilon}.$$

The sum never forgets, so the steps get shorter all the time. `lr_decay` makes
them shorter still.
"""


# %% Adagrad tags=["export"]
"""Adagrad: a rate for every parameter, from all gradients so far."""


def adagrad_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
) -> None:
    """One step, divided by the root of the sum of all squared gradients."""
    state["step"] += 1
    rate = lr / (1 + (state["step"].item() - 1) * lr_decay)
    param, grad, total = real_views(param, grad, state["sum"])
    total.addcmul_(grad, grad)
    param.addcdiv_(grad, root_plus(total, eps), value=-rate)


# %%
param, state = START.clone(), {"step": tensor(0.0), "sum": torch.zeros(2)}
moves = []
for _ in range(4):
    before = param.clone()
    adagrad_step(param, torch.ones(2), state, lr=1.0)
    moves.append((before - param)[0].item())
assert_close(moves, [1 / math.sqrt(t) for t in (1, 2, 3, 4)])
moves

# %% [markdown]
r"""
Under a constant gradient the step number $t$ has the length $\eta/\sqrt t$.

The class: torch's options, what a state begins with, and which function steps.
"""


# %% Adagrad and its options tags=["export"]
class Adagrad(Optimizer):
    """Divides each gradient by the root of the sum of all squares so far."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        options = {"lr": lr, "lr_decay": lr_decay, "eps": eps}
        options |= {"initial_accumulator_value": initial_accumulator_value}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        options |= {"differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)


# %% Adagrad as an optimizer tags=["export"]
class Adagrad(Adagrad):
    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        names = "lr_decay", "initial_accumulator_value", "eps"
        require_nonnegative(group, *names)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The sum, at its initial value in the real and imaginary part."""
        total = torch.empty_like(param, requires_grad=False)
        (parts,) = real_views(total)
        parts.fill_(group["initial_accumulator_value"])
        return {"step": new_counter(param, group), "sum": total}

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `adagrad_step`, the weight decay as L2."""
        grad = add_l2(grad, param, group["weight_decay"])
        lr, lr_decay, eps = group["lr"], group["lr_decay"], group["eps"]
        adagrad_step(param, grad, state, float(lr), lr_decay, eps)


# %%
readable = walk(Adagrad, lr=0.4, fused=False)
patient = walk(Adagrad, lr=0.4, initial_accumulator_value=100.0, fused=False)
loss_at(readable[[1, 10, 30]]), loss_at(patient[[1, 10, 30]])

# %% [markdown]
r"""
An accumulator that starts high begins with short steps. And the kernel:
"""


# %% Adagrad by a kernel tags=["export"] earns="torch.optim.Adagrad torch._fused_adagrad_"
class Adagrad(Adagrad):
    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        for state in states:
            state["step"] += 1
        torch._fused_adagrad_(
            params,
            [param.grad for param in params],
            [state["sum"] for state in states],
            [state["step"] for state in states],
            lr=float(group["lr"]),
            lr_decay=group["lr_decay"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
        )


# %%
assert_close(walk(Adagrad, lr=0.4), readable)

# %% [markdown]
r"""
## RMSprop, with torch's additions

{term}`RMSprop` {cite:p}`tieleman2012` was a stepper of three lines. Torch offers
two additions. *Centered* subtracts the square of the mean gradient, which turns
the mean square into a variance, so that a gradient which is always the same is
divided by less and less. And momentum can be put on top. What the stepper finds
in the state, it uses.
"""


# %% RMSprop tags=["export"] module="optim.rmsprop"
"""RMSprop: a rate for every parameter, from recent gradients."""


def rmsprop_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """One step, divided by the root of the mean square of recent gradients.

    With a "grad_avg" in the state, by their deviation.
    """
    state["step"] += 1
    param, grad, square = real_views(param, grad, state["square_avg"])
    square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    if "grad_avg" in state:
        (mean,) = real_views(state["grad_avg"])
        mean.lerp_(grad, 1 - alpha)
        square = square.addcmul(mean, mean, value=-1)
    scale = root_plus(square, eps)
    if momentum:
        (buffer,) = real_views(state["momentum_buffer"])
        buffer.mul_(momentum).addcdiv_(grad, scale)
        param.add_(buffer, alpha=-lr)
    else:
        param.addcdiv_(grad, scale, value=-lr)


# %%
def steady(*names: str) -> list[float]:
    """The lengths of three steps under a constant gradient."""
    state = {"step": tensor(0.0)}
    state |= {name: torch.zeros(1) for name in ("square_avg", *names)}
    param, moves = torch.zeros(1), []
    for _ in range(3):
        before = param.clone()
        rmsprop_step(param, torch.ones(1), state, lr=1.0, alpha=0.5)
        moves.append((before - param).item())
    return moves


assert all(c > p for p, c in zip(steady(), steady("grad_avg"), strict=True))
steady(), steady("grad_avg")

# %% [markdown]
r"""
RMSprop has no kernel in torch, so it has no option `fused`. Its state depends on
its options.
"""


# %% RMSprop and its options tags=["export"] module="optim.rmsprop"
class RMSprop(Optimizer):
    """Divides each gradient by the root of the mean of recent squares."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        options = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps}
        options |= {"centered": centered, "weight_decay": weight_decay}
        options |= {"capturable": capturable, "foreach": foreach}
        options |= {"maximize": maximize, "differentiable": differentiable}
        super().__init__(params, options)


# %% RMSprop as an optimizer tags=["export"] module="optim.rmsprop" earns="torch.optim.RMSprop"
class RMSprop(RMSprop):
    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "alpha", "eps", "momentum")

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The mean square, and what momentum and centering need."""
        names = ["square_avg"]
        names += ["momentum_buffer"] * (group["momentum"] > 0)
        names += ["grad_avg"] * group["centered"]
        return new_state(param, group, *names)

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `rmsprop_step`, the weight decay as L2."""
        grad = add_l2(grad, param, group["weight_decay"])
        names = "alpha", "eps", "momentum"
        options = {name: group[name] for name in names}
        rmsprop_step(param, grad, state, float(group["lr"]), **options)


# %%
ends = [
    loss_at(walk(RMSprop, lr=0.05, alpha=0.9, **options)[-1])
    for options in ({}, {"momentum": 0.9}, {"centered": True})
]
assert max(ends) < loss_at(START)
ends

# %% [markdown]
r"""
## LAMB: a rate for every layer

A step of Adam has one size in all layers, whatever the size of their weights: it
hardly moves a layer of large weights and may overturn one of small weights. LAMB
{cite:p}`you2020`, made for batches of many thousands and their large learning
rates, makes the step of a layer as long as the rate times the layer's own
weights. In the paper's notation, for the layer $x^{(i)}$ with Adam's direction $r_t = \hat m_t
/ (\sqrt{\hat v_t} + \epsilon)$ and the decay $\lambda$:

$$x^{(i)}_{t+1} = x^{(i)}_t - \eta_t\, \frac{\phi\big(\lVert x^{(i)}_t \rVert\big)}{\lVert r^{(i)}_t + \lambda x^{(i)}_t \rVert}\,\big(r^{(i)}_t + \lambda x^{(i)}_t\big).$$

The fraction is the {term}`trust ratio`. For $\phi$ we take the identity; where
one of the norms is 0, the ratio is 1, or a bias that starts at 0 would never
move.
"""


# %% The trust ratio tags=["export"] module="optim.lamb"
"""LAMB: Adam's direction, at a length that suits the layer."""


def trust_ratio(x: Tensor, update: Tensor) -> Tensor:
    """|x| / |update|, a tensor of shape (); 1 where either norm is 0.

    The squares are summed in float32 at least: in float16 that of 300 is inf.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    norms = [each.to(wide).square().sum().sqrt() for each in (x, update)]
    known = (norms[0] > 0) & (norms[1] > 0)
    return torch.where(known, norms[0] / norms[1], 1.0)


# %%
half = torch.full((4,), 300.0, dtype=torch.float16)
assert_equal(trust_ratio(half, half), tensor(1.0))
trust_ratio(torch.full((4,), 3.0), torch.ones(4))

# %% [markdown]
r"""
The layer is three times as large as the step proposed, so the step may be three
times as long.
"""


# %% LAMB tags=["export"] module="optim.lamb"
def lamb_step(
    x: Tensor,
    g: Tensor,
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
) -> None:
    """One step as long as lr times the layer's weights (You et al., 2020)."""
    state["step"] += 1
    t = state["step"].item()
    beta1, beta2 = betas
    x, g, m, v = real_views(x, g, state["exp_avg"], state["exp_avg_sq"])
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    correction = math.sqrt(1 - beta2**t)
    r = m / root_plus(v, correction * eps) * (correction / (1 - beta1**t))
    update = r.add(x, alpha=weight_decay)
    x.sub_(update * (lr * trust_ratio(x, update)))


# %%
torch.manual_seed(0)
layers = [torch.randn(64, 64) * size for size in (0.01, 0.1, 1.0)]
relative = {}
for name, stepper in {"Adam": adam_step, "LAMB": lamb_step}.items():
    relative[name] = []
    for layer in layers:
        moved, grad = layer.clone(), torch.randn(64, 64)
        state = {"step": tensor(0.0)}
        state |= {k: torch.zeros(64, 64) for k in ("exp_avg", "exp_avg_sq")}
        stepper(moved, grad, state, lr=0.01)
        ratio = (moved - layer).square().mean() / layer.square().mean()
        relative[name].append(ratio.sqrt().item())
assert_close(relative["LAMB"], [0.01] * 3)
assert relative["Adam"][0] > 90 * relative["Adam"][2]
relative

# %% The change of a layer in one step alt="The change of a layer in one step relative to its weights, for layers whose weights have the sizes 0.01, 0.1 and 1. Adam changes the smallest by 100 percent and the largest by 1; LAMB all by 1 percent." tags=["hide-input"]
plt.figure(figsize=(5, 3))
for i, (name, changes) in enumerate(relative.items()):
    plt.loglog([0.01, 0.1, 1.0], changes, "o-", color=f"C{i}", label=name)
plt.minorticks_off()
plt.xlabel("size of the layer's weights")
plt.ylabel("relative change")
plt.legend()
plt.show()


# %% [markdown]
r"""
The class has fewer options than torch's, since torch has no LAMB.
"""


# %% LAMB and its options tags=["export"] module="optim.lamb"
class LAMB(Optimizer):
    """Adam at a length that suits each layer, for very large batches."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        maximize: bool = False,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options)


# %% LAMB as an optimizer tags=["export"] module="optim.lamb"
class LAMB(LAMB):
    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "eps")
        require_betas(group)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """Both running means at zero."""
        return new_state(param, group, "exp_avg", "exp_avg_sq")

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `lamb_step`."""
        names = "betas", "eps", "weight_decay"
        options = {name: group[name] for name in names}
        lamb_step(param, grad, state, float(group["lr"]), **options)


# %%
path = walk(LAMB, lr=0.05, weight_decay=0.0)
lengths = path.diff(dim=0).square().sum(1).sqrt()
assert_close(lengths, 0.05 * path[:-1].square().sum(1).sqrt())
loss_at(path[[0, 10, 30]])

# %% [markdown]
r"""
In the valley every step is 5 % of the distance that is left to zero: as long as
the rate says.
"""

# %% [markdown]
r"""
## Muon: a matrix is not a list of numbers

All these methods look at numbers one by one. But a weight matrix is a map, and
its gradient is a sum of {term}`outer products <outer product>`. Here is the
gradient of the first layer of a network for Fashion-MNIST. How large are its
singular values, the sizes of the directions in which it wants to change the map?
"""


# %%
def pixels(train: bool) -> tuple[Tensor, Tensor]:
    """Images as rows of numbers in [0, 1], and their kinds."""
    images, kinds = fashion_mnist(train=train)
    return images.flatten(1).float() / 255, kinds


def network(seed: int) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(
        Linear(784, 128), ReLU(), Linear(128, 64), ReLU(), Linear(64, 10)
    )


x, y = pixels(train=True)
model = network(seed=0)
cross_entropy(model(x[:128]), y[:128]).backward()
gradient = model[0].weight.grad  # (128, 784)

# %% tags=["reference"]
sizes = torch.linalg.svdvals(gradient)
share = (sizes**2).cumsum(0) / (sizes**2).sum()
share[[0, 3, 9, 127]]

# %% [markdown]
r"""
Nine tenths of its square lie in four of 128 directions. A step along it changes
what the layer does in a handful of directions and neglects the rest. Muon
{cite:p}`jordan2024` keeps the directions and makes all singular values alike:
from $G = U S V^\top$ it takes $U V^\top$. What dividing by $\sqrt{v}$ does for
numbers, this does for directions.

A singular value decomposition in every step would be slow. But an odd
polynomial of a matrix, $aX + b(XX^\top)X + c(XX^\top)^2X$, leaves $U$ and $V$
as they are and applies $p(s) = as + bs^3 + cs^5$ to every singular value. So
take a $p$ that pushes all of $(0, 1]$ towards 1, and apply it five times. This
is a {term}`Newton–Schulz iteration`. Jordan's coefficients do not converge;
they bring everything *near* 1 as fast as can be.
"""

# %%
COEFFICIENTS = 3.4445, -4.7750, 2.0315


def polynomial(s: Tensor) -> Tensor:
    a, b, c = COEFFICIENTS
    return a * s + b * s**3 + c * s**5


s = torch.linspace(0, 1, 161) ** 2  # more of the small ones
rounds = [s]
for _ in range(5):
    rounds.append(polynomial(rounds[-1]))
assert rounds[5][s > 0.01].min() > 0.65 and rounds[5].max() < 1.21
rounds[5][s > 0.01].min(), rounds[5].max()

# %% Where singular values go alt="Where a singular value between 0 and 1 goes in 1, 2 and 5 rounds of the polynomial. After one round small values are 3.4 times as large; after five all but the very smallest lie between 0.7 and 1.2, in ripples." tags=["hide-input"]
plt.figure(figsize=(5, 3))
for n in (1, 2, 5):
    plt.plot(s, rounds[n], label=n)
plt.axhline(1, color="0.5", linewidth=0.5)
plt.xlabel("singular value")
plt.ylabel("after the iteration")
plt.legend(title="rounds")
plt.show()

# %% [markdown]
r"""
The iteration is all products of matrices, so it runs in bfloat16: 8 bits are
enough for something that is only roughly 1, and processors made for it are
fastest there. Each line of it has the form $\beta X + \alpha\, (A B)$, which is
one call, `addmm`: it sums in single precision and rounds once. Our definition
calculates in single precision and rounds where `addmm` rounds. On a processor
without units for bfloat16 it gives the same numbers sooner: there one product
of bfloat16 takes as long as several in single precision, up to a hundred.
"""


# %% A product and a sum, rounded once tags=["export"] module="optim.muon" earns="torch.addmm"
"""Muon: momentum whose matrices are made orthogonal."""


def add_product(
    input: Tensor, mat1: Tensor, mat2: Tensor, beta: float, alpha: float
) -> Tensor:
    """beta input + alpha mat1 mat2: (n, m), (n, k), (k, m) -> (n, m)."""
    wide = torch.promote_types(input.dtype, torch.float32)
    product = mat1.to(wide) @ mat2.to(wide)
    return (beta * input.to(wide) + alpha * product).to(input.dtype)


@cache
def multiplies_bfloat16(kind: str) -> bool:
    """Whether a kind of device has units for products of bfloat16."""
    if kind != "cpu":
        return kind == "cuda"
    known = getattr(torch.cpu, "get_capabilities", dict)  # not in old torch
    return bool(known().get("amx_bf16"))


# %% The Newton–Schulz iteration tags=["export"] module="optim.muon"
def newton_schulz(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> Tensor:
    """U V^T of a matrix U S V^T, roughly: (n, m) -> (n, m) in bfloat16."""
    if matrix.ndim != 2:
        shape = tuple(matrix.shape)
        raise ValueError(f"expected a matrix, got the shape {shape}")
    a, b, c = coefficients
    fast = multiplies_bfloat16(matrix.device.type)
    multiply = torch.addmm if fast else add_product
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(torch.bfloat16)
    x = x.T if tall else x  # so that x x^T is the small product
    x = x / x.float().square().sum().sqrt().to(x.dtype).clamp(min=eps)
    zero = x.new_zeros(len(x), len(x))
    for _ in range(steps):
        gram = multiply(zero, x, x.T, beta=0, alpha=1)
        poly = multiply(gram, gram, gram, beta=b, alpha=c)
        x = multiply(x, poly, x, beta=a, alpha=1)
    return x.T if tall else x


# %% [markdown]
r"""
The gradient of the layer, before and after:
"""

# %% tags=["reference"]
before = sizes / (sizes**2).sum().sqrt()
after = torch.linalg.svdvals(newton_schulz(gradient).float())
strong = before > 0.003
assert 0.65 < after[strong].min() and after.max() < 1.25
strong.sum().item(), after[strong].min(), after[-1]

# %% Singular values before and after alt="The 128 singular values of a layer's gradient, largest first. Before, the first lies at 0.7 and all but the first few near zero; after the iteration more than half of them lie between 0.7 and 1.2, and only the weakest stay near zero." tags=["hide-input"]
plt.figure(figsize=(5, 3))
plt.plot(before, color="C1", label="gradient")
plt.plot(after, color="C0", label="after Newton–Schulz")
plt.xlabel("direction")
plt.ylabel("singular value")
plt.legend()
plt.show()

# %% [markdown]
r"""
All that were above 0.003 are near 1 now. The weakest directions, which five
rounds do not lift, stay weak.

How large shall the step be for a matrix $(n, m)$? Jordan scales it by
$\sqrt{\max(1, n/m)}$. Moonshot's variant {cite:p}`liu2025` takes
$0.2\sqrt{\max(n, m)}$, so that the typical entry of the step is as large as it
usually is with AdamW, and its learning rates can be kept.
"""


# %% A step of Muon tags=["export"] module="optim.muon"
def muon_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    momentum: float = 0.95,
    nesterov: bool = True,
    orthogonal: Callable[[Tensor], Tensor] = newton_schulz,
) -> None:
    """One step along the momentum, made orthogonal: all (n, m)."""
    buffer = state["momentum_buffer"]
    buffer.lerp_(grad, 1 - momentum)
    update = grad.lerp(buffer, momentum) if nesterov else buffer
    param.add_(orthogonal(update), alpha=-lr)


def adjusted_lr(lr: float, shape: Sequence[int], rule: str | None) -> float:
    """The rate for a matrix of this shape, by Jordan's or Moonshot's rule."""
    n, m = shape
    if rule == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(n, m))
    return lr * math.sqrt(max(1, n / m))


# %%
def typical_entry(grad: Tensor, rule: str | None) -> float:
    """Of a step along this gradient, as a share of the rate."""
    param, buffer = torch.zeros_like(grad), torch.zeros_like(grad)
    lr = adjusted_lr(1.0, grad.shape, rule)
    muon_step(param, grad, {"momentum_buffer": buffer}, lr)
    return round(param.square().mean().sqrt().item(), 3)


torch.manual_seed(0)
shapes = (64, 32), (32, 16), (32, 8), (8, 32)
matrices = [torch.randn(shape) for shape in shapes]
jordan = [typical_entry(x, "original") for x in matrices]
moonshot = [typical_entry(x, "match_rms_adamw") for x in matrices]
assert max(moonshot) < 1.2 * min(moonshot) and max(jordan) > 2 * min(jordan)
jordan, moonshot

# %% [markdown]
r"""
Under Jordan's rule the entries depend on the shape of the matrix, under
Moonshot's hardly: they are about a fifth of the rate.
"""


# %% Muon and its options tags=["export"] module="optim.muon"
class Muon(Optimizer):
    """Momentum made orthogonal, for the matrices inside a network."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        options = {"lr": lr, "weight_decay": weight_decay}
        options |= {"momentum": momentum, "nesterov": nesterov}
        options |= {"ns_coefficients": ns_coefficients, "eps": eps}
        options |= {"ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, options)


# %% What Muon refuses tags=["export"] module="optim.muon"
class Muon(Muon):
    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense, and for what is no matrix."""
        super().check(group)
        require_nonnegative(group, "momentum", "eps")
        rule = group["adjust_lr_fn"]
        if rule not in (None, "original", "match_rms_adamw"):
            message = f"Adjust learning rate function {rule} is not supported"
            raise ValueError(message)
        for param in group["params"]:
            if param.ndim != 2:
                raise ValueError(
                    "Muon only supports 2D parameters whereas we found a "
                    f"parameter with size: {tuple(param.shape)}"
                )


# %%
try:
    Muon([START])
except ValueError as error:
    said = str(error)
said

# %% [markdown]
r"""
What is left is the step.
"""


# %% Muon as an optimizer tags=["export"] module="optim.muon" earns="torch.optim.Muon"
class Muon(Muon):
    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The momentum at zero."""
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": torch.zeros_like(param)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Decay, then one step of `muon_step`."""
        lr = float(group["lr"])
        names = "ns_coefficients", "ns_steps", "eps"
        options = [group[name] for name in names]
        param.mul_(1 - lr * group["weight_decay"])
        muon_step(
            param,
            grad,
            state,
            adjusted_lr(lr, param.shape, group["adjust_lr_fn"]),
            group["momentum"],
            group["nesterov"],
            lambda update: newton_schulz(update, *options),
        )


# %%
weight = torch.zeros(64, 32)
weight.grad = matrices[0]
Muon([weight], lr=0.1).step()
entry = weight.square().mean().sqrt() / 0.1
assert_close(entry, tensor(jordan[0]), atol=1e-3)
entry

# %% [markdown]
r"""
Biases, embeddings and the last layer are left to AdamW, as Muon's author
advises. `CombinedOptimizer` makes one of the two, so that a training loop, a
schedule or a checkpoint sees one optimiser.
"""


# %%
def muon_and_adamw(params: Iterable[Tensor], lr: float) -> CombinedOptimizer:
    """Muon for the hidden matrices, AdamW for the rest."""
    *hidden, weight, bias = params
    biases = [p for p in hidden if p.ndim == 1]
    matrices = [p for p in hidden if p.ndim == 2]
    return CombinedOptimizer(Muon(matrices, lr), AdamW([*biases, weight, bias]))


both = muon_and_adamw(model.parameters(), lr=0.02)
both.step()
[sorted(held) for held in both.state.values()]

# %% [markdown]
r"""
## The real ones

Torch ships its own list of configurations that its optimisers are tested with.
`tests/optim/` runs all of them beside ours: values, state, and state dicts
handed over in mid-course, both ways. Here is one:
"""

# %% tags=["reference"]
torch.manual_seed(0)
pair = [torch.randn(20, 30).requires_grad_() for _ in range(2)]
pair[1].data.copy_(pair[0])
ours, theirs = AdamW([pair[0]], lr=0.1), torch.optim.AdamW([pair[1]], lr=0.1)
for step in range(10):
    for param, optimizer in zip(pair, (ours, theirs), strict=True):
        optimizer.zero_grad()
        (param**4).sum().backward()
        optimizer.step()
    if step == 4:  # each goes on from where the other was
        ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
        theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
assert_close(pair[0].detach(), pair[1].detach())

# %% [markdown]
r"""
What they do not share is a class: torch's own schedulers ask for torch's
`Optimizer` and refuse ours at once ("SGD is not an Optimizer"). They are built
anew in {doc}`/3_training/9_schedulers`, and take both.

## The time of a step

Count how often the memory is read or written for each number. Every operation
of the readable steps reads its operands and writes its result; a kernel reads
and writes each tensor once.
"""

# %%
passes = {  # operations of two and of three tensors, as torch's default does it
    "SGD, momentum": ({2: 1, 3: 2}, 5),
    "SGD, Nesterov": ({2: 1, 3: 3}, 5),
    "SGD, momentum and decay": ({2: 1, 3: 3}, 5),
    "Adam": ({2: 3, 3: 4}, 7),
}
bound = {
    name: kernel / sum(size * count for size, count in operations.items())
    for name, (operations, kernel) in passes.items()
}
{name: round(share, 2) for name, share in bound.items()}

# %% [markdown]
r"""
So if the memory is what one waits for, that is the share of torch's time that a
kernel takes. With momentum alone it can be no less than five passes of eight:
parameter, buffer and gradient are read, and two of them written. Now the clock,
on the parameters of a ResNet-18: ours over torch's default, in turns, on one
core. `nox -s bench` measures with more care.
"""


# %% The shapes of a ResNet-18 tags=["hide-input"]
def resnet18_shapes() -> list[tuple[int, ...]]:
    """The shapes of a ResNet-18's parameters, stage by stage."""
    shapes = [(64, 3, 7, 7), (64,), (64,)]
    for d_in, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
        shapes += [(width, d_in, 3, 3), *3 * [(width, width, 3, 3)]]
        shapes += (8 + 2 * (d_in != width)) * [(width,)]
        shapes += (d_in != width) * [(width, d_in, 1, 1)]
    return [*shapes, (1000, 512), (1000,)]


numbers = [math.prod(shape) for shape in resnet18_shapes()]
len(numbers), sum(numbers)


# %% The time of a step tags=["hide-input", "reference"]
def stepper_of(kind: type, **options: Any) -> Callable:
    """The `step` of an optimizer on a ResNet-18's parameters."""
    params = [torch.randn(s).requires_grad_() for s in resnet18_shapes()]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizer = kind(params, lr=1e-3, **options)
    for _ in range(2):
        optimizer.step()
    return optimizer.step


# %% The times, in turns tags=["hide-input", "reference"]
heavy = {"momentum": 0.9}
cases = {
    "SGD": (SGD, torch.optim.SGD, {}),
    "SGD, momentum": (SGD, torch.optim.SGD, heavy),
    "SGD, Nesterov": (SGD, torch.optim.SGD, heavy | {"nesterov": True}),
    "SGD, momentum and decay": (
        SGD,
        torch.optim.SGD,
        heavy | {"weight_decay": 1e-4},
    ),
    "Adam": (Adam, torch.optim.Adam, {}),
}
torch.set_num_threads(1)
speed, seconds = {}, {}
for name, (mine, real, options) in cases.items():
    steps = stepper_of(mine, **options), stepper_of(real, **options)
    clock = partial(timeit, number=1, timer=process_time)
    turns = [[clock(step) for step in steps] for _ in range(9)]
    seconds[name] = [min(each) for each in zip(*turns, strict=True)]
    speed[name] = round(seconds[name][0] / seconds[name][1], 2)
speed

# %% [markdown]
r"""
And a profile. The step of plain SGD is three passes, and nothing but memory. How
many such passes are the others worth, ours and torch's?
"""

# %% tags=["hide-input"]
one_pass = seconds["SGD"][0] / 3
{
    name: tuple(round(each / one_pass, 1) for each in both)
    for name, both in seconds.items()
}

# %%
assert max(speed["SGD, Nesterov"], speed["Adam"]) < 0.8  # on a busy machine
assert 3 < seconds["SGD, momentum"][0] / one_pass < 7.5

# %% [markdown]
r"""
Both are where the count says, or a little below, where a processor's cache saves
a reading. So with momentum alone there is nothing left to win: the kernel makes
the passes that it has to make, torch's default makes eight quick ones, and the
share stays near 5/8. Nesterov's form and weight decay cost torch further passes,
and the kernel none.

## What it is worth

On Fashion-MNIST: a network of two hidden layers, one epoch of 50,000 images,
full batches of 128, the learning rate falling in a straight line to zero. Each
method is tried at four or five rates, a factor of about three apart; the one
that is best on 10,000 held-out images counts, and the score is taken on the test
images. Muon steps the two hidden matrices, with AdamW beside it for the last
layer and the biases. What a result hangs on is tried as well: a constant rate,
and batches of 512, which leave a quarter of the steps.
"""

# %% [markdown]
r"""
AdamW decays weights by 0.01 times the rate. How much is that in the whole epoch,
at a rate of 0.01?
"""

# %%
steps = 50_000 // 128
1 - math.prod(1 - 0.01 * 0.01 * (1 - i / steps) for i in range(steps))

# %% [markdown]
r"""
Two per cent of a weight.
"""

# %% The methods and their rates
HEAVY = {"momentum": 0.9}
CANDIDATES = {
    "SGD": (SGD, (1.0, 0.3, 0.1, 0.03)),
    "momentum": (partial(SGD, **HEAVY), (1.0, 0.3, 0.1, 0.03, 0.01)),
    "Nesterov": (
        partial(SGD, **HEAVY, nesterov=True),
        (1.0, 0.3, 0.1, 0.03, 0.01),
    ),
    "RMSprop": (RMSprop, (0.03, 0.01, 0.003, 0.001, 0.0003)),
    "Adam": (Adam, (0.03, 0.01, 0.003, 0.001)),
    "AdamW": (AdamW, (0.03, 0.01, 0.003, 0.001)),
    "Adagrad": (Adagrad, (0.3, 0.1, 0.03, 0.01, 0.003)),
    "LAMB": (LAMB, (0.1, 0.03, 0.01, 0.003)),
    "Muon": (muon_and_adamw, (0.3, 0.1, 0.03, 0.01)),
}
SETUPS = {
    "": (128, True, list(CANDIDATES)),
    ", constant rate": (128, False, list(CANDIDATES)[:6]),
    ", batches of 512": (512, True, list(CANDIDATES)),
}
PAIRS = (
    ("momentum", "SGD"),
    ("Nesterov", "momentum"),
    ("RMSprop", "momentum"),
    ("Adam", "momentum"),
    ("AdamW", "Adam"),
    ("Adagrad", "RMSprop"),
    ("LAMB", "AdamW"),
    ("Muon", "AdamW"),
)


# %% Training, and scoring
TRAIN, TEST = pixels(train=True), pixels(train=False)


def trained(
    kind: Callable, lr: float, seed: int, batch_size: int, falling: bool
) -> Sequential:
    """A network after one epoch of full batches."""
    model, options = network(seed), {"shuffle": True, "drop_last": True}
    optimizer = kind(model.parameters(), lr=lr)
    rows = [each[:50_000] for each in TRAIN]
    loader = TensorLoader(*rows, batch_size=batch_size, **options)
    for i, (input, target) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - i / len(loader)) if falling else lr
        cross_entropy(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def scores(model: Sequential) -> tuple[float, float]:
    """Accuracy on the held-out and on the test images."""
    held_out = [each[50_000:] for each in TRAIN]
    return tuple(
        (model(x).argmax(1) == y).float().mean().item()
        for x, y in (held_out, TEST)
    )


# %% Nine methods, each at its best rate tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Test accuracy after one epoch, paired differences, rates at an end."""
    torch.set_num_threads(1)
    results, differences, ends = {}, {}, 0
    for setup, (batch_size, falling, names) in SETUPS.items():
        found = {}
        for name in names:
            kind, rates = CANDIDATES[name]
            tried = []
            for lr in rates:
                model = trained(kind, lr, seed, batch_size, falling)
                tried.append((*scores(model), lr))
            _, found[name], lr = max(tried)
            ends += lr in (rates[0], rates[-1])
        results |= {name + setup: found[name] for name in found if not setup}
        for one, other in PAIRS:
            if one in found:
                gap = found[one] - found[other]
                differences[f"{one} - {other}{setup}"] = gap
        if falling:
            assert found["Muon"] > found["AdamW"] > found["SGD"]
    for pair in ("momentum - SGD", "Muon - AdamW"):  # more, with fewer steps
        assert differences[f"{pair}, batches of 512"] > differences[pair] > 0
    return results | differences | {"best rates at an end of a list": ends}


# %% [markdown]
r"""
In one epoch plain descent reaches {record}`worth.SGD:.1%`, with momentum
{record}`worth.momentum:.1%`, Adam {record}`worth.Adam:.1%`, and Muon
{record}`worth.Muon:.1%`.

* **Momentum** is worth {record}`worth.momentum - SGD:.1%`, and
  {record}`worth.momentum - SGD, batches of 512:.1%` with a quarter of the steps.
* **Nesterov's** form gains {record}`worth.Nesterov - momentum:.1%` on it; with
  the large batches the difference is
  {record}`worth.Nesterov - momentum, batches of 512:.1%`. Both hold on every
  seed, so the order is one of the set-up.
* **RMSprop**, a rate for every parameter without momentum, differs from momentum
  by {record}`worth.RMSprop - momentum:.1%`. At a constant rate it is
  {record}`worth.RMSprop - momentum, constant rate:.1%`: which of the two is
  better is a question of the schedule, and a comparison at constant rates would
  have told half of it.
* **Adam**, which is both, differs from momentum by
  {record}`worth.Adam - momentum:.1%`, with the large batches by
  {record}`worth.Adam - momentum, batches of 512:.1%`.
* **AdamW** and Adam differ by {record}`worth.AdamW - Adam:.2%`, now one ahead,
  now the other. The decay hardly acts in so short a time, so this set-up cannot
  show what it is worth.
* **Adagrad** against RMSprop: {record}`worth.Adagrad - RMSprop:.1%`. **LAMB**
  against AdamW: {record}`worth.LAMB - AdamW:.1%`; it is made for batches of many
  thousands, and there are none here.
* **Muon** gains {record}`worth.Muon - AdamW:.1%` on AdamW, and
  {record}`worth.Muon - AdamW, batches of 512:.1%` with a quarter of the steps. A
  step of it takes longer, the more so the smaller the batch.

Plain descent, momentum, Adam and Muon keep their order wherever all of them were
tried. The gaps grow where there are fewer steps: one epoch measures who starts
fastest, and not who ends best. Of the two dozen best rates of a seed
{record}`worth.best rates at an end of a list:.1f` lie at an end of their list,
where a better one may lie beyond.

## What we built

* `Adagrad` (`optim.adagrad`), `RMSprop` (`optim.rmsprop`), `LAMB`
  (`optim.lamb`) and `Muon` (`optim.muon`), each beside the function that is its
  step: `adagrad_step`, `rmsprop_step`, `lamb_step`, `muon_step`.
* `newton_schulz` (`optim.muon`): a matrix with its singular values near 1, by
  products alone.

## Questions

:::{dropdown} Why do Adagrad's steps get shorter although the gradients do not?
It divides by the root of a sum that only grows. Under gradients of one size the
sum is proportional to the number of steps.
:::

:::{dropdown} What does LAMB's trust ratio do with a bias that starts at zero?
The norm of the weights is 0, and so would be every step. So the ratio counts as
1 where one of the norms is 0.
:::

:::{dropdown} Why does Muon leave the last layer and the biases to another optimiser?
A bias is no matrix, so there are no directions to make alike. Of the last layer
and of embeddings its author reports that AdamW does better: their rows belong to
single classes or words.
:::

:::{dropdown} Why can SGD with momentum not be made twice as fast as torch's default?
Both wait for the memory. Torch's three operations are eight passes over it, and
no step can do with less than five: three tensors are read and two are written.
:::

:::{dropdown} Why is the best rate chosen on other images than those that are scored?
The best of several scores is too good on average, since luck has been chosen as
well, and more so for a method that was tried at more rates.
:::

## Exercises

**1.** Orthogonalise a matrix by the SVD of torch and compare the directions
with `newton_schulz`: how large is the largest entry of $U^\top X V$ off the
diagonal?
"""

# %% tags=["solution", "reference"]
torch.manual_seed(0)
few = torch.randn(64, 3) @ torch.randn(3, 32) + 0.1 * torch.randn(64, 32)
u, _, v = torch.linalg.svd(few, full_matrices=False)
found = u.T @ newton_schulz(few).float() @ v.T
off = found - found.diagonal().diag()
assert off.abs().max() < 0.1 < found.diagonal().min()

# %% [markdown]
r"""
**2.** A polynomial that converges: $p(s) = (15 s - 10 s^3 + 3 s^5)/8$ goes to 1
exactly. How many rounds does it need to bring 0.01 above 0.65, and how many do
Jordan's coefficients need?
"""


# %% tags=["solution"]
def rounds_to(a: float, b: float, c: float) -> int:
    s, n = 0.01, 0
    while s < 0.65:
        s, n = a * s + b * s**3 + c * s**5, n + 1
    return n


exact = rounds_to(15 / 8, -10 / 8, 3 / 8)
assert_equal((exact, rounds_to(*COEFFICIENTS)), (7, 4))

# %% [markdown]
r"""
**3.** Two layers, one with weights a hundred times as large as the other's, get
gradients of one size. By what factor do SGD, Adam and LAMB change each,
relative to its weights? Predict first.
"""

# %% tags=["solution"]
torch.manual_seed(0)
changes = {}
for kind in (SGD, Adam, LAMB):
    layers = [torch.randn(32, 32) * size for size in (0.01, 1.0)]
    before = [layer.clone() for layer in layers]
    for layer in layers:
        layer.grad = torch.randn(32, 32)
    kind(layers, lr=0.01, weight_decay=0.0).step()
    changes[kind.__name__] = [
        ((new - old).square().sum() / old.square().sum()).sqrt().item()
        for new, old in zip(layers, before, strict=True)
    ]
for name in ("SGD", "Adam"):  # alike in size, so a hundredfold in share
    assert_close(changes[name][0] / changes[name][1], 100.0, rtol=0.1)
assert_close(changes["LAMB"], [0.01, 0.01])

# %% [markdown]
r"""
A rate that falls in a straight line was good enough here. All the ways in which
torch lets it rise and fall are the next chapter,
{doc}`/3_training/9_schedulers`.
"""
