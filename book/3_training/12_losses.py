# %% [markdown] module="nn.loss" starred=true
r"""
# More losses

This chapter finishes what `cross_entropy` of {doc}`/3_training/1_loss` began:
the losses of two classes and of quantities, and all of them as modules. You may
go on without it.

Ten classes are one case. **What does a loss look like for a yes or no, for a
quantity, for classes of which one is rare?**

| name | shape | meaning |
| --- | --- | --- |
| logit | any | one score, whose sigmoid is the probability of *yes* |
| error | any | prediction minus target, of one shape |
"""

# %% Imports tags=["hide-input"]
import math
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.probability import log_softmax, softmax
from groundup.nn.functional.reduction import (
    class_axis,
    reduce_losses,
    reduction_of,
)
from groundup.nn.module import Module
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## Two classes, and none

With two classes only the difference of the scores matters, so one may be fixed
at 0: the other, $x$, is a *logit*. The probability of the second class is the
sigmoid $1 / (1 + e^{-x})$, and its logarithm needs the same care: $e^{1000}$
must not appear.
"""


# %% The logarithm of the sigmoid tags=["export"] module="nn.functional.binary" earns="torch.nn.functional.logsigmoid"
"""A question of yes or no: its probability, and how badly it is answered."""


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input))), whatever the shape and size."""
    smaller = input / 2 - input.abs() / 2  # min(input, 0), slope 1/2 at 0
    return smaller - (-input.abs()).exp().log1p()


# %%
two = torch.tensor([[0.0, 1.5], [0.0, -1000.0], [0.0, 1000.0]])
assert_close(logsigmoid(two[:, 1]), log_softmax(two, 1)[:, 1])
logsigmoid(two[:, 1])

# %% [markdown]
r"""
Binary cross-entropy is cross-entropy with the target's two probabilities $t$
and $1 - t$. It is used for one question with two answers, and for many such
questions at once, where a picture may show a cat *and* a dog. `pos_weight` is
the class weight of *yes*. Since $\ln(1 - p) = \ln p - x$, one logarithm does
for both.

Score and target have one shape here. Torch broadcasts a column against a row
with a warning; {doc}`/2_backward/3_backward` has shown what comes of it. So we
refuse, and the losses of the next section will, too.
"""


# %% Shapes must agree tags=["export", "internal"] module="nn.functional.shapes"
"""Input and target of one shape."""


def check_shapes(input: Tensor, target: Tensor) -> None:
    """Raise unless both have one shape: nothing is broadcast."""
    if input.shape != target.shape:
        shapes = f"{(*input.shape,)} and target {(*target.shape,)}"
        raise ValueError(f"expected one shape, got input {shapes}")


# %% Binary cross-entropy tags=["export"] module="nn.functional.binary" earns="torch.nn.functional.binary_cross_entropy_with_logits"
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of yes or no, from one score each: any shape -> ()."""
    check_shapes(input, target)
    log_p = F.logsigmoid(input)
    if pos_weight is not None:
        log_p = log_p * (1 + (pos_weight - 1) * target)
    losses = (1 - target) * input - log_p
    losses = losses if weight is None else losses * weight
    return reduce_losses(losses, reduction_of(size_average, reduce, reduction))


# %%
logits, answers = two[:, 1], torch.tensor([1, 0, 1])
assert_close(
    binary_cross_entropy_with_logits(logits, answers.float()),
    cross_entropy(two, answers),
)

# %% [markdown]
r"""
Where the target is a quantity there are no classes at all. The mean squared
error grows with the square, so that one outlier can outweigh a hundred good
points; the mean absolute error does not, but its slope is ±1 right up to the
minimum, so a descent never settles. The *smooth L1* is a parabola within
$\pm\beta$ and straight lines outside: the best of both.

Torch's two simple ones take weights as well, one for each element. They are
checked like the target.
"""


# %% Errors tags=["export"] module="nn.functional.regression"
"""Losses of quantities: squared and absolute errors, and between the two."""


def _errors(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """The differences, where all shapes agree: (...), (...) -> (...)."""
    check_shapes(input, target)
    if weight is not None:
        check_shapes(input, weight)
    return input - target


# %% Squared errors tags=["export"] module="nn.functional.regression"
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Squared differences, (...), (...) -> () or (...)."""
    losses = _errors(input, target, weight) ** 2
    losses = losses if weight is None else losses * weight
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weight)


# %% Absolute errors tags=["export"] module="nn.functional.regression"
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Absolute differences, (...), (...) -> () or (...)."""
    losses = _errors(input, target, weight).abs()
    losses = losses if weight is None else losses * weight
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weight)


# %% [markdown]
r"""
A hundred points that are off by 0.1, and one that is off by 10. Which share of
the loss is the outlier's?
"""

# %%
off = torch.tensor([0.1] * 100 + [10.0])
shares = {}
for loss in (mse_loss, l1_loss):
    each = loss(off, torch.zeros(101), reduction="none")
    shares[loss.__name__] = round((each[-1] / each.sum()).item(), 2)
assert_equal(shares, {"mse_loss": 0.99, "l1_loss": 0.5})
shares

# %% [markdown]
r"""
### A smooth corner

Written as a choice between two branches, smooth L1 takes many walks through
memory, and its backward pass more. One formula does for both: with $c$ the
error $e$ clipped at $\pm\beta$, the loss is $c\,(e - c/2)/\beta$. Within the
bounds no other $c$ makes that larger, so a small change of $c$ changes nothing,
and the slope is $c/\beta$. Autograd cannot know that; so we write the gradient
down, as in {doc}`/2_backward/5_autograd`.
"""


# %% An error, clipped tags=["export"] module="nn.functional.regression"
class _SmoothL1(torch.autograd.Function):
    """Squared within `beta`, absolute beyond: (...) -> (...)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(errors: Tensor, beta: float) -> Tensor:
        clipped = errors.clamp(-beta, beta)
        return clipped * (errors - clipped / 2) / beta

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        errors, ctx.beta = inputs
        ctx.save_for_backward(errors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (errors,) = ctx.saved_tensors
        return grad * errors.clamp(-ctx.beta, ctx.beta) / ctx.beta, None


# %% Smooth L1 tags=["export"] module="nn.functional.regression" earns="torch.nn.functional.smooth_l1_loss"
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared within `beta`, absolute beyond: (...), (...) -> () or (...)."""
    if beta < 0:
        raise ValueError(f"beta is not negative, got {beta}")
    reduction = reduction_of(size_average, reduce, reduction)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    check_shapes(input, target)
    return reduce_losses(_SmoothL1.apply(input - target, beta), reduction)


# %% alt="Three losses against the error. The squared one is a parabola that leaves the picture; the absolute one has a corner at 0; the smooth one is round at 0 and runs parallel to the absolute one outside." tags=["hide-input"]
plt.figure(figsize=(5, 3))
errors = torch.linspace(-3, 3, 201)
shapes = {"squared": mse_loss, "absolute": l1_loss, "smooth L1": smooth_l1_loss}
for i, (name, loss) in enumerate(shapes.items()):
    values = loss(errors, torch.zeros(201), reduction="none")
    plt.plot(errors, values, color=f"C{i}", label=name)
plt.ylim(0, 4)
plt.xlabel("error")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown]
r"""
## Losses that hold settings

Whoever trains sets the weights of the classes once, not at every call. A loss
as a module holds its settings, and class weights are buffers: they move with
the module to its device. The definitions above take several kernels where
torch's have one; the ledger shows the ratios. The modules call torch's, which
are earned now. What all of them hold is how they reduce.
"""


# %% What every loss holds tags=["export"]
"""Losses as modules, which hold their settings."""


class _Loss(Module):
    """What every loss holds: how it is reduced."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        self.reduction = reduction_of(size_average, reduce, reduction)


# %% The squared error as a module tags=["export"] earns="torch.nn.MSELoss"
class MSELoss(_Loss):
    """The mean squared error, as a module."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        return F.mse_loss(input, target, reduction=self.reduction)


# %% The absolute error as a module tags=["export"] earns="torch.nn.L1Loss"
class L1Loss(_Loss):
    """The mean absolute error, as a module."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        return F.l1_loss(input, target, reduction=self.reduction)


# %% [markdown]
r"""
A module is made once and called like the function:
"""

# %%
wrong_by = torch.tensor([0.5, -2.0])
MSELoss()(wrong_by, torch.zeros(2)), L1Loss("sum")(wrong_by, torch.zeros(2))

# %% [markdown]
r"""
Others hold a number, or weights.
"""


# %% Smooth L1 as a module tags=["export"] earns="torch.nn.SmoothL1Loss"
class SmoothL1Loss(_Loss):
    """Squared within `beta`, absolute beyond, as a module."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        options = {"reduction": self.reduction, "beta": self.beta}
        return F.smooth_l1_loss(input, target, **options)


# %% Binary cross-entropy as a module tags=["export"] earns="torch.nn.BCEWithLogitsLoss"
class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy from scores, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        options = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, **options
        )


# %%
doubled = BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))
hits, misses = torch.ones(1), torch.zeros(1)
doubled(hits * 0, hits) / doubled(hits * 0, misses), doubled.state_dict()

# %% [markdown]
r"""
The first number says what `pos_weight` does: a score of 0, which leans to
neither side, costs twice as much where the answer is *yes*.

The losses of classes come last. `NLLLoss` takes logarithms of probabilities,
`CrossEntropyLoss` scores. They share the weights and the label to ignore, and
neither is a kind of the other.
"""


# %% Negative log-likelihood as a module tags=["export"] earns="torch.nn.NLLLoss"
class NLLLoss(_Loss):
    """Negative log-likelihood of log-probabilities, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(n, k, ...), (n, ...) -> ()."""
        class_axis(input, target)
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


# %% Cross-entropy as a module tags=["export"] earns="torch.nn.CrossEntropyLoss"
class CrossEntropyLoss(_Loss):
    """Cross-entropy of scores, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(n, k, ...), (n, ...) or probabilities -> ()."""
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


# %%
weight = torch.linspace(0.5, 2, 10, dtype=torch.float64)
x, y = torch.randn(4, 10, dtype=torch.float64), torch.tensor([3, 7, 0, 3])
of_scores, of_log_p = CrossEntropyLoss(weight), NLLLoss(weight)
assert_close(of_scores(x, y), of_log_p(log_softmax(x, 1), y))
of_scores(x, y)

# %% [markdown]
r"""
## What class weights do

Nine hundred healthy, a hundred ill, one measurement that overlaps. Fitted as
they are, the probability of *ill* passes a half only far to the right: guessing
*healthy* is cheap. A weight of 9 on the rare class makes both classes cost the
same in total, and moves the boundary to where they are equally likely *per
class*.
"""

# %%
torch.manual_seed(0)
value = torch.cat([torch.randn(900), torch.randn(100) + 2])
ill = torch.tensor([0] * 900 + [1] * 100)


def boundary(weight: Tensor | None) -> tuple[Tensor, float]:
    """A line's two numbers, and where its probability is a half."""
    line = torch.zeros(2, requires_grad=True)
    for _ in range(200):
        score = line[0] * value + line[1]
        both = torch.stack([torch.zeros_like(score), score], 1)
        cross_entropy(both, ill, weight).backward()
        line.data -= 2 * line.grad
        line.grad = None
    return line.detach(), (-line[1] / line[0]).item()


plain, plain_at = boundary(None)
weighted, weighted_at = boundary(torch.tensor([1.0, 9.0]))
plain_at, weighted_at

# %% alt="Histograms of a common and a rare class that overlap, and two rising curves, the fitted probability of the rare one. With weights the curve crosses a half near 1, midway between the classes; without, near 2." tags=["hide-input"]
plt.figure(figsize=(5, 3.4))
grid = torch.linspace(-3, 5, 200)
bins = torch.linspace(-3, 5, 33).tolist()
plt.hist(value[ill == 0].tolist(), bins, color="0.5", alpha=0.4, density=True)
plt.hist(value[ill == 1].tolist(), bins, color="C2", alpha=0.4, density=True)
for i, (name, line) in enumerate(
    {"plain": plain, "weighted": weighted}.items()
):
    score = line[0] * grid + line[1]
    both = torch.stack([torch.zeros_like(score), score], 1)
    plt.plot(grid, softmax(both, 1)[:, 1], color=f"C{i}", label=name)
plt.xlabel("measurement")
plt.ylabel("density, probability of ill")
plt.legend()
plt.show()

# %%
assert abs(weighted_at - 1) < 0.2 and plain_at > weighted_at + 0.6
raised = ((weighted - plain) @ torch.tensor([1.5, 1.0])).item()
assert_close(raised, math.log(9), rtol=0.05)
raised, math.log(9)

# %% [markdown]
r"""
The weights buy the rare class's recall with false alarms. They do not improve
the model: between the two boundaries the score of everybody, ill or not, is
raised by about $\ln 9$.

## What we built

* `logsigmoid`, `binary_cross_entropy_with_logits` (`nn.functional.binary`).
* `mse_loss`, `l1_loss`, `smooth_l1_loss` (`nn.functional.regression`).
* `CrossEntropyLoss`, `NLLLoss`, `BCEWithLogitsLoss`, `MSELoss`, `L1Loss`,
  `SmoothL1Loss` (`nn.loss`): the same as modules.

## Questions

:::{dropdown} Why does binary cross-entropy take scores and not probabilities?
A probability of a sure and wrong answer is 0 in any float, and its logarithm
infinite. The score still tells how wrong it is.
:::

:::{dropdown} Why is a column against a row refused where torch broadcasts?
Every prediction would be compared with every target, and the loss would be a
number that means nothing.
:::

:::{dropdown} Which errors does smooth L1 treat as the squared error, and which as the absolute one?
Those within `beta` as the square, so that a descent settles; those beyond as the
absolute value, so that outliers do not rule.
:::

:::{dropdown} What do class weights change, and what not?
Where the boundary lies. Not how well the classes can be told apart.
:::

## Exercises

**1.** Show that a network trained with two outputs and cross-entropy, and one
trained with the difference of these outputs and binary cross-entropy, get the
same gradient for the difference.
"""

# %% tags=["solution"]
scores = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
yes = torch.tensor([0, 1, 1, 0, 1, 0])
cross_entropy(scores, yes).backward()
lead = (scores[:, 1] - scores[:, 0]).detach().requires_grad_()
binary_cross_entropy_with_logits(lead, yes.double()).backward()
assert_close(scores.grad[:, 1], lead.grad)
assert_close(scores.grad[:, 0], -lead.grad)

# %% [markdown]
r"""
**2.** Which constant minimises the mean squared error over some numbers, which
the mean absolute error? Check it on numbers with an outlier.
"""

# %% tags=["solution"]
numbers = torch.tensor([1.0, 2.0, 3.0, 4.0, 90.0])
candidates = torch.linspace(0, 100, 1001)
for loss, best in ((mse_loss, numbers.mean()), (l1_loss, numbers.median())):
    costs = torch.stack([loss(c.expand(5), numbers) for c in candidates])
    assert_close(candidates[costs.argmin()], best, atol=0.05)

# %% [markdown]
r"""
**3.** `pos_weight` of 9, or nine copies of each *yes*: is it the same loss?
"""

# %% tags=["solution"]
logits, answers = torch.randn(20), (torch.arange(20) < 4).float()
nine = torch.where(answers == 1, 9, 1)
copied = [each.repeat_interleave(nine) for each in (logits, answers)]
weighted = BCEWithLogitsLoss(reduction="sum", pos_weight=torch.tensor(9.0))
assert_close(
    weighted(logits, answers), BCEWithLogitsLoss(reduction="sum")(*copied)
)

# %% [markdown]
r"""
Those are the losses. What follows needs cross-entropy and, once, the squared
error.
"""
