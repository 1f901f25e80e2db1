# %% [markdown] module="nn.conv"
r"""
# A convolutional network

{doc}`/4_convnets/1_convolution` made one convolution fast. A network is many of
them, each looking at the answers of the one before. **How does a network of
small windows come to see a whole digit, and what does it gain by knowing which
pixels are neighbours?**

We write the layer, and pooling, which leaves fewer places; watch how far a
single output sees; move a picture and see what moves along; and train on 20,000
digits, once with their pixels in order and once shuffled.

| name | shape | meaning |
| --- | --- | --- |
| `input` | `(n, c, h, w)` | images or maps of answers |
| `weight` | `(c_out, c_in / groups, kh, kw)` | the kernels of a layer |
| receptive field | | the pixels that one output depends on |
| stride | | how many pixels apart neighbouring outputs look |
"""

# %% Imports tags=["hide-input"]
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from math import prod, sqrt
from statistics import fmean

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.functional.convolution import conv2d
from groundup.nn.functional.padding import pad
from groundup.nn.functional.windows import frame, pair, windows
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
from groundup.optim.adam import AdamW
from groundup.plot import show_images
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner

torch.set_num_threads(1)
images, digits = mnist()
x = (images[:, None].float() / 255 - 0.1307) / 0.3081
digit = x[12:13]

# %% [markdown]
r"""
## The layer

Weights start as in a linear layer: what one output sums up, its *fan-in*, is
$c_{in} \cdot k_h \cdot k_w$ numbers here. The rest is bookkeeping, and it calls
torch's kernel, which our function has earned.
"""


# %% What is refused tags=["export"]
"""Convolutions as layers."""

from torch.nn.functional import conv2d as fast_conv2d

EDGES = "zeros", "reflect", "replicate", "circular"


def _check_options(
    channels: tuple[int, int],
    groups: int,
    padding: tuple[int, int] | str,
    stride: tuple[int, int],
    padding_mode: str,
) -> None:
    if groups < 1 or any(n % groups for n in channels):
        text = f"{channels} channels do not split into {groups} groups"
        raise ValueError(text)
    if padding_mode not in EDGES:
        known = ", ".join(EDGES)
        raise ValueError(f"padding_mode {padding_mode!r}: not {known}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding {padding!r}: not same or valid")
        if padding == "same" and stride != (1, 1):
            raise ValueError("padding='same' needs a stride of 1")


# %%
try:
    _check_options((3, 8), 2, (1, 1), (1, 1), "zeros")
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
What cannot work is refused when the layer is made, not when it is first used.
"""


# %% A layer of kernels tags=["export"] earns="torch.nn.Conv2d"
class Conv2d(Module):
    """Kernels over images: (n, c_in, h, w) -> (n, c_out, oh, ow).

    It starts as torch's: uniform within 1 / sqrt(c_in / groups x kh x kw).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self.dilation, self.groups = pair(dilation), groups
        self.padding_mode = padding_mode
        self._make(bias, {"device": device, "dtype": dtype})


# %% Its parts tags=["export"]
class Conv2d(Conv2d):
    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        edges = self.padding, self.stride, self.padding_mode
        _check_options(channels, groups, *edges)
        shape = channels[1], channels[0] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        self.register_parameter(
            "bias", Parameter(torch.empty(shape[0], **like)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)


# %%
layer = Conv2d(1, 8, 5, stride=2, padding=2)
{name: tuple(each.shape) for name, each in layer.named_parameters()}

# %% [markdown]
r"""
Forward is one call, unless the frame holds other pixels than zeros:
"""


# %% Forward tags=["export"]
class Conv2d(Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        padding = self.padding
        if self.padding_mode != "zeros":
            window = self.kernel_size, self.stride, self.dilation
            edges, padding = frame(padding, *window), 0
            input = pad(input, edges, self.padding_mode)
        options = self.stride, padding, self.dilation, self.groups
        return fast_conv2d(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        shown = {"kernel_size": self.kernel_size, "stride": self.stride}
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        for name, value in usual.items():
            if (own := getattr(self, name)) != value:
                shown[name] = own
        if self.bias is None:
            shown["bias"] = False
        if self.padding_mode != "zeros":
            shown["padding_mode"] = self.padding_mode
        options = [f"{name}={value}" for name, value in shown.items()]
        return f"{self.in_channels}, {self.out_channels}, {', '.join(options)}"


# %%
layer = Conv2d(1, 8, 5, stride=2, padding=2)
assert_close(layer(digit), conv2d(digit, layer.weight, layer.bias, 2, 2))
layer, layer(digit).shape

# %% [markdown]
r"""
## Fewer places

Windows can also be summed up without weights: their largest number says whether
something was found anywhere in them, their mean how much of it. That is *pooling*,
and its arithmetic is `windows` once more. Without overlap, each axis shrinks by the
size of the window:
"""

# %%
squares = windows(digit, (2, 2), (2, 2))  # (1, 1, 2, 2, 14, 14)
pooled = {"largest": squares.amax((2, 3)), "mean": squares.mean((2, 3))}
{name: tuple(each.shape) for name, each in pooled.items()}

# %% alt="A handwritten 3 of 28 by 28 pixels, and two of 14 by 14: of the largest numbers, with thick strokes, and of the means, with paler ones." tags=["hide-input"]
figure = show_images(
    [each[0, 0] - digit.min() for each in (digit, *pooled.values())],
    ["digit", *pooled],
)
figure.set_size_inches(5, 2)
plt.show()

# %% [markdown]
r"""
What remains are the edges. A frame must never be the largest, so for that pool it
holds minus infinity. And a window may begin in the picture and end outside of it:
"""


# %% What a pool looks at tags=["export"] module="nn.functional.pooling"
"""What is left of each window: its largest number, or its mean."""


class _Geometry(NamedTuple):
    """How windows lie on an image: pairs for its two axes."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    def unfinished(self, shape: Sequence[int], axis: int) -> int:
        """How far a last window reaches beyond the frame, with `ceil_mode`."""
        before, step = self.padding[axis], self.stride[axis]
        if min(self.size[axis], step) < 1:
            text = f"windows of {self.size}, moved by {self.stride}"
            raise RuntimeError(text)
        if not 0 <= before <= self.size[axis] // 2:
            text = f"padding {self.padding} is more than half of {self.size}"
            raise RuntimeError(text)
        reach = self.dilation[axis] * (self.size[axis] - 1) + 1
        length = shape[axis - 2] + 2 * before
        left = (length - reach) % step
        more = step - left if self.ceil_mode and left else 0
        frame_alone = length - reach + more >= length - before
        return 0 if frame_alone else more


# %% [markdown]
r"""
Such a window is dropped, or, with torch's `ceil_mode`, kept as it is. So two things
may stand where no pixel is: the frame, and what lies beyond it.
"""


# %% The windows of a pool tags=["export"] module="nn.functional.pooling"
def _patches(
    input: Tensor, lie: _Geometry, around: float, beyond: float
) -> Tensor:
    """The windows of images of 3 or 4 axes: (n, c, kh, kw, oh, ow)."""
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    images = input if input.dim() == 4 else input[None]
    (top, left), (lower, right) = (
        lie.padding,
        (lie.unfinished(input.shape, axis) for axis in (0, 1)),
    )
    framed = pad(images, (left, left, top, top), value=around)
    longer = pad(framed, (0, right, 0, lower), value=beyond)
    return windows(longer, lie.size, lie.stride, lie.dilation)


# %%
lie = _Geometry((2, 2), (2, 2), (0, 0), ceil_mode=True)
_patches(digit[..., :5, :5], lie, 0.0, 0.0).shape


# %% The largest of each window tags=["export"] module="nn.functional.pooling" earns="torch.nn.functional.max_pool2d"
def max_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of each window: (*, h, w) -> (*, oh, ow).

    With `return_indices` also where it stands in the h x w pixels.
    """
    step = kernel_size if stride is None else stride
    sizes = map(pair, (kernel_size, step, padding, dilation))
    lie, own = _Geometry(*sizes, ceil_mode), input.dtype
    limits = torch.finfo if input.is_floating_point() else torch.iinfo
    lowest = -torch.inf if own.is_floating_point else limits(own).min
    largest, index = _patches(input, lie, lowest, lowest).flatten(2, 3).max(2)
    shape = *input.shape[:-2], *largest.shape[2:]
    if not return_indices:
        return largest.view(shape)
    return largest.view(shape), _places(index, input, lie).view(shape)


# %% [markdown]
r"""
The index that `max` gives counts inside a window. Where is that in the picture?
"""


# %% Where it stands tags=["export"] module="nn.functional.pooling"
def _places(index: Tensor, input: Tensor, lie: _Geometry) -> Tensor:
    """From places in windows to places in the picture, counted row by row."""
    within = index // lie.size[1], index % lie.size[1]
    starts = (
        torch.arange(n, device=index.device) * step - before
        for n, step, before in zip(
            index.shape[2:], lie.stride, lie.padding, strict=True
        )
    )
    (down, right), (top, left) = lie.dilation, starts
    i, j = top[:, None] + within[0] * down, left + within[1] * right
    return i * input.shape[-1] + j


# %% tags=["reference"]
import torch.nn.functional as F

maps = torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(0))
assert_close(max_pool2d(maps, 3, 2, 1), F.max_pool2d(maps, 3, 2, 1))
both = (
    each(maps, 2, return_indices=True) for each in (max_pool2d, F.max_pool2d)
)
assert_equal(*(places for _, places in both))
max_pool2d(maps, 2).shape

# %% [markdown]
r"""
For a mean the frame counts, or it does not: torch leaves that to an option. What
lies beyond the frame never counts.
"""


# %% The mean of each window tags=["export"] module="nn.functional.pooling" earns="torch.nn.functional.avg_pool2d"
def avg_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: (*, h, w) -> (*, oh, ow)."""
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    sizes = map(pair, (kernel_size, stride or kernel_size, padding))
    lie = _Geometry(*sizes, ceil_mode=ceil_mode)
    sums = _patches(input, lie, 0.0, 0.0).sum((2, 3))
    divisor: Tensor | int | None = divisor_override
    if divisor is None:
        ones = input.new_ones((1, 1, *input.shape[-2:]))
        divisor = _patches(ones, lie, float(count_include_pad), 0.0).sum((2, 3))
    mode = None if input.is_floating_point() else "trunc"  # integers stay so
    means = sums.div(divisor, rounding_mode=mode)
    return means.view(*input.shape[:-2], *means.shape[2:])


# %% tags=["reference"]
assert_close(avg_pool2d(maps, 3, 2, 1), F.avg_pool2d(maps, 3, 2, 1))
avg_pool2d(maps, 3, 2, 1)[0, 0]

# %% [markdown]
r"""
An *adaptive* pool says how many windows there shall be, not how large they are:
window $i$ of $m$ over $h$ pixels goes from $\lfloor i h / m \rfloor$ to
$\lceil (i + 1) h / m \rceil$. One window for the whole picture, which takes
every size of picture, is what the last layer of a network needs.
"""


# %% As many windows as asked tags=["export"] module="nn.functional.pooling" earns="torch.nn.functional.adaptive_avg_pool2d"
def adaptive_avg_pool2d(
    input: Tensor, output_size: int | Sequence[int | None] | None
) -> Tensor:
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    several = isinstance(output_size, Sequence)
    wanted = output_size if several else (output_size, output_size)
    if len(wanted) != 2 or any(n is not None and n < 0 for n in wanted):
        raise RuntimeError(f"expected two sizes, got output_size={output_size}")
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise ValueError(f"expected images of 3 or 4 axes, got {shape}")
    for axis, n in zip((-2, -1), wanted, strict=True):
        if n is not None:
            input = _means(input, axis, n)
    return input


def _means(input: Tensor, axis: int, n: int) -> Tensor:
    """Means of n stretches of an axis, which may overlap by one."""
    size = input.shape[axis]
    bounds = [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
    means = [
        input.narrow(axis, start, stop - start).mean(axis, keepdim=True)
        for start, stop in bounds
    ]
    return torch.cat(means, axis) if n else input.narrow(axis, 0, 0)


# %% tags=["reference"]
assert_close(
    adaptive_avg_pool2d(maps, (3, 4)), F.adaptive_avg_pool2d(maps, (3, 4))
)
adaptive_avg_pool2d(maps, 1).shape

# %% [markdown]
r"""
As layers they hold their options and call torch's kernels, which the functions
have earned:
"""


# %% A pool as a layer tags=["export"] module="nn.pool" earns="torch.nn.MaxPool2d"
"""Pooling as layers."""

import torch.nn.functional as kernels


class MaxPool2d(Module):
    """The largest of each window: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.dilation, self.ceil_mode = dilation, ceil_mode
        self.return_indices = return_indices


# %% Its forward tags=["export"] module="nn.pool"
class MaxPool2d(MaxPool2d):
    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        size, step, padding = self.kernel_size, self.stride, self.padding
        options = self.dilation, self.ceil_mode, self.return_indices
        return kernels.max_pool2d(input, size, step, padding, *options)

    def extra_repr(self) -> str:
        """All options but one, as torch prints them."""
        names = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


# %%
MaxPool2d(3, 2, 1), MaxPool2d(3, 2, 1)(digit).shape

# %% [markdown]
r"""
The two means, likewise:
"""


# %% Means as a layer tags=["export"] module="nn.pool" earns="torch.nn.AvgPool2d"
class AvgPool2d(Module):
    """The mean of each window: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        size, step, padding = self.kernel_size, self.stride, self.padding
        options = self.ceil_mode, self.count_include_pad, self.divisor_override
        return kernels.avg_pool2d(input, size, step, padding, *options)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        names = "kernel_size", "stride", "padding"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


# %% And as many as asked tags=["export"] module="nn.pool" earns="torch.nn.AdaptiveAvgPool2d"
class AdaptiveAvgPool2d(Module):
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""

    def __init__(self, output_size: int | Sequence[int | None] | None):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """How many windows."""
        return f"output_size={self.output_size}"


# %%
AvgPool2d(4)(digit).shape, AdaptiveAvgPool2d(1)(digit).shape

# %% [markdown]
r"""
One layer is missing between maps and a row of scores:
"""


# %% From maps to a row of numbers tags=["export"] module="nn.flatten" earns="torch.nn.Flatten"
"""Axes joined."""


class Flatten(Module):
    """Joins axes: by default (n, *) -> (n, product)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers, in fewer axes."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The first and the last axis."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


# %%
net = Sequential(
    Conv2d(1, 8, 5, stride=2, padding=2),
    ReLU(),
    Conv2d(8, 16, 3, padding=1),
    ReLU(),
    MaxPool2d(2),
    Flatten(),
    Linear(16 * 7 * 7, 10),
)
shapes = [digit.shape]
for layer in net:
    shapes.append(layer(torch.zeros(shapes[-1])).shape)
[tuple(shape[1:]) for shape in shapes]

# %% [markdown]
r"""
The pattern of forty years: the picture gets smaller and deeper, until it is a row
of numbers that a linear layer weighs.

## How far does one output see?

A kernel of three sees three pixels. Behind it, another one sees three of those
answers, which stand a stride apart. The *receptive field* of an output is all
pixels that it depends on, and nobody needs a formula to find it: the gradient of
that one output says which pixels matter.
"""


# %% Whose change would change it
def footprint(layers: Sequence[Module], size: int = 33) -> Tensor:
    """Where the middle output's gradient is not zero: (size, size)."""
    net = Sequential(*layers)
    for module in net:
        if isinstance(module, Conv2d):
            init.ones_(module.weight)
    pixels = torch.ones(1, 1, size, size, requires_grad=True)
    output = net(pixels)
    middle = output.shape[-1] // 2
    output[0, 0, middle, middle].backward()
    return pixels.grad[0, 0]


def stack(depth: int, stride: int) -> list[Module]:
    return [Conv2d(1, 1, 3, stride, padding=1) for _ in range(depth)]


prints = [footprint(stack(depth, s)) for s in (1, 2) for depth in (1, 2, 3, 4)]
widths = [int((each > 0).any(0).sum()) for each in prints]
assert_equal(widths, [3, 5, 7, 9, 3, 7, 15, 31])
widths

# %% alt="Eight squares of 33 by 33 pixels. Above, with stride 1, the shaded square around the middle grows from 3 to 5, 7 and 9 pixels and is darkest in its middle. Below, with stride 2, it grows from 3 to 7, 15 and nearly all." tags=["hide-input"]
titles = [f"{d} layers" if d > 1 else "1 layer" for d in (1, 2, 3, 4)]
shades = [each / each.max() for each in prints]
figure = show_images(shades, titles + ["stride 2"] * 4, columns=4)
figure.set_size_inches(5, 3)
plt.show()

# %% [markdown]
r"""
Each layer of stride 1 adds two pixels. Each layer of stride 2 doubles what the
next one adds: four of them see a whole digit. The shades say how many ways
lead from a pixel to the output. Most lead from the middle, so what a network
*does* see is smaller than what it could {cite:p}`luo2016`.

## What moves along

Move the digit by one pixel, and the answers of a convolution move by one pixel.
The layer is *equivariant* under shifts: first shift, then convolve, or the other
way round. It follows from using the same weights everywhere. With a stride of
two it holds for shifts by two and no others:
"""


# %%
def difference(layer: Module, by: int, output_by: int) -> float:
    """How far shifting and the layer are from exchanging places."""
    framed = pad(digit, (8, 8, 8, 8), value=digit.min().item())
    moved = layer(framed.roll(by, -1))
    expected = layer(framed).roll(output_by, -1)
    inner = (..., slice(4, -4), slice(4, -4))  # what no edge has touched
    squares = [each[inner].square().sum() for each in (moved - expected, moved)]
    return (squares[0] / squares[1]).sqrt().item()


torch.manual_seed(0)
same, strided = Conv2d(1, 8, 3), Conv2d(1, 8, 3, stride=2)
assert difference(same, 1, 1) < 1e-6 and difference(strided, 2, 1) < 1e-6
differences = {
    "stride 1, moved by 1": difference(same, 1, 1),
    "stride 2, moved by 2": difference(strided, 2, 1),
    "stride 2, moved by 1": min(difference(strided, 1, d) for d in (0, 1)),
}
assert differences["stride 2, moved by 1"] > 0.1
{name: round(value, 3) for name, value in differences.items()}

# %% [markdown]
r"""
So a network with strides or pools answers differently when its picture moves by
a pixel. To blur before each step mends most of that {cite:p}`zhang2019shift`: an
exercise.

## Two epochs on 20,000 digits

The network of above, three seeds, one rate that starts low, rises and falls:
"""


# %%
def cnn() -> Sequential:
    return Sequential(
        Conv2d(1, 8, 5, stride=2, padding=2),
        ReLU(),
        Conv2d(8, 16, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(16 * 7 * 7, 10),
    )


def accuracies(make: Callable, pixels: Tensor, lr: float, seed: int) -> list:
    """The shares right of images 50,000 to 55,000 and of those behind."""
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    rows = pixels[:20_000], digits[:20_000]
    train = TensorLoader(*rows, batch_size=100, shuffle=True, generator=order)
    learn = Learner(make(), train, optim=AdamW, lr=lr, defaults=())
    learn.fit(2, [Anneal.one_cycle(lr)])
    right = learn.predict(TensorLoader(pixels[50_000:], batch_size=1000))
    right = (right.argmax(1) == digits[50_000:]).float()
    return [part.mean().item() for part in right.split(5000)]


found = [fmean(accuracies(cnn, x, 0.02, seed)) for seed in range(3)]
assert fmean(found) > 0.98
[round(each, 4) for each in found]

# %% [markdown]
r"""
## What are neighbours worth?

Beside it a network without windows, the one of part 3 with 50 hidden units. And
both again on digits whose pixels are shuffled, all in the same way: to a linear
layer that is the same task, since its weights can be shuffled likewise. To a
window it is not. Each gets its own best rate of three for each seed, chosen on
images 50,000 to 55,000 and judged on those behind.
"""


# %%
def mlp() -> Sequential:
    return Sequential(Flatten(), Linear(784, 50), ReLU(), Linear(50, 10))


sizes = [sum(p.numel() for p in make().parameters()) for make in (cnn, mlp)]
assert 4 < sizes[1] / sizes[0] < 5
sizes


# %% What neighbours are worth tags=["record"] record="neighbours"
def neighbours(seed: int) -> dict[str, float]:
    order = torch.randperm(784, generator=torch.Generator().manual_seed(seed))
    mixed = x.flatten(2)[..., order].view(x.shape)

    def judged(make: Callable, pixels: Tensor) -> float:
        rates = 0.003, 0.01, 0.03
        return max(accuracies(make, pixels, lr, seed) for lr in rates)[1]

    windows, none = judged(cnn, x), judged(mlp, x)
    windows_mixed, none_mixed = judged(cnn, mixed), judged(mlp, mixed)
    return {
        "windows": windows,
        "no windows": none,
        "windows, shuffled": windows_mixed,
        "no windows, shuffled": none_mixed,
        "windows - no windows": windows - none,
        "windows - no windows, shuffled": windows_mixed - none_mixed,
        "no windows, shuffled - in order": none_mixed - none,
    }


# %% [markdown]
r"""
In order, the windows gain {record}`neighbours.windows - no windows:.1%` with less than
a quarter of the weights. Shuffled, they fall from {record}`neighbours.windows:.1%` to
{record}`neighbours.windows, shuffled:.1%` and behind the other network, by
{record}`neighbours.windows - no windows, shuffled:.1%`, while that one does not notice
({record}`neighbours.no windows, shuffled - in order:.1%`). What windows gained over
four times as many weights, they gained from neighbours.

They are not useless without: a kernel still makes a feature at each of its places.
Against as many weights without windows, which is 12 hidden units, they win even on
shuffled pixels: an exercise.
"""

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `Conv2d` | `nn` | a convolution as a layer, torch's to the keyword |
| `max_pool2d`, `avg_pool2d`, `adaptive_avg_pool2d` | `nn.functional` | what is left of each window |
| `MaxPool2d`, `AvgPool2d`, `AdaptiveAvgPool2d` | `nn` | the same as layers |
| `Flatten` | `nn` | from maps to a row of numbers |

The other dimensions, transposed convolutions and the rest of torch's pools are in
the starred chapter {doc}`/4_convnets/9_convolutions`.

## Questions

:::{dropdown} Why is fan_in nine times the input channels for a kernel of three?
Each output number is the sum of so many products. That is what decides the
variance of the sum, as in {doc}`/2_backward/2_init`; how many places share the
weights does not enter.
:::
"""

# %% tags=["answer"]
torch.manual_seed(0)
layer = Conv2d(64, 64, 3)
bound = 1 / sqrt(64 * 9)
assert 0.99 * bound < layer.weight.abs().max() <= bound

# %% [markdown]
r"""
:::{dropdown} Why must the frame of a largest-number pool hold minus infinity?
With zeros, a window at the edge whose numbers are all negative would answer 0, a
number that is not in the picture.
:::
"""

# %% tags=["answer"]
assert_equal(max_pool2d(-torch.ones(1, 2, 2), 2, 1, 1), -torch.ones(1, 3, 3))

# %% [markdown]
r"""
:::{dropdown} The network has a Linear of 784 inputs at its end. Which pictures does it take?
Only such as leave 7 × 7 places. With `AdaptiveAvgPool2d(1)` in place of the
flattened maps it takes any size, and forgets where things stood.
:::
"""

# %% tags=["answer"]
anywhere = Sequential(*list(cnn())[:3], AdaptiveAvgPool2d(1), Flatten())
for size in (14, 28, 41):
    assert_equal(anywhere(torch.zeros(1, 1, size, size)).shape, (1, 16))

# %% [markdown]
r"""
:::{dropdown} A photograph is moved by one pixel. Do the answers of a layer of stride 2 move by half a place?
There is no half a place. Other windows are looked at, half of which were skipped
before: the answers are new ones.
:::

## Exercises

**1. A formula for what an output sees.** Compute the width of the receptive
field from the list of kernels and strides, and compare it with the gradient's.
"""


# %% tags=["solution"]
def width(layers: list[tuple[int, int]]) -> int:
    """From (kernel, stride) of each layer, the first first."""
    seen, apart = 1, 1
    for kernel, stride in layers:
        seen, apart = seen + (kernel - 1) * apart, apart * stride
    return seen


assert_equal([width([(3, 1)] * d) for d in (1, 2, 3, 4)], widths[:4])
assert_equal([width([(3, 2)] * d) for d in (1, 2, 3, 4)], widths[4:])

# %% [markdown]
r"""
**2. Blur before you step.** Average a strided convolution's answers, ReLU'd, over
all places. How much does that average change when the digit moves by a pixel?
And if the picture is first blurred with the kernel 1, 2, 1 in both directions?
"""


# %% tags=["solution"]
def average_change(layer: Module, blur: bool) -> float:
    row = torch.tensor([1.0, 2, 1]) / 4
    framed = pad(digit, (8, 8, 8, 8), value=digit.min().item())
    if blur:
        kernel = (row[:, None] * row)[None, None]
        framed = conv2d(pad(framed, (1, 1, 1, 1), "replicate"), kernel)
    one, other = (
        layer(each).clamp(min=0).mean((2, 3))
        for each in (framed, framed.roll(1, -1))
    )
    return ((one - other).square().sum() / one.square().sum()).sqrt().item()


changes = []
for seed in range(5):
    torch.manual_seed(seed)
    layer = Conv2d(1, 8, 3, stride=2)
    changes.append([average_change(layer, blur) for blur in (False, True)])
assert all(blurred < 0.5 * sharp for sharp, blurred in changes)

# %% [markdown]
r"""
**3. As many weights.** Which network of one hidden layer has as many weights as the
one with windows? Train both on shuffled pixels. Which is better, and why might that
be?
"""

# %% tags=["solution"]
order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
mixed = x.flatten(2)[..., order].view(x.shape)


def as_large() -> Sequential:
    return Sequential(Flatten(), Linear(784, 12), ReLU(), Linear(12, 10))


assert sum(p.numel() for p in as_large().parameters()) > sizes[0]
few, many = (accuracies(make, mixed, 0.01, 0)[1] for make in (as_large, cnn))
assert many > few  # 12 features of a picture are fewer than 784

# %% [markdown]
r"""
**4. Where is it?** A network whose frames are zeros can learn where it is. Show
that a `Conv2d` of ones with a frame answers a blank picture of ones differently
at the edge, and that `padding_mode="replicate"` does not.
"""

# %% tags=["solution"]
for mode, n_answers in (("zeros", 3), ("replicate", 1)):
    layer = Conv2d(1, 1, 3, padding=1, padding_mode=mode, bias=False)
    init.ones_(layer.weight)
    answers = layer(torch.ones(1, 1, 6, 6))
    assert_equal(len(answers.unique()), n_answers)  # corner, edge and middle

# %% [markdown]
r"""
The network learned two epochs from weights that were drawn at random.
{doc}`/4_convnets/3_starts` asks what happens when they are drawn badly.
"""
