# %% [markdown] module="nn.functional.convolution"
r"""
# Convolution

A linear layer on a digit multiplies every pixel with a weight of its own, and
has no idea which pixels are neighbours. Yet an edge is an edge wherever it
stands. **Why does a picture need fewer weights than a matrix has, and how is
what is left calculated fast, forwards and backwards?**

| name | shape | meaning |
| --- | --- | --- |
| `input` | `(n, c_in, h, w)` | images, each of some *channels* (one, if grey) |
| `weight` | `(c_out, c_in, kh, kw)` | a small *kernel* for each pair of channels |
| `output` | `(n, c_out, oh, ow)` | a map of answers for each output channel |
| patches | `(n, c_in, kh, kw, oh, ow)` | what each kernel looks at, for each output |
"""

# %% Imports tags=["hide-input"]
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import prod, sqrt
from statistics import median

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter
from groundup.optim.adam import AdamW
from groundup.plot import show_images
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy

# %% [markdown]
r"""
## Nine weights

Take three rows of three weights: minus one on top, nothing in the middle, one
below. Lay them on a digit, multiply what lies upon each other, add the nine
products. The sum is large where it is dark below and bright above. Do that at
every place where the weights fit:
"""

# %%
images, digits = mnist()
digit = images[12].float() / 255
edge = torch.tensor([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]])


def slide(image: Tensor, kernel: Tensor) -> Tensor:
    """The weighted sum of each window: (h, w), (kh, kw) -> (oh, ow)."""
    kh, kw = kernel.shape
    out = torch.empty(image.shape[0] - kh + 1, image.shape[1] - kw + 1)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out


answers = slide(digit, edge)
answers.shape

# %% alt="Three pictures: a handwritten 3; the positive answers of the kernel, bright along the lower edges of the strokes or above them; and the answers of the kernel turned by a quarter, bright along the upright edges." tags=["hide-input"]
pictures = [digit, answers.clamp(min=0), slide(digit, edge.T).clamp(min=0)]
figure = show_images(pictures, ["digit", "edges below", "edges right"])
figure.set_size_inches(5, 2)
plt.show()

# %% [markdown]
r"""
The nine numbers are a *kernel*; sliding it over a picture is a *convolution*
{cite:p}`lecun1989`. (A mathematician would first turn the kernel by half a turn and
call ours a *cross-correlation*. Weights are learned, so nobody minds, until
somebody compares with another program: an exercise.)

The output has as many numbers as there are places: 26 × 26. A linear layer
from 784 pixels to 676 numbers has a weight for every pair. Convolution is such a
layer too, whose matrix is nearly empty, and in which the same nine weights
stand in every row:
"""

# %%
small = torch.arange(36.0).view(6, 6)
rows = [slide(unit.view(6, 6), edge + 2).flatten() for unit in torch.eye(36)]
matrix = torch.stack(rows, 1)
assert_close(matrix @ small.flatten(), slide(small, edge + 2).flatten())
matrix.shape, matrix.count_nonzero().item()

# %% alt="A matrix of 16 rows and 36 columns, nearly empty. In each row three short runs of three cells are filled; from row to row they move one column to the right, and every fourth time further." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 2.6), layout="tight")
ax.imshow(matrix.where(matrix > 0, torch.nan), cmap="viridis")
ax.set(xlabel="pixel of the input, 6 × 6", ylabel="output, 4 × 4")
plt.show()

# %%
dense, shared = 784 * 26 * 26, 9
Markdown(
    f"On a digit: {dense:,} weights in a linear layer, {shared} in a kernel."
)

# %% [markdown]
r"""
Two assumptions removed the others: *only neighbours matter*, and *what is worth
finding in one place is worth finding in all*. Where they hold, nine weights
learn from 676 places in every image. Where they do not hold, no amount of
training brings the missing weights back.

## Many channels

One kernel gives one map of answers. A layer wants several, and the next layer
sees several at once: a weight for each pair of input and output channel at each
place of the kernel. As a definition, with a loop for every letter but those
that are summed:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """By definition: (n, c, h, w), (o, c, kh, kw) -> (n, o, oh, ow)."""
    n, _, h, w = input.shape
    o, _, kh, kw = weight.shape
    output = torch.empty(n, o, h - kh + 1, w - kw + 1)
    for image in range(n):
        for channel in range(o):
            for i in range(output.shape[2]):
                for j in range(output.shape[3]):
                    window = input[image, :, i : i + kh, j : j + kw]
                    total = (window * weight[channel]).sum()
                    output[image, channel, i, j] = total
    return output


# %% tags=["reference"]
import torch.nn.functional as F

generator = torch.Generator().manual_seed(0)
draw = partial(torch.randn, generator=generator)


def check() -> None:
    """Equal to torch's own, on odd sizes and a kernel that is not square."""
    x, w = draw(2, 3, 7, 6), draw(4, 3, 3, 2)
    assert_close(conv2d(x, w), F.conv2d(x, w), atol=1e-5)


check()

# %% [markdown]
r"""
Every version from here on passes this check. The kernel in it has no symmetry
and the picture is not square: a flipped kernel or swapped axes would show.

The definition calls Python once for each number of the output. The loops can be
exchanged: for each of the few places *of the kernel*, one product of whole
pictures. The shifted pictures are added up:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """One matrix product for each place of the kernel."""
    (n, _, h, w), (o, _, kh, kw) = input.shape, weight.shape
    oh, ow = h - kh + 1, w - kw + 1
    output = torch.zeros(n, o, oh * ow)
    for i in range(kh):
        for j in range(kw):
            shifted = input[:, :, i : i + oh, j : j + ow].flatten(2)
            output = output + weight[:, :, i, j] @ shifted
    return output.view(n, o, oh, ow)


check()

# %% [markdown]
r"""
## One matrix product

Nine products can be one, if the nine shifted pictures lie below each other.
Building them needs no arithmetic at all, only another way to walk through the
same memory. A tensor is a block of numbers and a *stride* for each axis: how
far it is to the next element. The window at the place $(i, j)$ begins $i$
row-strides and $j$ column-strides further, and inside a window the steps are
the same two strides again. So the two axes of the picture are listed twice:
"""


# %% Every window, as a view tags=["export", "internal"] module="nn.functional.windows"
"""Windows over images."""


def windows(
    input: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """All windows, as a view: (n, c, h, w) -> (n, c, kh, kw, oh, ow)."""
    (n, c, h, w), (kh, kw) = input.shape, kernel_size
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size)]
    if min(*stride, *dilation) < 1:
        text = f"stride {stride} and dilation {dilation} must be positive"
        raise RuntimeError(text)
    if h < spans[0] or w < spans[1]:
        raise RuntimeError(
            f"a window of {spans[0]} x {spans[1]} does not fit into the "
            f"padded input, {h} x {w}"
        )
    oh, ow = (h - spans[0]) // stride[0] + 1, (w - spans[1]) // stride[1] + 1
    *outer, down, right = input.stride()
    inner = down * dilation[0], right * dilation[1]
    steps = down * stride[0], right * stride[1]
    shape, strides = (n, c, kh, kw, oh, ow), (*outer, *inner, *steps)
    return input.as_strided(shape, strides, input.storage_offset())


# %%
small = torch.arange(16.0).view(1, 1, 4, 4)
view = windows(small, (3, 3))
assert_equal(view.data_ptr(), small.data_ptr())  # nothing was copied
small.stride(), view.shape, view.stride()

# %%
view[0, 0, :, :, 0, 1]  # the window of row 0, column 1

# %% [markdown]
r"""
The view has 36 numbers over a memory of 16. A matrix product wants its rows
side by side, so `reshape` now copies: every pixel up to nine times. The columns
that come out gave the trick its name, *image to columns*, `im2col`:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """One matrix product: weights as rows times windows as columns."""
    patches = windows(input, weight.shape[2:])
    n, c, kh, kw, oh, ow = patches.shape
    columns = patches.reshape(n, c * kh * kw, oh * ow)
    return (weight.flatten(1) @ columns).view(n, len(weight), oh, ow)


check()

# %% alt="On the left a picture of 4 by 4 numbered pixels with a coloured window of 3 by 3. On the right the matrix of columns, 9 rows and 4 columns of pixel numbers; the column of that window is coloured." tags=["hide-input"]
numbers = torch.arange(16).view(4, 4)
columns = windows(numbers[None, None].float(), (3, 3)).reshape(9, 4).int()
figure, axes = plt.subplots(1, 2, figsize=(5, 3.6), layout="tight")
marked = [torch.zeros(4, 4), torch.zeros(9, 4)]
marked[0][0:3, 1:4] = marked[1][:, 1] = 1
titles = "picture", "columns, one a window"
for ax, values, cells, title in zip(axes, (numbers, columns), marked, titles):
    ax.imshow(cells.where(cells > 0, torch.nan), cmap="Pastel1", vmin=0)
    for (i, j), value in zip(
        torch.cartesian_prod(*map(torch.arange, values.shape)).tolist(),
        values.flatten().tolist(),
    ):
        dark = "black" if cells[i, j] else "0.5"
        ax.text(j, i, value, ha="center", va="center", color=dark)
    ax.set(xticks=[], yticks=[], title=title)
plt.show()

# %% [markdown]
r"""
## Steps, gaps and groups

Four numbers change which windows are taken, and none changes the product.

* **Padding** puts a frame around the picture, so that its border is seen as
  often as its middle and the output need not shrink.
* **Stride** moves the window by more than one: the output has fewer places.
* **Dilation** spreads the kernel: a wider view with as many weights.
* **Groups** split the channels: each group of outputs sees its own inputs only.

A kernel of $k$ with dilation $d$ spans $d (k - 1) + 1$ pixels. It fits into a
row of $h$ pixels with $p$ more on both sides, moved by $s$ each time, as often
as

$$ \left\lfloor \frac{h + 2p - d\,(k - 1) - 1}{s} \right\rfloor + 1 . $$

`windows` counts so. What remains is the frame. It need not be black: torch can
also mirror the picture at its edge, repeat its last pixel, or begin it anew.
All three are a question of which pixel to read where there is none:
"""


# %% Beyond the edge tags=["export"] module="nn.functional.padding" earns="torch.nn.functional.pad"
"""What stands around a picture."""


def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Longer (or, where negative, shorter) axes; pairs, the last axis first.

    `mode` is constant, reflect, replicate or circular.
    """
    if len(pad) % 2 or len(pad) > 2 * input.dim():
        shape = tuple(input.shape)
        raise RuntimeError(f"padding {tuple(pad)} does not fit a shape {shape}")
    output = input
    for axis, edges in enumerate(zip(pad[::2], pad[1::2]), 1):
        if edges == (0, 0):
            continue
        if mode == "constant":
            output = _framed(output, -axis, edges, value or 0)
        else:
            places = _places(output.shape[-axis], *edges, mode)
            output = output.index_select(-axis, places.to(input.device))
    return input.clone() if output is input else output


def _framed(
    input: Tensor, axis: int, edges: tuple[int, int], value: float
) -> Tensor:
    """An axis cut where its edges are negative, longer where positive."""
    (before, after), shape = edges, list(input.shape)
    start, stop = max(0, -before), shape[axis] + min(0, after)
    if stop < start:
        size = shape[axis]
        raise RuntimeError(f"padding {edges} cuts more than the {size} there")
    kept = input.narrow(axis, start, stop - start)
    if before <= 0 and after <= 0:
        return kept
    shape[axis] += before + after
    output = kept.new_full(shape, value)
    output.narrow(axis, max(0, before), stop - start).copy_(kept)
    return output


def _places(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which of `size` elements each place of a padded axis shows."""
    start, stop = max(0, -before), size + min(0, after)  # what is not cut
    limits = {"reflect": size - 1, "circular": stop - start}
    if mode not in (*limits, "replicate"):
        raise NotImplementedError(f"unrecognised padding mode {mode!r}")
    longest, left = max(before, after), size + before + after
    if longest > limits.get(mode, longest) or left < (mode != "circular"):
        edges = before, after
        raise RuntimeError(f"{mode} padding {edges} of an axis of {size}")
    places = torch.arange(-before, size + after)
    if mode == "circular":
        return start + (places - start) % max(1, stop - start)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    return (size - 1 - (size - 1 - places.abs()).abs()).abs()


# %% alt="The same small picture of a hook in four frames: black, mirrored at its edge, its last pixels repeated, and begun anew from the other side." tags=["hide-input"]
corner = images[12, 6:16, 8:18].float() / 255
modes = "constant", "reflect", "replicate", "circular"
framed = [pad(corner, (4, 4, 4, 4), mode) for mode in modes]
figure = show_images(framed, modes)
figure.set_size_inches(5.2, 1.7)
for ax in figure.axes:
    ax.plot([3.5, 13.5, 13.5, 3.5, 3.5], [3.5, 3.5, 13.5, 13.5, 3.5], "C1")
plt.show()

# %% [markdown]
r"""
Now the finished function, with torch's signature. Groups are one more axis of
the product: the weights of each group times the columns of its own channels.
"""


# %% Two axes tags=["export", "internal"] module="nn.functional.windows"
def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) not in (1, 2):
        raise RuntimeError(f"expected one number or two, got {both}")
    return both if len(both) == 2 else both * 2


def frame(
    padding: int | Sequence[int] | str,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> list[int]:
    """The padding for `pad`: left, right, top, bottom."""
    if padding == "valid":
        padding = 0
    if padding != "same":
        top, left = pair(padding)
        if top < 0 or left < 0:
            raise RuntimeError(f"padding {padding} must not be negative")
        return [left, left, top, top]
    if stride != (1, 1):
        raise RuntimeError("padding='same' needs a stride of 1")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel_size)]
    return [n for t in reversed(totals) for n in (t // 2, t - t // 2)]


# %% The convolution of images tags=["export"] earns="torch.nn.functional.conv2d torch.conv2d"
"""Convolution as a matrix product of all windows."""


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """(n, c, h, w), (o, c / groups, kh, kw) -> (n, o, oh, ow), as one product.

    An input without its first axis gives an output without it.
    """
    if input.dim() == 3:
        batch = conv2d(
            input[None], weight, bias, stride, padding, dilation, groups
        )
        return batch[0]
    _check_channels(input, weight, bias, groups)
    size, stride, dilation = weight.shape[2:], pair(stride), pair(dilation)
    padded = pad(input, frame(padding, size, stride, dilation))
    patches = windows(padded, size, stride, dilation)
    n, c, kh, kw, oh, ow = patches.shape
    columns = patches.reshape(n, groups, c // groups * kh * kw, oh * ow)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    output = (rows @ columns).reshape(n, len(weight), oh, ow)
    return output if bias is None else output + bias[:, None, None]


def _check_channels(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    """A RuntimeError with the shapes that do not go together."""
    shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(f"expected 3 or 4 axes and a weight of 4: {shapes}")
    if groups < 1 or len(weight) % groups:
        raise RuntimeError(
            f"{len(weight)} channels in {groups} groups: {shapes}"
        )
    if input.shape[1] != weight.shape[1] * groups:
        wanted = weight.shape[1] * groups
        raise RuntimeError(
            f"expected {wanted} input channels in {groups} groups: {shapes}"
        )
    types = {each.dtype for each in (input, weight, bias) if each is not None}
    if len(types) > 1:
        raise RuntimeError(f"expected one type, got {types}: {shapes}")
    if bias is not None and bias.shape != (len(weight),):
        raise RuntimeError(f"bias {tuple(bias.shape)} does not fit: {shapes}")


# %% tags=["reference"]
check()
x, w, b = draw(2, 4, 9, 8), draw(6, 2, 3, 2), draw(6)
options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
assert_close(
    conv2d(x, w, b, groups=2, **options),
    F.conv2d(x, w, b, groups=2, **options),
    atol=1e-5,
)
conv2d(x, w, b, groups=2, **options).shape

# %% [markdown]
r"""
## The layer

Weights start as in a linear layer: what one output sums up, its *fan-in*, is
$c_{in} \cdot k_h \cdot k_w$ numbers here. The rest is bookkeeping, and it calls
torch's kernel, which the function above has earned.
"""


# %% A layer of kernels tags=["export"] module="nn.conv" earns="torch.nn.Conv2d"
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


# %% What is refused tags=["export"] module="nn.conv"
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
            if self.padding == "same" and self.stride != (1, 1):
                raise ValueError("padding='same' needs a stride of 1")

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)


# %% Forward, and how it prints tags=["export"] module="nn.conv"
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
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
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
assert_close(
    layer(digit[None]), conv2d(digit[None], layer.weight, layer.bias, 2, 2)
)
layer, layer(digit[None]).shape


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
x = draw(2, 3, 7, 6)
assert_close(max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1))
assert_equal(
    max_pool2d(x, 2, return_indices=True),
    F.max_pool2d(x, 2, return_indices=True),
)

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
assert_close(avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1))
assert_close(adaptive_avg_pool2d(x, (3, 4)), F.adaptive_avg_pool2d(x, (3, 4)))
adaptive_avg_pool2d(x, 1).shape


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
