# %% [markdown] module="nn.norm"
r"""
# Normalisation

A unit of a network answers 3.0 to an image. Is that much? The image cannot say.
A batch of images can: if all the others got between 2.9 and 3.1, it is nothing;
if they got between −1 and 1, it is a discovery. **What does a batch know that an
image does not, and what may a network do with it?**

This chapter divides by what a batch knows, takes the gradient through it by
hand, and finds out what to do when there is no batch. Then it measures how many
images such a batch must have. The norms that need no batch are finished in the
starred chapter {doc}`/4_convnets/8_normalizations`.

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

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.datasets import fashion_mnist
from groundup.manual.gradients import numerical_gradient
from groundup.nn import init
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
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
Torch's function, asked for the same, agrees:
"""

# %% tags=["reference"]
assert_close(batch_norm(maps), F.batch_norm(maps, None, None, training=True))
assert_close(batch_norm(few), F.batch_norm(few, None, None, training=True))

# %% [markdown]
r"""
## The gradient goes through the statistics

Each output depends on every input of its channel: directly on its own, and on
all of them by $\mu$ and $\sigma$. Whoever takes the statistics for constants, as
two of the four courses did whose code this chapter has read, computes the
gradient of another function. Autograd follows whatever it is shown; here is what
it finds with statistics that are hidden from it, beside what trying says.
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
Pulling the first output up, one would think, takes pushing the first input up
alone: that is the left column. But a push moves the mean along, and widens the
batch, and the three others change as well.

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
by_hand.T

# %% [markdown]
r"""
The formula can be read without a derivation. Shift all inputs of a channel alike:
the output stays. Stretch them all: it stays. So no gradient may point in these
two directions, and what is subtracted is $g$'s part along the constant vector and
its part along $\hat x$.
"""

# %%
assert_close(by_hand.sum().item(), 0.0, atol=1e-12)
assert abs((by_hand * batch_norm(x.detach())).sum().item()) < 1e-4
(by_hand * batch_norm(x.detach())).sum().item()

# %% [markdown]
r"""
(The second is not quite zero because of $\varepsilon$, which does not stretch.)

In the library the formula is a {doc}`Function </2_backward/9_engine>`. A scale
$\gamma$ and a shift $\beta$ for each channel stand in it from the start, because
they ride along at no cost; what they are for comes below. It also returns the
statistics, which will be wanted, and takes the gradient of these as well,
$1/m$ and $2(x - \mu)/m$. So nothing is hidden, and it may be differentiated
twice.
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
The forward pass writes over what it has made, instead of making more: a pass
through fresh memory costs several times one through old.
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
        grad_input = (centred * by_var + by_mean).addcmul_(grad, scale)
        return grad_input, (along * rstd).flatten(), total.flatten(), None


# %%
def by_function(x: Tensor) -> Tensor:
    ones, zeros = torch.ones(1).double(), torch.zeros(1).double()
    return _ByBatch.apply(x, ones, zeros, 1e-5)[0]


assert_close(by_autograd(by_function), tried)

# %% [markdown]
r"""
## One image has no batch

Two hundred training steps later, a user sends *one* picture. Its variance is 0,
and its output, whatever it shows, is $\beta$. And two users who come together
would get an answer that depends on who else came:
"""

# %%
alone, together = few[5:6], few[5:9]
batch_norm(alone), batch_norm(together)[:1]

# %% [markdown]
r"""
So the layer has two lives. While it trains, it uses the statistics of the batch
and keeps running averages of them, with a *momentum* of 0.1: a tenth of the new,
nine tenths of the old. (Optimisers call the other part momentum.) Once training
is over, the averages are constants, and each image is on its own. Which life is
on is said by `training`, and by nothing else.

There is a subtlety that nearly everyone gets wrong. The batch is *divided* by
$\sigma$ with $\sigma^2 = \frac1m\sum(x-\mu)^2$. That is smaller than the variance
of the images from which the batch was drawn, by $(m-1)/m$ on average, because the
mean was fitted to the same few images. In training this does not matter. But the
running variance stands for all images, and so the one that is *kept* is divided
by $m - 1$.
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
an $\varepsilon$ that cannot help, one average without the other, and lengths that
are not the number of channels.
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
mean / few.mean(0)

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
trained = batch_norm(maps, mean, var, training=True)
assert_close(trained, normalised)
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


# %% Channels and their statistics tags=["export"]
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


# %% The buffers tags=["export"]
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


# %% Inputs and words tags=["export"]
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
layer, list(layer.state_dict())

# %% [markdown]
r"""
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
That of a shift of all its inputs, and that of a stretch: both leave the output
as it is.
:::

:::{dropdown} A layer of weights stands before the normalisation. What does its bias do?
Nothing: the mean takes it away again, and its gradient is zero. $\beta$ does its
work.
:::

:::{dropdown} Why is `no_grad` no sign that training is over?
Gradients may be off while the layer should train (to let the averages settle),
and on while it should not (a frozen layer in a model that is being fine-tuned,
or the gradient of an image). Only `train` and `eval` say which life is meant.
:::

## Exercises

**1.** In evaluation a normalisation is a straight line, and so is the layer of
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


pair = Sequential(Linear(4, 6), BatchNorm1d(6))
for _ in range(20):
    pair(few[torch.randperm(256)[:32]])
assert_close(fold(*pair)(few), pair.eval()(few), rtol=1e-4, atol=1e-5)

# %% [markdown]
r"""
The next four are mistakes of published courses. For each: which check reveals
it, and what is the mend?

**2.** Two courses compute the statistics under `no_grad` and divide by the
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
**3.** One course asks `torch.is_grad_enabled()` which life it is in, and keeps
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
sizes = []
for kind in (BatchNorm1d, Biased):
    torch.manual_seed(0)
    deep = Sequential(*[kind(4) for _ in range(20)])
    for _ in range(300):
        deep(torch.randn(2, 4))
    sizes.append(deep.eval()(torch.randn(500, 4)).std().item())
assert sizes[1] > 100 * sizes[0]  # about 2 ** 10: a root of 2 from each

# %% [markdown]
r"""
**4.** One course computes the variance as the mean square minus the squared mean,
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
**5.** The same course writes `self.mean = 0.9 * self.mean + 0.1 * batch_mean`.
Count the operations that hang on the average after ten batches. What else is
lost, beside memory?
"""


# %% tags=["solution"]
def history(tensor: Tensor) -> int:
    """How many operations a tensor still remembers."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)


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

# %% [markdown]
r"""
**6.** Weight decay on weights that a normalisation follows: show that it only
changes the learning rate. (The output does not change if the weights are
doubled. What does their gradient do? Write $W_t = c_t V_t$, where $c_t$ is what
decay has left, and find the rates with which $V$, undecayed, computes the same.)
"""


# %% tags=["solution"]
def loss_at(weight: Tensor) -> Tensor:
    y = batch_norm(inputs @ weight, None, None, training=True, eps=1e-12)
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
