# %% [markdown] module="nn.functional.folding" starred=true
r"""
# More convolutions

This chapter finishes what `windows` of {doc}`/4_convnets/1_convolution` and the
layers of {doc}`/4_convnets/2_cnn` began: windows taken apart and put together
again, convolutions along one axis and backwards, the other pools, and frames as
layers. You may go on without it.

**What is a convolution along one axis, what does it become when it runs
backwards, and which picture comes out if its windows are added up again?**

| name | shape | meaning |
| --- | --- | --- |
| signal | `(n, c, t)` | a picture with one axis: a sound, a row, a sentence |
| columns | `(n, c kh kw, places)` | all windows, one a column |
| small | `(n, c_in, h, w)` | what a transposed convolution enlarges |
"""

# %% Imports tags=["hide-input"]
from collections.abc import Sequence
from math import prod
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.datasets import mnist
from groundup.nn.conv import Conv2d, _check_options
from groundup.nn.functional.convolution import conv2d
from groundup.nn.functional.padding import pad
from groundup.nn.functional.pooling import (
    adaptive_avg_pool2d,
    avg_pool2d,
    max_pool2d,
)
from groundup.nn.functional.windows import frame, pair, windows
from groundup.nn.grad import conv2d_input
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
from groundup.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from groundup.plot import show_images
from groundup.testing import assert_close, assert_equal

generator = torch.Generator().manual_seed(0)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


# %% [markdown]
r"""
## Apart, and together again

`unfold` is the middle of our convolution under torch's name: the windows as
columns. Its opposite, `fold`, puts each column back to where its window stood,
and what meets on a pixel is added up. Which pixels are those? The windows *of
the pixels' numbers* say so: the same view, of 0, 1, 2, …
"""


# %% Windows as columns tags=["export"] earns="torch.nn.functional.unfold"
"""A picture taken apart into its windows, and put together again."""


def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Each window as a column: (n, c, h, w) -> (n, c kh kw, places)."""
    if input.dim() == 3:
        return unfold(input[None], kernel_size, dilation, padding, stride)[0]
    if input.dim() != 4:
        shape = tuple(input.shape)
        raise RuntimeError(f"expected images of 3 or 4 axes, got {shape}")
    size, stride, dilation = map(pair, (kernel_size, stride, dilation))
    padded = pad(input, frame(padding, size, stride, dilation))
    return windows(padded, size, stride, dilation).flatten(1, 3).flatten(2)


# %% Columns as a picture tags=["export"] earns="torch.nn.functional.fold"
def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Columns added where their windows stand: the transpose of `unfold`."""
    shape = tuple(input.shape)
    if input.dim() == 2:
        options = kernel_size, dilation, padding, stride
        return fold(input[None], output_size, *options)[0]
    size, (h, w), (top, left) = map(pair, (kernel_size, output_size, padding))
    high, wide = h + 2 * top, w + 2 * left
    numbers = torch.arange(high * wide, device=input.device)
    numbers = numbers.view(1, 1, high, wide)
    places = windows(numbers, size, pair(stride), pair(dilation)).flatten()
    n_windows = len(places) // prod(size)
    if shape[1] % prod(size) or shape[2:] != (n_windows,):
        wanted = f"(n, c x {prod(size)}, {n_windows})"
        raise RuntimeError(f"expected columns {wanted}, got {shape}")
    columns = input.reshape(shape[0], shape[1] // prod(size), len(places))
    output = columns.new_zeros(*columns.shape[:2], high * wide)
    output = output.index_add(2, places, columns).unflatten(2, (high, wide))
    return output[:, :, top : top + h, left : left + w]


# %% tags=["reference"]
import torch.nn.functional as F

x, options = draw(2, 3, 7, 6), ((3, 2), 1, (1, 0), (2, 1))
columns = unfold(x, *options)
assert_close(columns, F.unfold(x, *options))
assert_close(fold(columns, (7, 6), *options), F.fold(columns, (7, 6), *options))
columns.shape

# %% [markdown]
r"""
They are each other's transpose, so they pass the adjoint test. They are not each
other's inverse: a pixel comes back as often as windows held it.
"""

# %%
y = draw(*columns.shape)
assert_close(
    (columns * y).sum(), (x * fold(y, (7, 6), *options)).sum(), atol=1e-4
)
ones, counts = torch.ones(1, 1, 13, 13), {}
for stride in (1, 2, 3):
    columns = unfold(ones, 3, stride=stride, padding=1)
    again = fold(columns, (13, 13), 3, stride=stride, padding=1)
    counts[f"stride {stride}"] = again[0, 0]
assert_equal(counts["stride 3"], ones[0, 0])
{name: int(each.max()) for name, each in counts.items()}


# %% alt="Three squares of 13 by 13 pixels whose shade says how many windows hold each. With stride 1 it is even but for the border. With stride 2 it is a chequered pattern of three shades. With stride 3 it is the same everywhere." tags=["hide-input"]
def shades(squares: dict[str, Tensor]) -> None:
    """Squares on one scale, from zero to their largest number."""
    figure, axes = plt.subplots(
        1, len(squares), figsize=(5.2, 2.1), layout="tight"
    )
    top = max(each.max().item() for each in squares.values())
    for ax, (name, each) in zip(axes, squares.items()):
        ax.imshow(each, cmap="viridis", vmin=0, vmax=top)
        ax.set(title=name, xticks=[], yticks=[])
    plt.show()


shades(counts)

# %% [markdown]
r"""
Divided by these counts, `fold` puts a picture together from overlapping parts: so a
large picture is cut up, worked on piece by piece, and joined.

## Along one axis

A signal is a picture of height 1. Nothing else is needed:
"""


# %% One axis tags=["export"] module="nn.functional.sequence" earns="torch.nn.functional.conv1d torch.conv1d"
"""Convolution and pooling along one axis."""


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """(n, c, t), (o, c / groups, k) -> (n, o, places)."""
    if input.dim() not in (2, 3) or weight.dim() != 3:
        shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
        raise RuntimeError(f"expected 2 or 3 axes and a weight of 3: {shapes}")
    if not isinstance(padding, str):
        padding = (0, single(padding))
    steps = (1, single(stride)), padding, (1, single(dilation))
    flat, kernel = input.unsqueeze(-2), weight.unsqueeze(-2)
    return conv2d(flat, kernel, bias, *steps, groups).squeeze(-2)


def single(value: int | Sequence[int]) -> int:
    """One number, or the only one of a sequence."""
    values = (value,) if isinstance(value, int) else tuple(value)
    if len(values) != 1:
        raise RuntimeError(f"expected one number, got {values}")
    return values[0]


# %% [markdown]
r"""
A kernel of equal weights smooths; one of $-\frac12, 0, \frac12$ is a derivative.
Their composition is one kernel, since a convolution of a convolution is a
convolution:
"""

# %%
time = torch.linspace(0, 4 * torch.pi, 400)
noisy = (time.sin() + 0.3 * draw(400))[None]
mean = torch.ones(1, 1, 31) / 31
slope = torch.tensor([[[-0.5, 0, 0.5]]]) / (time[1] - time[0])
smooth = conv1d(noisy, mean, padding=15)
both = conv1d(slope, mean.flip(2), padding=30)  # the kernels, convolved
inner = slice(40, -40)
derivative = conv1d(smooth, slope, padding=1)
assert_close(
    conv1d(noisy, both, padding=16)[:, inner],
    derivative[:, inner],
    atol=1e-3,
)

# %% alt="Above, grey dots scattered around a sine and a smooth curve through them. Below, the derivative of that curve, which follows a cosine with ripples." tags=["hide-input"]
figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(5, 4), sharex=True, layout="tight"
)
upper.plot(time, noisy[0], ".", color="0.5", markersize=2, label="signal")
upper.plot(time, smooth[0], label="mean of 31")
lower.plot(time[inner], derivative[0, inner], label="slope of the mean")
lower.plot(time[inner], time[inner].cos(), "--", label="cosine")
for ax in (upper, lower):
    ax.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, 1))
plt.show()


# %% [markdown]
r"""
Pools likewise. The place of the largest, counted in a picture of one row, is its
place in the signal:
"""


# %% Pools along one axis tags=["export"] module="nn.functional.sequence" earns="torch.nn.functional.max_pool1d torch.max_pool1d"
def max_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of each window: (*, t) -> (*, places)."""
    size = single(kernel_size)
    step = single(size if stride in (None, [], ()) else stride)
    sides = (1, size), (1, step), (0, single(padding)), (1, single(dilation))
    flat = _as_row(input)
    if not return_indices:
        return max_pool2d(flat, *sides, ceil_mode).squeeze(-2)
    largest, places = max_pool2d(flat, *sides, ceil_mode, True)
    return largest.squeeze(-2), places.squeeze(-2)


def _as_row(input: Tensor) -> Tensor:
    if input.dim() not in (2, 3) or not input.shape[-2]:
        shape = tuple(input.shape)
        raise RuntimeError(f"expected signals of 2 or 3 axes, got {shape}")
    return input.unsqueeze(-2)


# %% And their means tags=["export"] module="nn.functional.sequence" earns="torch.nn.functional.avg_pool1d torch.avg_pool1d"
def avg_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (*, t) -> (*, places)."""
    size = single(kernel_size)
    step = single(size if stride in (None, [], ()) else stride)
    sides = (1, size), (1, step), (0, single(padding))
    return avg_pool2d(
        _as_row(input), *sides, ceil_mode, count_include_pad
    ).squeeze(-2)


# %% tags=["reference"]
x = draw(2, 3, 11)
pairs = zip(
    max_pool1d(x, 3, 2, 1, return_indices=True),
    F.max_pool1d(x, 3, 2, 1, return_indices=True),
)
for ours, theirs in pairs:  # the largest, and where they stand
    assert_equal(ours, theirs)
assert_close(avg_pool1d(x, 3, 2, 1), F.avg_pool1d(x, 3, 2, 1))

# %% [markdown]
r"""
## As many windows as asked

The mean over adaptive windows went axis by axis: the mean of a rectangle is the
mean of its rows' means. A maximum has its place to report as well, so it looks at
each window as a whole:
"""


# %% Where adaptive windows lie tags=["export"] module="nn.functional.adaptive"
"""Pools that say how many windows there are, not how large they are."""


def _parts(size: int, n_windows: int | None) -> list[slice]:
    """The stretches of an axis that the windows see."""
    n = size if n_windows is None else n_windows
    if n < 0:
        raise RuntimeError(f"expected a number of windows, got {n}")
    return [slice(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


# %%
_parts(7, 3)


# %% The largest of each tags=["export"] module="nn.functional.adaptive" earns="torch.nn.functional.adaptive_max_pool2d"
def adaptive_max_pool2d(
    input: Tensor,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of as many windows as asked: (*, h, w) -> (*, oh, ow)."""
    several = isinstance(output_size, Sequence)
    wanted = output_size if several else (output_size, output_size)
    shape = tuple(input.shape)
    if input.dim() < 3:
        raise ValueError(f"expected images of 3 or 4 axes, got {shape}")
    if input.dim() > 4 or not prod(shape[1:]) or len(wanted) != 2:
        raise RuntimeError(f"no {output_size} windows in a shape {shape}")
    rows, columns = map(_parts, shape[-2:], wanted)
    output = input.new_empty((*shape[:-2], len(rows), len(columns)))
    numbers = torch.arange(shape[-2] * shape[-1], device=input.device)
    places = output.new_empty(output.shape, dtype=torch.int64)
    for i, down in enumerate(rows):
        for j, right in enumerate(columns):
            largest, index = input[..., down, right].flatten(-2).max(-1)
            inside = numbers.view(shape[-2:])[down, right].flatten()
            output[..., i, j], places[..., i, j] = largest, inside[index]
    return (output, places) if return_indices else output


# %% [markdown]
r"""
And along one axis:
"""


# %% Adaptive, along one axis tags=["export"] module="nn.functional.adaptive" earns="torch.nn.functional.adaptive_max_pool1d torch.nn.functional.adaptive_avg_pool1d"
def adaptive_max_pool1d(
    input: Tensor,
    output_size: int | Sequence[int],
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest of as many windows as asked: (*, t) -> (*, places)."""
    size = _of_row(input, output_size)
    both = adaptive_max_pool2d(input.unsqueeze(-2), size, True)
    values, places = (each.squeeze(-2) for each in both)
    return (values, places) if return_indices else values


def adaptive_avg_pool1d(
    input: Tensor, output_size: int | Sequence[int]
) -> Tensor:
    """Means of as many windows as asked: (*, t) -> (*, places)."""
    size = _of_row(input, output_size)
    return adaptive_avg_pool2d(input.unsqueeze(-2), size).squeeze(-2)


def _of_row(input: Tensor, output_size: int | Sequence[int]) -> tuple[int, int]:
    """The two sizes of a picture of one row."""
    sizes = (output_size,) if isinstance(output_size, int) else output_size
    if input.dim() not in (2, 3) or len(sizes) != 1 or sizes[0] < 0:
        shape = tuple(input.shape)
        raise RuntimeError(f"no {output_size} windows in a shape {shape}")
    return 1, sizes[0]


# %% tags=["reference"]
x = draw(2, 3, 7, 6)
pairs = zip(
    adaptive_max_pool2d(x, (3, 4), True),
    F.adaptive_max_pool2d(x, (3, 4), True),
)
for ours, theirs in pairs:
    assert_equal(ours, theirs)
assert_close(
    adaptive_avg_pool1d(x[..., 0], 3), F.adaptive_avg_pool1d(x[..., 0], 3)
)

# %% [markdown]
r"""
## Backwards

A convolution with stride 2 halves a picture. To make one larger again, a layer
may do what the backward pass does: hand each number, times the weights, to all
pixels of its window. That is called a {term}`transposed convolution`
{cite:p}`dumoulin2016`, and `conv2d_input` of
{doc}`/4_convnets/1_convolution` is its whole arithmetic. (It is no inverse:
transposing a matrix does not invert it.)

One thing is open. Rows of 7 and of 8 pixels both become 4 with a kernel of 3,
padding 1 and stride 2; backwards, which of the two is meant? `output_padding`
says how many rows more than the least.
"""


# %% What goes together tags=["export"] module="nn.functional.transposed"
"""Convolutions backwards: from the small picture to the large one."""


def _check_transposed(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    """A RuntimeError with the shapes that do not go together."""
    shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(f"expected 3 or 4 axes and a weight of 4: {shapes}")
    if groups < 1 or len(weight) % groups or input.shape[1] != len(weight):
        raise RuntimeError(
            f"expected {len(weight)} input channels in {groups} groups: "
            f"{shapes}"
        )
    types = {each.dtype for each in (input, weight, bias) if each is not None}
    if len(types) > 1:
        raise RuntimeError(f"expected one type, got {types}: {shapes}")
    n_outputs = weight.shape[1] * groups
    if bias is not None and bias.shape != (n_outputs,):
        raise RuntimeError(f"bias {tuple(bias.shape)} does not fit: {shapes}")


# %%
try:
    _check_transposed(draw(1, 3, 4, 4), draw(4, 3, 3, 2), None, 1)
except RuntimeError as error:
    message = str(error)
message

# %% [markdown]
r"""
How large the output is, and which of the sizes are refused:
"""


# %% The size of the output tags=["export"] module="nn.functional.transposed"
def _enlarged(
    input: Tensor,
    kernel_size: Sequence[int],
    steps: Sequence[tuple[int, int]],
    more: tuple[int, int],
) -> list[int]:
    """Rows and columns; `steps` are stride, padding and dilation."""
    sizes = []
    for axis, (step, edge, gap) in enumerate(zip(*steps, strict=True)):
        if more[axis] >= max(step, gap):
            text = f"output_padding {more} is not less than the stride {step}"
            raise RuntimeError(f"{text} or the dilation {gap}")
        span = gap * (kernel_size[axis] - 1) + 1
        least = (input.shape[2 + axis] - 1) * step + span - 2 * edge
        sizes.append(least + more[axis])
    if min(sizes) < 1:
        raise RuntimeError(f"the output would have a shape of {tuple(sizes)}")
    return sizes


# %%
sizes = [
    _enlarged(draw(1, 1, 4, 4), (3, 3), ((2, 2), (1, 1), (1, 1)), (more, more))
    for more in (0, 1)
]
sizes

# %% [markdown]
r"""
The arithmetic is a call. In half precision the sums are kept in single precision
and rounded once, at the end:
"""


# %% A transposed convolution tags=["export"] module="nn.functional.transposed" earns="torch.nn.functional.conv_transpose2d torch.conv_transpose2d"
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """(n, c, h, w), (c, o / groups, kh, kw) -> (n, o, oh, ow)."""
    if input.dim() == 3:
        options = stride, padding, output_padding, groups, dilation
        return conv_transpose2d(input[None], weight, bias, *options)[0]
    _check_transposed(input, weight, bias, groups)
    steps = [pair(each) for each in (stride, padding, dilation)]
    more = pair(output_padding)
    sizes = _enlarged(input, weight.shape[2:], steps, more)
    shape = len(input), weight.shape[1] * groups, *sizes
    wide = input.dtype
    if input.is_floating_point():
        wide = torch.promote_types(wide, torch.float32)
    kernel, small = weight.to(wide), input.to(wide)
    output = conv2d_input(shape, kernel, small, *steps, groups)
    if bias is not None:
        output = output + bias[:, None, None]
    return output.to(input.dtype)


# %% tags=["reference"]
small, w = draw(2, 4, 4, 4), draw(4, 3, 3, 2)
shapes = []
for more in (0, 1):
    large = conv_transpose2d(small, w, None, 2, (1, 0), more)
    assert_close(
        large, F.conv_transpose2d(small, w, None, 2, (1, 0), more), atol=1e-5
    )
    again = conv2d(large, w, None, 2, (1, 0))
    assert_equal(again.shape, small.shape)  # both become the small one
    shapes.append(tuple(large.shape[2:]))
shapes

# %% [markdown]
r"""
Where the stride does not divide the size of the kernel, some pixels lie in more
windows than others. With equal weights the output of a constant is then a chequered
pattern, which training has to undo {cite:p}`odena2016`. A kernel of 4 with a stride
of 2 begins without one:
"""

# %%
constant, patterns = torch.ones(1, 1, 8, 8), {}
for size in (3, 4, 5):
    kernel = torch.ones(1, 1, size, size) / size**2
    large = conv_transpose2d(constant, kernel, stride=2)[0, 0]
    patterns[f"kernel {size}"] = large[4:-4, 4:-4]
spread = {name: each.std().item() for name, each in patterns.items()}
assert (
    spread["kernel 4"]
    < 1e-6
    < 0.01
    < min(spread["kernel 3"], spread["kernel 5"])
)
{name: round(each, 3) for name, each in spread.items()}

# %% alt="Three squares. With kernels of 3 and of 5 a regular chequered pattern, with a kernel of 4 one even shade." tags=["hide-input"]
shades(patterns)

# %% [markdown]
r"""
And along one axis, as before:
"""


# %% And along one axis tags=["export"] module="nn.functional.transposed" earns="torch.nn.functional.conv_transpose1d torch.conv_transpose1d"
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """(n, c, t), (c, o / groups, k) -> (n, o, places)."""
    if input.dim() not in (2, 3) or weight.dim() != 3:
        shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
        raise RuntimeError(f"expected 2 or 3 axes and a weight of 3: {shapes}")
    edges = (0, single(padding)), (0, single(output_padding))
    flat, kernel = input.unsqueeze(-2), weight.unsqueeze(-2)
    steps = (1, single(stride)), *edges, groups, (1, single(dilation))
    return conv_transpose2d(flat, kernel, bias, *steps).squeeze(-2)


# %% tags=["reference"]
x, w, b = draw(2, 4, 5), draw(4, 3, 3), draw(6)
options = {"stride": 3, "padding": 1, "output_padding": 2, "groups": 2}
assert_close(
    conv_transpose1d(x, w, b, **options),
    F.conv_transpose1d(x, w, b, **options),
    atol=1e-5,
)

# %% [markdown]
r"""
## The layers

`Conv1d` is `Conv2d` for one axis, to its options and its start:
"""


# %% Kernels along one axis tags=["export"] module="nn.sequence" earns="torch.nn.Conv1d"
"""Layers along one axis."""

import torch.nn.functional as kernels


class Conv1d(Module):
    """Kernels along one axis: (n, c_in, t) -> (n, c_out, places)."""

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
        self.kernel_size = (single(kernel_size),)
        self.stride, self.dilation = (single(stride),), (single(dilation),)
        is_name = isinstance(padding, str)
        self.padding = padding if is_name else (single(padding),)
        self.groups, self.padding_mode = groups, padding_mode
        self._make(bias, {"device": device, "dtype": dtype})


# %% [markdown]
r"""
It starts as a layer of two axes does. What it prints, and what transposed layers
print, are the options that are not the usual ones:
"""


# %% How such layers print tags=["export", "internal"] module="nn.sequence"
def described(layer: Any) -> str:
    """Channels, sizes and the options that are not the usual ones."""
    none, one = ((n,) * len(layer.stride) for n in (0, 1))
    shown = {"kernel_size": layer.kernel_size, "stride": layer.stride}
    usual = {"padding": none, "dilation": one}
    usual |= {"output_padding": none, "groups": 1}
    for name, value in usual.items():
        if (own := getattr(layer, name, value)) != value:
            shown[name] = own
    if layer.bias is None:
        shown["bias"] = False
    if layer.padding_mode != "zeros":
        shown["padding_mode"] = layer.padding_mode
    options = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"{layer.in_channels}, {layer.out_channels}, {options}"


# %%
described(Conv2d(4, 6, 3, groups=2, bias=False))


# %% [markdown]
r"""
Forward is one call, unless the frame holds other numbers than zeros:
"""


# %% The methods of Conv1d tags=["export"] module="nn.sequence"
class Conv1d(Conv1d):
    reset_parameters = Conv2d.reset_parameters

    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels, groups = (self.in_channels, self.out_channels), self.groups
        edges = self.padding, (1, *self.stride), self.padding_mode
        _check_options(channels, groups, *edges)
        shape = channels[1], channels[0] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        start = Parameter(torch.empty(channels[1], **like)) if bias else None
        self.register_parameter("bias", start)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        return described(self)

    def forward(self, input: Tensor) -> Tensor:
        """What the kernels find, at every place."""
        options = self.stride, self.padding, self.dilation, self.groups
        if self.padding_mode != "zeros":
            (size,), (gap,) = self.kernel_size, self.dilation
            edges = self.padding
            if not isinstance(edges, str):
                edges = (0, *edges)
            sides = frame(edges, (1, size), (1, *self.stride), (1, gap))
            input = pad(input, sides[:2], self.padding_mode)
            options = (self.stride, 0, *options[2:])
        return kernels.conv1d(input, self.weight, self.bias, *options)


# %%
layer = Conv1d(2, 4, 5, padding=2, padding_mode="circular")
signal = draw(2, 9)
moved = layer(signal.roll(1, -1))  # on a circle, shifts are equivariant
assert_close(moved, layer(signal).roll(1, -1), atol=1e-5)
layer

# %% [markdown]
r"""
Transposed layers have the weights of the convolution whose transpose they are:
inputs first. Their call may name the size of the output instead of
`output_padding`, since that is what one knows.
"""


# %% Layers backwards tags=["export", "internal"] module="nn.transposed"
"""Transposed convolutions as layers."""

import torch.nn.functional as kernels


class Transposed(Module):
    """What transposed layers share: all but the number of axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = map(self._sides, (kernel_size, stride))
        self.padding = self._sides(padding)
        self.output_padding = self._sides(output_padding)
        self.dilation = self._sides(dilation)
        self.groups, self.padding_mode = groups, padding_mode
        self._make(bias, {"device": device, "dtype": dtype})


# %% Its parts tags=["export", "internal"] module="nn.transposed"
class Transposed(Transposed):
    reset_parameters = Conv2d.reset_parameters

    def _sides(self, value: int | Sequence[int]) -> tuple[int, ...]:
        return pair(value) if self.n_axes == 2 else (single(value),)

    def _make(self, bias: bool, like: dict[str, Any]) -> None:
        channels = self.in_channels, self.out_channels
        groups, mode = self.groups, self.padding_mode
        _check_options(channels, groups, self.padding, (1, 1), mode)
        if mode != "zeros":
            text = f"padding_mode {mode!r}: only zeros"
            raise ValueError(f"{text} for a transposed convolution")
        shape = channels[0], channels[1] // groups, *self.kernel_size
        self.weight = Parameter(torch.empty(shape, **like))
        start = Parameter(torch.empty(channels[1], **like)) if bias else None
        self.register_parameter("bias", start)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """As a convolution, and how many rows more there are."""
        return described(self)


# %%
class OnOneAxis(Transposed):  # a throwaway, to look at
    n_axes = 1


OnOneAxis(4, 6, 3, stride=2, output_padding=1, bias=False)

# %% [markdown]
r"""
The sizes that a call may ask for: the least, and as many more as the stride has
steps.
"""


# %% The size of the output tags=["export", "internal"] module="nn.transposed"
class Transposed(Transposed):
    def _more(self, input: Tensor, wanted: Sequence[int]) -> tuple[int, ...]:
        """The output padding that leads to the wanted size."""
        sizes, rest = input.shape[-self.n_axes :], tuple(wanted)
        if len(rest) == input.dim():
            rest = rest[-self.n_axes :]
        if len(rest) != self.n_axes:
            text = f"output_size {tuple(wanted)} does not fit an input"
            raise ValueError(f"{text} of shape {tuple(input.shape)}")
        steps = self.stride, self.padding, self.dilation, self.kernel_size
        least = [
            (n - 1) * step - 2 * edge + gap * (size - 1) + 1
            for n, step, edge, gap, size in zip(sizes, *steps, strict=True)
        ]
        more = tuple(n - low for n, low in zip(rest, least, strict=True))
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [
                low + s - 1 for low, s in zip(least, self.stride, strict=True)
            ]
            raise ValueError(f"output_size {rest}: not from {least} to {most}")
        return more


# %% [markdown]
r"""
The two layers call their kernels:
"""


# %% Enlarging images tags=["export"] module="nn.transposed" earns="torch.nn.ConvTranspose2d"
class ConvTranspose2d(Transposed):
    """Enlarges images: (n, c_in, h, w) -> (n, c_out, oh, ow)."""

    n_axes = 2

    def forward(
        self, input: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Each number hands its kernel to the pixels of its window."""
        more = self.output_padding
        if output_size is not None:
            more = self._more(input, output_size)
        options = self.stride, self.padding, more, self.groups, self.dilation
        return kernels.conv_transpose2d(input, self.weight, self.bias, *options)


# %%
up = ConvTranspose2d(3, 5, 3, stride=2, padding=1)
sizes = [up(draw(3, 4, 4), output_size=(n, n)).shape[1:] for n in (7, 8)]
assert_equal([tuple(size) for size in sizes], [(7, 7), (8, 8)])
assert_close(
    up(small[:, :3]),
    conv_transpose2d(small[:, :3], up.weight, up.bias, 2, 1),
    atol=1e-5,
)
up


# %% Enlarging signals tags=["export"] module="nn.transposed" earns="torch.nn.ConvTranspose1d"
class ConvTranspose1d(Transposed):
    """Enlarges a signal: (n, c_in, t) -> (n, c_out, places)."""

    n_axes = 1

    def forward(
        self, input: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Each number hands its kernel to the places of its window."""
        more = self.output_padding
        if output_size is not None:
            more = self._more(input, output_size)
        options = self.stride, self.padding, more, self.groups, self.dilation
        return kernels.conv_transpose1d(input, self.weight, self.bias, *options)


# %% [markdown]
r"""
The pools along one axis, the adaptive ones, and `fold` and `unfold`:
"""


# %% Pools along one axis tags=["export"] module="nn.sequence" earns="torch.nn.MaxPool1d"
class MaxPool1d(Module):
    """The largest of each window: (*, t) -> (*, places)."""

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

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        size, step, padding = self.kernel_size, self.stride, self.padding
        options = self.dilation, self.ceil_mode, self.return_indices
        return kernels.max_pool1d(input, size, step, padding, *options)

    extra_repr = MaxPool2d.extra_repr


# %%
peaks = MaxPool1d(4, return_indices=True)
largest, places = peaks(noisy)
assert_equal(largest[0], noisy[0, places[0]])
peaks, largest.shape

# %% [markdown]
r"""
Of means:
"""


# %% Means along one axis tags=["export"] module="nn.sequence" earns="torch.nn.AvgPool1d"
class AvgPool1d(Module):
    """The mean of each window: (*, t) -> (*, places)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.kernel_size = (single(kernel_size),)
        self.stride = (single(kernel_size if stride is None else stride),)
        self.padding, self.ceil_mode = (single(padding),), ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        sides = self.kernel_size, self.stride, self.padding
        return kernels.avg_pool1d(
            input, *sides, self.ceil_mode, self.count_include_pad
        )

    extra_repr = AvgPool2d.extra_repr


# %%
AvgPool1d(4), AvgPool1d(4)(noisy).shape

# %% [markdown]
r"""
And those that say how many windows:
"""


# %% Adaptive means tags=["export"] module="nn.adaptive" earns="torch.nn.AdaptiveAvgPool1d"
"""Pools as layers that say how many windows there are."""

import torch.nn.functional as kernels


class AdaptiveAvgPool1d(Module):
    """Means of as many windows as asked: (*, t) -> (*, places)."""

    def __init__(self, output_size: int | Sequence[int]):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return kernels.adaptive_avg_pool1d(input, self.output_size)

    extra_repr = AdaptiveAvgPool2d.extra_repr


# %% Adaptive maxima tags=["export"] module="nn.adaptive" earns="torch.nn.AdaptiveMaxPool1d"
class AdaptiveMaxPool1d(Module):
    """The largest of as many windows as asked: (*, t) -> (*, places)."""

    def __init__(
        self, output_size: int | Sequence[int], return_indices: bool = False
    ):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        return kernels.adaptive_max_pool1d(
            input, self.output_size, self.return_indices
        )

    extra_repr = AdaptiveAvgPool2d.extra_repr


# %% [markdown]
r"""
Of images:
"""


# %% Adaptive maxima of images tags=["export"] module="nn.adaptive" earns="torch.nn.AdaptiveMaxPool2d"
class AdaptiveMaxPool2d(Module):
    """The largest of as many windows as asked: (*, h, w) -> (*, oh, ow)."""

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        return_indices: bool = False,
    ):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The largest numbers, and where they stand if asked."""
        return kernels.adaptive_max_pool2d(
            input, self.output_size, self.return_indices
        )

    extra_repr = AdaptiveAvgPool2d.extra_repr


# %%
x = draw(2, 3, 7, 6)
assert_close(AdaptiveMaxPool2d((3, None))(x), adaptive_max_pool2d(x, (3, None)))
AdaptiveMaxPool1d(1)(x[0]).shape


# %% [markdown]
r"""
Windows taken apart, and put together:
"""


# %% Windows as layers tags=["export"] module="nn.folding" earns="torch.nn.Unfold"
"""Windows taken apart and put together, as layers."""

import torch.nn.functional as kernels


class Unfold(Module):
    """Each window as a column: (n, c, h, w) -> (n, c kh kw, places)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
    ):
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The columns."""
        sides = self.kernel_size, self.dilation, self.padding, self.stride
        return kernels.unfold(input, *sides)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        names = "kernel_size", "dilation", "padding", "stride"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


# %% And together tags=["export"] module="nn.folding" earns="torch.nn.Fold"
class Fold(Module):
    """Columns added where their windows stand: the transpose of `Unfold`."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
    ):
        self.output_size = output_size
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The picture."""
        sides = self.kernel_size, self.dilation, self.padding, self.stride
        return kernels.fold(input, self.output_size, *sides)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        return f"output_size={self.output_size}, {Unfold.extra_repr(self)}"


# %% [markdown]
r"""
A picture cut into pieces of 8 × 8, each made brighter or darker so that its mean
is that of all, and joined again. Pieces side by side
leave seams. Overlapping ones, divided by the counts, leave next to none. Neighbours
across a seam differ so many times as much as any two neighbours:
"""

# %%
images, _ = mnist()
sheet = images[:4].float().view(2, 2, 28, 28).transpose(1, 2).reshape(56, 56)
sheet = sheet / 255 + torch.linspace(0, 1, 56)  # lit from the right
joined = []
for stride in (8, 2):
    apart, together = Unfold(8, stride=stride), Fold((56, 56), 8, stride=stride)
    pieces = apart(sheet[None])
    even = pieces - pieces.mean(0) + sheet.mean()  # each column a piece
    counts = together(apart(torch.ones(1, 56, 56)))
    joined.append((together(even) / counts)[0])
jumps = [each.diff(dim=1).abs().mean(0) for each in (sheet, *joined)]
seams = [(each[7::8].mean() / each.mean()).item() for each in jumps]
assert seams[1] > 2 > 1.3 > seams[2]
[round(each, 2) for each in seams]

# %% alt="Four digits on a background that gets stronger to the right. Beside it the same with the light taken out piece by piece, paler around the digits: with pieces that do not overlap the seams show as a lattice, with pieces that overlap they do not." tags=["hide-input"]
figure = show_images(
    [
        (each - each.min()) / (each.max() - each.min())
        for each in (sheet, *joined)
    ],
    ["lit", "pieces of 8", "overlapping"],
)
figure.set_size_inches(5.4, 2.2)
plt.show()


# %% [markdown]
r"""
## Frames as layers

`pad` as a layer: four modes, for one axis and for two. One class holds what they
share, the others say how.
"""


# %% A frame tags=["export", "internal"] module="nn.padding"
"""Frames around signals and images, as layers."""

import torch.nn.functional as kernels


class Padding(Module):
    """A frame of a width for each side, in a mode of `pad`."""

    mode = "constant"
    n_axes: int

    def __init__(self, padding: int | Sequence[int]):
        n = 2 * self.n_axes
        is_one = isinstance(padding, int)
        self.padding = (padding,) * n if is_one else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        """The input in its frame."""
        if input.dim() not in (self.n_axes + 1, self.n_axes + 2):
            axes = f"{self.n_axes + 1} or {self.n_axes + 2}"
            shape = tuple(input.shape)
            raise ValueError(f"expected {axes} axes, got a shape {shape}")
        return kernels.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """How wide the frame is."""
        return f"{self.padding}"


# %% [markdown]
r"""
Mirrored, repeated, or begun anew:
"""


# %% Mirrored tags=["export"] module="nn.padding" earns="torch.nn.ReflectionPad1d torch.nn.ReflectionPad2d"
class ReflectionPad1d(Padding):
    """Mirrored at its ends: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "reflect", 1


class ReflectionPad2d(Padding):
    """Mirrored at its edges: (*, h, w) -> a larger picture."""

    mode, n_axes = "reflect", 2


# %% Repeated, begun anew tags=["export"] module="nn.padding" earns="torch.nn.ReplicationPad1d torch.nn.ReplicationPad2d torch.nn.CircularPad1d torch.nn.CircularPad2d"
class ReplicationPad1d(Padding):
    """Its last values repeated: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "replicate", 1


class ReplicationPad2d(Padding):
    """Its last pixels repeated: (*, h, w) -> a larger picture."""

    mode, n_axes = "replicate", 2


class CircularPad1d(Padding):
    """Begun anew: (*, t) -> (*, t + left + right)."""

    mode, n_axes = "circular", 1


class CircularPad2d(Padding):
    """Begun anew from the other side: (*, h, w) -> a larger picture."""

    mode, n_axes = "circular", 2


# %%
corner = torch.arange(1.0, 4)[None]
kinds = ReflectionPad1d, ReplicationPad1d, CircularPad1d
{kind.__name__: kind((1, 2))(corner)[0].tolist() for kind in kinds}


# %% [markdown]
r"""
Or one value:
"""


# %% One value around tags=["export", "internal"] module="nn.padding"
class Constant(Padding):
    """A frame of one value."""

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The input in its frame."""
        return kernels.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        """How wide the frame is, and its value."""
        return f"padding={self.padding}, value={self.value}"


# %% And zeros tags=["export"] module="nn.padding" earns="torch.nn.ConstantPad1d torch.nn.ConstantPad2d torch.nn.ZeroPad1d torch.nn.ZeroPad2d"
class ConstantPad1d(Constant):
    """One value at both ends: (*, t) -> (*, t + left + right)."""

    n_axes = 1


class ConstantPad2d(Constant):
    """One value around: (*, h, w) -> a larger picture."""

    n_axes = 2


class ZeroPad1d(Padding):
    """Zeros at both ends: (*, t) -> (*, t + left + right)."""

    n_axes = 1


class ZeroPad2d(Padding):
    """Zeros around: (*, h, w) -> a larger picture."""

    n_axes = 2


# %%
frames = ConstantPad2d(1, 0.5), ZeroPad2d((1, 1, 0, 0))
[frame_of(torch.ones(1, 2, 2))[0] for frame_of in frames]

# %% [markdown]
r"""
## What we built

* `unfold`, `fold` (`nn.functional.folding`) and `Unfold`, `Fold` (`nn.folding`).
* `conv1d`, `max_pool1d`, `avg_pool1d` (`nn.functional.sequence`) and `Conv1d`,
  `MaxPool1d`, `AvgPool1d` (`nn.sequence`).
* `adaptive_max_pool2d`, `adaptive_max_pool1d`, `adaptive_avg_pool1d`
  (`nn.functional.adaptive`) and their layers (`nn.adaptive`).
* `conv_transpose1d`, `conv_transpose2d` (`nn.functional.transposed`) and
  `ConvTranspose1d`, `ConvTranspose2d` (`nn.transposed`).
* Constant, zero, reflection, replication and circular pads for one and two axes
  (`nn.padding`).

All layers call torch's kernels, which the functions of the same names have
earned on torch's own samples.

## Questions

:::{dropdown} Is `fold` the inverse of `unfold`?
Its transpose. Where windows overlap a pixel is added up as often as it was read;
what no window reads comes back as zero.
:::

:::{dropdown} A signal's convolution calls that of pictures. Why not the other way round?
A picture has windows that no row of it has. A signal is a picture of one row, so
the wider case holds the narrower one.
:::

:::{dropdown} Why does a transposed convolution have `output_padding`, and a convolution nothing like it?
With a stride, several sizes shrink to one size. On the way back one of them has
to be chosen.
:::

:::{dropdown} When is the output of a transposed convolution free of a chequered pattern?
If its stride divides the size of its kernel, every pixel lies in equally many
windows. That is half of it: the weights that meet on one pixel must also add up to
what meets on its neighbour.
:::
"""

# %% tags=["answer"]
constant, kernel = torch.ones(1, 1, 8, 8), draw(1, 1, 4, 4).abs()
met = unfold(kernel, 2, dilation=2).sum(1)  # what meets on each of 2 x 2 pixels
balanced = kernel / met.view(1, 1, 2, 2).repeat(1, 1, 2, 2)
for weights, chequered in ((kernel, True), (balanced, False)):
    large = conv_transpose2d(constant, weights, stride=2)[..., 4:-4, 4:-4]
    assert_equal(bool(large.std() > 1e-5), chequered)

# %% [markdown]
r"""

:::{dropdown} Why must a frame for `max_pool` hold minus infinity and not zero?
Where all numbers are negative, a zero would be the largest of its window.
:::

## Exercises

**1.** A transposed layer with a stride of 2 is to double a picture exactly, whatever
its size. Which padding does it need for kernels of 2 to 6, and which of them need
`output_padding`?
"""

# %% tags=["solution"]
for size in range(2, 7):
    padding, more = (size - 1) // 2, size % 2
    layer = ConvTranspose1d(1, 1, size, 2, padding, more)
    for length in (5, 8):
        assert_equal(layer(torch.zeros(1, length)).shape, (1, 2 * length))

# %% [markdown]
r"""
**2.** Write `max_pool2d` for windows that do not overlap, with `unfold` and
nothing else that knows of windows.
"""

# %% tags=["solution"]
x = draw(2, 3, 8, 6)
columns = unfold(x, 2, stride=2).view(2, 3, 4, 4 * 3)
assert_equal(columns.amax(2).view(2, 3, 4, 3), max_pool2d(x, 2))

# %% [markdown]
r"""
**3.** Write a convolution as a sparse matrix: the places and values of its
entries, without making the zeros. How many are there for one kernel of 3 × 3 on a
digit?
"""

# %% tags=["solution"]
kernel, image = draw(1, 1, 3, 3), draw(1, 1, 28, 28)
numbers = torch.arange(784).view(1, 1, 28, 28)
columns = windows(numbers, (3, 3)).reshape(9, -1)  # the pixel of each entry
rows = torch.arange(676).expand(9, -1)  # its output
values = kernel.view(9, 1).expand(9, 676)
output = torch.zeros(676).index_add(
    0, rows.flatten(), (values * image.flatten()[columns]).flatten()
)
assert_close(output.view(1, 1, 26, 26), conv2d(image, kernel), atol=1e-5)
assert_equal(values.numel(), 9 * 676)

# %% [markdown]
r"""
**4.** Enlarge a picture by repeating each pixel twice in both directions, with a
transposed convolution. Which weights does it take?
"""

# %% tags=["solution"]
small = draw(1, 1, 4, 5)
large = conv_transpose2d(small, torch.ones(1, 1, 2, 2), stride=2)
repeated = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
assert_close(large, repeated)

# %% [markdown]
r"""
With these the library has every window that networks of images and of signals
are commonly made of.
"""
