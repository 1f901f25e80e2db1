# %% [markdown] module="nn.norm"
r"""
# Normalisation

A unit of a network answers 3.0 to an image. Is that much? The image cannot say.
A batch of images can: if all the others got between 2.9 and 3.1, it is nothing;
if they got between −1 and 1, it is a discovery. **What does a batch know that an
image does not, and what may a network do with it?**

This chapter divides by what a batch knows, takes the gradient through it by
hand, finds out what to do when there is no batch, and measures what it is worth in
batches of 2 to 128. The norms that need no batch are finished in the starred chapter
{doc}`/4_convnets/10_normalizations`.

| name | shape | meaning |
| --- | --- | --- |
| $x$, `input` | `(n, c, ...)` | $n$ examples, $c$ channels or features, perhaps places |
| $\mu$, $\sigma^2$ | `(c,)` | mean and variance of each channel, over all else |
| $\hat x$ | `(n, c, ...)` | the normalised input |
| $\gamma$, $\beta$ | `(c,)` | a scale and a shift for each channel: `weight` and `bias` |
"""

# %% Imports tags=["hide-input"]
from math import prod
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.manual.gradients import numerical_gradient
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.flatten import Flatten
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.pooling import avg_pool2d
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
from groundup.nn.pool import AdaptiveAvgPool2d
from groundup.optim.sgd import SGD
from groundup.scores import accuracy
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## Dividing by what a batch knows

Take 256 pictures of clothes, and of each the brightness of four pixels. The
statistics are those of a *column*: one pixel over all pictures.
"""

# %%
images, kinds = fashion_mnist()
pixels = images.view(-1, 784).float() / 255
few = pixels[:256, [0, 100, 400, 420]]
few.mean(0), few.std(0)


# %% [markdown]
r"""
The first pixel is the corner, and always black. The others differ in their mean
and in how far they stray from it. {term}`Batch normalisation
<batch normalisation>` {cite:p}`ioffe2015` subtracts the one and divides by the
other,

$$\hat x = \frac{x - \mu}{\sigma}.$$
"""


# %%
def batch_norm(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred / (centred**2).mean(0).sqrt()


batch_norm(few)[:3]

# %% [markdown]
r"""
The corner has no variance, and zero by zero is no number. So a small
$\varepsilon$ is added to the variance, $10^{-5}$ by custom. A channel that never
changes then becomes zero, and one that changes hardly stays small.

Pictures have rows and columns. A {term}`channel` of a picture is one detector
that was moved over all places, so one mean for all of its places is what
describes it: the average runs over the examples *and* the places, over all axes
but the second.
"""


# %%
def axes_of(x: Tensor) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


def batch_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(axes_of(x), keepdim=True)
    var = (centred**2).mean(axes_of(x), keepdim=True)
    return centred / (var + eps).sqrt()


torch.manual_seed(0)
maps = 3 + 2 * torch.randn(8, 3, 5, 5)
normalised = batch_norm(maps)
assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-6)
assert_close(normalised.std((0, 2, 3), correction=0), torch.ones(3), rtol=1e-5)
batch_norm(few)[:3]

# %% [markdown]
r"""
## The gradient goes through the statistics

Each output depends on every input of its channel: directly on its own, and on all
by $\mu$ and $\sigma$. Whoever takes the statistics for constants, as two published
courses do, computes the gradient of another function. Here is what autograd finds
if they are hidden from it, and if not, beside what trying says.
"""


# %%
def batch_norm_hidden(x: Tensor, eps: float = 1e-5) -> Tensor:
    with torch.no_grad():
        mean = x.mean(axes_of(x), keepdim=True)
        var = ((x - mean) ** 2).mean(axes_of(x), keepdim=True)
    return (x - mean) / (var + eps).sqrt()


x = torch.randn(4, 1, dtype=torch.float64)
pull = torch.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)


def by_autograd(norm) -> Tensor:
    x.grad = None
    (norm(x.requires_grad_()) * pull).sum().backward()
    return x.grad


tried = numerical_gradient(lambda x: (batch_norm(x) * pull).sum(), x.detach())
assert_close(by_autograd(batch_norm), tried)
columns = [batch_norm_hidden, batch_norm]
torch.hstack([*map(by_autograd, columns), tried])

# %% [markdown]
r"""
To pull the first output up, says the left column, push the first input alone. But
a push moves the mean along and widens the batch: the three others change as well.

By hand, there are three ways from $x_i$ to the loss. Write $g$ for the gradient
of $\hat x$ and $\overline{\phantom{g}}$ for the mean over the $m$ numbers of a
channel. The direct way gives $g_i/\sigma$. The mean takes the same from all, so
its way back takes away the mean of it: $-\overline{g}/\sigma$. And since
$\partial \sigma / \partial x_i = \hat x_i / m$, the way through $\sigma$ takes
away $\hat x_i\,\overline{g \hat x}/\sigma$:

$$\frac{\partial L}{\partial x} = \frac{1}{\sigma}
\left(g - \overline{g} - \hat x\,\overline{g\hat x}\right).$$
"""


# %%
def batch_norm_gradient(x: Tensor, grad: Tensor, eps: float = 1e-5) -> Tensor:
    axes = axes_of(x)
    centred = x - x.mean(axes, keepdim=True)
    rstd = ((centred**2).mean(axes, keepdim=True) + eps).rsqrt()
    y = centred * rstd
    along = (grad * y).mean(axes, keepdim=True)
    return rstd * (grad - grad.mean(axes, keepdim=True) - y * along)


by_hand = batch_norm_gradient(x.detach(), pull)
assert_close(by_hand, tried)
assert_close(by_hand.sum().item(), 0.0, atol=1e-12)
stretch = (by_hand * batch_norm(x.detach())).sum().item()
assert abs(stretch) < 1e-4  # not quite 0, since eps does not stretch
by_hand.T, stretch

# %% [markdown]
r"""
The formula can be read without a derivation. Shift all inputs of a channel alike,
or stretch them: the output stays. So no gradient may point in these directions,
and what is subtracted is $g$'s part along the constant vector and along $\hat x$.

In the library the formula is a {doc}`Function </2_backward/9_engine>`. A scale
$\gamma$ and a shift $\beta$ for each channel, whose use comes below, ride along at no
cost. It also returns the statistics and takes their gradients, $1/m$ and
$2(x - \mu)/m$: nothing is hidden, and it may be differentiated twice.
"""


# %% What belongs to the channels tags=["export", "internal"] module="nn.functional.norm"
"""Batch normalisation: by the statistics of each channel, over a batch."""


def other_axes(input: Tensor) -> tuple[int, ...]:
    """All axes but that of the channels: those of the statistics."""
    return (0, *range(2, input.ndim))


def by_channel(values: Tensor, input: Tensor) -> Tensor:
    """A number for each channel, (c,), ready to meet (n, c, ...)."""
    return values.reshape(len(values), *[1] * (input.ndim - 2))


# %% [markdown]
r"""
The forward pass writes over what it has made, since fresh memory costs more.
"""


# %% The forward pass tags=["export"] module="nn.functional.norm"
class _ByBatch(torch.autograd.Function):
    """(n, c, ...), (c,), (c,) -> normalised, and the means and variances."""

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        axes = other_axes(input)
        mean = input.mean(axes, keepdim=True)
        y = input - mean
        var = (y * y).mean(axes, keepdim=True)
        y *= by_channel(weight, input) * (var + eps).rsqrt()
        y += by_channel(bias, input)
        return y, mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        input, weight, _, ctx.eps = inputs
        _, mean, var = output
        ctx.save_for_backward(input, weight, mean, var)


# %% The backward pass tags=["export"] module="nn.functional.norm"
class _ByBatch(_ByBatch):
    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, grad_mean, grad_var = grads
        input, weight, mean, var = ctx.saved_tensors
        axes, n = other_axes(input), input.numel() // mean.numel()
        rstd = (var + ctx.eps).rsqrt()
        scale = by_channel(weight, input) * rstd
        centred = input - mean
        total = grad.sum(axes, keepdim=True)
        along = (grad * centred).sum(axes, keepdim=True)
        by_mean = (grad_mean - scale * total) / n
        by_var = (2 * grad_var - scale * rstd**2 * along) / n
        grad_input = torch.addcmul(by_mean, centred, by_var)
        grad_input = grad_input.addcmul_(grad, scale)
        return grad_input, (along * rstd).flatten(), total.flatten(), None


# %%
def by_function(x: Tensor) -> Tensor:
    ones, zeros = torch.ones(1).double(), torch.zeros(1).double()
    return _ByBatch.apply(x, ones, zeros, 1e-5)[0]


assert_close(by_autograd(by_function), tried)

# %% [markdown]
r"""
## One image has no batch

After training a user sends *one* picture. Its variance is 0, and its output,
whatever it shows, is $\beta$. And for two users who come together, the answer to
each depends on the other:
"""

# %%
alone, together = few[5:6], few[5:9]
batch_norm(alone), batch_norm(together)[:1]

# %% [markdown]
r"""
So the layer has two lives. While it trains, it uses the statistics of the batch
and keeps running averages of them, with a *momentum* of 0.1: a tenth of the new,
nine tenths of the old. (Optimisers call the other part momentum.) Afterwards the
averages are constants, and each image is on its own. Which life is on is said by
`training`, and by nothing else.

A subtlety that is easily missed: the batch is *divided* by $\sigma$ with
$\sigma^2 = \frac1m\sum(x-\mu)^2$. That is smaller than the variance of all images,
by $(m-1)/m$ on average, because $\mu$ was fitted to the same few. The variance that
is *kept* stands for all images, and is divided by $m - 1$.
"""

# %%
torch.manual_seed(0)
batches = torch.randn(10_000, 4)  # of variance 1, four at a time
biased = batches.var(1, correction=0).mean()
unbiased = batches.var(1, correction=1).mean()
assert_close(biased.item(), 3 / 4, rtol=0.02)
assert_close(unbiased.item(), 1.0, rtol=0.02)
biased, unbiased

# %% [markdown]
r"""
Before the function, what it refuses: one number a channel to take a variance of,
one average without the other, and lengths that are not the number of channels.
"""


# %% What is refused tags=["export", "internal"] module="nn.functional.norm"
def check_channels(input: Tensor, **held: Tensor | None) -> None:
    """Raise unless each tensor that is held has a number for each channel."""
    channels = input.shape[1] if input.ndim > 1 else 0
    for name, tensor in held.items():
        if tensor is not None and tensor.shape != (channels,):
            raise RuntimeError(
                f"expected {name} of shape {(channels,)} for input "
                f"{(*input.shape,)}, got {(*tensor.shape,)}"
            )


def check_batch(input: Tensor, training: bool, eps: float) -> None:
    """Raise where there is no variance to divide by."""
    if not input.is_floating_point():
        raise NotImplementedError(f"expected floating point, got {input.dtype}")
    if training and prod(input.shape[:1] + input.shape[2:]) == 1:
        given = f"got input {(*input.shape,)}"
        raise ValueError(f"expected more than 1 value per channel, {given}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"expected a positive eps, got {eps}")


# %% Which statistics tags=["export", "internal"] module="nn.functional.norm"
def check_running(
    mean: Tensor | None, var: Tensor | None, training: bool
) -> None:
    """Raise unless both averages are there, or in training neither."""
    if training and (mean is None) != (var is None):
        raise ValueError("expected both running_mean and running_var, or none")
    if not training and (mean is None or var is None):
        missing = "running_mean" if mean is None else "running_var"
        raise RuntimeError(f"without training, {missing} is needed; got None")


# %%
try:
    check_channels(maps, weight=torch.ones(4))
except RuntimeError as error:
    message = str(error)
message

# %% [markdown]
r"""
With the averages the layer is a straight line, $x\,\gamma/\sigma +
(\beta - \mu\gamma/\sigma)$: two operations a number. The averages change in place
and outside of the graph. A new tensor in their place would be missed by whoever
holds the old one, and a gradient that remained in them would keep the graph of
every batch that ever was.
"""


# %% The running averages tags=["export"] module="nn.functional.norm"
def _track(running: Tensor, new: Tensor, momentum: float) -> None:
    """Move an average towards a new value, in place: two of (c,)."""
    new = new.detach().flatten()
    running.copy_(running * (1 - momentum) + new * momentum)


def _by_averages(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
) -> Tensor:
    """(n, c, ...), normalised by statistics that are given, each (c,)."""
    scale = weight * (var + eps).rsqrt()
    shift = bias - mean * scale
    return input * by_channel(scale, input) + by_channel(shift, input)


# %%
mean, var = few.mean(0), few.var(0, correction=0)
by_given = _by_averages(few, mean, var, torch.ones(4), torch.zeros(4), 1e-5)
assert_close(by_given, batch_norm(few), atol=1e-5)
_track(mean, torch.zeros(4), 0.1)
assert_close(mean, 0.9 * few.mean(0))
few.mean(0), mean

# %% [markdown]
r"""
Half-precision numbers are too coarse to add up many of them, so the arithmetic is
done in single precision at least. An empty batch, which the last of a split may
be, has no statistics and changes none.
"""


# %% In which precision tags=["export"] module="nn.functional.norm"
def _prepared(
    input: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """All three in single precision or double; ones and zeros for None."""
    x = input.to(torch.promote_types(input.dtype, torch.float32))
    channels = input.shape[1] if input.ndim > 1 else 0
    weight = x.new_ones(channels) if weight is None else weight.to(x.dtype)
    bias = x.new_zeros(channels) if bias is None else bias.to(x.dtype)
    return x, weight, bias


# %% Batch normalisation tags=["export"] module="nn.functional.norm" earns="torch.nn.functional.batch_norm"
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of (n, c, ...) by its mean and deviation over the batch.

    By the running ones if not `training`; else these are updated in place.
    """
    running = {"running_mean": running_mean, "running_var": running_var}
    check_channels(input, **running, weight=weight, bias=bias)
    check_running(running_mean, running_var, training)
    check_batch(input, training, eps)
    x, weight, bias = _prepared(input, weight, bias)
    if not x.numel():
        y = x * by_channel(weight, x) + by_channel(bias, x)
    elif not training:
        y = _by_averages(x, running_mean, running_var, weight, bias, eps)
    else:
        y, mean, var = _ByBatch.apply(x, weight, bias, eps)
        if running_mean is not None:
            m = x.numel() // mean.numel()
            _track(running_mean, mean, momentum)
            _track(running_var, var * m / (m - 1), momentum)
    return y.to(input.dtype)


# %%
mean, var = torch.zeros(3), torch.ones(3)
y = batch_norm(maps, mean, var, training=True)
assert_close(y, normalised)
assert_close(mean, 0.1 * maps.mean((0, 2, 3)))
assert_close(var, 0.9 + 0.1 * maps.var((0, 2, 3)))
mean, var

# %% [markdown]
r"""
## What the layer holds

Normalising takes two things from each channel, its mean and its size. They may
have been worth something: a ReLU behind the layer would always cut at the mean.
So the layer may give them back, as two parameters a channel: $\gamma$, which
begins at 1, and $\beta$, which begins at 0. A bias in front of the layer is then
useless; the mean swallows it.

The averages are buffers: saved and moved with the layer, never trained. So is the
number of batches seen. With `momentum=None` the average is the plain mean of all
batches, in which the $k$-th has the weight $1/k$.
"""


# %% Channels and their statistics tags=["export", "internal"]
"""Layers that normalise by the statistics of a batch."""


class NormBase(Module):
    """What layers with statistics hold; each says how many axes it takes."""

    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        like = {"device": device, "dtype": dtype}
        for name, held in {"weight": affine, "bias": affine and bias}.items():
            values = torch.empty(num_features, **like) if held else None
            param = None if values is None else Parameter(values)
            self.register_parameter(name, param)
        self._register_statistics(like)
        self.reset_parameters()


# %% The buffers tags=["export", "internal"]
class NormBase(NormBase):
    def _register_statistics(self, like: dict) -> None:
        tracked = self.track_running_stats
        for name in ("running_mean", "running_var"):
            values = torch.empty(self.num_features, **like) if tracked else None
            self.register_buffer(name, values)
        count = torch.tensor(0, device=like["device"]) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Start anew: no batch seen, scale 1, shift 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


# %%
NormBase(3).state_dict()

# %% [markdown]
r"""
Rows and images differ in the number of their axes alone, and the wrong number is
refused.
"""


# %% Inputs and words tags=["export", "internal"]
class NormBase(NormBase):
    def check_input(self, input: Tensor) -> None:
        """Raise unless the input has as many axes and channels as it should."""
        if input.ndim not in self.ranks:
            axes = " or ".join(f"{rank}D" for rank in self.ranks)
            given = f"got {input.ndim}D input {(*input.shape,)}"
            raise ValueError(f"expected {axes} input, {given}")

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        settings = {"eps": self.eps, "momentum": self.momentum}
        settings |= {"affine": self.affine, "bias": self.bias is not None}
        settings |= {"track_running_stats": self.track_running_stats}
        words = [f"{name}={value}" for name, value in settings.items()]
        return ", ".join([f"{self.num_features}", *words])


# %% [markdown]
r"""
What is left is the choice between the two lives. The batch's own statistics are
used in training, and also where no averages are kept.
"""


# %% The layer tags=["export"]
class _BatchNorm(NormBase):
    """Normalises each channel over the batch; by running averages in `eval`."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...), normalised."""
        self.check_input(input)
        mean, var = self.running_mean, self.running_var
        own = self.training or (mean is None and var is None)
        if self.training and not self.track_running_stats:
            mean = var = None
        held = {"weight": self.weight, "bias": self.bias}
        check_channels(input, running_mean=mean, running_var=var, **held)
        check_running(mean, var, own)
        check_batch(input, own, self.eps)
        return F.batch_norm(
            input, mean, var, **held, **self._mode(own), eps=self.eps
        )

    def _mode(self, training: bool) -> dict[str, Any]:
        """How the averages move; a batch that moves them is counted."""
        momentum = self.momentum
        if self.training and self.track_running_stats:
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        return {"training": training, "momentum": momentum or 0.0}


# %% For rows and for images tags=["export"] earns="torch.nn.BatchNorm1d torch.nn.BatchNorm2d"
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features, (n, c), or of sequences, (n, c, l)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: (n, c, h, w)."""

    ranks = (4,)


# %%
layer = BatchNorm2d(3)
assert_close(layer(maps), normalised)
assert_equal(layer.num_batches_tracked.item(), 1)
layer, list(layer.state_dict())

# %% [markdown]
r"""
## Other axes

Everything that hurts above comes from one choice: to average over the examples.
A picture has other axes. In the drawing each square is one channel of one image,
and squares of one colour share a mean and a variance.
"""

# %% alt="Four grids of four images by four channels. Batch norm: each column, a channel over all images, has one colour. Layer norm: each row, an image with all its channels, has one. Group norm: each half of a row. Instance norm: every square has its own." tags=["hide-input"]
rows, columns = torch.meshgrid(*[torch.arange(4)] * 2, indexing="ij")
shares = {
    "batch": columns,
    "layer": rows,
    "group": rows * 2 + columns // 2,
    "instance": rows * 4 + columns,
}
figure, panels = plt.subplots(1, 4, figsize=(6, 2))
for panel, (name, owner) in zip(panels, shares.items(), strict=True):
    panel.imshow(owner * 7 % 17, cmap="tab20", vmin=0, vmax=19)
    panel.set_title(name, fontsize=11)
    panel.set(xticks=[], yticks=[], xlabel="channels")
panels[0].set_ylabel("images")
plt.show()

# %% [markdown]
r"""
{term}`Layer normalisation <layer normalisation>` {cite:p}`ba2016` describes an
image by all of its channels together, *instance normalisation*
{cite:p}`ulyanov2016` each channel of each image by itself, and
{term}`group normalisation` {cite:p}`wu2018` some channels together. The last has
the two others in it: one group, or as many as there are channels. None needs a
batch, keeps averages, or does in evaluation anything but what it did in training.

And all three are the function that we have, if the examples are told to be
channels:
"""


# %%
class Grouped(Module):
    """Channels of an image in groups, each by its own mean and deviation."""

    def __init__(self, channels: int, groups: int):
        self.groups = groups
        self.weight = Parameter(torch.ones(channels))
        self.bias = Parameter(torch.zeros(channels))

    def forward(self, input: Tensor) -> Tensor:
        rows = input.reshape(1, len(input) * self.groups, -1)
        y = F.batch_norm(rows, None, None, training=True).view_as(input)
        weight, bias = by_channel(self.weight, y), by_channel(self.bias, y)
        return y * weight + bias


# %% tags=["reference"]
for groups in (1, 3, 6):
    six = torch.randn(4, 6, 5, 5)
    assert_close(Grouped(6, groups)(six), F.group_norm(six, groups), atol=1e-5)

# %% [markdown]
r"""
One more saves the mean. *RMS normalisation* {cite:p}`zhang2019rms` divides by the
root of the mean square alone, $x / \sqrt{\overline{x^2} + \varepsilon}$, and
leaves it to the layers around it to keep the mean near zero. It is what most
language models use. The starred chapter finishes all of them.

## How many images make a batch?

A variance of two numbers is a poor thing: normalised by it, they are $+1$ and
$-1$, whatever they were. So batch normalisation must fail when batches are small.
How small? First a network of three hidden layers without pictures in it, only
features, where a batch of $n$ gives the statistics $m = n$ numbers. The images
have half their rows and columns, which costs a quarter of the time.
"""


# %%
def norm(kind: str, channels: int, ranks: str = "2d") -> Module:
    """A layer of a kind: none, batch, layer, group or instance."""
    groups = {"layer": 1, "group": 8, "instance": channels}
    if kind == "none":
        return Sequential()
    if kind in groups:
        return Grouped(channels, groups[kind])
    return BatchNorm2d(channels) if ranks == "2d" else BatchNorm1d(channels)


def dense(kind: str, seed: int) -> Sequential:
    """Three layers of 128 features, each normalised."""
    torch.manual_seed(seed)
    layers, width = [Flatten()], 196
    for _ in range(3):
        linear = Linear(width, 128, bias=False)
        layers += [linear, norm(kind, 128, "1d"), ReLU()]
        width = 128
    return Sequential(*layers, Linear(width, 10))


# %%
torch.set_num_threads(1)  # small layers are not worth a second one
pictures = avg_pool2d((images[:, None].float() / 255 - 0.286) / 0.353, 2)


def trained(
    model: Sequential, rows: slice, batch_size: int, lr: float
) -> Sequential:
    """The model after one epoch, at a rate that falls to zero."""
    options = {"batch_size": batch_size, "shuffle": True, "drop_last": True}
    loader = TensorLoader(pictures[rows], kinds[rows], **options)
    optimizer = SGD(model.parameters(), lr=lr, momentum=0.9)
    for i, (input, target) in enumerate(loader):
        optimizer.param_groups[0]["lr"] = lr * (1 - i / len(loader))
        cross_entropy(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def score(model: Sequential, rows: slice) -> float:
    """The share of images that the model, in evaluation, gets right."""
    with torch.no_grad():
        return accuracy(model(pictures[rows]).argmax(1), kinds[rows]).item()


def rate(batch_size: int) -> float:
    """A learning rate that suits the size: more for larger batches."""
    return 0.02 * (batch_size / 2) ** 0.6


# %% [markdown]
r"""
Every run sees the same 2,048 images once, in batches of 2 to 32; three seeds.
"""

# %%
few_sizes, held_out = (2, 4, 8, 32), slice(50_000, 55_000)
table = {}
for name in ("batch", "layer"):
    runs = [
        [trained(dense(name, i), slice(2048), n, rate(n) / 4) for i in range(3)]
        for n in few_sizes
    ]
    scores = [[score(model, held_out) for model in row] for row in runs]
    table[name] = torch.tensor(scores)

gap = (table["layer"] - table["batch"]).mean(1)
assert gap[0] > 0.2 and gap[2:].abs().amax() < 0.05

# %% alt="Accuracy against batch size, from 2 to 32, two lines with narrow bands. Layer norm is level between 0.7 and 0.8. Batch norm meets it at 32 and 8, loses some at 4, and falls to less than half of it at 2." tags=["hide-input"]
plt.figure(figsize=(5, 2.8))
for i, (name, values) in enumerate(table.items()):
    plt.semilogx(few_sizes, values.mean(1), f"C{i}o-", label=f"{name} norm")
    band = values.amin(1), values.amax(1)
    plt.fill_between(few_sizes, *band, color=f"C{i}", alpha=0.25)
plt.xticks(few_sizes, few_sizes)
plt.minorticks_off()
plt.xlabel("batch size")
plt.ylabel("accuracy")
plt.legend()
plt.show()

# %% [markdown]
r"""
A batch of two is hopeless, four will do in need, and at eight the two norms have
met. Now pictures. A network of three convolutions halves height and width three
times, so that a channel of the last has $2 \times 2$ places, and even a batch of
two gives its statistics $m = 8$ numbers; earlier layers have more. A fourth
convolution leaves one place, and $m = 2$ again.

All four norms, and none, see 2,048 images once, in batches of 2 to 128. Each case
is the best of five rates by images of their own, and is judged by others. That
is more than a page should wait for, so it is a record.
"""


# %%
def convolutional(
    kind: str, seed: int, n_layers: int = 3, n_places: int = 1
) -> Sequential:
    """Convolutions of stride 2, each normalised, and a mean over places."""
    torch.manual_seed(seed)
    layers, c = [], 1
    for width in (16, 32, 64, 64)[:n_layers]:
        conv = Conv2d(c, width, 3, stride=2, padding=1, bias=kind == "none")
        layers += [conv, norm(kind, width), ReLU()]
        c = width
    end = AdaptiveAvgPool2d(n_places), Flatten(), Linear(c * n_places**2, 10)
    return Sequential(*layers, *end)


# %%
FACTORS = 0.1, 0.3, 1.0, 3.0, 10.0
SIZES, NORMS = (2, 8, 32, 128), ("none", "batch", "layer", "group", "instance")
CASES = {f"{kind} {n}": (kind, n, {}) for kind in NORMS for n in SIZES}
for kind in ("batch", "group"):
    CASES[f"{kind} 2, four layers"] = (kind, 2, {"n_layers": 4})
CASES["instance 32, no mean"] = ("instance", 32, {"n_places": 2})


def best(name: str, seed: int) -> tuple[float, float, Sequential]:
    """A case at its best rate of five: its score there, the rate, itself."""
    kind, size, options = CASES[name]
    tried, rows = [], slice(2048 * seed, 2048 * (seed + 1))
    for factor in FACTORS:
        model = convolutional(kind, seed, **options)
        model = trained(model, rows, size, factor * rate(size))
        tried.append((score(model, slice(50_000, 51_000)), factor, model))
    return max(tried, key=lambda each: each[:2])


# %% [markdown]
r"""
Afterwards the running averages may be exchanged for the statistics of all images:
is what was lost the averages' fault?
"""


# %%
def renew(model: Sequential, rows: slice) -> Sequential:
    """Give the norms the statistics of all rows in place of running ones."""
    for layer in model:
        if isinstance(layer, BatchNorm2d):
            layer.momentum = None
            layer.reset_running_stats()
    with torch.no_grad():
        for input in pictures[rows].split(512):
            model.train()(input)
    return model.eval()


# %% Norms and batch sizes tags=["record", "hide-output"] record="sizes"
def sizes(seed: int) -> dict[str, float]:
    """Accuracy of each case on further images, and paired differences."""
    torch.set_num_threads(1)
    rows, judged = slice(2048 * seed, 2048 * (seed + 1)), slice(55_000, 60_000)
    found, ends = {}, 0
    for name in CASES:
        _, factor, model = best(name, seed)
        found[name] = score(model, judged)
        ends += factor in (FACTORS[0], FACTORS[-1])
        if name in ("batch 2", "batch 128"):
            found[f"{name}, anew"] = score(renew(model, rows), judged)
    pairs = [(f"{kind} 2", f"{kind} 32") for kind in ("batch", "group")]
    pairs += [
        (f"batch {n}", f"{kind} {n}")
        for n in SIZES
        for kind in ("none", "group")
    ]
    pairs += [("batch 2, four layers", "group 2, four layers")]
    found |= {f"{a} - {b}": found[a] - found[b] for a, b in pairs}
    return found | {"best rates at an end": ends}


# %% [markdown]
r"""
| batches of | 2 | 8 | 32 | 128 |
| --- | --- | --- | --- | --- |
| none | {record}`sizes.none 2:.1%` | {record}`sizes.none 8:.1%` | {record}`sizes.none 32:.1%` | {record}`sizes.none 128:.1%` |
| batch | {record}`sizes.batch 2:.1%` | {record}`sizes.batch 8:.1%` | {record}`sizes.batch 32:.1%` | {record}`sizes.batch 128:.1%` |
| layer | {record}`sizes.layer 2:.1%` | {record}`sizes.layer 8:.1%` | {record}`sizes.layer 32:.1%` | {record}`sizes.layer 128:.1%` |
| group | {record}`sizes.group 2:.1%` | {record}`sizes.group 8:.1%` | {record}`sizes.group 32:.1%` | {record}`sizes.group 128:.1%` |
| instance | {record}`sizes.instance 2:.1%` | {record}`sizes.instance 8:.1%` | {record}`sizes.instance 32:.1%` | {record}`sizes.instance 128:.1%` |

**What does it buy?** Steps. In batches of 128 an epoch is sixteen of them, and there
batch normalisation is ahead of no norm by {record}`sizes.batch 128 - none 128:.1%`.
In batches of two it is a thousand steps, enough for a network without any: the lead
is {record}`sizes.batch 2 - none 2:.1%`.

**How many images?** From batches of 32 to batches of two, batch normalisation changes
by {record}`sizes.batch 2 - batch 32:.1%`, and group normalisation, to which a batch is
nothing, by {record}`sizes.group 2 - group 32:.1%`. The one minus the other is
{record}`sizes.batch 32 - group 32:.1%` at 32 and {record}`sizes.batch 2 - group 2:.1%`
at two. With one layer more, in which $m = 2$, the difference at two is
{record}`sizes.batch 2, four layers - group 2, four layers:.1%`: what counts is $m$,
not the images.

**Are the running averages to blame?** With the statistics of all images in their
place, the entry of batch normalisation at two is {record}`sizes.batch 2, anew:.1%`,
and at 128 {record}`sizes.batch 128, anew:.1%`: there sixteen steps leave each average
with a fifth ($0.9^{16}$) of what it began with.

**Why is instance normalisation last?** What it takes from each channel of an image is
its mean, the very thing that the mean at the end of this network passes on. Without
that mean, the four places given to the last layer as they are, its entry at 32 is
{record}`sizes.instance 32, no mean:.1%`.

## What we built

* `batch_norm` (`nn.functional`): by the batch's statistics with their gradient,
  or by running averages.
* `BatchNorm1d`, `BatchNorm2d` (`nn.norm`): torch's arguments, numbers and states.

## Questions

:::{dropdown} Why is the variance that is kept not the one that is divided by?
The kept one stands for all images, of which the batch's own, measured from its
own mean, is too small by $(m-1)/m$ on average.
:::

:::{dropdown} Which two directions does no gradient of a normalised channel have?
Those of a shift and of a stretch of all its inputs: both leave the output as it is.
:::

:::{dropdown} A layer of weights stands before the normalisation. What does its bias do?
Nothing: the mean takes it away again, and its gradient is zero. $\beta$ does its
work.
:::

:::{dropdown} Why is `no_grad` no sign that training is over?
Gradients may be off while the averages should settle, and on while they should not
move, in a frozen layer. Only `train` and `eval` say which life is meant.
:::

## Exercises

Three mistakes of published courses (a fourth is in the starred chapter). Which
check reveals each, and what mends it?

**1.** Two courses compute the statistics under `no_grad` and divide by the
*unbiased* variance. The gradient stands above; what does the other slip do to a
batch of two?
"""

# %% tags=["solution"]
two = torch.randn(2, 5)
published = (two - two.mean(0)) / two.std(0)
expected = batch_norm(two, None, None, training=True)
assert_close(expected / published, torch.full((2, 5), 2**0.5), rtol=1e-3)

# %% [markdown]
r"""
**2.** One course asks `torch.is_grad_enabled()` which life it is in, and keeps
the biased variance. What does a user see who calls `eval()` but no `no_grad`?
And what comes out of twenty such layers, trained on batches of two?
"""


# %% tags=["solution"]
class ByGradients(BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        self.training = torch.is_grad_enabled()
        return super().forward(input)


class Biased(BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.training:
            missing = input.var(0) - input.var(0, correction=0)
            self.running_var -= 0.1 * missing.detach()
        return y


layer = ByGradients(4).eval()
assert abs(layer(few[:8]).mean().item()) < 1e-5  # still by its batch
spreads = []
for kind in (BatchNorm1d, Biased):
    torch.manual_seed(0)
    deep = Sequential(*[kind(4) for _ in range(20)])
    for _ in range(300):
        deep(torch.randn(2, 4))
    spreads.append(deep.eval()(torch.randn(500, 4)).std().item())
assert spreads[1] > 100 * spreads[0]  # about 2 ** 10: a root of 2 from each

# %% [markdown]
r"""
**3.** One course computes the variance as the mean square minus the squared mean,
which is the same, and saves a pass. Find an input for which it is not.
"""

# %% tags=["solution"]
torch.manual_seed(0)
far = 10_000 + torch.randn(1000)
shortcut = (far**2).mean() - far.mean() ** 2
assert abs(shortcut.item() - 1) > 0.5  # squares of 1e8 are rounded to 8
assert_close(((far - far.mean()) ** 2).mean().item(), 1.0, rtol=0.1)

# %% [markdown]
r"""
A network that learns in few steps will soon know its images by heart. The next
chapter lets it, and looks for remedies.
"""
