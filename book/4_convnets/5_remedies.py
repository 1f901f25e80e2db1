# %% [markdown] module="data.augment"
r"""
# Overfit first

A network has learned its training images by heart: all of them right, and one in
six of the others wrong. That is no failure. A network that could not learn them
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
import copy
import math
import random
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from groundup.datasets import fashion_mnist
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import windows
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import Callback, Run

images, kinds = fashion_mnist()
x = images[:, None].float() / 255

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
images first and splits them afterwards judges by other images than those that
users send.
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


# %%
assert_equal(Augment(random_flip).state_dict(), {})

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
Neighbours in a picture say nearly the same, and a number that is left out is
found again beside it. So for pictures whole channels are dropped.
"""


# %% Dropout of whole channels tags=["export"] module="nn.functional.dropping" earns="torch.nn.functional.dropout2d"
def channel_noise(input: Tensor) -> Tensor:
    """Room for a number for each channel of each image: (n, c, 1, ...)."""
    if input.ndim < 2:
        shape = (*input.shape,)
        raise RuntimeError(f"expected (n, c, ...), got {shape}")
    n, c, *places = input.shape
    return input.new_empty(n, c, *(1 for _ in places))


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    """As `dropout`, for whole channels of each image: (n, c, h, w)."""
    check_chance(p)
    if input.ndim != 4:
        message = f"expected (n, c, h, w), got {(*input.shape,)}"
        if input.ndim == 3:
            message += ": taken for (n, c, l); dropout1d is meant for it"
        warnings.warn(message, stacklevel=2)
    return dropped(input, channel_noise(input), p, training, inplace)


# %%
torch.manual_seed(0)
dropout2d(torch.ones(1, 6, 2, 2), 0.5)[0, :, 0, 0]

# %% [markdown]
r"""
The layers know from `training` which life is on, as those of the last chapter do.
"""


# %% Dropout as a layer tags=["export"] module="nn.dropout" earns="torch.nn.Dropout torch.nn.Dropout2d"
"""Layers that leave numbers, or whole channels, out while training."""


class DropoutBase(Module):
    """Layers that differ in what they drop."""

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


class Dropout2d(DropoutBase):
    """Whole channels are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, h, w)."""
        return dropout2d(input, self.p, self.training, self.inplace)


# %%
layer = Dropout(0.5)
layer(torch.ones(8)), layer.eval()(torch.ones(8))

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
one_hot = torch.eye(10)[kinds[:512].long()]
mixed, soft = mixup(x[:512], one_hot)
assert_close(soft.sum(1), torch.ones(512))

# %% [markdown]
r"""
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
mixed, soft = cutmix(x[:512], one_hot)
assert_close(soft.sum(1), torch.ones(512))

# %% [markdown]
r"""
Accuracy on mixed images is not accuracy, so the callbacks, too, leave validation
alone. The names are torchvision's.
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
## Averages of weights

The last step of a run is as noisy as any. A {term}`running average
<exponential moving average>` over the steps is not. Torch's functions take the
average, the new value and how many went before.
"""


# %% Two kinds of average tags=["export"] module="training.average" earns="torch.optim.swa_utils.get_ema_avg_fn torch.optim.swa_utils.get_swa_avg_fn"
"""Averages of weights over the steps of a training run."""


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"expected a decay in 0 to 1, got {decay}")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """A running average: `decay` of the old, the rest of the new."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(averaged: Tensor, current: Tensor, n: Any) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable:
    """The mean of all, each with the same weight."""

    @torch.no_grad()
    def swa_update(averaged: Tensor, current: Tensor, n: Any) -> Tensor:
        return averaged + (current - averaged) / (n + 1)

    return swa_update


# %%
old, new = torch.zeros(3), torch.ones(3)
get_ema_avg_fn(0.9)(old, new, 5), get_swa_avg_fn()(old, new, 3)

# %% [markdown]
r"""
A model has many tensors, and they are changed where they are.
"""


# %% Many tensors in place tags=["export"] module="training.average" earns="torch.optim.swa_utils.get_ema_multi_avg_fn torch.optim.swa_utils.get_swa_multi_avg_fn"
def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """The running average of a list of tensors, in place."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(averaged: Iterable, current: Iterable, n: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point() or old.is_complex():
                old.lerp_(new, 1 - decay)
            else:
                old.copy_(old * decay + new * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """The mean of a list of tensors with those before, in place."""

    @torch.no_grad()
    def swa_update(averaged: Iterable, current: Iterable, n: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point() or old.is_complex():
                old.lerp_(new, float(1 / (n + 1)))
            else:
                old.add_((new - old) / (n + 1))

    return swa_update


# %%
get_ema_multi_avg_fn(0.9)([old], [new], 5)
assert_close(old, torch.full((3,), 0.1))

# %% [markdown]
r"""
The averaged model is a copy that takes in the trained one whenever it is told.
"""


# %% A model of averages tags=["export"] module="training.average" earns="torch.optim.swa_utils.AveragedModel"
class AveragedModel(Module):
    """A copy of a model that holds averages of its weights.

    The equal mean of all updates, unless a function says how to average.
    """

    def __init__(
        self,
        model: Any,
        device: torch.device | int | None = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("avg_fn and multi_avg_fn: expected one, got 2")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model answers."""
        return self.module(*args, **kwargs)


# %% [markdown]
r"""
The first weights are copied. Numbers of one type and device go to the function
together.
"""


# %% Another model joins the average tags=["export"] module="training.average"
def _copy_all(own: Iterable[Tensor], new: Iterable[Tensor]) -> None:
    for old, current in zip(own, new, strict=True):
        old.copy_(current)


def _alike(own: list[Tensor], new: list[Tensor]) -> Iterable[list]:
    groups: dict[tuple, list] = {}
    for old, current in zip(own, new, strict=True):
        pair = groups.setdefault((old.device, old.dtype), [[], []])
        pair[0].append(old)
        pair[1].append(current.to(old.device))
    return groups.values()


# %%
first = next(iter(_alike([old], [new])))
assert_equal(len(first), 2)

# %% [markdown]
r"""
Buffers are averaged like the weights, or else copied.
"""


# %% Taking weights in tags=["export"] module="training.average"
class AveragedModel(AveragedModel):
    @torch.no_grad()
    def update_parameters(self, model: Any) -> None:
        """Take in the weights of `model`; the first are copied."""
        own = [*self.module.parameters()]
        new = [*model.parameters()]
        buffers = [*self.module.buffers()], [*model.buffers()]
        if self.use_buffers:
            own, new = own + buffers[0], new + buffers[1]
        else:
            _copy_all(*buffers)
        if self.n_averaged == 0:
            _copy_all(own, new)
        elif own:
            self._average(own, new)
        self.n_averaged += 1


# %% Averaging tags=["export"] module="training.average"
class AveragedModel(AveragedModel):
    def _average(self, own: list[Tensor], new: list[Tensor]) -> None:
        if self.multi_avg_fn is not None:
            for group in _alike(own, new):
                self.multi_avg_fn(*group, self.n_averaged)
            return
        average = self.avg_fn or get_swa_avg_fn()
        for old, current in zip(own, new, strict=True):
            there = current.to(old.device)
            old.copy_(average(old, there, self.n_averaged))


# %%
weights = Linear(2, 1, bias=False)
averaged = AveragedModel(weights)
for value in (1.0, 2.0, 6.0):
    torch.nn.init.constant_(weights.weight, value)
    averaged.update_parameters(weights)
assert_close(averaged.module.weight.detach(), torch.full((1, 2), 3.0))

# %% [markdown]
r"""
A batch norm's statistics are those of the weights that it was trained with. For
averaged weights they are taken anew.
"""


# %% Statistics for averaged weights tags=["export"] module="training.average" earns="torch.optim.swa_utils.update_bn"
def _is_batch_norm(module: Any) -> bool:
    """Ours or torch's, of any number of axes."""
    return any("BatchNorm" in kind.__name__ for kind in type(module).__mro__)


@torch.no_grad()
def update_bn(
    loader: Iterable, model: Any, device: torch.device | int | None = None
) -> None:
    """Batch norms' averages anew, as plain means over a loader's batches."""
    norms = [each for each in model.modules() if _is_batch_norm(each)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in loader:
        input = batch[0] if isinstance(batch, list | tuple) else batch
        model(input if device is None else input.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


# %%
update_bn([], weights)  # which has none

# %% [markdown]
r"""
In a learner the averages are in the model whenever it is judged, and after the
fit. The weights come back before the next training batch.
"""


# %% Averages while training tags=["export"] module="training.average"
class EMA(Callback):
    """Averages the weights over the steps; validation sees the averages.

    They stay in the model until the next training batch, and after the fit.
    """

    order = 10

    def __init__(self, decay: float = 0.999):
        self.average = get_ema_multi_avg_fn(decay)
        self.other: AveragedModel | None = None  # the weights that wait
        self.averaged = False  # whether the model holds the averages

    def before_fit(self, run: Run) -> None:
        """Begin a new average."""
        options = {"multi_avg_fn": self.average, "use_buffers": True}
        self.other = AveragedModel(run.model, **options)
        self.averaged = False


# %% Which weights are in the model tags=["export"] module="training.average"
class EMA(EMA):
    @torch.no_grad()
    def _hold(self, run: Run, averaged: bool) -> None:
        if self.other is None or averaged == self.averaged:
            return
        ours, theirs = (
            [*model.parameters(), *model.buffers()]
            for model in (run.model, self.other.module)
        )
        for one, other in zip(ours, theirs, strict=True):
            held = one.clone()
            one.copy_(other)
            other.copy_(held)
        self.averaged = averaged


# %%
assert EMA(0.99).other is None

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
        self.other.update_parameters(run.model)

    def before_validation(self, run: Run) -> None:
        """Judge the averages."""
        self._hold(run, averaged=True)

    def after_fit(self, run: Run) -> None:
        """Leave the averages in the model."""
        self._hold(run, averaged=True)
        self.other = None

    after_cancel_fit = after_fit


# %% For checkpoints tags=["export"] module="training.average"
class EMA(EMA):
    def state_dict(self) -> dict[str, Any]:
        """The averages, and how many steps are in them."""
        if self.other is None:
            return {}
        return {**self.other.state_dict(), "in the model": self.averaged}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there; after the end of a fit, from nothing."""
        state = dict(state_dict)
        if not state:
            self.other = None
            return
        self.averaged = state.pop("in the model")
        self.other.load_state_dict(state)


# %%
assert_equal(EMA(0.99).state_dict(), {})

# %% [markdown]
r"""
## What we built

* `random_crop`, `random_flip`, `random_erase` (`data`): a draw for each image.
* `Augment`, `MixUp`, `CutMix` (`training.regularize`), and `mixup`, `cutmix` as
  functions: in training alone.
* `dropout`, `dropout2d` (`nn.functional`), `Dropout`, `Dropout2d` (`nn`).
* `AveragedModel`, `update_bn`, `EMA` (`training.average`): averages of weights.

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
**3.** How much of the first weights is in a running average of decay 0.99 after
a hundred more steps? Adam corrects its running means for having begun at zero;
correct this one so that it forgets how it began.
"""

# %% tags=["solution"]
average = get_ema_avg_fn(0.99)
first, later = torch.tensor(1.0), torch.tensor(0.0)
held = first
for _ in range(100):
    held = average(held, later, None)
assert_close(held.item(), 0.99**100)  # a third
corrected = (held - 0.99**100 * first) / (1 - 0.99**100)
assert_close(corrected, later, atol=1e-6)
