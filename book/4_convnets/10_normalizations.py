# %% [markdown] module="nn.functional.normalization" starred=true
r"""
# More norms

This chapter finishes what {doc}`/4_convnets/4_norms` began: the norms that need
no batch, as functions and as layers, with torch's arguments and numbers. You may
go on without it.

Each of them divides by a mean size. **Of which numbers, and what is learned
afterwards?**

| norm | statistics over | weight for each |
| --- | --- | --- |
| layer | the last axes of each example | element of these axes |
| RMS | the same, without the mean | element of these axes |
| group | some channels of an example, and all places | channel |
| instance | one channel of an example, all places | channel |
"""

# %% Imports tags=["hide-input"]
import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn import init
from groundup.nn.container import Sequential
from groundup.nn.functional.norm import (
    by_channel,
    check_channels,
    check_running,
)
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm1d, BatchNorm2d, NormBase
from groundup.nn.parameter import Parameter
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## The last axes

A token of a text is a row of features, and a text may be of any length. So layer
normalisation takes its statistics over the *last* axes, whose shape it is told,
and everything before them is examples. As in the story, half precision is
computed in single.
"""


# %% What all norms do tags=["export"]
"""Normalisation of each example by itself: no batch is needed."""


def _wide(input: Tensor) -> Tensor:
    """In single precision at least, which sums can be trusted to."""
    return input.to(torch.promote_types(input.dtype, torch.float32))


def _standardised(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """Any shape, less its mean over the axes, by its deviation."""
    centred = x - x.mean(axes, keepdim=True)
    var = (centred * centred).mean(axes, keepdim=True)
    return centred * (var + eps).rsqrt()


def _last_axes(input: Tensor, shape: Sequence[int], **held: Any) -> list[int]:
    """The axes of a shape at the end; raise unless all shapes agree."""
    shape = tuple(shape)
    if not shape:
        raise RuntimeError("expected a normalized_shape of 1 axis or more, ()")
    for name, tensor in held.items():
        if tensor is not None and tensor.shape != shape:
            given = f"normalized_shape {shape}, got {(*tensor.shape,)}"
            raise RuntimeError(f"expected {name} of {given}")
    if input.shape[-len(shape) :] != shape:
        given = f"{(*input.shape,)} for normalized_shape {shape}"
        raise RuntimeError(f"the last axes of the input differ: {given}")
    return list(range(-len(shape), 0))


# %% Layer normalisation tags=["export"] earns="torch.nn.functional.layer_norm"
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each example by its mean and deviation over the last axes: (*, *d)."""
    axes = _last_axes(input, normalized_shape, weight=weight, bias=bias)
    y = _standardised(_wide(input), axes, eps)
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return y.to(input.dtype)


# %%
torch.manual_seed(0)
tokens = 5 + 2 * torch.randn(2, 7, 16)
normalised = layer_norm(tokens, [16])
assert_close(normalised.mean(-1), torch.zeros(2, 7), atol=1e-5)
assert_close(layer_norm(tokens[:, 3:4], [16]), normalised[:, 3:4])

# %% [markdown]
r"""
The second check is the point of it: a token alone gets what it got among others.

RMS normalisation {cite:p}`zhang2019rms` leaves the mean where it is. One pass
over the numbers is saved, and one of the two parameters. Its $\varepsilon$ is by
default the resolution of the numbers that it computes with.
"""


# %% RMS normalisation tags=["export"] earns="torch.nn.functional.rms_norm"
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Each example by its root mean square over the last axes: (*, *d)."""
    axes = _last_axes(input, normalized_shape, weight=weight)
    x = _wide(input)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y = x * ((x * x).mean(axes, keepdim=True) + eps).rsqrt()
    return (y if weight is None else y * weight).to(input.dtype)


# %%
shifted = tokens - tokens.mean(-1, keepdim=True)
assert_close(rms_norm(shifted, [16]), normalised, rtol=1e-4, atol=1e-5)
rms_norm(tokens, [16]).mean(), normalised.mean()

# %% [markdown]
r"""
On numbers whose mean is zero the two are one. The mean that it leaves is not
small here, and the layers around it have to live with that.

## Groups of channels
"""


# %% Group normalisation tags=["export"] earns="torch.nn.functional.group_norm"
def _check_groups(input: Tensor, num_groups: int) -> None:
    """Raise unless the channels can be divided, with more than one number."""
    given = f"{(*input.shape,)} and {num_groups} groups"
    if input.ndim < 2:
        raise RuntimeError(f"expected at least 2 axes, got {given}")
    if num_groups < 1 or input.shape[1] % num_groups:
        raise RuntimeError(f"the channels cannot be divided: {given}")
    size = input.shape[0] * input.shape[1] // num_groups
    if size * prod(input.shape[2:]) == 1:
        raise ValueError(f"expected more than 1 value per group, got {given}")


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels of each example by themselves: (n, c, ...)."""
    _check_groups(input, num_groups)
    check_channels(input, weight=weight, bias=bias)
    n, c, *places = input.shape
    x = _wide(input).reshape(n, num_groups, c // num_groups, *places)
    y = _standardised(x, tuple(range(2, x.ndim)), eps).reshape(input.shape)
    y = y if weight is None else y * by_channel(weight, input)
    y = y if bias is None else y + by_channel(bias, input)
    return y.to(input.dtype)


# %%
maps = 3 + torch.randn(4, 6, 5, 5)
one_group = layer_norm(maps, [6, 5, 5])
assert_close(group_norm(maps, 1), one_group, atol=1e-5)
group_norm(maps, 3)[0, :2].mean(), group_norm(maps, 3)[0, :1].mean()

# %% [markdown]
r"""
With one group it is layer normalisation, but for the weights: one a channel here,
one an element there.

With a group for each channel it is instance normalisation
{cite:p}`ulyanov2016`. Torch's can keep running averages as well, which it uses in
evaluation in place of the image's own; each is the mean over the batch of what
the images had.
"""


# %% The averages of instances tags=["export"]
def _track_instances(
    x: Tensor, mean: Tensor, var: Tensor, momentum: float
) -> None:
    """Move both averages, (c,), towards those of (n, c, ...), in place."""
    places = tuple(range(2, x.ndim))
    news = x.detach().mean(places), x.detach().var(places)
    for running, new in zip((mean, var), news, strict=True):
        running.copy_(running * (1 - momentum) + new.mean(0) * momentum)


def _check_instances(
    input: Tensor, own: bool, mean: Tensor | None, var: Tensor | None
) -> None:
    """Raise where a channel of an image has no variance, or no average."""
    if own and prod(input.shape[2:]) == 1:
        given = f"got input {(*input.shape,)}"
        raise ValueError(f"expected more than 1 place per channel, {given}")
    check_running(mean, var, own)


# %% Instance normalisation tags=["export"] earns="torch.nn.functional.instance_norm"
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example by itself, over its places: (n, c, ...)."""
    _check_instances(input, use_input_stats, running_mean, running_var)
    running = {"running_mean": running_mean, "running_var": running_var}
    check_channels(input, **running, weight=weight, bias=bias)
    x = _wide(input)
    if use_input_stats:
        y = _standardised(x, tuple(range(2, x.ndim)), eps)
        if running_mean is not None and len(x):
            _track_instances(x, running_mean, running_var, momentum)
    else:
        mean, rstd = running_mean, (running_var + eps).rsqrt()
        y = (x - by_channel(mean, x)) * by_channel(rstd, x)
    y = y if weight is None else y * by_channel(weight, x)
    y = y if bias is None else y + by_channel(bias, x)
    return y.to(input.dtype)


# %%
assert_close(instance_norm(maps), group_norm(maps, 6), atol=1e-6)
mean, var = torch.zeros(6), torch.ones(6)
instance_norm(maps, mean, var)
assert_close(mean, 0.1 * maps.mean((0, 2, 3)))
assert_close(var, 0.9 + 0.1 * maps.var((2, 3)).mean(0))

# %% [markdown]
r"""
## As layers

The layers call torch's kernels, earned now. Two of them are told the shape of the
last axes.
"""


# %% The last axes, as layers tags=["export"] module="nn.normalization"
"""Layers that normalise each example by itself."""


class _ByShape(Module):
    """What norms of the last axes hold: their shape, a weight, a bias."""

    def _hold(
        self, shape: int | Sequence[int], like: dict, **held: bool
    ) -> None:
        """Keep the shape, and a parameter of it under each name, or None."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.normalized_shape = shape
        for name, wanted in held.items():
            param = Parameter(torch.empty(shape, **like)) if wanted else None
            self.register_parameter(name, param)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale by 1, and shift by 0."""
        for name, param in self.named_parameters(recurse=False):
            (init.ones_ if name == "weight" else init.zeros_)(param)


# %% [markdown]
r"""
Layer normalisation with its options.
"""


# %% Layer normalisation tags=["export"] module="nn.normalization" earns="torch.nn.LayerNorm"
class LayerNorm(_ByShape):
    """Each example by its mean and deviation over the last axes: (*, *d)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.eps, self.elementwise_affine = eps, elementwise_affine
        like, affine = {"device": device, "dtype": dtype}, elementwise_affine
        held = {"weight": affine, "bias": affine and bias}
        self._hold(normalized_shape, like, **held)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled and shifted."""
        shape, held = self.normalized_shape, (self.weight, self.bias)
        return F.layer_norm(input, shape, *held, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        affine, bias = self.elementwise_affine, self.bias is not None
        shape = f"{self.normalized_shape}, eps={self.eps}"
        return f"{shape}, elementwise_affine={affine}, bias={bias}"


# %%
assert_close(LayerNorm(16)(tokens), normalised)
LayerNorm((5, 5), bias=False)


# %% [markdown]
r"""
RMS normalisation has no bias to ask for.
"""


# %% RMS normalisation tags=["export"] module="nn.normalization" earns="torch.nn.RMSNorm"
class RMSNorm(_ByShape):
    """Each example by its root mean square over the last axes: (*, *d)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.eps, self.elementwise_affine = eps, elementwise_affine
        like = {"device": device, "dtype": dtype}
        self._hold(normalized_shape, like, weight=elementwise_affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised and scaled."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        affine = f"elementwise_affine={self.elementwise_affine}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


# %%
assert_close(RMSNorm(16)(tokens), rms_norm(tokens, [16]))
RMSNorm(16)

# %% [markdown]
r"""
Groups are counted, and have to divide the channels.
"""


# %% Groups, as a layer tags=["export"] module="nn.normalization"
class GroupNorm(Module):
    """Groups of channels of each example by themselves: (n, c, ...)."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        if num_channels % num_groups:
            given = f"{num_channels} channels and {num_groups} groups"
            raise ValueError(f"the channels cannot be divided: {given}")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        like = {"device": device, "dtype": dtype}
        for name, held in {"weight": affine, "bias": affine and bias}.items():
            values = torch.empty(num_channels, **like) if held else None
            param = None if values is None else Parameter(values)
            self.register_parameter(name, param)
        self.reset_parameters()


# %% Its start tags=["export"] module="nn.normalization"
class GroupNorm(GroupNorm):
    def reset_parameters(self) -> None:
        """Scale by 1, and shift by 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


# %%
GroupNorm(3, 6, bias=False).state_dict()

# %% [markdown]
r"""
Its kernel has errors of its own, but ours show both shapes.
"""


# %% Its use tags=["export"] module="nn.normalization" earns="torch.nn.GroupNorm"
class GroupNorm(GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled and shifted."""
        _check_groups(input, self.num_groups)
        check_channels(input, weight=self.weight, bias=self.bias)
        held = self.weight, self.bias
        return F.group_norm(input, self.num_groups, *held, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        sizes = f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
        return f"{sizes}, affine={self.affine}, bias={self.bias is not None}"


# %%
assert_close(GroupNorm(3, 6)(maps), group_norm(maps, 3), atol=1e-6)
GroupNorm(3, 6)

# %% [markdown]
r"""
Instance normalisation holds what batch normalisation holds, though by default
neither weights nor averages. It takes an image without the axis of the batch as
well, counts no batches, and warns where channels are not as many as was said but
nothing depends on it.
"""


# %% What instances hold tags=["export"] module="nn.instance_norm"
"""Layers that normalise each channel of each example by itself."""


class _InstanceNorm(NormBase):
    """Normalises each channel of each example over its places."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        settings = (eps, momentum, affine, track_running_stats, device, dtype)
        super().__init__(num_features, *settings, bias=bias)


# %%
_InstanceNorm(3).state_dict(), _InstanceNorm(3, affine=True).state_dict()

# %% [markdown]
r"""
The axis of the channels is the second, or the first if there is no batch.
"""


# %% Its channels tags=["export"] module="nn.instance_norm"
class _InstanceNorm(_InstanceNorm):
    def check_input(self, input: Tensor) -> None:
        """Raise unless axes and channels are as they should be."""
        super().check_input(input)
        axis = input.ndim - min(self.ranks)
        if input.shape[axis] == self.num_features:
            return
        message = f"expected {self.num_features} channels in axis {axis}, "
        message += f"got input {(*input.shape,)}"
        if self.affine:
            raise ValueError(message)
        warnings.warn(message, stacklevel=3)


# %% Instances tags=["export"] module="nn.instance_norm"
class _InstanceNorm(_InstanceNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...) or (c, ...), normalised."""
        self.check_input(input)
        single = input.ndim == min(self.ranks)
        x = input.unsqueeze(0) if single else input
        mean, var = self.running_mean, self.running_var
        check_channels(x, running_mean=mean, running_var=var)
        y = F.instance_norm(
            x,
            mean,
            var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return y.squeeze(0) if single else y


# %% [markdown]
r"""
Sequences and images differ in the number of axes.
"""


# %% Sequences and images tags=["export"] module="nn.instance_norm" earns="torch.nn.InstanceNorm1d torch.nn.InstanceNorm2d"
class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences: (n, c, l) or (c, l)."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images: (n, c, h, w) or (c, h, w)."""

    ranks = (3, 4)


# %%
layer = InstanceNorm2d(6)
assert_close(layer(maps), instance_norm(maps), atol=1e-6)
assert_close(layer(maps[0]), layer(maps)[0])
layer, list(layer.state_dict())

# %% [markdown]
r"""
## Which version the layers run

Each norm now exists twice, and the book's rule is that the faster one is used
once it is earned. Which is it? Output and gradients of a batch of 32 images with
64 channels, in processor
time relative to torch's kernel, in one run on one thread.
"""

# %% tags=["hide-input", "reference"]
from statistics import median
from time import process_time
from timeit import Timer

from groundup.nn.functional.norm import batch_norm


def ratio(ours: Callable, theirs: Callable, *shapes: tuple[int, ...]) -> float:
    """The median over turns of our time through theirs."""
    inputs = [torch.randn(shape) for shape in shapes]
    if inputs[0].ndim == 4:
        inputs[0] = inputs[0].to(memory_format=layout)
    inputs = [each.requires_grad_() for each in inputs]
    grad = torch.randn_like(inputs[0])
    first, second = (
        Timer(
            lambda f=f: torch.autograd.grad(f(*inputs), inputs, grad),
            timer=process_time,
        )
        for f in (ours, theirs)
    )
    turns = [first.timeit(1) / second.timeit(1) for _ in range(9)]
    return round(median(turns), 2)


def of_batch(function: Callable) -> Callable:
    return lambda x, w, b: function(x, None, None, w, b, training=True)


# %% tags=["hide-input", "reference"]
torch.set_num_threads(1)
size, speed = (32, 64, 14, 14), {}
for layout in (torch.contiguous_format, torch.channels_last):
    pair = of_batch(batch_norm), of_batch(F.batch_norm)
    speed[f"batch, {layout}"] = ratio(*pair, size, (64,), (64,))
for name, own, kernel in (
    ("layer", layer_norm, F.layer_norm),
    ("RMS", rms_norm, F.rms_norm),
):
    pair = (lambda x, w, f=f: f(x, [256], w) for f in (own, kernel))
    speed[name] = ratio(*pair, (64, 64, 256), (256,))
assert speed["layer"] > speed[f"batch, {torch.contiguous_format}"]
speed

# %% [markdown]
r"""
The batch normalisation whose gradient was written by hand comes near the kernel in
the ordinary layout, and less near with the channels last, in which convolutions are
fastest. Layer normalisation, whose gradient is left to autograd, is far behind:
every tensor operation is a walk through memory, and autograd walks for each of them
again, where a kernel goes through once. (RMS normalisation has no kernel of that kind
here; torch's is a few operations as well.) So the layers run torch's, in every layout
and on every device, and the functions stay: the definition that the layers are tested
against. A benchmark holds `batch_norm` to less than twice the kernel, forward and
backward together.

## What we built

* `layer_norm`, `rms_norm`, `group_norm`, `instance_norm` (`nn.functional`): the
  formulas, with torch's arguments, numbers and errors.
* `LayerNorm`, `RMSNorm`, `GroupNorm` (`nn.normalization`) and `InstanceNorm1d`,
  `InstanceNorm2d` (`nn.instance_norm`): as layers, on torch's kernels.

## Questions

:::{dropdown} Which of these norms do the same in training and in evaluation?
All but instance normalisation with running averages, which is rarely wanted.
:::

:::{dropdown} Why does layer normalisation suit texts?
A sentence may be of any length, and a model that writes sees one token at a time.
The statistics of a token's own features do not depend on either.
:::

:::{dropdown} What does instance normalisation take from a picture?
The mean and the contrast of each channel: much of what is called its style. That
is why it stands in networks that turn one style into another.
:::

:::{dropdown} What does RMS normalisation keep that layer normalisation loses?
The mean of the features, relative to their size.
:::

## Exercises

**1.** Show by shifting and stretching which norms forget a constant that is added
to an example, and which forget a factor.
"""

# %% tags=["solution"]
for function, forgets in ((layer_norm, True), (rms_norm, False)):
    before = function(tokens, [16])
    stretched = function(3 * tokens, [16])
    moved = function(tokens + 10, [16])
    assert_close(stretched, before, rtol=1e-4, atol=1e-4)
    assert_equal(bool(((moved - before).abs() < 1e-3).all()), forgets)

# %% [markdown]
r"""
**2.** Write `group_norm` by `batch_norm`, so that each group of each example
becomes a channel.
"""


# %% tags=["solution"]
def group_by_batch(input: Tensor, num_groups: int) -> Tensor:
    rows = input.reshape(1, len(input) * num_groups, -1)
    y = F.batch_norm(rows, None, None, training=True)
    return y.reshape(input.shape)


for n_groups in (1, 2, 6):
    expected = group_norm(maps, n_groups)
    assert_close(group_by_batch(maps, n_groups), expected, atol=1e-5)

# %% [markdown]
r"""
**3.** A generator that uses `BatchNorm2d` on single images is often run in
training mode, and works. Which norm has it then become, and what goes on in its
buffers?
"""

# %% tags=["solution"]
image = maps[:1]
batch = BatchNorm2d(6)
assert_close(batch(image), instance_norm(image), atol=1e-5)
assert_equal(batch.num_batches_tracked.item(), 1)  # they go on moving

# %% [markdown]
r"""
**4.** In evaluation a normalisation is a straight line, and so is the layer of
weights before it. Fold the two into one `Linear`, for every image the same.
"""


# %% tags=["solution"]
def fold(linear: Linear, norm: BatchNorm1d) -> Linear:
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    folded = Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        folded.weight.copy_(linear.weight * scale[:, None])
        shifted = linear.bias - norm.running_mean
        folded.bias.copy_(shifted * scale + norm.bias)
    return folded


rows = 3 + torch.randn(256, 4)
pair = Sequential(Linear(4, 6), BatchNorm1d(6))
for _ in range(20):
    pair(rows[torch.randperm(256)[:32]])
assert_close(fold(*pair)(rows), pair.eval()(rows), rtol=1e-4, atol=1e-5)

# %% [markdown]
r"""
**5.** Weight decay on weights that a normalisation follows: show that it only
changes the learning rate. (The output does not change if the weights are
doubled. What does their gradient do? Write $W_t = c_t V_t$, where $c_t$ is what
decay has left, and find the rates with which $V$, undecayed, computes the same.)
"""


# %% tags=["solution"]
def loss_at(weight: Tensor) -> Tensor:
    y = F.batch_norm(inputs @ weight, None, None, training=True, eps=1e-12)
    return ((y - targets) ** 2).mean()


torch.manual_seed(0)
inputs, targets = torch.randn(64, 5).double(), torch.randn(64, 3).double()
decayed = torch.randn(5, 3).double().requires_grad_()
plain = decayed.detach().clone().requires_grad_()
lr, left, c = 0.5, 1 - 0.5 * 0.1, 1.0
for _ in range(20):
    (grad,) = torch.autograd.grad(loss_at(decayed), decayed)
    (plain_grad,) = torch.autograd.grad(loss_at(plain), plain)
    with torch.no_grad():
        decayed.mul_(left).sub_(lr * grad)
        plain.sub_(lr / (c * c * left) * plain_grad)
    c *= left
assert_close(decayed.detach(), c * plain.detach(), rtol=1e-6)
assert_close(loss_at(decayed).item(), loss_at(plain).item(), rtol=1e-8)

# %% [markdown]
r"""
**6.** A fourth published mistake, beside the three of the story: one course writes
`self.mean = 0.9 * self.mean + 0.1 * batch_mean`. Count the operations that hang on
the average after ten batches. What else is lost, beside memory?
"""


# %% tags=["solution"]
def history(tensor: Tensor) -> int:
    """How many operations a tensor remembers, one behind the other."""
    count, node = 0, tensor.grad_fn
    while node is not None:
        count, node = count + 1, node.next_functions[0][0]
    return count


average, layer, lengths = torch.zeros(4), BatchNorm1d(4), []
held = layer.running_mean
for _ in range(10):
    x = torch.randn(8, 4, requires_grad=True)
    average = 0.9 * average + 0.1 * x.mean(0)
    layer(x)
    lengths.append(history(average))
assert lengths[-1] > 8 * lengths[0]
assert_equal(history(layer.running_mean), 0)
assert layer.running_mean is held  # whoever holds the buffer sees it move
