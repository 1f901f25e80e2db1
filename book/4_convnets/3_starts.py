# %% [markdown] module="nn.standardize"
r"""
# Starting a real network

{doc}`/2_backward/2_init` derived a start that keeps the size of the numbers
through fifty layers. Here is a convolutional network that starts so, and on some
seeds it answers one class for everything, for ever. **Why does good theory give
ten per cent, and what else must be right before the first step?**

| name | shape | meaning |
| --- | --- | --- |
| `pixels` | `(n, 1, 28, 28)` | pictures of clothes, from 0 to 1 |
| `lr` | | the learning rate, the highest of a run |
| dead | | a unit that answers 0 to every picture: its gradient is 0 too |
| `seed` | | decides the weights and the order of the pictures |
"""

# %% Imports tags=["hide-input"]
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.inside.hooks import leaf_modules, watch_outputs
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.flatten import Flatten
from groundup.nn.module import Module
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner

# %% [markdown]
r"""
## A network that dies

Ten kinds of clothes, the first 10,000 pictures. Five convolutions, each of stride
2, so that 28 × 28 places become one; 8, 16, 32 and 64 channels, then the ten
scores. Weights as Kaiming's theory wants them before a ReLU. Three epochs of
batches of 1,000 with momentum, and a rate of 0.2, as a well-known course trains
this network:
"""

# %%
torch.set_num_threads(1)
images, labels = fashion_mnist()
pixels = images[:, None].float() / 255
WIDTHS = (1, 8, 16, 32, 64, 10)


def network(
    seed: int, act: Callable[[], Module] = ReLU, leak: float = 0.0
) -> Sequential:
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        size = 5 if n_in == 1 else 3
        layer = Conv2d(n_in, n_out, size, stride=2, padding=size // 2)
        init.kaiming_normal_(layer.weight, a=leak)
        layers += [layer, act()]
    return Sequential(*layers[:-1], Flatten())


# %%
def train(
    model: Module,
    pixels: Tensor,
    lr: float,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> list[float]:
    """The shares right of pictures 50,000 to 55,000 and of those behind."""
    order = torch.Generator().manual_seed(seed)
    rows = pixels[:10_000], labels[:10_000]
    loader = TensorLoader(*rows, batch_size=1000, shuffle=True, generator=order)
    optim = partial(SGD, momentum=0.85)
    learn = Learner(model, loader, optim=optim, lr=lr, defaults=callbacks)
    learn.fit(3)
    scores = learn.predict(TensorLoader(pixels[50_000:], batch_size=1000))
    right = (scores.argmax(1) == labels[50_000:]).float()
    return [part.mean().item() for part in right.split(5000)]


# %%
raw = [train(network(seed), pixels, 0.2, seed)[1] for seed in range(5)]
[round(each, 3) for each in raw]


# %% [markdown]
r"""
Some learn, and some answer as a guess would, one in ten. Which of the weights are
to blame? Look at the share of zeros behind each ReLU, at each step, for a seed
that fails:
"""


# %%
class Zeros(Callback):
    """The share of zeros that each ReLU gives, batch by batch."""

    def before_fit(self, run: Run) -> None:
        named = leaf_modules(run.model)
        bends = {k: m for k, m in named.items() if isinstance(m, ReLU)}
        self.shares = {name: [] for name in bends}
        self.handles = watch_outputs(bends, self.see)

    def see(self, name: str, output: Tensor) -> None:
        self.shares[name].append((output == 0).float().mean().item())

    def after_fit(self, run: Run) -> None:
        self.handles.remove()

    after_cancel_fit = after_fit


failing = min(range(5), key=raw.__getitem__)
dying = Zeros()
train(network(failing), pixels, 0.2, failing, [dying])
assert raw[failing] < 0.15 and max(raw) > 0.5
last = {name: round(shares[29], 2) for name, shares in dying.shares.items()}
last

# %% [markdown]
r"""
A layer of zeros hands nothing on and nothing back. What stands behind it sees the
same whatever the picture, and what stands before it never gets a gradient again.

## What the theory took for granted

Kaiming's argument asks for weights whose mean is 0 and says how large they must
be so that the *mean square* of the numbers stays. It says nothing about their
mean. Pixels are all positive: their mean here is far from 0, and positive
numbers have one thing in common. A step that changes all weights of a unit a
little in the same direction changes its answer to *every* picture in the same
direction, and a large step pushes it below zero for all of them.

If that is so, then it is the mean that kills, and not the size. An experiment can
tell them apart: take the mean off and leave the size, or give all pictures a
deviation of 1 and move their mean.
"""

# %%
mean, deviation = pixels[:10_000].mean().item(), pixels[:10_000].std().item()
MEANS = (0.0, 0.4, mean / deviation, 1.5)
round(mean, 3), round(deviation, 3), round(mean / deviation, 2)


# %% A mean that moves tags=["record"] record="means"
def means(seed: int) -> dict[str, float]:
    """Which runs die, as 1 and 0."""
    around = (pixels - mean) / deviation
    inputs = {f"mean {by:.2g}": around + by for by in MEANS}
    inputs |= {"small, mean 0": pixels - mean, "raw": pixels}
    return {
        f"{name}, rate {lr}": float(
            train(network(seed), each, lr, seed)[1] < 0.15
        )
        for name, each in inputs.items()
        for lr in (0.2, 0.3)
    }


# %% [markdown]
r"""
The table holds the share of ten seeds that dies (behind the ±, the deviation of
yes and no). Its last four rows settle the question. Raw pixels kill several of the
ten. The same pixels with their mean taken off, and nothing else changed, kill none
at either rate. So it *is* the mean.

The other rows hold a surprise. Divided by their deviation the numbers are three
times as large, and with a mean of 0 they kill again: the first layer's gradient
grows with them, and so does its step. From 0.4 on, a larger mean kills more.
A start and a rate cannot be judged apart, and the last section will give each start
a rate of its own.

## Standardised

So a network should first take the mean away. To divide by the deviation as well
makes rates comparable between data sets. Both numbers come from the training pictures, and from
no others: those that judge must not have a say. They belong to the model: who
loads its weights needs them. As a module with two buffers they are saved,
loaded and moved with it:
"""


# %% The data's own scale tags=["export"]
"""Inputs brought to a mean of 0 and a deviation of 1, by numbers kept."""


class Standardize(Module):
    """(input - mean) / deviation for each channel: any (n, c, *).

    Make it of the training data, `Standardize.of(images)`.
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]):
        if len(mean) != len(deviation):
            given = f"{len(mean)} means, {len(deviation)} deviations"
            raise ValueError(f"expected one of each a channel, got {given}")
        if not all(each > 0 for each in deviation):
            raise ValueError(f"deviations must be above 0, got {deviation}")
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))


# %% [markdown]
r"""
The numbers are given, or taken from the training pictures:
"""


# %% Its numbers tags=["export"]
class Standardize(Standardize):
    @classmethod
    def of(cls, images: Tensor) -> "Standardize":
        """With the statistics of these images, (n, c, *)."""
        axes = [0, *range(2, images.dim())]
        values = images.double()
        return cls(values.mean(axes).tolist(), values.std(axes).tolist())

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers around 0."""
        if input.dim() < 2 or input.shape[1] != len(self.mean):
            shape = tuple(input.shape)
            raise RuntimeError(f"expected {len(self.mean)} channels: {shape}")
        shape = [-1] + [1] * (input.dim() - 2)
        return (input - self.mean.view(shape)) / self.deviation.view(shape)

    def extra_repr(self) -> str:
        """The numbers."""
        return f"mean={self.mean.tolist()}, deviation={self.deviation.tolist()}"


# %%
standardize = Standardize.of(pixels[:10_000])
x = standardize(pixels)
assert abs(x[:10_000].mean()) < 1e-3 and abs(x[:10_000].std() - 1) < 1e-3
standardize

# %% [markdown]
r"""
The same seeds on standardised pictures, and the one that failed, watched:
"""

# %%
alive = Zeros()
train(network(failing), x, 0.2, failing, [alive])
standard = [train(network(seed), x, 0.2, seed)[1] for seed in range(5)]
assert standard[failing] > 0.5
assert fmean(standard) > fmean(raw)
[round(each, 3) for each in standard]

# %% alt="Two panels, the share of zeros behind four ReLUs over the steps. Left, raw pixels: after some ten steps the lines jump to 1 and stay. Right, standardised: they rise slowly and stay below 1." tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(5.6, 2.8), layout="tight", sharey=True
)
for ax, seen, title in zip(axes, (dying, alive), ("raw", "standardised")):
    for layer, shares in enumerate(seen.shares.values(), 1):
        ax.plot(shares[:30], color=f"C{layer - 1}", label=f"layer {layer}")
    ax.set(title=title, xlabel="step", ylim=(0, 1.05))
axes[0].set_ylabel("share of zeros")
axes[0].legend(fontsize=9)
plt.show()

# %% [markdown]
r"""
The seed that failed learns now. It is no insurance: at this rate some of ten still
die, as the row *mean 0, rate 0.2* of the table says.

## A bend that keeps the mean

Behind a ReLU all numbers are positive again, so every later layer meets what the
first was spared. Two changes help: let the negative numbers through, at a tenth
of their size, and subtract what the mean then is. The sources call it the
*general* ReLU:
"""


# %% A ReLU that leaks and is moved tags=["export"] module="nn.general_relu"
"""A ReLU with a leak, an offset and a ceiling."""


class GeneralReLU(Module):
    """max(x, leak x) - sub, at most maxv: any shape."""

    def __init__(
        self, leak: float = 0.1, sub: float = 0.4, maxv: float | None = None
    ):
        self.leak, self.sub, self.maxv = leak, sub, maxv

    def forward(self, input: Tensor) -> Tensor:
        """Negative numbers times `leak`, then all of them moved."""
        output = torch.where(input > 0, input, self.leak * input) - self.sub
        return output if self.maxv is None else output.clamp(max=self.maxv)

    def extra_repr(self) -> str:
        """The three numbers."""
        return f"leak={self.leak}, sub={self.sub}, maxv={self.maxv}"


# %%
normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
bent = {"ReLU": ReLU()(normal), "GeneralReLU": GeneralReLU()(normal)}
{name: round(each.mean().item(), 2) for name, each in bent.items()}


# %% [markdown]
r"""
What does a real network say? The mean and the deviation behind each bend, at the
start:
"""


# %%
def look(model: Module, input: Tensor) -> list[tuple[float, float]]:
    """Mean and deviation behind each bend but the last."""
    found = []
    kinds = (ReLU, GeneralReLU)
    bends = {
        k: m for k, m in leaf_modules(model).items() if isinstance(m, kinds)
    }
    with watch_outputs(
        bends, lambda name, y: found.append((y.mean(), y.std()))
    ):
        model(input)
    return [(round(m.item(), 2), round(s.item(), 2)) for m, s in found]


general = partial(network, act=GeneralReLU, leak=0.1)
{"ReLU": look(network(0), x[:1000]), "GeneralReLU": look(general(0), x[:1000])}

# %% [markdown]
r"""
Nearer to 0, and the deviation shrinks from layer to layer: Kaiming's gain does not
know the offset, and the frames of zeros around the maps are in no theory.

## Ask the data

Theory needs assumptions; a batch of data has none. Send one through, look at
what comes out of a layer, divide its weights by the deviation and take the mean
off its bias. Then the next layer. That is *layer-sequential unit variance*, LSUV
{cite:p}`mishkin2016`.

What a module inside a model gives, a hook behind it tells. The hook also stops
the model there, since what comes after need not run:
"""


# %% What one module gives tags=["export"] module="nn.init.lsuv"
"""Weights scaled by what a batch of data makes of them."""


class _Known(Exception):
    """What was to be measured is known."""


def _measured(
    model: Any, input: Tensor, layer: Any, behind: Any
) -> tuple[float, float]:
    """Mean and deviation behind a module that follows the layer."""
    called: list[Any] = []

    def stop(module: Any, args: tuple, output: Tensor) -> None:
        called.append(output)
        raise _Known

    hooks = [
        layer.register_forward_hook(lambda *call: called.append(layer)),
        behind.register_forward_hook(stop),
    ]
    try:
        model(input)
    except _Known:
        if called[0] is layer:
            return called[-1].mean().item(), called[-1].std().item()
    finally:
        for hook in hooks:
            hook.remove()
    raise ValueError(f"the model does not call {layer} and then {behind}")


# %%
model = general(0)
[_measured(model, x[:1000], model[i], model[i + 1]) for i in (0, 2)]

# %% [markdown]
r"""
Behind a bend the answer does not follow the weights in proportion, so it takes a
few rounds, and behind a plain ReLU, whose answers are never negative, no round
helps. A loop that waits for it never ends. Ours has a limit:
"""


# %% One layer, round by round tags=["export"] module="nn.init.lsuv"
def _scale(
    number: int,
    layer: Any,
    measure: Callable[[], tuple[float, float]],
    tolerance: float,
    max_rounds: int,
) -> None:
    """Scale and shift until the measured mean is 0, the deviation 1."""
    for left in reversed(range(max_rounds + 1)):
        mean, deviation = measure()
        if max(abs(mean), abs(deviation - 1)) <= tolerance:
            return
        if not left or not deviation > 0:
            text = f"mean {mean:.3g}, deviation {deviation:.3g}"
            raise ValueError(f"layer {number} cannot leave {text}")
        layer.weight /= deviation
        if layer.bias is not None:
            layer.bias -= mean


# %% [markdown]
r"""
And one layer after the other. If that fails half-way, a start that is half one
thing and half another is of no use, so the weights are put back:
"""


# %% A start from data tags=["export"] module="nn.init.lsuv"
@torch.no_grad()
def lsuv_(
    model: Any,
    input: Tensor,
    layers: Iterable[tuple[Any, Any]],
    tolerance: float = 1e-3,
    max_rounds: int = 100,
) -> None:
    """Scale layers so that what a batch makes of them has mean 0, deviation 1.

    `layers` are pairs of modules, first those that are called first: whose
    weight and bias are changed, and behind which it is measured. A ValueError
    if that is not reached after `max_rounds`; whatever ends it, all weights
    are then as they were.
    """
    before = {name: each.clone() for name, each in model.state_dict().items()}
    try:
        for number, (layer, behind) in enumerate(layers):
            measure = partial(_measured, model, input, layer, behind)
            _scale(number, layer, measure, tolerance, max_rounds)
    except BaseException:  # Ctrl-C too
        model.load_state_dict(before)
        raise


# %%
def pairs(model: Sequential) -> list[tuple[Module, Module]]:
    """Each convolution with its bend."""
    layers = list(model)
    return [(layers[i], layers[i + 1]) for i in range(0, 8, 2)]


def fitted(seed: int, input: Tensor) -> Sequential:
    model = general(seed)
    lsuv_(model, input[:1000], pairs(model))
    return model


look(fitted(0, x), x[:1000])

# %% [markdown]
r"""
The same behind plain ReLUs:
"""

# %%
model = network(0)
try:
    lsuv_(model, x[:1000], pairs(model))
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## How much of it was the learning rate?

At one rate for all, a start that needs a smaller one looks worse than it is. So
each start gets the best of several rates, on pictures 50,000 to 55,000, and is
judged on those behind. *LSUV, raw* is the general ReLU and LSUV on raw pixels: it
takes the mean off by itself, one layer later.
"""

# %%
STARTS: dict[str, tuple[Callable[[int], Sequential], Tensor]] = {
    "raw": (network, pixels),
    "standardised": (network, x),
    "GeneralReLU": (general, x),
    "LSUV": (partial(fitted, input=x), x),
    "GeneralReLU, raw": (general, pixels),
    "LSUV, raw": (partial(fitted, input=pixels), pixels),
}
RATES = (0.03, 0.06, 0.12, 0.2, 0.3, 0.45)
PAIRS = (
    ("standardised", "raw"),
    ("GeneralReLU", "standardised"),
    ("LSUV", "GeneralReLU"),
    ("LSUV, raw", "raw"),
    ("LSUV, raw", "GeneralReLU, raw"),
    ("LSUV", "LSUV, raw"),
)


# %% Each at its own best rate tags=["record"] record="starts"
def starts(seed: int) -> dict[str, float]:
    best, at_best = {}, {}
    for name, (make, inputs) in STARTS.items():
        tried = [train(make(seed), inputs, lr, seed) for lr in RATES]
        (_, best[name]), at_best[name] = max(zip(tried, RATES))
    differences = {f"{a} - {b}": best[a] - best[b] for a, b in PAIRS}
    rates = {f"rate of {name}": lr for name, lr in at_best.items()}
    return best | differences | rates


# %% [markdown]
r"""
With a rate of its own every start trains: what looked like a bad start was also a
rate too high for it. A difference remains. Standardised pixels gain
{record}`starts.standardised - raw:.1%` over raw ones, and the general ReLU gains
{record}`starts.GeneralReLU - standardised:.1%` more. LSUV adds nothing to it:
{record}`starts.LSUV - GeneralReLU:.1%`. Where nobody has taken the mean off, the general
ReLU and LSUV together gain {record}`starts.LSUV, raw - raw:.1%`; LSUV's part of it is
{record}`starts.LSUV, raw - GeneralReLU, raw:.1%`. And standardised pixels are worth
{record}`starts.LSUV - LSUV, raw:.1%` after it: no more than the noise.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `Standardize` | `nn` | inputs around 0, by the training data's numbers |
| `GeneralReLU` | `nn` | a ReLU with a leak, an offset and a ceiling |
| `lsuv_` | `nn.init` | layers scaled until a batch has mean 0, deviation 1 |

## Questions

:::{dropdown} Why is a unit that answers 0 to every picture dead, and one that answers 0 to most of them not?
The slope of a ReLU is 0 where it answers 0. Over a batch the gradients add up: one
picture with an answer above 0 is enough to move the unit.
:::
"""

# %% tags=["answer"]
inputs = torch.tensor([[-1.0], [-2.0], [0.5]])
for rows, alive_still in ((inputs[:2], False), (inputs, True)):
    weight = torch.ones(1, requires_grad=True)
    ReLU()(rows * weight).sum().backward()
    assert_equal(bool(weight.grad), alive_still)

# %% [markdown]
r"""
:::{dropdown} Why not standardise each picture by its own mean?
That is another network: it no longer knows how bright a picture is. It may help or
not; for a trouser and a bag in the same shape, brightness is information.
:::

:::{dropdown} Why do the validation pictures not get their own mean and deviation?
They would be judged by a ruler of their own. A single picture that comes in later
has no deviation at all. What was learned belongs to the training data's numbers.
:::

:::{dropdown} What would LSUV do if the batch held a single picture?
It would fit the weights to that picture. The mean and the deviation of a batch are
only as good as the batch; after LSUV they hold for that batch and nearly for others.
:::
"""

# %% tags=["answer"]
ready = fitted(0, x)
others = look(ready, x[20_000:21_000])
assert all(abs(m) < 0.1 and abs(d - 1) < 0.1 for m, d in others)

# %% [markdown]
r"""
## Exercises

**1. The best offset.** Which `sub` gives a normal input the mean 0 behind a leak of
0.1? Compute it from the mean of a ReLU, $1 / \sqrt{2 \pi}$.
"""

# %% tags=["solution"]
best_sub = 0.9 / (2 * torch.pi) ** 0.5  # leak x + (1 - leak) relu(x)
assert abs(GeneralReLU(sub=best_sub)(normal).mean()) < 0.01
assert 0.35 < best_sub < 0.37

# %% [markdown]
r"""
**2. A bias instead.** `Standardize` could be folded into the first convolution. Do
it: find weights and bias so that raw pixels give the same answers, for a layer
without a frame. Why does it not work with a frame of zeros?
"""

# %% tags=["solution"]
torch.manual_seed(0)
layer, folded = Conv2d(1, 8, 5), Conv2d(1, 8, 5)
with torch.no_grad():
    folded.weight.copy_(layer.weight / standardize.deviation)
    shift = standardize.mean * folded.weight.sum((1, 2, 3))
    folded.bias.copy_(layer.bias - shift)
    assert_close(folded(pixels[:9]), layer(x[:9]), atol=1e-4)
# A zero in the frame is the mean of standardised pixels, but black in raw ones.

# %% [markdown]
r"""
**3. Orthogonal.** LSUV's authors begin with orthogonal weights. Start the layers by
`init.orthogonal_`, then scale. Are the deviations behind the bends reached as
well?
"""

# %% tags=["solution"]
model = general(0)
for layer, _ in pairs(model):
    init.orthogonal_(layer.weight)
lsuv_(model, x[:1000], pairs(model))
assert all(
    abs(m) < 0.01 and abs(d - 1) < 0.01 for m, d in look(model, x[:1000])
)

# %% [markdown]
r"""
A start is good for the first step. {doc}`/4_convnets/4_norms` keeps mean and
deviation where they are for all the others.
"""
