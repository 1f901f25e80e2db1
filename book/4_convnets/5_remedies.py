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
import random
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.datasets import fashion_mnist
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import windows
from groundup.nn.module import Module
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import Callback, Run

images, kinds = fashion_mnist()
x = images[:, None].float() / 255

# %% [markdown]
r"""
## Augmentation
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
torch.manual_seed(0)
batch = x[:1].expand(512, -1, -1, -1)
assert_equal(len(torch.unique(random_crop(batch, 2), dim=0)), 25)
assert_equal(len(torch.unique(random_flip(batch), dim=0)), 2)


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
holes = 1 - random_erase(torch.ones_like(batch), 8)
assert_close(holes.sum((1, 2, 3)), torch.full((512,), 64.0))


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

    def state_dict(self) -> dict[str, Any]:
        """Where the draws stand."""
        own = self.generator
        return {} if own is None else {"generator": own.get_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Draw on from there."""
        if self.generator is not None:
            self.generator.set_state(state_dict["generator"])


# %% [markdown]
r"""
## Dropout
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
assert_close(dropout(torch.ones(10_000), 0.3).mean().item(), 1.0, atol=0.02)


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


# %% [markdown]
r"""
## Mixing
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


def check_targets(images: Tensor, targets: Tensor) -> None:
    """Raise unless there is a row of probabilities for each image."""
    if targets.ndim < 2 or not targets.is_floating_point():
        given = f"{targets.dtype} of {(*targets.shape,)}"
        raise ValueError(f"expected probabilities, (n, k), got {given}")
    if len(images) != len(targets):
        given = f"{len(images)} images and {len(targets)} targets"
        raise ValueError(f"expected a target for each image, got {given}")


def _partners(images: Tensor, generator: torch.Generator | None) -> Tensor:
    device = images.device if generator is None else generator.device
    order = torch.randperm(len(images), generator=generator, device=device)
    return order.to(images.device)


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    share = share.to(first).view(-1, *(1 for _ in first.shape[1:]))
    return share * first + (1 - share) * second


# %% Mixup tags=["export"] module="training.regularize"
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
one_hot = torch.eye(10)[kinds[:512]]
mixed, soft = cutmix(x[:512], one_hot)
assert_close(soft.sum(1), torch.ones(512))


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


# %% [markdown]
r"""
## Averages of weights
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
old, new = torch.zeros(3), torch.ones(3)
assert_close(get_ema_avg_fn(0.9)(old, new, 5), torch.full((3,), 0.1))


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

    def _average(self, own: list[Tensor], new: list[Tensor]) -> None:
        if self.multi_avg_fn is not None:
            for group in _alike(own, new):
                self.multi_avg_fn(*group, self.n_averaged)
            return
        average = self.avg_fn or get_swa_avg_fn()
        for old, current in zip(own, new, strict=True):
            there = current.to(old.device)
            old.copy_(average(old, there, self.n_averaged))


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
assert_equal(len(list(_alike([old], [new]))), 1)


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
assert EMA().other is None

# %% [markdown]
r"""
## What we built

* `random_crop`, `random_flip`, `random_erase` (`data`): a draw for each image.

## Questions

:::{dropdown} Why?
:::

## Exercises

**1.**
"""

# %% tags=["solution"]
assert_equal(1, 1)
