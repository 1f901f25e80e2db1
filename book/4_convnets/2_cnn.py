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
torch's kernel, which the function above has earned.
"""


# %% A layer of kernels tags=["export"] earns="torch.nn.Conv2d"
"""Convolutions as layers."""

from torch.nn.functional import conv2d as fast_conv2d


class Conv2d(Module):
    """Kernels over images: (n, c_in, h, w) -> (n, c_out, oh, ow).

    Initialised as torch does it: weight and bias uniform between plus and
    minus 1 / sqrt(fan_in), with fan_in = c_in / groups x kh x kw.
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
        like = {"device": device, "dtype": dtype}
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self.dilation, self.groups = pair(dilation), groups
        self.padding_mode = padding_mode
        self._check_options()
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(torch.empty(shape, **like))
        self.register_parameter(
            "bias",
            Parameter(torch.empty(out_channels, **like)) if bias else None,
        )
        self.reset_parameters()


# %% [markdown]
r"""
What cannot work is refused when the layer is made, not when it is first used:
"""


# %% What is refused tags=["export"]
class Conv2d(Conv2d):
    def _check_options(self) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        if groups < 1 or any(n % groups for n in channels):
            text = f"{channels} channels do not split into {groups} groups"
            raise ValueError(text)
        modes = "zeros", "reflect", "replicate", "circular"
        if self.padding_mode not in modes:
            known = ", ".join(modes)
            raise ValueError(f"padding_mode {self.padding_mode!r}: not {known}")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"padding {self.padding!r}: not same or valid")
            if self.padding == "same" and {*self.stride} != {1}:
                raise ValueError("padding='same' needs a stride of 1")

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)


# %% Forward, and how it prints tags=["export"]
class Conv2d(Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        options = self.stride, self.padding, self.dilation, self.groups
        if self.padding_mode != "zeros":
            size, stride, _, dilation = self.kernel_size, *options[:3]
            edges = frame(self.padding, size, stride, dilation)
            input = pad(input, edges, self.padding_mode)
            options = (self.stride, 0, *options[2:])
        return fast_conv2d(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        text = f"{self.in_channels}, {self.out_channels}"
        shown = {"kernel_size": self.kernel_size, "stride": self.stride}
        none, one = ((n,) * len(self.stride) for n in (0, 1))
        usual = {"padding": none, "dilation": one, "groups": 1}
        for name, value in usual.items():
            if (own := getattr(self, name)) != value:
                shown[name] = own
        if self.bias is None:
            shown["bias"] = False
        if self.padding_mode != "zeros":
            shown["padding_mode"] = self.padding_mode
        return ", ".join([text, *(f"{k}={v}" for k, v in shown.items())])


# %%
layer = Conv2d(1, 8, 5, stride=2, padding=2)
assert_close(layer(digit), conv2d(digit, layer.weight, layer.bias, 2, 2))
layer, layer(digit).shape


# %% [markdown]
r"""
## Fewer places

Windows can also be summed up without weights: their largest number says whether
something was found anywhere in them, their mean how much of it. Without overlap,
each axis shrinks by the size of the window. That is *pooling*, and its
arithmetic is `windows` once more. Where a frame is needed it must never be the
largest, so it holds minus infinity:
"""


# %% The largest of each window tags=["export"] module="nn.functional.pooling" earns="torch.nn.functional.max_pool2d"
"""What is left of each window: its largest number, or its mean."""


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
    size, dilation = pair(kernel_size), pair(dilation)
    stride, padding = (
        pair(kernel_size if stride is None else stride),
        pair(padding),
    )
    lowest = (
        -torch.inf
        if input.is_floating_point()
        else torch.iinfo(input.dtype).min
    )
    edges = _pool_frame(input, size, stride, padding, dilation, ceil_mode)
    padded = pad(_as_images(input), edges, value=lowest)
    patches = windows(padded, size, stride, dilation)
    largest, index = patches.flatten(2, 3).max(2)
    largest = largest.view(*input.shape[:-2], *largest.shape[-2:])
    if not return_indices:
        return largest
    i, j = index // size[1] * dilation[0], index % size[1] * dilation[1]
    rows = torch.arange(i.shape[2], device=i.device)[:, None] * stride[0]
    columns = torch.arange(j.shape[3], device=j.device) * stride[1]
    width, (top, left) = input.shape[-1], padding
    places = (rows + i - top) * width + columns + j - left
    return largest, places.view_as(largest)


def _as_images(input: Tensor) -> Tensor:
    """Any leading axes become two: (*, h, w) -> (n, c, h, w)."""
    if input.dim() not in (3, 4):
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    return input if input.dim() == 4 else input[None]


def _pool_frame(
    input: Tensor,
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> list[int]:
    """Left, right, top, bottom; with `ceil_mode` a last, unfinished window."""
    if min(*size, *stride) < 1:
        raise RuntimeError(f"a window of {size}, moved by {stride}")
    edges = []
    for axis in (1, 0):
        before, step = padding[axis], stride[axis]
        if not 0 <= before <= size[axis] // 2:
            text = f"padding {padding} is more than half of a window of {size}"
            raise RuntimeError(text)
        size_in, span = input.shape[axis - 2], dilation[axis] * (size[axis] - 1)
        left = (size_in + 2 * before - span - 1) % step
        more = step - left if ceil_mode and left else 0
        if size_in + before - span - 1 + more >= size_in:
            more = 0  # its window would hold nothing but frame
        edges += [before, before + more]
    return edges


# %% tags=["reference"]
import torch.nn.functional as F

maps = torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(0))
assert_close(max_pool2d(maps, 3, 2, 1), F.max_pool2d(maps, 3, 2, 1))
max_pool2d(maps, 2).shape

# %% [markdown]
r"""
For a mean the frame counts, or it does not: torch leaves that to an option. And
an *adaptive* pool says how many windows there shall be, not how large they are:
window $i$ of $m$ over $h$ pixels goes from $\lfloor i h / m \rfloor$ to
$\lceil (i + 1) h / m \rceil$. One window for the whole picture, which takes
every size of picture, is what the last layer of a network needs.
"""


# %% The mean of each window tags=["export"] module="nn.functional.pooling" earns="torch.nn.functional.avg_pool2d torch.nn.functional.adaptive_avg_pool2d"
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
    size, padding = pair(kernel_size), pair(padding)
    stride = pair(stride or kernel_size)
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    left, right, top, bottom = _pool_frame(
        input, size, stride, padding, ceil_mode=ceil_mode
    )
    images = _as_images(input)
    patches = windows(pad(images, (left, right, top, bottom)), size, stride)
    sums = patches.sum((2, 3))
    if divisor_override is not None:
        return (sums / divisor_override).view(
            *input.shape[:-2], *sums.shape[2:]
        )
    counted = images.new_ones((1, 1, *input.shape[-2:]))
    if count_include_pad:  # but not what an unfinished window lacks
        counted = pad(counted, (left, left, top, top), value=1.0)
        right, left, bottom, top = right - left, 0, bottom - top, 0
    counted = pad(counted, (left, right, top, bottom))
    means = sums / windows(counted, size, stride).sum((2, 3))
    return means.view(*input.shape[:-2], *means.shape[2:])


def adaptive_avg_pool2d(
    input: Tensor, output_size: int | None | Sequence[int | None]
) -> Tensor:
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    wanted = (
        output_size if isinstance(output_size, Sequence) else (output_size,) * 2
    )
    output = _as_images(input).view(input.shape)
    if len(wanted) != 2 or any(n is not None and n < 0 for n in wanted):
        raise RuntimeError(f"expected two sizes, got output_size={output_size}")
    for axis, n_windows in zip((-2, -1), wanted):
        size = input.shape[axis]
        n = size if n_windows is None else n_windows
        bounds = [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        means = [
            output.narrow(axis, start, stop - start).mean(axis, keepdim=True)
            for start, stop in bounds
        ]
        output = torch.cat(means, axis) if n else output.narrow(axis, 0, 0)
    return output


# %% tags=["reference"]
assert_close(avg_pool2d(maps, 3, 2, 1), F.avg_pool2d(maps, 3, 2, 1))
assert_close(
    adaptive_avg_pool2d(maps, (3, 4)), F.adaptive_avg_pool2d(maps, (3, 4))
)
adaptive_avg_pool2d(maps, 1).shape


# %% Pools as layers tags=["export"] module="nn.pool" earns="torch.nn.MaxPool2d"
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
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        return kernels.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """All options but one, as torch prints them."""
        names = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


# %% And of means tags=["export"] module="nn.pool" earns="torch.nn.AvgPool2d torch.nn.AdaptiveAvgPool2d"
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
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        names = "kernel_size", "stride", "padding"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class AdaptiveAvgPool2d(Module):
    """Means of as many windows as asked: (*, h, w) -> (*, oh, ow)."""

    def __init__(self, output_size: int | None | Sequence[int | None]):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """How many windows."""
        return f"output_size={self.output_size}"


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
    Conv2d(1, 8, 5, padding=2),
    ReLU(),
    MaxPool2d(2),
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
        Conv2d(1, 8, 5, padding=2),
        ReLU(),
        MaxPool2d(2),
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


found = [fmean(accuracies(cnn, x, 0.01, seed)) for seed in range(3)]
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
a quarter of the weights. Shuffled, they are {record}`neighbours.windows - no windows, shuffled:.1%`
ahead, and the network without them does not notice
({record}`neighbours.no windows, shuffled - in order:.1%`). What a convolution knows
is the neighbourhood, and it is worth nothing where there is none.
"""
