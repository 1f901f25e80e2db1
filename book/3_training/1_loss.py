# %% [markdown] module="nn.functional.loss"
r"""
# Cross-entropy and the loop

A network for ten digits gives ten scores. Training needs one number. **Which
number should it be, what does its gradient look like, and does the choice
matter?**

In {doc}`/2_backward/6_linear` the answer, {term}`cross-entropy`, was on loan.
This chapter builds it from the scores up, with the ways to weight, smooth and
ignore that real data ask for. Then it writes the training loop out by hand, one
last time, and measures what cross-entropy is worth. The other losses that a
user expects are in the starred chapter {doc}`/3_training/12_losses`.

| name | shape | meaning |
| --- | --- | --- |
| `scores` | `(n, k)` | the network's output for $n$ examples and $k$ classes; also *logits* |
| `labels` | `(n,)` | the true class of each example, an integer |
| `p` | `(n, k)` | probabilities: positive, and each row sums to 1 |
"""

# %% Imports tags=["hide-input"]
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.datasets import mnist
from groundup.manual.gradients import numerical_gradient
from groundup.scores import accuracy
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.testing import assert_close

# %% [markdown]
r"""
## From scores to probabilities

Scores can be any numbers. Probabilities are positive and sum to 1. The
exponential makes numbers positive and keeps their order; a division makes them
sum to 1. Together they are the {term}`softmax`:

$$p_j = \frac{e^{x_j}}{\sum_i e^{x_i}}.$$
"""


# %%
def softmax(input: Tensor, dim: int) -> Tensor:
    powers = input.exp()
    return powers / powers.sum(dim, keepdim=True)


scores = torch.tensor([[2.0, 1.0, -1.0], [0.0, 0.0, 5.0]])
softmax(scores, 1)

# %%
assert_close(softmax(scores, 1).sum(1), torch.ones(2))
assert_close(softmax(scores + 3, 1), softmax(scores, 1))

# %% [markdown]
r"""
The second check is worth a thought. Adding 3 to every score multiplies every
power by $e^3$, and the division takes it out again. Only *differences* of
scores matter: a lead of 1 is always a factor of $e$ in probability.

## Too large to write down

Now the same differences, higher up.
"""

# %%
high = torch.tensor([[102.0, 101.0, 99.0]])
softmax(high, 1)

# %% [markdown]
r"""
The largest float32 is about $3.4 \cdot 10^{38}$, which is $e^{88.7}$. Above
that `exp` gives infinity, and infinity by infinity is no number. One NaN in a
loss makes every weight NaN in the next step.

But the answer is known: it is that of 2, 1, −1. So use the freedom just found,
and subtract the row's largest score first. The largest power is then $e^0 = 1$,
and nothing can overflow. What underflows to 0 was too small to count.
"""


# %% Softmax tags=["export"] module="nn.functional.probability" earns="torch.softmax torch.nn.functional.softmax"
"""From scores to probabilities and their logarithms, without overflow."""


def _top(input: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The largest elements along `dim`, which stays; a constant."""
    largest = input.amax if input.numel() else input.sum
    return largest(dim, keepdim=True).detach()


def softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Probabilities along `dim` from scores of any shape."""
    input = input if dtype is None else input.to(dtype)
    powers = (input - _top(input, dim)).exp()
    return powers / powers.sum(dim, keepdim=True)


# %%
assert_close(softmax(high, 1), softmax(scores[:1], 1))
softmax(high, 1)

# %% [markdown]
r"""
The shift is `detach`ed: the result does not depend on it, so no gradient has to
go through it.

## How wrong is it?

A model that gave the true class the probability 1 would be perfect. Over
independent examples the probabilities of all the true classes multiply, and the
larger the product, the better the model explains the data. A product of 50,000
numbers below 1 is 0 in any float, so take its logarithm, which is a sum; the
mean, so that the size of the data does not matter; and a minus, so that less is
better. This is the mean {term}`negative log-likelihood`.

The true class's probability is picked by indexing with two lists: for row $i$,
column `labels[i]`.
"""

# %%
labels = torch.tensor([0, 1])
p = softmax(scores, 1)
picked = p[torch.arange(2), labels]
picked, -picked.log(), -picked.log().mean()

# %% [markdown]
r"""
The first row was right and costs 0.35; the second was sure of the wrong class
and costs 5. Guessing among $k$ classes costs $\ln k$: the number to compare a
first batch's loss with.
"""

# %%
math.log(10)

# %% [markdown]
r"""
## Log of a sum of exponentials

Surer still, and it breaks.
"""

# %%
sure = torch.tensor([[0.0, 0.0, 200.0]])
-softmax(sure, 1)[0, 0].log()

# %% [markdown]
r"""
The probability, $e^{-200}$, is 0 in float32, and its logarithm infinite. The
true cost is 200. It could not be seen once the exponential had been taken, so
do not take it: the logarithm of the quotient is a difference,

$$-\ln p_y = \ln \sum_j e^{x_j} - x_y.$$

The first term is the *log-sum-exp* of the row, a smooth stand-in for its
maximum. The trick is the same: with $m$ the largest score, it is $m + \ln
\sum_j e^{x_j - m}$.
"""


# %% The log of a sum of exponentials tags=["export"] module="nn.functional.probability" earns="torch.logsumexp"
def logsumexp(
    input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False
) -> Tensor:
    """A smooth maximum, log(sum(exp(input))) along `dim`."""
    top = _top(input, dim)
    top = top.where(top.isfinite(), 0)  # inf - inf would be no number
    total = (input - top).exp().sum(dim, keepdim=True).log() + top
    return total if keepdim else total.squeeze(dim)


# %%
logsumexp(sure, 1) - sure[:, 0], logsumexp(high, 1) - high[:, 0]

# %% [markdown]
r"""
Where all the logarithms are wanted, not only one a row, subtract in the other
order: first the maximum, which is exact, then the rest. Does the order matter?
At scores near 10,000 neighbouring floats lie a thousandth apart, and rounding to
them is felt:
"""

# %%
far = torch.tensor([[10_000.0, 10_001.0]])
(far - logsumexp(far, 1, keepdim=True))[0, 1].item(), -math.log1p(math.exp(-1))


# %% Log-softmax tags=["export"] module="nn.functional.probability" earns="torch.log_softmax torch.nn.functional.log_softmax"
def log_softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Logarithms of the softmax along `dim`, of any shape."""
    input = input if dtype is None else input.to(dtype)
    shifted = input - _top(input, dim)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


# %%
assert_close(log_softmax(far, 1)[0, 1].item(), -math.log1p(math.exp(-1)))
assert_close(log_softmax(scores, 1), softmax(scores, 1).log())
log_softmax(far, 1)

# %% [markdown]
r"""
## Picking, weighting, ignoring

Real labels have three complications. Some positions have none: the padding of a
sentence, the unmarked pixels of a picture. They carry a label that says
*ignore*, −100 by custom. Some classes count more than others, by a weight for
each class. And labels may be laid out along further axes, such as one for each
pixel: scores `(n, k, h, w)`, labels `(n, h, w)`.

What they share is a weight for each label: 0 where it is ignored, else its
class's. The mean is then a *weighted* mean.

A loss for each example becomes one number by its sum or its mean; or it stays
as it is, for whoever wants to see the worst. Torch has a word for each, and two
flags that said the same before there were words.
"""


# %% How losses are reduced tags=["export", "internal"] module="nn.functional.reduction"
"""What all losses share: how many become one, and that shapes agree."""


def reduction_of(
    size_average: bool | None, reduce: bool | None, reduction: str
) -> str:
    """The reduction, also from torch's two old flags."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduce_losses(
    losses: Tensor, reduction: str, weights: Tensor | None = None
) -> Tensor:
    """All losses, their sum, or their mean: a sum over the weights' sum."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction != "mean":
        raise ValueError(f'expected "none", "sum" or "mean", got {reduction!r}')
    return losses.mean() if weights is None else losses.sum() / weights.sum()


# %%
costs, weights = torch.tensor([0.35, 5.0]), torch.tensor([1.0, 3.0])
weighted_mean = reduce_losses(costs * weights, "mean", weights)
reduce_losses(costs, "mean"), weighted_mean

# %% [markdown]
r"""
With three times its weight the second example pulls the mean to its side. If
the sum were divided by the *number* of examples, heavy classes would make the
whole loss, and every step, larger.

Labels have the shape of the scores without the class axis. That axis is the
second, or the only one if there is a single example. Where the shapes do not
fit, the error shows both.
"""


# %% Where the classes lie tags=["export", "internal"] module="nn.functional.reduction"
def class_axis(input: Tensor, target: Tensor) -> int:
    """1, or 0 for a single example; raise unless the labels fit the scores."""
    axis = min(input.ndim, 2) - 1
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if input.ndim == 0 or target.shape != expected:
        message = (
            f"scores {(*input.shape,)} need labels {(*expected,)}, or "
            f"probabilities {(*input.shape,)}, got {(*target.shape,)}"
        )
        other_batch = input.ndim > 1 and target.shape[:1] != input.shape[:1]
        raise ValueError(message) if other_batch else RuntimeError(message)
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"labels are int64 or uint8, got {target.dtype}")
    return axis


# %% [markdown]
r"""
Two more refusals: a weight for each class, and labels that are classes. Torch
raises each as the type of error that stands here, so programs that catch it go
on to work.
"""


# %% Weights and labels in range tags=["export", "internal"] module="nn.functional.reduction"
def check_weight(weight: Tensor | None, input: Tensor, axis: int) -> None:
    """Raise unless there is one weight for each class."""
    if weight is not None and weight.shape != (input.shape[axis],):
        shapes = f"{(*weight.shape,)} for scores {(*input.shape,)}"
        raise RuntimeError(f"one weight for each class, got {shapes}")


def check_range(labels: Tensor, n_classes: int) -> None:
    """Raise unless all labels are classes."""
    wrong = labels[(labels < 0) | (labels >= n_classes)]
    if len(wrong):
        label = wrong.flatten()[0].item()
        raise IndexError(f"label {label} is out of bounds for {n_classes}")


# %%
try:
    check_range(torch.tensor([3, 10, 0]), n_classes=10)
except IndexError as error:
    message = str(error)
message

# %% [markdown]
r"""
Now the loss. `gather` does along any axis what the two lists did for rows. An
ignored label is no place to look, so there we look at class 0 and forget what
was found.
"""


# %% Negative log-likelihood tags=["export"] earns="torch.nn.functional.nll_loss"
"""Losses of classes: how badly scores predict labels, or a yes or no."""


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the labels' log-probabilities: (n, k, ...), (n, ...) -> ()."""
    axis = class_axis(input, target)
    check_weight(weight, input, axis)
    target = target.long()  # a byte would wrap where -100 is compared with it
    kept = target != ignore_index
    index = target.where(kept, 0)
    check_range(index, input.shape[axis])
    losses = -input.gather(axis, index.unsqueeze(axis)).squeeze(axis)
    weights = kept if weight is None else weight[index] * kept
    losses = losses if weight is None else losses * weights
    losses = losses.where(kept, 0)  # 0 * inf is no number
    reduction = reduction_of(size_average, reduce, reduction)
    return reduce_losses(losses, reduction, weights)


# %%
assert_close(nll_loss(log_softmax(scores, 1), labels), -picked.log().mean())
with_gap = torch.tensor([0, -100])
nll_loss(log_softmax(scores, 1), with_gap, reduction="none")

# %% [markdown]
r"""
The `where` at the end is no luxury: an ignored position may hold anything, and
zero times infinity would put a NaN into the sum.

## The gradient: what it says, minus what is true

Before the whole is put together, its slope. For one example with the label $y$
the loss is $L = \ln \sum_j e^{x_j} - x_y$. The derivative of the first term by
$x_j$ is $e^{x_j} / \sum_i e^{x_i}$, which is the softmax again. The second
contributes −1 at $j = y$ and nothing elsewhere:

$$\frac{\partial L}{\partial x_j} = p_j - [j = y].$$

The gradient is the probabilities minus a row with a 1 at the truth, a
{term}`one-hot` row. Nothing has to be stored but what was said.
"""


# %%
def cross_entropy_gradient(scores: Tensor, labels: Tensor) -> Tensor:
    grad = softmax(scores, 1)
    grad[torch.arange(len(labels)), labels] -= 1
    return grad / len(labels)


x = torch.randn(4, 10, dtype=torch.float64, requires_grad=True)
y = torch.tensor([3, 7, 0, 3])
nll_loss(log_softmax(x, 1), y).backward()

# %%
by_hand = cross_entropy_gradient(x.detach(), y)
tried = numerical_gradient(lambda x: nll_loss(log_softmax(x, 1), y), x.detach())
assert_close(by_hand, x.grad)
assert_close(by_hand, tried)

# %% [markdown]
r"""
Autograd and the finite differences of {doc}`/2_backward/3_backward` agree. Here
is one example whose label is 3, and which looks to the model like an 8:
"""

# %% alt="Two bar charts over ten digits. Left: the probabilities of one example whose label is 3; the digit 8 has the most. Right: the gradient, equal to the probabilities except at 3, where it is negative and as long as all the others together." tags=["hide-input"]
example = torch.tensor([[0.1, 0.5, 0.2, 2.0, -0.5, 1.0, -1.0, 0.3, 2.4, 0.6]])
figure, axes = plt.subplots(1, 2, figsize=(7, 2.4), sharex=True)
axes[0].bar(range(10), softmax(example, 1)[0], color="C0")
axes[0].set(xlabel="class", ylabel="probability", xticks=range(10))
bars = cross_entropy_gradient(example, torch.tensor([3]))[0]
colours = ["C1" if bar < 0 else "C0" for bar in bars]
axes[1].bar(range(10), bars, color=colours)
axes[1].axhline(0, color="0.5", lw=0.5)
axes[1].set(xlabel="class", ylabel="gradient of the score")
plt.show()

# %% [markdown]
r"""
A step against it lifts the true score by what is missing to 1 and lowers each
other in proportion to the belief in it. The parts cancel to a sum of 0, and the
gradient fades only when the answer is right: a wrong answer given with
certainty has a gradient near its maximum. Compare the squared error behind a
sigmoid or softmax, whose slope contains $p(1-p)$ and dies exactly where the
model is most wrong:
"""

# %%
gap = torch.tensor([[-10.0, 0.0]], requires_grad=True)
truth = torch.tensor([[1.0, 0.0]])
((softmax(gap, 1) - truth) ** 2).sum().backward()
gap.grad, cross_entropy_gradient(gap.detach(), torch.tensor([0]))

# %% [markdown]
r"""
## Cross-entropy

{term}`Cross-entropy` is what remains when the labels become probabilities
themselves. For a target $q$ it is

$$L = -\sum_j q_j \ln p_j,$$

and with a one-hot $q$ only the term of the true class is left: the negative
log-likelihood. So one function serves both kinds of targets.

One refinement acts on $q$. {term}`Label smoothing` ({cite:t}`szegedy2016`) does
not ask for certainty: it takes a share $\epsilon$ from the truth and spreads
it over all classes, $q' = (1 - \epsilon)\,q + \epsilon / k$.
"""


# %% Targets that are probabilities tags=["export"]
def _soft_losses(
    log_p: Tensor, target: Tensor, weight: Tensor | None
) -> Tensor:
    """Cross-entropy with probabilities: (n, k, ...) twice -> (n, ...)."""
    axis = min(log_p.ndim, 2) - 1
    check_weight(weight, log_p, axis)
    if weight is not None:
        places = (-1, *(1 for _ in log_p.shape[axis + 1 :]))
        log_p = log_p * weight.view(places)
    return -(log_p * target).sum(axis)


def _smoothed(target: Tensor, label_smoothing: float) -> Tensor:
    """Probabilities, a share of them spread evenly: (n, k, ...) -> same."""
    if not target.is_floating_point():
        raise RuntimeError(f"probabilities are floats, got {target.dtype}")
    n_classes = target.shape[min(target.ndim, 2) - 1]
    return target * (1 - label_smoothing) + label_smoothing / n_classes


# %%
hot = torch.eye(10, dtype=torch.float64)[y]
log_p = log_softmax(x, 1).detach()
assert_close(_soft_losses(log_p, hot, None).mean(), nll_loss(log_p, y))
_smoothed(hot, 0.1)[0]

# %% [markdown]
r"""
Labels need no row of ten numbers each. They take the fast way, since
log-softmax and the picking have been earned and may run on torch's kernels from
now on. And smoothing needs no row either: the loss of a mixture is the mixture
of two losses, that of the labels and that of a uniform target.
"""


# %% Labels, smoothed tags=["export"]
def _label_loss(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross-entropy with labels: (n, k, ...), (n, ...) -> ()."""
    n_classes = log_p.shape[class_axis(log_p, target)]
    target = target.long()
    options = {"ignore_index": ignore_index, "reduction": reduction}
    loss = F.nll_loss(log_p, target, weight, **options)
    if not label_smoothing:
        return loss
    kept = target != ignore_index
    weights = kept if weight is None else weight[target.where(kept, 0)] * kept
    uniform = torch.full_like(log_p, 1 / n_classes)
    spread = _soft_losses(log_p, uniform, weight).where(kept, 0)
    spread = reduce_losses(spread, reduction, weights)
    return (1 - label_smoothing) * loss + label_smoothing * spread


# %% [markdown]
r"""
What is left for the function that users call is to say no, and to see which
kind of target it was given.
"""


# %% Cross-entropy tags=["export"] earns="torch.nn.functional.cross_entropy"
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How badly scores predict labels: (n, k, ...), (n, ...) -> ().

    Also takes probabilities of the scores' shape as the target.
    """
    if not 0 <= label_smoothing <= 1:
        message = f"label_smoothing is in 0 to 1, got {label_smoothing}"
        raise RuntimeError(message)
    if not isinstance(target, Tensor):
        raise TypeError(f"the target is {target!r}, not a tensor")
    reduction = reduction_of(size_average, reduce, reduction)
    log_p = torch.log_softmax(input, min(input.ndim, 2) - 1)
    if target.shape != input.shape:
        return _label_loss(
            log_p, target, weight, ignore_index, reduction, label_smoothing
        )
    if ignore_index >= 0:
        raise RuntimeError(f"no index {ignore_index} in probabilities")
    target = _smoothed(target, label_smoothing)
    return reduce_losses(_soft_losses(log_p, target, weight), reduction)


# %%
assert_close(cross_entropy(x, y), nll_loss(log_softmax(x, 1), y))
assert_close(cross_entropy(x, hot), cross_entropy(x, y))
cross_entropy(x, y), cross_entropy(x, y, label_smoothing=0.1)

# %% [markdown]
r"""
A target of the wrong shape is refused with both shapes, whichever was meant:
"""

# %%
try:
    cross_entropy(torch.zeros(4, 10), torch.tensor([3, 7, 0]))
except (RuntimeError, ValueError) as error:
    message = str(error)
message

# %% [markdown]
r"""
### What label smoothing does

Let the true class lead the nine others by some gap. Without smoothing a larger
lead is always better, and the weights grow for ever. With it there is a best
lead, beyond which confidence costs.
"""

# %% alt="The loss against the lead of the true class among ten. Without smoothing it falls towards 0. With smoothing of 0.1 it has its lowest point at a lead of about 4.5 and rises again in a straight line; with 0.3 the lowest point lies earlier and higher." tags=["hide-input"]
leads = torch.linspace(0, 12, 200)
rows = torch.zeros(200, 10)
rows[:, 0] = leads
zeros = torch.zeros(200, dtype=torch.long)
for i, eps in enumerate([0.0, 0.1, 0.3]):
    costs = cross_entropy(rows, zeros, label_smoothing=eps, reduction="none")
    plt.plot(leads, costs, color=f"C{i}", label=f"smoothing {eps}")
plt.xlabel("lead of the true class")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
costs = cross_entropy(rows, zeros, label_smoothing=0.1, reduction="none")
best_lead = leads[costs.argmin()].item()
assert_close(best_lead, math.log(0.91 / 0.01), rtol=0.02)
best_lead

# %% [markdown]
r"""
The best lead is where the softmax equals the smoothed target, $\ln(0.91 / 0.01)
= 4.51$.
"""

# %% [markdown]
r"""
## What the shortcuts save

Probability, logarithm, picking: as written at the start. Against it the
log-sum-exp of each row minus one score, and ours. All with their gradients, for
50,000 rows of ten, relative to torch's own, in one run.
"""

# %% tags=["hide-input", "reference"]
from statistics import median
from timeit import Timer


def by_definition(x: Tensor, y: Tensor) -> Tensor:
    powers = x.exp()
    p = powers / powers.sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()


def by_logsumexp(x: Tensor, y: Tensor) -> Tensor:
    return (torch.logsumexp(x, 1) - x.gather(1, y[:, None])[:, 0]).mean()


def ratios(n: int, functions: dict[str, Callable]) -> dict[str, float]:
    x, y = torch.randn(n, 10, requires_grad=True), torch.randint(10, (n,))
    timers = {
        name: Timer(lambda f=f: f(x, y).backward())
        for name, f in functions.items()
    }
    turns = [{k: t.timeit(1) for k, t in timers.items()} for _ in range(15)]
    return {k: median(t[k] / t["torch"] for t in turns) for k in timers}


versions = {
    "by definition": by_definition,
    "log-sum-exp": by_logsumexp,
    "cross_entropy": cross_entropy,
    "torch": F.cross_entropy,
}
speed = ratios(50_000, versions)
{name: round(ratio, 2) for name, ratio in speed.items()}

# %% [markdown]
r"""
Each operation on 50,000 × 10 numbers is a walk through memory, forwards and
again backwards. The definition walks most often. The fused log-softmax does
maximum, exponential, sum and logarithm in one visit, and its backward is the
formula above in another.
"""

# %% [markdown]
r"""
## The loop

Everything a training run needs now exists: layers, gradients, a loss. All ten
digits, the network of the sources (784-50-10), batches of 64. The data are
split as theirs: 50,000 images to train on, the training set's other 10,000 to
measure with.
"""

# %%
images, digits = mnist()
pixels = images.view(-1, 784).float() / 255
x_train, x_valid = pixels[:50_000], pixels[50_000:]
y_train, y_valid = digits[:50_000], digits[50_000:]
x_train.shape, x_valid.shape


# %%
def make_model(seed: int) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(Linear(784, 50), ReLU(), Linear(50, 10))


def train_epoch(model: Module, loss_func: Callable, lr: float) -> list[float]:
    losses, n_full = [], len(x_train) // 64 * 64
    for rows in torch.randperm(len(x_train))[:n_full].split(64):
        loss = loss_func(model(x_train[rows]), y_train[rows])
        loss.backward()
        with torch.no_grad():
            for param in model.parameters():
                param -= lr * param.grad
        model.zero_grad()
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
Only full batches: a last one of a few images would step as far as the others, in
a direction that suits those few. Five lines make a step, and every training loop in the world is these five:
**predict, measure, differentiate, step, forget the gradients**. The order has
one freedom: forgetting may come anywhere between the step and the next
`backward`.
"""

# %%
model = make_model(0)
losses = train_epoch(model, cross_entropy, lr=0.5)
losses += train_epoch(model, cross_entropy, lr=0.5)
losses[0], sum(losses[-100:]) / 100

# %% alt="The loss of each batch over two epochs, smoothed: it starts at 2.3, guessing, drops below 0.5 within a hundred batches and falls slowly to about 0.12." tags=["hide-input"]
curve = torch.tensor(losses)[: len(losses) // 23 * 23].view(-1, 23).mean(1)
plt.semilogy(torch.arange(len(curve)) * 23, curve)
plt.axhline(math.log(10), color="0.5", ls="--")
plt.xlabel("batch")
plt.ylabel("loss")
plt.show()

# %%
with torch.no_grad():
    right = accuracy(model(x_valid).argmax(1), y_valid)
assert abs(losses[0] - math.log(10)) < 0.2
assert right > 0.95
right

# %% [markdown]
r"""
The first batch costs what guessing costs. If it does not, something is wrong
before training has begun: scores too large, or labels that do not belong to the
pictures.

## Batches of unequal size

A model that is too large for the validation set at once is validated in
batches, and the last is short. The mean of the batches' accuracies then counts
its few images as much as those of any other. Weigh each batch by its size:
"""


# %%
def validate(model: Module, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Accuracy over all examples, however they are cut into batches."""
    total = torch.zeros(())
    with torch.no_grad():
        for xs, ys in zip(x.split(size), y.split(size), strict=True):
            total += accuracy(model(xs).argmax(1), ys) * len(ys)
    return total / len(y)


sizes = {size: validate(model, x_valid, y_valid, size) for size in (64, 999)}
for value in sizes.values():
    assert_close(value, right, rtol=1e-6)
sizes

# %% [markdown]
r"""
The same holds for the loss: `reduction="mean"` is a mean over *its* batch. With
`ignore_index` or class weights the right weight is not even the batch's size
but the sum of its labels' weights.

## What is cross-entropy worth?

The classes could also be learned as numbers: squared error against one-hot
targets, straight from the scores. And label smoothing is in every recipe. Are
they better or worse on this network? To be fair each gets its own learning
rate, the best of six on the validation images; then the test images decide,
five seeds each, three epochs.
"""


# %%
def squared(scores: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(scores, torch.eye(10)[labels])


def smoothed(scores: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(scores, labels, label_smoothing=0.1)


CONTEST = {
    "cross-entropy": cross_entropy,
    "label smoothing": smoothed,
    "squared error": squared,
}


# %% Six learning rates for each loss tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Test accuracy after three epochs, each loss at its best rate."""
    x_test, y_test = mnist(train=False)
    x_test = x_test.view(-1, 784).float() / 255
    found = {}
    for name, loss_func in CONTEST.items():
        best = (0.0, 0.0)
        for lr in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0):
            model = make_model(seed)
            for _ in range(3):
                train_epoch(model, loss_func, lr)
            valid = validate(model, x_valid, y_valid, 10_000).item()
            test = validate(model, x_test, y_test, 10_000).item()
            best = max(best, (valid, test))
        found[name] = best[1]
    label = "label smoothing - cross-entropy"
    found[label] = found["label smoothing"] - found["cross-entropy"]
    label = "cross-entropy - squared error"
    found[label] = found["cross-entropy"] - found["squared error"]
    return found


# %% [markdown]
r"""
Cross-entropy {record}`worth.cross-entropy:.1%`, with label smoothing
{record}`worth.label smoothing:.1%`, squared error
{record}`worth.squared error:.1%`. A seed gives all three the same first weights,
so compare seed by seed: cross-entropy is ahead of the squared error by
{record}`worth.cross-entropy - squared error:.1%`, and with label smoothing ahead
of itself without by {record}`worth.label smoothing - cross-entropy:.1%`, each on
every seed. That is so on this network, after three epochs in batches of 64;
what a refinement is worth elsewhere has to be measured there.

## What we built

* `softmax`, `log_softmax`, `logsumexp` (`nn.functional`): from scores to
  probabilities without overflow.
* `cross_entropy`, `nll_loss` (`nn.functional`): torch's arguments and numbers,
  and errors that show both shapes.
* A loop of five lines, which {doc}`/3_training/4_learner` turns into something
  that can be watched, stopped and resumed.

## Questions

:::{dropdown} Why are the largest scores subtracted before the exponential?
The softmax depends on differences only, so the shift changes nothing, and the
largest power becomes 1 instead of infinity.
:::

:::{dropdown} Why may the network end in a linear layer, without a softmax?
The loss contains it. A softmax in the network as well would be taken twice: the
scores would lie between 0 and 1, and the best possible loss with ten classes
would be 1.46.
:::

:::{dropdown} What loss does an untrained classifier of k classes have?
About $\ln k$, if its scores are small: it gives each class the probability
$1/k$.
:::

:::{dropdown} Why is the gradient of cross-entropy large where the squared error's, behind a softmax, is nearly zero?
Softmax minus one-hot is near 1 for a sure and wrong answer. The squared error's
gradient has a further factor from the softmax's own slope, $p(1-p)$, which
vanishes there.
:::

:::{dropdown} With weights, what does `reduction="mean"` divide by?
By the sum of the labels' weights, not by their number; ignored labels weigh 0.
With probabilities as targets it is the number of examples.
:::

:::{dropdown} Can the loss be lowered for ever?
With hard labels yes, by scaling the scores, once all are right. With label
smoothing no: the lead that fits the smoothed target is the best.
:::

## Exercises

**1.** The mean of means. Ten images, eight in the first batch and two in the
second; the model gets the second batch wrong and the first right. What do both
ways of averaging say?
"""

# %% tags=["solution"]
batch_accuracies, batch_sizes = torch.tensor([1.0, 0.0]), torch.tensor([8, 2])
mean_of_means = batch_accuracies.mean()
weighted_mean = (batch_accuracies * batch_sizes).sum() / batch_sizes.sum()
assert_close(mean_of_means.item(), 0.5)
assert_close(weighted_mean.item(), 0.8)

# %% [markdown]
r"""
**2.** One source's loop writes `loss.requres_grad = True`; another's solution
writes `p -= p.gradient * lr` and `p.gradient.zer_()`. Each is misspelt. Which
of the slips raises an error, which is silent, and what does the silent one do?
"""

# %% tags=["solution"]
param = torch.ones(2).requires_grad_()
loss = (param**2).sum()
loss.requres_grad = True  # a new attribute of any name: Python allows it
loss.backward()
assert_close(param.grad, torch.tensor([2.0, 2.0]))  # and nothing was missing
try:
    param.gradient
except AttributeError as error:
    assert "gradient" in str(error)
else:
    raise AssertionError("a misspelt attribute that is read must raise")

# %% [markdown]
r"""
**3.** Training one class as two: what is the smallest cross-entropy that a
softmax *inside* the network, taken by mistake before the loss, can reach with
ten classes? Check the number in the answer above.
"""

# %% tags=["solution"]
perfect = torch.eye(10)  # the most certain probabilities, taken as scores
lowest = cross_entropy(perfect, torch.arange(10)).item()
assert_close(lowest, math.log(math.e + 9) - 1)
assert_close(lowest, 1.46, rtol=2e-3)

# %% [markdown]
r"""
The loop shuffled the rows and cut them by itself. The next chapter,
{doc}`/3_training/2_data`, makes that a part of its own.
"""
