# %% [markdown] module="data.augment"
r"""
# Overfit first

A network has learned its training images by heart: all of them right, and one in
seven of the others wrong. That is no failure. A network that could not learn them
would have a fault, which no remedy mends. **It is right about everything that it
has seen. What makes it right about the rest?**

| name | shape | meaning |
| --- | --- | --- |
| `images` | `(n, c, h, w)` | a batch of images, from 0 (black) to 1 |
| gap | | accuracy on training images minus accuracy on held-out ones |
| $\lambda$ | `(n,)` | the share of the first of two images in a mixture |
| `p` | | the chance of an event: a flip, a unit that is dropped |
"""

# %% Imports tags=["hide-input"]
import hashlib
import math
import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist, mnist
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.flatten import Flatten
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.padding import pad
from groundup.nn.functional.pooling import avg_pool2d
from groundup.nn.functional.windows import windows
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.standardize import Standardize
from groundup.optim.adam import AdamW
from groundup.scores import accuracy
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy

torch.set_num_threads(1)  # small layers are not worth a second one

# %% [markdown]
r"""
## By heart

Clothes again, at half their size, as in {doc}`/4_convnets/6_resnet`. Of 60,000
images a network gets 5,000. The last 5,000 are held out: no choice is made on them.
The test set is not touched.
"""

# %%
images, kinds = fashion_mnist()
x, kinds = avg_pool2d(images[:, None].float() / 255, 2), kinds.long()
valid = TensorLoader(x[55_000:], kinds[55_000:], batch_size=500)


def network(
    width: int = 16, norm: bool = False, before: Iterable[Callable] = ()
) -> Sequential:
    """Two convolutions of stride 2 and two linear layers."""
    layers, c = [Standardize([0.286], [0.31])], 1
    for w, kernel_size in ((width, 5), (2 * width, 3)):
        layers += [Conv2d(c, w, kernel_size, 2, kernel_size // 2)]
        layers += [BatchNorm2d(w)] * norm + [ReLU()]
        c = w
    layers += [Flatten(), *(make() for make in before), Linear(16 * c, 4 * c)]
    layers += [ReLU(), *(make() for make in before), Linear(4 * c, 10)]
    return Sequential(*layers)


# %% [markdown]
r"""
`norm` and what comes `before` the linear layers are for later, and so are a few
arguments of the function that trains: what they stand for is built on the way.
Each seed has its own images, its own first weights and its own order.
"""


# %%
def trained(
    seed: int,
    n: int = 5000,
    callbacks: Iterable[Callable] = (),
    steps: int = 640,
    lr: float = 0.02,
    decay: float = 0.0,
    smoothing: float = 0.0,
    **options: Any,
) -> Learner:
    """A learner after some steps on `n` images, its own for each seed."""
    torch.manual_seed(seed)
    rows = slice(5000 * seed, 5000 * seed + n)
    learn = Learner(
        network(**options),
        TensorLoader(x[rows], kinds[rows], batch_size=250, shuffle=True),
        optim=partial(AdamW, weight_decay=decay, fused=True),
        lr=lr,
        loss=partial(cross_entropy, label_smoothing=smoothing),
        metrics=[Accuracy()],
        defaults=[Anneal.one_cycle(lr), *(make() for make in callbacks)],
    )
    learn.fit(250 * steps // n)
    return learn


def right(learn: Learner, loader: Iterable = valid) -> float:
    """The share of held-out images, or of a loader's, that are right."""
    return learn.evaluate(loader)["accuracy"]


# %%
plain = trained(seed=0)
by_heart, elsewhere = right(plain, plain.train), right(plain)
assert by_heart >= 0.995 and by_heart - elsewhere >= 0.08
error = math.sqrt(elsewhere * (1 - elsewhere) / 5000)
assert 0.004 < error < 0.006
by_heart, elsewhere, error

# %% [markdown]
r"""
The network is large enough, the rate is right, the labels can be learned. What is
left is the gap, {term}`overfitting`. The remedies have an order: what adds
knowledge comes before what takes freedom away, and a smaller net comes last.

How large a difference can be seen at all? The last number is the standard error of
the share of 5,000 images: half a point. One run with a remedy and one without say
nothing about a remedy that is worth a point. So each is a *paired* difference over five seeds: what a seed's
luck gives to both sides drops out. The runs are a record, and share one rate and
640 steps, unless it is said otherwise.

## More data

Nothing is as good as more images. At equal steps, so that only their variety grows:

| images | held out |
| --- | --- |
| 5,000 | {record}`remedies.plain:.1%` |
| 10,000 | {record}`remedies.10000 images:.1%` |
| 20,000 | {record}`remedies.20000 images:.1%` |

Four times the images are worth
{record}`remedies.20000 images - plain:.1%` here. That is the measure for what
follows: what would it take to do as well with the images at hand?
"""

# %% [markdown]
r"""
## Augmentation: a draw for each image

A shirt that stands two pixels further left is a shirt, and so is its mirror image.
Who says so to the network has more images than were taken, for nothing. A crop
moves an image: frame it with black, and cut a window of the old size out of it.
All windows of a framed image are a view, which {doc}`/4_convnets/1_convolution`
built; each image takes one of them, and one indexing takes all.
"""


# %% Where numbers are drawn tags=["export", "internal"]
"""Augmentation: images changed at random, each by draws of its own."""


def check_images(images: Tensor) -> None:
    """Raise unless these are (n, c, h, w)."""
    if images.ndim != 4:
        given = (*images.shape,)
        raise ValueError(f"expected images of (n, c, h, w), got {given}")


def draw(
    shape: tuple[int, ...], images: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Numbers in 0 to 1, drawn where the generator is: beside the images."""
    device = images.device if generator is None else generator.device
    numbers = torch.rand(shape, generator=generator, device=device)
    return numbers.to(images.device)


# %% A crop for each image tags=["export"]
def random_crop(
    images: Tensor,
    padding: int,
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each moved by up to `padding` pixels, down and across: (n, c, h, w)."""
    check_images(images)
    if padding < 0:
        raise ValueError(f"expected a padding of 0 or more, got {padding}")
    n, places = len(images), 2 * padding + 1
    framed = pad(images, [padding] * 4, value=fill)
    crops = windows(framed, (places, places))  # (n, c, places, places, h, w)
    draws = draw((2, n), images, generator)
    top, left = (draws * places).long().clamp_(max=places - 1)
    return crops[torch.arange(n, device=images.device), :, top, left]


# %%
torch.manual_seed(0)
same = x[:1].expand(512, -1, -1, -1)
moves = torch.unique(random_crop(same, 2), dim=0)
assert_equal(len(moves), 25)
len(moves)

# %% [markdown]
r"""
The check counts what no picture of a single batch would show. The draws are made
*for each image*: a batch of one shirt has all five by five shifts in it. Two
published courses call a library's transform on a whole batch, which draws once,
and all images of the batch move alike.
"""


# %% A mirror for each image tags=["export"]
def random_flip(
    images: Tensor,
    p: float = 0.5,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each mirrored, left for right, with a chance of `p`: (n, c, h, w)."""
    check_images(images)
    if not 0 <= p <= 1:
        raise ValueError(f"p is a chance in 0 to 1, got {p}")
    flipped = draw((len(images), 1, 1, 1), images, generator) < p
    return images.flip(3).where(flipped, images)


# %%
def crop_as_published(images: Tensor, padding: int) -> Tensor:
    """One draw for all: a throwaway."""
    top, left = torch.randint(2 * padding + 1, (2,)).tolist()
    h, w = images.shape[2:]
    return pad(images, [padding] * 4)[..., top : top + h, left : left + w]


assert_equal(len(torch.unique(random_flip(same), dim=0)), 2)
assert_equal(len(torch.unique(crop_as_published(same, 2), dim=0)), 1)

# %% [markdown]
r"""
A third change hides a part of the image {cite:p}`devries2017`, so that no single
detail is enough to recognise it by.
"""


# %% A rectangle in each image tags=["export", "internal"]
def rectangles(
    images: Tensor, top: Tensor, left: Tensor, *ends: Tensor
) -> Tensor:
    """Where an image's rectangle is: edges of (n,) each -> (n, 1, h, w)."""
    h, w = images.shape[2:]
    edges = [edge.view(-1, 1, 1, 1) for edge in (top, left, *ends)]
    top, left, bottom, right = edges
    row = torch.arange(h, device=images.device).view(1, 1, h, 1)
    column = torch.arange(w, device=images.device).view(1, 1, 1, w)
    inside = (top <= row) & (row < bottom)
    return inside & (left <= column) & (column < right)


# %% A hole in each image tags=["export"]
def random_erase(
    images: Tensor,
    size: int,
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A square of each, `size` wide, painted over: (n, c, h, w)."""
    check_images(images)
    n, _, h, w = images.shape
    if not 0 <= size <= min(h, w):
        raise ValueError(f"no square of {size} fits into images of {h} x {w}")
    draws = draw((2, n), images, generator)
    top = (draws[0] * (h - size + 1)).long().clamp_(max=h - size)
    left = (draws[1] * (w - size + 1)).long().clamp_(max=w - size)
    hole = rectangles(images, top, left, top + size, left + size)
    return images.masked_fill(hole, fill)


# %%
holes = 1 - random_erase(torch.ones_like(same), 8)
assert_close(holes.sum((1, 2, 3)), torch.full((512,), 64.0))

# %% [markdown]
r"""
In a learner a callback does it, and in training alone. Whoever augments the
images first and splits them afterwards, as one published course does, judges by
other images than those that users send. The check is a hash of the first
validation batch.
"""


# %% While training alone tags=["export"] module="training.regularize"
"""What makes training harder than the test: changed images and targets."""


class Augment(Callback):
    """Changes the images of training batches, never those of validation.

    `Augment(partial(random_crop, padding=2), random_flip)`. With a `seed` the
    draws are its own; without, those of torch's generator.
    """

    def __init__(self, *transforms: Callable, seed: int | None = None):
        self.transforms = transforms
        self.generator = None
        if seed is not None:
            self.generator = torch.Generator().manual_seed(seed)

    def before_batch(self, run: Run) -> None:
        """Change the input."""
        if run.training:
            for transform in self.transforms:
                run.input = transform(run.input, generator=self.generator)


# %% Where its draws stand tags=["export"] module="training.regularize"
class Augment(Augment):
    def state_dict(self) -> dict[str, Any]:
        """Where the draws stand."""
        own = self.generator
        return {} if own is None else {"generator": own.get_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Draw on from there."""
        if self.generator is not None:
            self.generator.set_state(state_dict["generator"])


# %% A hash of what validation sees
class FirstBatch(Callback):
    """The hash of the first batch of the last validation."""

    order = 100  # after whatever may change it

    def after_predict(self, run: Run) -> None:
        if not run.training and run.batch_idx == 0:
            data = run.input.numpy().tobytes()
            self.seen = hashlib.sha256(data).hexdigest()


first = FirstBatch()
flips = partial(Augment, random_flip)
right(trained(0, steps=20, callbacks=[flips, lambda: first]))
untouched = hashlib.sha256(x[55_000:55_500].numpy().tobytes()).hexdigest()
assert_equal(first.seen, untouched)
first.seen[:16]

# %% [markdown]
r"""
Shifts are worth {record}`remedies.crop - plain:.1%` here, where clothes are centred
and the training is short; mirroring {record}`remedies.flip - plain:.1%`, and hiding a
square {record}`remedies.erase - plain:.1%`.

## Architecture

A network may be made so that it generalises better: the convolution itself was
such a step, and {doc}`/4_convnets/6_resnet` is another. Here batch normalisation
alone is tried, `norm=True`: {record}`remedies.norm - plain:.1%`.
"""

# %% [markdown]
r"""
## Dropout

A unit that may be missing is none to rely on. {term}`Dropout <dropout>`
{cite:p}`srivastava2014` sets each number to zero with a chance of $p$ while
training, and makes the others $1/(1-p)$ larger, so that their mean stays.
"""


# %% Dropping numbers tags=["export", "internal"] module="nn.functional.dropping"
"""Dropout: numbers that are left out at random while training."""


def check_chance(p: float) -> None:
    """Raise unless this is a probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"p is a chance in 0 to 1, got {p}")


def dropped(
    input: Tensor, noise: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    """Times `noise`, filled with 0 or 1 / (1 - p); in evaluation the input."""
    if p == 0 or not training or not input.numel():
        return input
    if p == 1:
        kept = input.new_zeros(())
    else:
        kept = noise.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(kept) if inplace else input * kept


# %% Dropout tags=["export"] module="nn.functional.dropping" earns="torch.nn.functional.dropout"
def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    """Each number is 0 with a chance of `p`, else by 1 / (1 - p) larger."""
    check_chance(p)
    return dropped(input, torch.empty_like(input), p, training, inplace)


# %%
torch.manual_seed(0)
assert_close(dropout(torch.ones(10_000), 0.3).mean().item(), 1.0, atol=0.02)
dropout(torch.ones(10), 0.3)

# %% [markdown]
r"""
The layer knows from `training` which life is on, as a norm does. The starred
chapter drops whole channels, {doc}`/4_convnets/11_augmentation`.
"""


# %% Dropout as a layer tags=["export"] module="nn.dropout" earns="torch.nn.Dropout"
"""Layers that leave numbers out while training."""


class DropoutBase(Module):
    """A chance, and whether the input itself is changed."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        check_chance(p)
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutBase):
    """Numbers are left out while training, and none in evaluation."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return dropout(input, self.p, self.training, self.inplace)


# %%
layer = Dropout(0.5)
layer(torch.ones(8)), layer.eval()(torch.ones(8))

# %% [markdown]
r"""
Dropout before both linear layers is worth {record}`remedies.dropout - plain:.1%`. Two
older relatives need no code: {term}`weight decay`, which AdamW has had since
{doc}`/3_training/3_optim`, {record}`remedies.decay - plain:.1%`, and
{term}`label smoothing`, an argument of our loss whose optimum is an exercise,
{record}`remedies.smoothing - plain:.1%`.
"""

# %% [markdown]
r"""
## Mixing two images

{term}`Mixup <mixup>` {cite:p}`zhang2018mixup` shows the network a weighted mean
of two images, and asks for the same mean of their labels. The share is drawn from
a Beta distribution, which for $\alpha = 1$ is even and for a small one mostly
near 0 or 1.
"""


# %% Shares tags=["export", "internal"] module="training.regularize"
def shares(
    n: int, alpha: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draws of the Beta distribution with both parameters `alpha`: (n,)."""
    if alpha <= 0:
        raise ValueError(f"expected an alpha above 0, got {alpha}")
    device = "cpu" if generator is None else generator.device
    seed = torch.randint(2**62, (), generator=generator, device=device)
    beta = random.Random(seed.item()).betavariate
    return torch.tensor([beta(alpha, alpha) for _ in range(n)])


def _partners(images: Tensor, generator: torch.Generator | None) -> Tensor:
    device = images.device if generator is None else generator.device
    order = torch.randperm(len(images), generator=generator, device=device)
    return order.to(images.device)


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    share = share.to(first).view(-1, *(1 for _ in first.shape[1:]))
    return share * first + (1 - share) * second


# %%
torch.manual_seed(0)
shares(4, 1.0), shares(4, 0.1)

# %% [markdown]
r"""
The targets are probabilities, which our loss takes.
"""


# %% Mixup tags=["export"] module="training.regularize"
def check_targets(images: Tensor, targets: Tensor) -> None:
    """Raise unless there is a row of probabilities for each image."""
    if targets.ndim < 2 or not targets.is_floating_point():
        given = f"{targets.dtype} of {(*targets.shape,)}"
        raise ValueError(f"expected probabilities, (n, k), got {given}")
    if len(images) != len(targets):
        given = f"{len(images)} images and {len(targets)} targets"
        raise ValueError(f"expected a target for each image, got {given}")


def mixup(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Weighted means of two images and of their targets: (n, ...), (n, k).

    Targets are probabilities (Zhang et al., 2018); a share for each image.
    """
    check_targets(images, targets)
    partner = _partners(images, generator)
    share = shares(len(images), alpha, generator)
    pairs = (images, images[partner]), (targets, targets[partner])
    images, targets = (_blend(*pair, share) for pair in pairs)
    return images, targets


# %%
torch.manual_seed(0)
one_hot = torch.eye(10)[kinds[:5000]]
mixed, soft = mixup(x[:5000], one_hot)
assert_close(soft.sum(1), torch.ones(5000))
with torch.no_grad():
    guess = plain.model.eval()(mixed).argmax(1)
on_mixed = accuracy(guess, soft.argmax(1)).item()
assert on_mixed < by_heart - 0.1
on_mixed, by_heart, elsewhere

# %% [markdown]
r"""
The middle of these numbers is the plain network's accuracy on its training images,
the last on others, and the first that on mixed training images, if the larger share
counts as the label. It is neither of the two that mean something; a training
accuracy that falls short under mixup is often this. Accuracy is taken of whole
images alone.

*Cutmix* {cite:p}`yun2019` puts a rectangle of the one image into the other. The
labels count by area, which the edge may have cut.
"""


# %% Cutmix tags=["export"] module="training.regularize"
def cutmix(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """A rectangle of another image in each, targets by area: (n, k).

    Yun et al. (2019); a rectangle for each image, cut off at the edge.
    """
    check_images(images)
    check_targets(images, targets)
    partner = _partners(images, generator)
    share = shares(len(images), alpha, generator).to(images.device)
    size = images.new_tensor(images.shape[2:])[:, None]
    centre = draw((2, len(images)), images, generator) * size
    half = (1 - share).sqrt() * size / 2
    start = (centre - half).round().clamp(min=0)
    patch = rectangles(images, *start, *(centre + half).round())
    kept = 1 - patch.flatten(1).float().mean(1)
    mixed = images[partner].where(patch, images)
    return mixed, _blend(targets, targets[partner], kept)


# %%
mixed, soft = cutmix(x[:5000], one_hot)
assert_close(soft.sum(1), torch.ones(5000))

# %% [markdown]
r"""
The callbacks leave validation as it is. Their names are torchvision's.
"""


# %% Mixing while training tags=["export"] module="training.regularize"
class MixUp(Augment):
    """Mixes the images and labels of training batches by `mixup`."""

    order = 10  # after single images were changed

    mix = staticmethod(mixup)

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int, seed: int | None = None
    ):
        super().__init__(seed=seed)
        self.alpha, self.num_classes = alpha, num_classes

    def before_batch(self, run: Run) -> None:
        """Mix; targets become probabilities."""
        if run.training:
            one_hot = torch.eye(self.num_classes, device=run.target.device)
            options = {"alpha": self.alpha, "generator": self.generator}
            run.input, run.target = self.mix(
                run.input, one_hot[run.target], **options
            )


class CutMix(MixUp):
    """Mixes the images and labels of training batches by `cutmix`."""

    mix = staticmethod(cutmix)


# %%
assert MixUp(num_classes=10).generator is None

# %% [markdown]
r"""
Mixup is worth {record}`remedies.mixup - plain:.1%`, cutmix
{record}`remedies.cutmix - plain:.1%`.

## A smaller net

The first remedy that comes to mind is the last in the order. A network of half the
width has a quarter of the weights, and learns less by heart and less of everything:
{record}`remedies.small - plain:.1%`.
"""

# %% [markdown]
r"""
## After the training: averages

Two more remedies change no step of the training. The last step of a run is as
noisy as any; an {term}`exponential moving average` of the weights over the steps
{cite:p}`polyak1992` is not. In a learner a callback keeps it, and the averages are
in the model whenever it is judged, and after the fit. The starred chapter
{doc}`/4_convnets/11_augmentation` has torch's classes for the same.
"""


# %% Averages of weights tags=["export"] module="training.average"
"""Averages of a model's weights over the steps of its training."""


class EMA(Callback):
    """Averages the weights over the steps; validation sees the averages.

    They stay in the model until the next training batch, and after the fit.
    The first step's weights are the first average, as torch has it.
    """

    order = 10

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay <= 1:
            raise ValueError(f"expected a decay in 0 to 1, got {decay}")
        self.decay = decay
        self.other: list[Tensor] = []  # averages, or the weights meanwhile
        self.averaged = False  # whether the model holds the averages
        self.steps = 0  # that are in the average

    def before_fit(self, run: Run) -> None:
        """Begin a new average."""
        self.other = [each.detach().clone() for each in _numbers(run.model)]
        self.averaged, self.steps = False, 0


def _numbers(model: Any) -> list[Tensor]:
    """Weights and buffers, but for counts."""
    held = (*model.parameters(), *model.buffers())
    return [t for t in held if t.is_floating_point() or t.is_complex()]


# %% The average, and which weights are in the model tags=["export"] module="training.average"
class EMA(EMA):
    @torch.no_grad()
    def _take_in(self, run: Run) -> None:
        share = 1 - self.decay if self.steps else 1.0
        for mean, new in zip(self.other, _numbers(run.model), strict=True):
            mean.lerp_(new, share)
        self.steps += 1

    @torch.no_grad()
    def _hold(self, run: Run, averaged: bool) -> None:
        """Let the model hold the averages or not: exchange the numbers."""
        if not self.other or averaged == self.averaged:
            return
        for one, other in zip(_numbers(run.model), self.other, strict=True):
            held = one.clone()
            one.copy_(other)
            other.copy_(held)
        self.averaged = averaged


# %%
line = Linear(1, 1)
run = Learner(line, None, optim=AdamW, lr=0.1, defaults=[ema := EMA(0.9)])
ema.before_fit(run)
for value in (1.0, 2.0):
    init.constant_(line.weight, value)
    ema._take_in(run)
ema._hold(run, averaged=True)
assert_close(line.weight.item(), 0.9 * 1 + 0.1 * 2)

# %% [markdown]
r"""
The events only say when. Asked for in the middle of an epoch, an evaluation
leaves the averages in place; the next batch or step takes them out again.
"""


# %% What happens when tags=["export"] module="training.average"
class EMA(EMA):
    def before_batch(self, run: Run) -> None:
        """Train the weights, not their averages."""
        if run.training:
            self._hold(run, averaged=False)

    def after_step(self, run: Run) -> None:
        """Take in the weights of this step."""
        self._hold(run, averaged=False)
        self._take_in(run)

    def before_validation(self, run: Run) -> None:
        """Judge the averages."""
        self._hold(run, averaged=True)

    def after_fit(self, run: Run) -> None:
        """Leave the averages in the model."""
        self._hold(run, averaged=True)
        self.other = []

    after_cancel_fit = after_fit


# %% For checkpoints tags=["export"] module="training.average"
class EMA(EMA):
    def state_dict(self) -> dict[str, Any]:
        """The averages, and how many steps are in them."""
        names = "other", "averaged", "steps"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there; after the end of a fit, from nothing."""
        held = zip(state_dict["other"], self.other, strict=False)
        self.other = [each.to(mine.device) for each, mine in held]
        self.averaged = state_dict["averaged"]
        self.steps = state_dict["steps"]


# %% [markdown]
r"""
A running average is worth most where the rate stays high. Here it falls to nothing,
and the last weights hardly move: {record}`remedies.average - plain:.1%`.

The other is {term}`test-time augmentation`: ask about several views of an image and
take the mean of the probabilities. The views are drawn for nobody: the validation
images are the same for every model, and what is averaged is said.
"""


# %%
def mirrored_too(learn: Learner) -> float:
    """Held-out accuracy, from each image and its mirror image."""
    images, labels = x[55_000:], kinds[55_000:]
    with torch.no_grad():
        model = learn.model.eval()
        views = [model(each).softmax(1) for each in (images, images.flip(3))]
    return accuracy(sum(views).argmax(1), labels).item()


# %%
harmed = mirrored_too(plain) - elsewhere
assert harmed < -0.05
harmed

# %% [markdown]
r"""
A remedy that hurts: {record}`remedies.plain, mirrored too - plain:.1%`. This network
has never seen a mirror image: every shoe of the data points to the left. For one
that has, the second view is of some use, as is seen at the end.

## All of them, counted
"""

# %%
FLIPS = partial(Augment, random_flip)
MIXES = partial(MixUp, alpha=0.3, num_classes=10)
ALL = {"callbacks": [FLIPS, MIXES], "decay": 0.1, "width": 32, "steps": 800}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "10000 images": {"n": 10_000},
    "20000 images": {"n": 20_000},
    "crop": {"callbacks": [partial(Augment, partial(random_crop, padding=1))]},
    "flip": {"callbacks": [FLIPS]},
    "erase": {"callbacks": [partial(Augment, partial(random_erase, size=4))]},
    "norm": {"norm": True},
    "dropout": {"before": [partial(Dropout, 0.3)]},
    "decay": {"decay": 0.3},
    "smoothing": {"smoothing": 0.1},
    "mixup": {"callbacks": [MIXES]},
    "cutmix": {"callbacks": [partial(CutMix, alpha=1.0, num_classes=10)]},
    "small": {"width": 8},
    "average": {"callbacks": [partial(EMA, 0.98)]},
    "plain, longer": {"steps": 800},
    "all": ALL,
    "all, 20000 images": {**ALL, "n": 20_000},
}


# %% Each remedy tags=["record", "hide-output"] record="remedies"
def remedies(seed: int) -> dict[str, float]:
    """Held-out accuracy of each case, and what it is above the plain one."""
    torch.set_num_threads(1)
    found = {}
    for name, options in CASES.items():
        learn = trained(seed, **options)
        found[name] = right(learn)
        if name == "plain":
            found["training"] = right(learn, learn.train)
            found["plain, mirrored too"] = mirrored_too(learn)
        if name.startswith("all"):
            found[f"{name}, mirrored too"] = mirrored_too(learn)
    found["gap"] = found["training"] - found["plain"]
    return found | {
        f"{name} - plain": found[name] - found["plain"]
        for name in [*found]
        if name not in ("plain", "training", "gap")
    }


# %% What the record found: means and deviations, in points
FOUND = {
    "10000 images": (1.8, 0.7),
    "20000 images": (2.8, 0.4),
    "crop": (-0.3, 0.3),
    "flip": (0.0, 0.7),
    "erase": (0.3, 0.3),
    "norm": (-0.1, 0.7),
    "dropout": (0.7, 0.6),
    "decay": (0.6, 0.5),
    "smoothing": (0.4, 0.4),
    "mixup": (0.8, 0.8),
    "cutmix": (0.4, 0.5),
    "small": (-0.7, 0.4),
    "average": (0.0, 0.1),
    "plain, longer": (0.1, 0.4),
    "all": (1.2, 0.5),
    "all, mirrored too": (1.7, 0.6),
    "all, 20000 images": (2.9, 0.4),
    "all, 20000 images, mirrored too": (3.2, 0.5),
}
assert FOUND["all, 20000 images, mirrored too"][0] >= 3
HALF = 2.776 / 5**0.5  # of a 95 % interval of a mean, in deviations

# %% alt="A bar for each remedy, in points against the plain network, with whiskers. More images and all remedies together reach furthest to the right; most single ones end within a point of zero; a smaller net reaches to the left." tags=["hide-input"]
import matplotlib.pyplot as plt

ax = plt.figure(figsize=(4.2, 4.6), layout="constrained").gca()
for i, (mean, deviation) in enumerate(FOUND.values()):
    clear = abs(mean) > HALF * deviation
    options = {"color": "C0" if clear else "0.6", "ecolor": "C1"}
    ax.barh(i, mean, xerr=HALF * deviation, capsize=2, **options)
ax.set_yticks(range(len(FOUND)), FOUND, fontsize=9)
ax.invert_yaxis()
ax.set_xlabel("points against plain; grey: noise")
plt.show()

# %% Within the noise
[name for name, (mean, s) in FOUND.items() if abs(mean) <= HALF * s]

# %% [markdown]
r"""
*All* is a net of twice the width, mirrored and mixed images, and a little decay:
{record}`remedies.all - plain:.1%` with the 5,000 images, or
{record}`remedies.all, mirrored too - plain:.1%` with mirrored views in the test. Four
times the images and nothing else gave {record}`remedies.20000 images - plain:.1%`, and
both together {record}`remedies.all, 20000 images, mirrored too - plain:.1%`. The order
that the chapter follows is in these numbers: first get more data.

Grey is within the noise here, and may be worth something elsewhere. All runs share
one learning rate and a short training, which suit the plain network.
"""

# %% [markdown]
r"""
## What we built

* `random_crop`, `random_flip`, `random_erase` (`data`): a draw for each image.
* `Augment`, `MixUp`, `CutMix` (`training.regularize`), and `mixup`, `cutmix` as
  functions: in training alone.
* `dropout` (`nn.functional`), `Dropout` (`nn`).
* `EMA` (`training.average`): averages of weights, in the model when it is judged.

## Questions

:::{dropdown} Why is what dropout keeps made larger?
So that the mean of each number is in training what it is in evaluation.
:::

:::{dropdown} All images of a batch moved by the same two pixels. Which check shows it?
A batch of one image, many times over: count the different images that come out.
:::

:::{dropdown} Why are two weighted losses one loss of weighted targets?
Cross-entropy is minus a sum of targets times logarithms, and so linear in the
targets.
:::

:::{dropdown} The network gets half of its training images right. Which remedy?
None of these: each makes training harder. First it must be able to overfit.
:::

## Exercises

**1.** What is the mean of a number that dropout has passed, and what its variance?
"""

# %% tags=["solution"]
torch.manual_seed(0)
passed = dropout(torch.full((100_000,), 3.0), 0.25)
assert_close(passed.mean().item(), 3.0, rtol=0.01)
assert_close(passed.var().item(), 9 * 0.25 / 0.75, rtol=0.02)

# %% [markdown]
r"""
**2.** Without smoothing the best score of a label is infinite. With a smoothing
of $\varepsilon$ over $k$ classes, how far is it above the others at the optimum?
"""

# %% tags=["solution"]
eps, k = 0.1, 10
ahead = math.log((1 - eps + eps / k) / (eps / k))
scores = torch.zeros(1, k).index_fill(1, torch.tensor([3]), ahead)
scores.requires_grad_()
label = torch.tensor([3])
cross_entropy(scores, label, label_smoothing=eps).backward()
assert_close(scores.grad, torch.zeros(1, k), atol=1e-6)

# %% [markdown]
r"""
**3.** Mirrored clothes are clothes. Which augmentation of this chapter hurts on
digits? Show it with a thousand of them.
"""

# %% tags=["solution"]
digits, names = mnist()
digits = avg_pool2d(digits[:, None].float() / 255, 2)
reached = {}
for transforms in ((), (random_flip,)):
    torch.manual_seed(0)
    learn = Learner(
        network(),
        TensorLoader(digits[:1000], names[:1000], batch_size=50, shuffle=True),
        TensorLoader(digits[50_000:], names[50_000:], batch_size=1000),
        optim=AdamW,
        lr=0.003,
        metrics=[Accuracy()],
        defaults=[Augment(*transforms)],
    )
    learn.fit(8)
    reached[transforms] = learn.results["accuracy"]
assert reached[()] > reached[random_flip,] + 0.02

# %% [markdown]
r"""
**4.** How much of the first weights is in a running average of decay 0.99 after
a hundred more steps? Adam corrects its running means for having begun at zero;
correct this one so that it forgets how it began.
"""

# %% tags=["solution"]
first, later = torch.tensor(1.0), torch.tensor(0.0)
held = first
for _ in range(100):
    held = torch.lerp(held, later, 1 - 0.99)
assert_close(held.item(), 0.99**100, rtol=1e-4)  # a third
corrected = (held - 0.99**100 * first) / (1 - 0.99**100)
assert_close(corrected, later, atol=1e-6)
