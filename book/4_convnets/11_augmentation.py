# %% [markdown] module="data.affine" starred=true
r"""
# More augmentation

This chapter finishes what {doc}`/4_convnets/5_remedies` began: turned, scaled and
recoloured images, the rest of the dropout family, and averages of weights under
torch's names. You may go on without it.

Shifts and mirrors move pixels to where pixels are. **Where does a pixel come from
when an image is turned by ten degrees, and by another angle for each image?**

| name | shape | meaning |
| --- | --- | --- |
| `images` | `(n, c, h, w)` | from 0 to 1 |
| `theta` | `(n, 2, 3)` | for each image: where, in the old one, a new place looks |
| `grid` | `(n, h, w, 2)` | these places: across and down, from −1 to 1 |
"""

# %% Imports tags=["hide-input"]
import copy
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.data.augment import check_images, draw
from groundup.datasets import fashion_mnist
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.dropout import DropoutBase
from groundup.nn.functional.dropping import check_chance, dropped
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm1d
from groundup.testing import assert_close, assert_equal

images, kinds = fashion_mnist()
x = images[:, None].float() / 255

# %% [markdown]
r"""
## One grid, a matrix for each image

To make the new image, ask of each of its places where it was in the old one: then
none is left empty, and none is written twice. An *affine* map answers, a $2 \times
2$ matrix and a shift, in coordinates that run from $-1$ to $1$ whatever the size.
The middle of the first of $w$ pixels is at $1/w - 1$.
"""


# %% Where each place was tags=["export"]
"""Images turned, scaled and moved: an affine map for each."""


def affine_grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Places in the old images: (n, 2, 3) -> (n, h, w, 2)."""
    n, _, h, w = size
    if theta.shape != (n, 2, 3):
        given = f"got {(*theta.shape,)}"
        raise ValueError(f"expected a map for each image, {(n, 2, 3)}, {given}")
    across, down = (
        (2 * torch.arange(k, device=theta.device).to(theta) + 1) / k - 1
        for k in (w, h)
    )
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    places = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    return (places.view(1, h * w, 3) @ theta.mT).view(n, h, w, 2)


# %%
still = torch.eye(2, 3)[None]
places = affine_grid(still, (1, 1, 2, 4))
places[0, :, :, 0], places[0, :, :, 1]

# %% [markdown]
r"""
The place is seldom the middle of a pixel. So the four around it are mixed, each by
how near it is, first across and then down; beyond the edge there is black.
"""


# %% What was there tags=["export"]
def sample(images: Tensor, grid: Tensor, fill: float = 0.0) -> Tensor:
    """What four pixels around each place say: (n, c, h, w), (n, i, j, 2)."""
    check_images(images)
    n, c, h, w = images.shape
    place = (grid + 1) * grid.new_tensor([w, h]) / 2 - 0.5
    low = place.floor()
    share, flat = place - low, images.to(grid.dtype).flatten(2) - fill
    mixed = flat.new_zeros(n, c, *grid.shape[1:3])
    for dx, dy in product((0, 1), repeat=2):
        step = low.new_tensor([dx, dy])
        near = (1 - step - share).abs().prod(-1)
        column, row = (low + step).unbind(-1)
        near *= (0 <= column) & (column < w) & (0 <= row) & (row < h)
        index = row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
        index = index.long().view(n, 1, -1).expand(n, c, -1)
        mixed += flat.gather(2, index).view_as(mixed) * near[:, None]
    return (mixed + fill).to(images.dtype)


# %%
assert_close(
    sample(x[:3], affine_grid(still.expand(3, 2, 3), x[:3].shape)), x[:3]
)

# %% [markdown]
r"""
Now the matrices, one for each image: an angle, a size and a shift of its own. A
circle stays one on an image that is wider than high, so the matrix measures in
pixels. The limits are torchvision's.
"""


# %% A map for each image tags=["export"]
def random_affine(
    images: Tensor,
    degrees: float,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    *,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Each turned by up to `degrees`, moved and scaled: (n, c, h, w).

    `translate` is a share of the sides, `scale` the smallest and the largest.
    """
    check_images(images)
    if min(scale) <= 0 or scale[0] > scale[1]:
        raise ValueError(f"expected positive sizes in order, got {scale}")
    (n, _, h, w), (small, large) = images.shape, scale
    turn, size, down, across = draw((4, n), images, generator)
    angle = (2 * turn - 1) * math.radians(degrees)
    size = small + (large - small) * size
    cos, sin = angle.cos() / size, angle.sin() / size
    shifts = 2 * translate * (2 * across - 1), 2 * translate * (2 * down - 1)
    rows = [cos, -sin * h / w, shifts[0]], [sin * w / h, cos, shifts[1]]
    theta = torch.stack([torch.stack(row, -1) for row in rows], 1)
    return sample(images, affine_grid(theta, images.shape), fill)


# %% Turning alone tags=["export"]
def random_rotation(
    images: Tensor, degrees: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Each turned by up to `degrees`, either way: (n, c, h, w)."""
    return random_affine(images, degrees, generator=generator)


# %% alt="One shoe eight times: each copy is turned by another angle, moved and of another size, on black." tags=["hide-input"]
torch.manual_seed(0)
copies = x[:1].expand(8, -1, -1, -1)
turned = random_affine(copies, 25, 0.1, (0.7, 1.1))
figure, panels = plt.subplots(2, 4, figsize=(5, 2.6))
for panel, image in zip(panels.flat, turned, strict=True):
    panel.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    panel.axis("off")
plt.show()
assert_equal(len(torch.unique(turned, dim=0)), 8)

# %% [markdown]
r"""
## Brightness and contrast

Light changes, and clothes stay clothes. Brightness multiplies; contrast moves each
pixel away from its image's mean or towards it. Where $\lambda$ is 1 nothing changes.
"""


# %% Light tags=["export"] module="data.color"
"""Images in another light, each in its own."""


def color_jitter(
    images: Tensor,
    brightness: float = 0.0,
    contrast: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Both changed by factors of 1 - strength to 1 + strength: (n, c, h, w).

    Images are in 0 to 1, and stay there.
    """
    check_images(images)
    if min(brightness, contrast) < 0:
        given = f"{brightness} and {contrast}"
        raise ValueError(f"expected strengths of 0 or more, got {given}")
    bright, strong = 2 * draw((2, len(images), 1, 1, 1), images, generator) - 1
    images = (images * (1 + brightness * bright).clamp(min=0)).clamp(0, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    factor = (1 + contrast * strong).clamp(min=0)
    return (mean + (images - mean) * factor).clamp(0, 1)


# %%
torch.manual_seed(0)
lit = color_jitter(x[:1].expand(100, -1, -1, -1), 0.4, 0.4)
assert_equal(len(torch.unique(lit, dim=0)), 100)
lit.mean((1, 2, 3)).aminmax()

# %% [markdown]
r"""
## Dropout by channels

Neighbours in a picture say nearly the same, and a number that is left out is found
again beside it. So for pictures whole channels are dropped: one draw for each, and
broadcasting does the rest. Torch's functions differ in how many axes they take
for granted.
"""


# %% A number for each channel tags=["export", "internal"] module="nn.functional.channel_dropping"
"""Dropout of whole channels: neighbours would give a number away."""


def channel_noise(input: Tensor) -> Tensor:
    """Room for a number for each channel of each image: (n, c, 1, ...)."""
    if input.ndim < 2:
        raise RuntimeError(f"expected (n, c, ...), got {(*input.shape,)}")
    n, c, *places = input.shape
    return input.new_empty(n, c, *(1 for _ in places))


def drop_channels(
    input: Tensor, p: float, training: bool, inplace: bool, alone: bool
) -> Tensor:
    """By channels; `alone`, an image without a batch: (c, ...)."""
    check_chance(p)
    batch = input.unsqueeze(0) if alone else input
    y = dropped(batch, channel_noise(batch), p, training, inplace)
    return y.squeeze(0) if alone else y


# %% Dropout of channels tags=["export"] module="nn.functional.channel_dropping" earns="torch.nn.functional.dropout1d torch.nn.functional.dropout2d torch.nn.functional.dropout3d"
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of sequences: (n, c, l) or (c, l)."""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"expected (n, c, l), got {(*input.shape,)}")
    return drop_channels(input, p, training, inplace, input.ndim == 2)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of images: (n, c, h, w); three axes are (n, c, l)."""
    if input.ndim != 4:
        message = f"expected (n, c, h, w), got {(*input.shape,)}"
        warnings.warn(message, stacklevel=2)
    return drop_channels(input, p, training, inplace, False)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Channels of volumes: (n, c, d, h, w) or (c, d, h, w)."""
    if input.ndim not in (4, 5):
        message = f"expected (n, c, d, h, w), got {(*input.shape,)}"
        warnings.warn(message, stacklevel=2)
    return drop_channels(input, p, training, inplace, input.ndim != 5)


# %%
torch.manual_seed(0)
dropout2d(torch.ones(1, 6, 2, 2), 0.5)[0, :, 0, 0]

# %% [markdown]
r"""
## Dropout that keeps the variance

A network of `SELU` units holds its activations at mean 0 and variance 1 by itself;
zeros would push it away from there. *Alpha dropout* puts in the value to which a
unit falls when it is most negative, $\alpha' = -1.758$, and then scales and shifts
all, so that mean and variance stay.
"""


# %% Dropout that keeps mean and variance tags=["export"] module="nn.functional.alpha_dropping" earns="torch.nn.functional.alpha_dropout"
"""Dropout to a negative value, with mean 0 and variance 1 kept."""

LOWEST = 1.7580993408473766  # SELU's, with the sign changed


def _to_lowest(
    input: Tensor, noise: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    check_chance(p)
    if p in (0, 1) or not training or not input.numel():
        return dropped(input, noise, p, training, inplace)
    scale = 1 / math.sqrt((LOWEST * LOWEST * p + 1) * (1 - p))
    kept = noise.bernoulli_(1 - p)
    shift = kept.add(-1).mul_(LOWEST * scale).add_(LOWEST * scale * p)
    kept = kept.mul_(scale)
    return (input.mul_(kept) if inplace else input * kept).add_(shift)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Numbers fall to SELU's lowest value (Klambauer et al., 2017)."""
    return _to_lowest(input, torch.empty_like(input), p, training, inplace)


# %% The same for channels tags=["export"] module="nn.functional.alpha_dropping" earns="torch.nn.functional.feature_alpha_dropout"
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """The same for whole channels: (n, c, ...)."""
    if not training or p == 0:
        check_chance(p)
        return input
    return _to_lowest(input, channel_noise(input), p, training, inplace)


# %%
torch.manual_seed(0)
dense = alpha_dropout(torch.randn(100_000), 0.4, training=True)
assert_close(dense.mean().item(), 0.0, atol=0.02)
assert_close(dense.std().item(), 1.0, rtol=0.02)
dense.mean(), dense.std()

# %% [markdown]
r"""
The layers differ in the function that they call.
"""


# %% The rest of the family tags=["export"] module="nn.channel_dropout" earns="torch.nn.Dropout1d torch.nn.Dropout2d torch.nn.Dropout3d torch.nn.AlphaDropout torch.nn.FeatureAlphaDropout"
"""Layers that drop whole channels, or keep the variance."""


class Dropout1d(DropoutBase):
    """Channels of sequences are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, l) or (c, l)."""
        return dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(DropoutBase):
    """Channels of images are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, h, w)."""
        return dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(DropoutBase):
    """Channels of volumes are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, d, h, w)."""
        return dropout3d(input, self.p, self.training, self.inplace)


# %%
torch.manual_seed(0)
Dropout1d(0.5)(torch.ones(2, 4, 3))[..., 0]


# %% [markdown]
r"""
Torch's alpha dropout takes `inplace` and does not heed it; so does ours.
"""


# %% To the lowest value tags=["export"] module="nn.channel_dropout"
class AlphaDropout(DropoutBase):
    """Numbers fall to SELU's lowest value while training."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(DropoutBase):
    """Channels fall to SELU's lowest value while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...)."""
        return feature_alpha_dropout(input, self.p, self.training)


# %%
torch.manual_seed(0)
FeatureAlphaDropout(0.5)(torch.zeros(2, 4, 3))[..., 0]

# %% [markdown]
r"""
## Averages under torch's names

The story's `EMA` is a callback. Torch has functions that average and a model that
holds averages; programs that use them work with ours. A function takes the average,
the new value and how many went before: `ema` forgets, `swa` is the plain mean
{cite:p}`izmailov2018`.
"""


# %% Two kinds of average tags=["export"] module="optim.swa_utils" earns="torch.optim.swa_utils.get_ema_avg_fn torch.optim.swa_utils.get_swa_avg_fn"
"""Models that hold averages of weights, under torch's names."""


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


# %% Many tensors in place tags=["export"] module="optim.swa_utils" earns="torch.optim.swa_utils.get_ema_multi_avg_fn torch.optim.swa_utils.get_swa_multi_avg_fn"
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


# %% A model of averages tags=["export"] module="optim.swa_utils" earns="torch.optim.swa_utils.AveragedModel"
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


# %% Another model joins the average tags=["export"] module="optim.swa_utils"
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


# %% Taking weights in tags=["export"] module="optim.swa_utils"
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


# %% Averaging tags=["export"] module="optim.swa_utils"
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
    init.constant_(weights.weight, value)
    averaged.update_parameters(weights)
assert_close(averaged.module.weight.detach(), torch.full((1, 2), 3.0))

# %% [markdown]
r"""
A batch norm's statistics are those of the weights that it was trained with. For
averaged weights they are taken anew.
"""


# %% Statistics for averaged weights tags=["export"] module="optim.swa_utils" earns="torch.optim.swa_utils.update_bn"
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
net = Sequential(Linear(1, 2), BatchNorm1d(2), ReLU())
update_bn([torch.tensor([[1.0], [2.0]])], net)
assert_equal(net[1].num_batches_tracked.item(), 1)

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `random_affine`, `random_rotation` | `data` | a map for each image |
| `affine_grid`, `sample` | `data` | where a place looks, and what is there |
| `color_jitter` | `data` | brightness and contrast |
| `dropout1d`, `2d`, `3d`, `alpha_dropout`, `feature_alpha_dropout` | `nn.functional` | the rest of the family, and layers in `nn` |
| `AveragedModel`, `update_bn` and four functions | `optim.swa_utils` | averages of weights |

## Questions

:::{dropdown} Why does the grid ask each new place where it was, and not the reverse?
Then each new pixel is computed once. Old pixels that are sent forward would leave
holes and meet each other.
:::

:::{dropdown} Why is a pixel's middle at 1/w − 1 and not at −1?
Because −1 is the edge of the image, half a pixel further out.
:::

:::{dropdown} Why does alpha dropout shift and scale?
What is dropped becomes negative instead of zero, which moves the mean and the
variance; the two numbers put them back.
:::

:::{dropdown} Why do averaged weights need new statistics for batch norms?
The running ones describe activations of the single weights, not of their mean.
:::

## Exercises

**1.** Turn an image by a right angle with a matrix, and compare with `rot90`.
"""

# %% tags=["solution"]
quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
turned = sample(x[:1], affine_grid(quarter, x[:1].shape))
assert_close(turned, x[:1].rot90(1, (2, 3)), atol=1e-5)

# %% [markdown]
r"""
**2.** Turning there and back is not nothing. How much of a sharp edge is left?
"""

# %% tags=["solution"]
angle = math.radians(10)
there = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0]])
there = torch.cat(
    [there, there.new_tensor([[math.sin(angle), math.cos(angle), 0]])]
)
back = there * torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
once = sample(x[:1], affine_grid(there[None], x[:1].shape))
twice = sample(once, affine_grid(back[None], x[:1].shape))


def sharpness(images: Tensor) -> float:
    return images.diff(dim=3).square().mean().item()


assert 0.3 < sharpness(twice) / sharpness(x[:1]) < 0.95

# %% [markdown]
r"""
**3.** Derive the scale of alpha dropout: what is the variance of a number that is
kept with a chance of $1 - p$ and is $-\alpha'$ otherwise?
"""

# %% tags=["solution"]
p, low = 0.3, 1.7580993408473766
torch.manual_seed(0)
keep = torch.rand(200_000) >= p
mixed = torch.randn(200_000).where(keep, -low)
assert_close(mixed.mean().item(), -p * low, rtol=0.02)
variance = (1 - p) * (1 + p * low**2)  # of which the scale is 1 over the root
assert_close(mixed.var().item(), variance, rtol=0.02)
