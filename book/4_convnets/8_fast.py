# %% [markdown] module="vision.fast"
r"""
# Going fast

A network that learns in half the time can be tried twice. Advice on speed is
plenty: another layout, another number format, a compiler, another optimizer.
**Which of it earns its seconds, and how would we know?**

| name | shape | meaning |
| --- | --- | --- |
| `x` | `(n, 1, 28, 28)` | images, from 0 (black) to 1 |
| lever | | one change that is said to make training faster |
| ratio | | the time of one way over that of another, in one run |
| $r$ | | how many pixels along each axis become one place |
"""

# %% Imports tags=["hide-input"]
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.data.augment import random_crop, random_erase, random_flip
from groundup.data.dataset import TensorDataset
from groundup.data.loader import DataLoader
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.pool import MaxPool2d
from groundup.optim.adam import AdamW
from groundup.optim.muon import Muon, adjusted_lr, muon_step, newton_schulz
from groundup.optim.schedule import combine, ramp
from groundup.optim.several import CombinedOptimizer
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy
from groundup.training.regularize import Augment

torch.set_num_threads(1)
images, kinds = fashion_mnist()
x = images[:, None].float() / 255

# %% [markdown]
r"""
## A clock to trust

Two numbers make a claim about speed, and both must come from the same minute: a
machine that is busy, warm or shared gives another one tomorrow. So we take turns,
first one way and then the other, several times, and keep each way's shortest
time. What disturbs a run can only make it longer.
"""


# %%
def best_times(
    ways: Mapping[str, Callable[[], object]], turns: int = 5
) -> dict[str, float]:
    """The shortest of a way's times, in seconds; the ways take turns."""
    times = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: min(each) for name, each in times.items()}


# %% [markdown]
r"""
Two mistakes are common enough to have names. *The first call* pays for what
later calls find ready: memory, threads, a compiled kernel. And *a device that
works on its own* returns before it is done. There the clock is read after
`torch.cuda.synchronize()`, or it times the asking and not the answer. The first
can be seen here:
"""

# %%
side = torch.randn(64, 64, 40, 40)
kernels = Conv2d(64, 64, 3)
with torch.no_grad():
    times = []
    for _ in range(6):
        start = time.perf_counter()
        kernels(side)
        times.append(time.perf_counter() - start)
[f"{each / min(times):.2f}" for each in times]

# %% [markdown]
r"""
## Space to depth

The first layer of a network for small images sees one channel of 784 pixels, and
makes 64 of them. Nothing else in the network is as large. If each square of
2 × 2 pixels becomes one place with four channels first, no number is lost, the
layer does as many multiplications, and what comes out is a quarter.
"""


# %% Pixels become channels tags=["export"] module="nn.functional.shuffling" earns="torch.nn.functional.pixel_unshuffle"
"""Places exchanged for channels, and back; no number changes."""


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Squares of r x r pixels as channels: (*, c, h r, w r) -> c r r, h, w."""
    r, (*outer, c, h, w) = downscale_factor, input.shape
    if r < 1 or h % r or w % r:
        raise RuntimeError(f"no squares of {r} x {r} in images of {h} x {w}")
    squares = input.reshape(*outer, c, h // r, r, w // r, r)
    channels = squares.movedim((-3, -1), (-4, -3))
    return channels.reshape(*outer, c * r * r, h // r, w // r)


# %% Channels become pixels tags=["export"] module="nn.functional.shuffling" earns="torch.nn.functional.pixel_shuffle"
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """The way back: (*, c r r, h, w) -> (*, c, h r, w r)."""
    r, (*outer, c, h, w) = upscale_factor, input.shape
    if r < 1 or c % (r * r):
        raise RuntimeError(f"{c} channels are no multiple of {r} x {r}")
    squares = input.reshape(*outer, c // (r * r), r, r, h, w)
    pixels = squares.movedim((-4, -3), (-3, -1))
    return pixels.reshape(*outer, c // (r * r), h * r, w * r)


# %%
numbers = torch.arange(16).view(1, 1, 4, 4)
channels = pixel_unshuffle(numbers, 2)
assert_equal(pixel_shuffle(channels, 2), numbers)
channels

# %% [markdown]
r"""
The first channel holds the upper left pixel of each square. As layers:
"""


# %% As layers tags=["export"] module="nn.shuffle" earns="torch.nn.PixelUnshuffle torch.nn.PixelShuffle"
"""Layers that exchange places for channels."""


class PixelUnshuffle(Module):
    """Squares of pixels become channels."""

    def __init__(self, downscale_factor: int):
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c, h r, w r) -> (*, c r r, h, w)."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


# %% And back tags=["export"] module="nn.shuffle"
class PixelShuffle(Module):
    """Channels become squares of pixels."""

    def __init__(self, upscale_factor: int):
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(*, c r r, h, w) -> (*, c, h r, w r)."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


# %%
assert_equal(PixelUnshuffle(2)(numbers), channels)
PixelUnshuffle(2)(x[:250]).shape

# %% [markdown]
r"""
## A network of three sizes

Behind this {term}`stem` stand three levels of maps, of 14, 7 and 3 places along
an axis and of twice the channels each. A level is a unit that makes the
channels, a pool, and one residual block of {doc}`/4_convnets/6_resnet`. The maps
lie in memory channels last ({doc}`/4_convnets/1_convolution`).
"""


# %% A kernel, its norm and a bend tags=["export"]
"""A small residual network that learns small images fast."""


def _unit(c_in: int, c_out: int) -> Sequential:
    kernels = Conv2d(c_in, c_out, 3, padding=1, bias=False)
    return Sequential(kernels, BatchNorm2d(c_out), ReLU())


class _Residual(Module):
    def __init__(self, channels: int):
        self.units = Sequential(
            _unit(channels, channels), _unit(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.units(x)


# %% Three sizes of maps tags=["export"]
class FastResNet(Module):
    """Scores of small images: (n, c, h, w) -> (n, num_classes).

    Squares of 2 x 2 pixels become channels at once; then three levels of maps,
    `width`, 2 and 4 times as many, each with a residual block, and the largest
    answer of each map. `h` and `w` are even, and 8 or more.
    """

    def __init__(
        self, in_channels: int = 1, num_classes: int = 10, width: int = 64
    ):
        unit = _unit(4 * in_channels, width)
        self.stem = Sequential(PixelUnshuffle(2), unit)
        levels = *self._level(width), *self._level(2 * width)
        self.levels = Sequential(_Residual(width), *levels)
        self.head = Linear(4 * width, num_classes)

    def _level(self, channels: int) -> Iterable[Module]:
        """Twice the channels on half the places along each axis."""
        more = 2 * channels
        return _unit(channels, more), MaxPool2d(2), _Residual(more)

    def forward(self, x: Tensor) -> Tensor:
        """One score for each class."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.levels(self.stem(x)).amax((2, 3)))


# %%
model = FastResNet(width=16)
assert_equal(tuple(model(x[:2]).shape), (2, 10))
sum(param.numel() for param in model.parameters())

# %% [markdown]
r"""
## Muon for kernels

In {doc}`/3_training/8_optimizers` Muon made steps along matrices all of whose
directions count alike. A kernel has four axes. Each of its output channels is a
row of numbers, so that it is a matrix all the same; only the optimizer has to
see it as one. That is how the fastest public trainings of small images use
it {cite:p}`jordan2024cifar`.
"""


# %% Kernels as matrices tags=["export"] module="optim.kernel_muon"
"""Muon for kernels, which it sees as matrices."""


class KernelMuon(Muon):
    """Muon for kernels (c_out, c_in, ...): a row for each output channel."""

    def check(self, group: dict[str, Any]) -> None:
        """As for matrices; vectors are refused."""
        rows = [param.detach().flatten(1) for param in group["params"]]
        super().check(group | {"params": rows})

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Decay, then one step of `muon_step` on the rows."""
        lr, shape = float(group["lr"]), (len(param), param[0].numel())
        names = "ns_coefficients", "ns_steps", "eps"
        options = [group[name] for name in names]

        def orthogonal(update: Tensor) -> Tensor:
            rows = newton_schulz(update.reshape(shape), *options)
            return rows.reshape(update.shape)

        param.mul_(1 - lr * group["weight_decay"])
        rate = adjusted_lr(lr, shape, group["adjust_lr_fn"])
        rule = group["momentum"], group["nesterov"], orthogonal
        muon_step(param, grad, state, rate, *rule)


# %%
kernel = torch.randn(8, 4, 3, 3).requires_grad_()
matrix = kernel.detach().flatten(1).clone().requires_grad_()
kernel.grad = torch.randn(8, 4, 3, 3)
matrix.grad = kernel.grad.flatten(1)
KernelMuon([kernel], lr=0.1).step()
Muon([matrix], lr=0.1).step()
assert_equal(kernel.detach().flatten(1), matrix.detach())

# %% [markdown]
r"""
## A recipe

All that a run is made of goes into one record, so that it can be frozen, compared
and printed. Products may be taken in {term}`bfloat16`, a format of half the bits;
how that works, and what can go wrong, is the subject of
{doc}`/4_convnets/12_precision`.
"""


# %% Products in half the bits tags=["export"] loans="torch.autocast" repaid="4_convnets/12_precision"
class LowPrecision(Module):
    """A model whose products are taken in bfloat16; its answers are not."""

    def __init__(self, model: Module):
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """What the model answers, in single precision."""
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.model(x)
        return answer.float()


# %% What a run is made of tags=["export"]
class Recipe(NamedTuple):
    """The settings of a run, all of them, to be frozen before the test."""

    epochs: int
    width: int = 64
    batch_size: int = 125
    lr: float = 0.014  # of the kernels; the rest learns at half of it
    warm_up: float = 0.2  # the share of the batches in which rates rise
    smoothing: float = 0.1
    flips: bool = True
    padding: int = 0  # pixels by which images are moved
    hole: int = 0  # the side of the square that is erased
    low_precision: bool = False  # where the machine has units for it


# %%
Recipe(epochs=5)


# %% [markdown]
r"""
Kernels and the rest learn by different rules, at rates that rise and fall
together. Images change by draws of their own ({doc}`/4_convnets/5_remedies`).
"""


# %% Two optimizers tags=["export"]
def kernels_and_rest(params: Iterable[Tensor], lr: float) -> CombinedOptimizer:
    """Muon for the kernels, AdamW for all others, at half the rate."""
    params = list(params)
    kernels = [param for param in params if param.ndim == 4]
    rest = [param for param in params if param.ndim < 4]
    return CombinedOptimizer(
        KernelMuon(kernels, lr, weight_decay=0, momentum=0.9),
        AdamW(rest, lr / 2, betas=(0.9, 0.99), weight_decay=0),
    )


def _augment(recipe: Recipe, seed: int) -> Augment:
    """What the recipe does to an image, drawn for each by itself."""
    changes: list[Callable] = [random_flip] if recipe.flips else []
    if recipe.padding:
        changes.append(partial(random_crop, padding=recipe.padding))
    if recipe.hole:
        changes.append(partial(random_erase, size=recipe.hole))
    return Augment(*changes, seed=seed)


# %% [markdown]
r"""
The learner of part 3 needs nothing new:
"""


# %% A learner by the recipe tags=["export"]
def fast_learner(
    recipe: Recipe, images: Tensor, labels: Tensor, seed: int, **options: Any
) -> Learner:
    """A learner for images (n, c, h, w) from 0 to 1 and labels (n,).

    `options` are the learner's, such as `valid` and `metrics`; what is given
    takes the recipe's place.
    """
    torch.manual_seed(seed)
    sizes = images.shape[1], int(labels.max()) + 1, recipe.width
    model = FastResNet(*sizes).to(memory_format=torch.channels_last)
    draws = torch.Generator().manual_seed(seed)
    order = {"shuffle": True, "drop_last": True, "generator": draws}
    size = recipe.batch_size
    shares = recipe.warm_up, 1 - recipe.warm_up
    rates = [
        combine(shares, [ramp(0, peak), ramp(peak, 0)])
        for peak in (recipe.lr, recipe.lr / 2)
    ]
    loss = partial(cross_entropy, label_smoothing=recipe.smoothing)
    own = {"optim": kernels_and_rest, "lr": recipe.lr, "loss": loss}
    own["callbacks"] = [Anneal(lr=rates), _augment(recipe, seed)]
    return Learner(
        LowPrecision(model) if recipe.low_precision else model,
        TensorLoader(images, labels, batch_size=size, **order),
        **own | options,
    )


# %%
small = Recipe(epochs=2, width=16, batch_size=50)
held = TensorLoader(x[50_000:55_000], kinds[50_000:55_000], batch_size=500)
learn = fast_learner(
    small, x[:5_000], kinds[:5_000], seed=0, valid=held, metrics=[Accuracy()]
)
learn.fit(small.epochs)
assert learn.results["accuracy"] > 0.8  # one seed: 0.84

# %% [markdown]
r"""
## Levers, one a row

The textbook's way for comparison: items collected one by one into a batch, maps
as planes, a first layer on all pixels, single precision, an optimizer that goes
through the parameters one operation after the other. Then one lever after the
other, each on top of those before it.
"""


# %%
class Textbook(FastResNet):
    """The same multiplications: a first layer on all pixels, then a pool."""

    def __init__(self, width: int, layout: torch.memory_format):
        super().__init__(width=width)
        self.stem = Sequential(_unit(1, width), MaxPool2d(2))
        self.layout = layout

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=self.layout))
        return self.head(self.levels(x).amax((2, 3)))


def forever(loader: Iterable) -> Iterator:
    while True:
        yield from loader


def one_step(model: Module, loader: Iterable, **options: Any) -> Callable:
    batches, optimizer = forever(loader), AdamW(model.parameters(), **options)

    def step() -> None:
        input, target = next(batches)
        cross_entropy(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


# %%
def ladder(width: int, size: int = 125) -> dict[str, Callable]:
    """A step of training for each rung."""
    some, last = (x[:5_000], kinds[:5_000]), torch.channels_last
    items = DataLoader(TensorDataset(*some), batch_size=size, shuffle=True)
    rows = TensorLoader(*some, batch_size=size, shuffle=True)
    planes = Textbook(width, torch.contiguous_format)
    pixels = Textbook(width, last).to(memory_format=last)
    depth = FastResNet(width=width).to(memory_format=last)
    return {
        "the textbook's way": one_step(planes, items),
        "batches by indexing": one_step(planes, rows),
        "channels last": one_step(pixels, rows),
        "space to depth": one_step(depth, rows),
        "fused AdamW": one_step(depth, rows, fused=True),
        "bfloat16": one_step(LowPrecision(depth), rows, fused=True),
    }


# %% Every rung's time over the first's tags=["record"] record="speed"
def speed(seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    steps = ladder(width=64)
    for step in steps.values():
        step()  # the first call pays for what later ones find
    times = best_times(steps)
    first = times["the textbook's way"]
    return {name: each / first for name, each in times.items()}


# %% [markdown]
r"""
Half the bits leave {record}`speed.bfloat16:.0%` of the textbook's time, from
{record}`speed.fused AdamW:.0%` without them: the largest step of the ladder. This
machine's processor has instructions for products in bfloat16. On one that has
none, the same line makes a step slower. The layout and the smaller first layer
leave {record}`speed.space to depth:.0%` together. And the loader and the
optimizer's kernel, whose worth {doc}`/3_training/2_data` and
{doc}`/3_training/8_optimizers` measured by themselves, do not show: beside so many
products their part is too small. Does that change on a network of an eighth of
the channels, with nearly a sixtieth of the products?
"""


# %% Levers on a network of an eighth of the width alt="Bars of the time of a step over that of the textbook's way, for a network with an eighth of the channels. Batches by indexing change nothing; with channels last the bar is shorter by a quarter, with space to depth by more than a third; bfloat16 takes less off than that." tags=["hide-input"]
torch.manual_seed(0)
steps = ladder(width=8)
for step in steps.values():
    step()
times = best_times(steps, turns=10)
shares = [each / times["the textbook's way"] for each in times.values()]
figure, ax = plt.subplots(figsize=(4, 2.4), layout="constrained")
bars = ax.barh([*times], shares)
ax.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3)
ax.invert_yaxis()
ax.set(xlabel="time of a step, textbook = 1", xlim=(0, 1.3))
plt.show()

# %% [markdown]
r"""
The layout is worth more here and the format less. The two others still do not
show. A lever has no worth of its own; it has one for a network, a batch and a
machine, and it takes five minutes to find out.
"""

# %% [markdown]
r"""
## A compiler

`torch.compile` writes a program for the model, in which operations that follow
each other on the same numbers become one walk through memory. What stands between
the convolutions is of that kind: norm, bend, addition. The program has to be
written first. So there are two numbers, and whoever hides the first in a warm-up
that nobody counts has measured half of it.
"""


# %% Compiled, and as it is tags=["record"] record="compiled" loans="torch.compile" repaid="5_applications/7_kernels"
def compiled(seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = FastResNet(width=32).to(memory_format=torch.channels_last)
    program = torch.compile(lambda input: model(input))

    def step(function: Callable) -> None:
        cross_entropy(function(x[:125]), kinds[:125]).backward()
        model.zero_grad()

    start = time.perf_counter()
    step(program)
    took = time.perf_counter() - start
    ways = {
        "as it is": partial(step, model),
        "compiled": partial(step, program),
    }
    times = best_times(ways, turns=10)
    return {
        "compiled / as it is": times["compiled"] / times["as it is"],
        "steps that compiling takes": took / times["as it is"],
    }


# %% [markdown]
r"""
A step of the program takes {record}`compiled.compiled / as it is:.2f` times as long
as one of the model as it is, and writing it as long as
{record}`compiled.steps that compiling takes:.0f` steps. The lever is not worth
pulling for this network on this machine, which says nothing of others. The record
can be measured on yours.

## What an image teaches

A step that takes half the time is worth as much as one that teaches twice. Which
settings of the recipe teach? Each is taken out, the rest left as it is, in three
epochs of 5,000 images and a network of 16 channels. Seeds, order and images are
the same for both sides. AdamW in Muon's place, and batches four times as large, get the best
of three rates of their own, on the images that are held out.
"""


# %%
def adamw_alone(params: Iterable[Tensor], lr: float) -> CombinedOptimizer:
    params = list(params)
    kernels = [param for param in params if param.ndim == 4]
    rest = [param for param in params if param.ndim < 4]
    options = {"betas": (0.9, 0.99), "weight_decay": 0}
    both = AdamW(kernels, lr, **options), AdamW(rest, lr / 2, **options)
    return CombinedOptimizer(*both)


def judged(recipe: Recipe, seed: int, **options: Any) -> float:
    """Accuracy on 5,000 held-out images after training on 5,000."""
    learn = fast_learner(
        recipe,
        x[:5_000],
        kinds[:5_000],
        seed,
        **{"valid": held, "metrics": [Accuracy()], "defaults": []} | options,
    )
    learn.fit(recipe.epochs)
    return learn.results["accuracy"]


# %% What the levers of learning are worth tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    base = Recipe(epochs=3, width=16)

    def best(rates: Iterable[float], batch_size: int, **options: Any) -> float:
        """The best rate's accuracy."""
        changed = (base._replace(lr=r, batch_size=batch_size) for r in rates)
        return max(judged(each, seed, **options) for each in changed)

    without = {
        "Muon": best((0.003, 0.006, 0.012), 125, optim=adamw_alone),
        "small batches": best((0.014, 0.03, 0.06), 500),
        "flips": judged(base._replace(flips=False), seed),
        "smoothing": judged(base._replace(smoothing=0.0), seed),
        "images that stay": judged(base._replace(padding=1), seed),
    }
    whole = judged(base, seed)
    gains = {name: whole - each for name, each in without.items()}
    low = judged(base._replace(low_precision=True), seed) - whole
    return {"all": whole} | gains | {"bfloat16": low}


# %% [markdown]
r"""
| taken out | accuracy that is lost |
| --- | ---: |
| small batches | {record}`worth.small batches:.1%` |
| Muon | {record}`worth.Muon:.1%` |
| smoothing | {record}`worth.smoothing:.1%` |
| flips | {record}`worth.flips:.1%` |
| moved images put in | {record}`worth.images that stay:.1%` |

In so short a training it is the number of steps that counts, and what a step is
worth: batches of 500 make a quarter of the steps, and no rate of the three makes
up for it. Muon is worth more than its deviation, on each of the seeds. What
changes images costs: there is no time to learn by heart, so there is nothing to
be remedied. That holds for the flips as well, on every seed. Yet the recipe has
them: it was frozen before this was measured, and the leaderboard had begun with
it. What is frozen stays, or it never was. Products in half the bits cost, too:
{record}`worth.bfloat16:.1%`, for steps that take little more than half the time.
"""

# %% [markdown]
r"""
## A test set behind a seal

Whoever looks at the test set and then changes a setting has chosen by the test
set. Nobody notices, the one who did it least of all: it takes a dozen looks, each
of them harmless. So the data gets a door that writes down who came through:
"""


# %% A set that writes down who opened it tags=["export"] module="data.sealed"
"""Data that is to be looked at once, when all choices are made."""


class Sealed:
    """Data that writes down each time it is opened, and what for.

    A purpose opens it once: who looks again, chooses by it. `log` is a file of
    lines, time and purpose, that only grows.
    """

    def __init__(self, load: Callable[[], Any], log: str | Path):
        self.load, self.log = load, Path(log)
        self.opened: list[str] = []

    def open(self, purpose: str) -> Any:
        """What `load` returns, after the line was written."""
        if not purpose.strip() or "\n" in purpose:
            raise ValueError(f"a purpose is a line of text, got {purpose!r}")
        if purpose in self.opened:
            told = "a second look is a choice; choose on validation data"
            raise RuntimeError(f"opened before for {purpose!r}: {told}")
        self.opened.append(purpose)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{now} {purpose}\n")
        return self.load()


# %%
def refusal(purpose: str) -> str:
    """What the seal says to a second look."""
    try:
        sealed.open(purpose)
    except RuntimeError as error:
        return str(error)
    return ""


with tempfile.TemporaryDirectory() as folder:
    log = Path(folder) / "looks.txt"
    sealed = Sealed(partial(fashion_mnist, train=False), log)
    sealed.open("five epochs, seed 0")
    again = refusal("five epochs, seed 0")
    sealed.open("five epochs, seed 1")
    lines = log.read_text().splitlines()
assert "a second look" in again
assert_equal(len(lines), 2)
again

# %% [markdown]
r"""
It cannot stop anyone. It makes a second look something that one does on purpose,
and that others can read. {doc}`/4_convnets/13_leaderboard` trains by the recipe,
for several budgets, and opens the seal once for each seed.

## Three ways to go wrong

| mistake | what it shows | the check |
| --- | --- | --- |
| the first call is timed | one way looks slow, whichever came first | the ways take turns, and the first turn is not counted |
| two ways do different work | a lever that leaves out images looks fast | equal multiplications, counted; equal images |
| the best of many looks at the test set | a number that nobody reaches again | the log has as many lines as seeds |

## What we built

| name | module | what it is |
| --- | --- | --- |
| `pixel_unshuffle`, `PixelUnshuffle` | `nn.functional`, `nn` | squares of pixels as channels |
| `pixel_shuffle`, `PixelShuffle` | `nn.functional`, `nn` | the way back |
| `KernelMuon` | `optim` | Muon for kernels |
| `FastResNet` | `vision` | a small residual network for small images |
| `Recipe`, `fast_learner` | `vision` | all settings of a run, and the learner of them |
| `Sealed` | `data` | a test set that writes down who opened it |

## Questions

:::{dropdown} Why the shortest time, and not the mean?
A process is never faster than its work allows. Whatever else the machine does
makes it slower, by an amount that has nothing to do with the two ways compared.
The mean holds that amount; the shortest time holds the least of it.
:::

:::{dropdown} Does space to depth lose anything?
No number: `pixel_shuffle` brings the image back, as the cell above asserts. What
changes is the kernel. Three by three places of four channels see 6 × 6 pixels,
but move by two pixels at a time.
:::
"""

# %% tags=["answer"]
seen = torch.zeros(1, 1, 12, 12, requires_grad=True)
unit = Conv2d(4, 1, 3)
unit(pixel_unshuffle(seen, 2))[0, 0, 1, 1].backward()
assert_equal(int((seen.grad != 0).sum()), 36)

# %% [markdown]
r"""
:::{dropdown} Are both first layers really as much work?
Without the channel of the pool, yes: 784 places by nine products, or a quarter of
the places by four times as many.
:::
"""

# %% tags=["answer"]
assert_equal(28 * 28 * 9 * 1, 14 * 14 * 9 * 4)

# %% [markdown]
r"""
:::{dropdown} Why does the head, a matrix, not learn by Muon?
By the advice of its author, which {doc}`/3_training/8_optimizers` follows: Muon for
what lies inside. It is advice, not a law. `param.ndim > 1` in `kernels_and_rest`
gives the head to Muon, and `worth` can say on five seeds what that does.
:::

:::{dropdown} Could one choose on the test set and report the validation set?
One could. Choosing spoils the set that is chosen on, whichever name it has, and
leaves the other whole. What counts is that the number comes from the set which
had no say.
:::

## Exercises

**1.** A lever saves nine tenths of the time of a part that takes a fifth of a
step. What is left of the step? Write the rule (it is Amdahl's), and find what the
best of all levers on that part could leave.
"""


# %% tags=["solution"]
def left(part: float, speedup: float) -> float:
    """Of a step, when a part of it runs `speedup` times as fast."""
    return 1 - part + part / speedup


assert_close(left(0.2, 10), 0.82)
assert_close(left(0.2, float("inf")), 0.8)

# %% [markdown]
r"""
**2.** Where does a step spend its time? Time the forward pass, the backward pass
and the optimizer of `FastResNet(width=16)` by themselves, and say which of the
levers above could not have helped much.
"""

# %% tags=["solution"]
net = FastResNet(width=16).to(memory_format=torch.channels_last)
adamw, rows = AdamW(net.parameters(), fused=True), slice(125)


def forward() -> Tensor:
    return cross_entropy(net(x[rows]), kinds[rows])


loss = forward()
parts = best_times(
    {
        "forward": forward,
        "backward": lambda: loss.backward(retain_graph=True),
        "optimizer": adamw.step,
    }
)
assert parts["optimizer"] < parts["forward"] + parts["backward"]
{name: f"{each / sum(parts.values()):.0%}" for name, each in parts.items()}

# %% [markdown]
r"""
The optimizer is the smallest part here, so a fused one cannot give back much.

**3.** Guard the log: write a function that is given the lines of the log and the
seeds that a record has, and names each seed that was looked at more than once.
"""


# %% tags=["solution"]
def twice(lines: Iterable[str]) -> list[str]:
    """The purposes that stand in the log more than once."""
    purposes = [line.split(" ", 1)[1] for line in lines]
    return sorted({each for each in purposes if purposes.count(each) > 1})


assert_equal(twice(lines), [])
assert_equal(twice([*lines, lines[0]]), ["five epochs, seed 0"])
