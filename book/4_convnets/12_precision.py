# %% [markdown] module="training.precision" starred=true
r"""
# Sixteen bits

This chapter finishes what {doc}`/4_convnets/8_fast` borrows: training in numbers
of half the size. It builds `autocast` and `GradScaler` by hand. You may go on
without it.

Numbers of 16 bits take half of the memory and half of the way to it, and on some
processors a product of them costs an eighth. **What is lost, and what has to be
done so that nothing is lost that matters?**

| name | meaning |
| --- | --- |
| `float32`, `float16`, `bfloat16` | numbers of 32, 16 and 16 bits |
| {term}`master weights` | the weights in 32 bits, which the optimizer changes |
| {term}`autocast` | runs some operations in the low type, and others not |
| {term}`loss scaling` | a factor on the loss, so that gradients stay in range |
"""

# %% Imports tags=["hide-input"]
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor
from torch.overrides import TorchFunctionMode

from groundup.data.collate import map_batch
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.flatten import Flatten
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.nn.norm import BatchNorm2d
from groundup.nn.utils.clip import clip_grad_norm_
from groundup.optim.adam import AdamW
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import Callback, CancelBatch, Run
from groundup.training.callbacks import Accumulate, ClipGradient
from groundup.training.learner import Learner

torch.set_num_threads(1)

# %% [markdown]
r"""
## Three number lines

A floating number is a sign, an exponent and a fraction. With $e$ bits for the
exponent and $f$ for the fraction, the numbers between two powers of two stand at
$2^f$ equal distances, and the exponent says how many such powers there are.
"""


# %%
def bits(dtype: torch.dtype) -> tuple[int, int]:
    """How many bits the exponent and the fraction of a type have."""
    info = torch.finfo(dtype)
    fraction = round(-torch.tensor(info.eps).log2().item())
    return info.bits - 1 - fraction, fraction


TYPES = torch.float32, torch.float16, torch.bfloat16
assert_equal([bits(dtype) for dtype in TYPES], [(8, 23), (5, 10), (8, 7)])

# %% tags=["hide-input"]
lines = []
for dtype in TYPES:
    info, (exponent, fraction) = torch.finfo(dtype), bits(dtype)
    smallest = info.tiny * info.eps
    values = f"{info.eps:.1e} | {smallest:.1e} | {info.max:.2g}"
    name = str(dtype).removeprefix("torch.")
    lines.append(f"| {name} | {exponent} + {fraction} | {values} |")
head = "| type | bits | next after 1 | smallest | largest |\n"
Markdown(head + "| --- | --- | --- | --- | --- |\n" + "\n".join(lines))

# %% [markdown]
r"""
`float16` is the finer of the two small ones and reaches less far; `bfloat16` is a
`float32` with its last 16 bits cut off, coarse, and as far as before. The picture
shows how fine each is, at every size:
"""

# %% alt="Relative distance between neighbouring numbers against size, both on logarithmic axes. float32 lies lowest and bfloat16 highest, both level over the whole width. float16 lies between them from about 6e-5 to 65504, rises steeply to the left of that, until at 6e-8 the distance is as large as the number, and ends." tags=["hide-input"]
size = torch.logspace(-12, 8, 400, dtype=torch.float64)
plt.figure(figsize=(5.6, 2.8))
for dtype in TYPES:
    info = torch.finfo(dtype)
    gap = torch.clamp(2.0 ** size.log2().floor(), min=info.tiny) * info.eps
    held = (size >= info.tiny * info.eps) & (size <= info.max)
    name = str(dtype).removeprefix("torch.")
    plt.loglog(size[held], (gap / size)[held], label=name)
plt.xlabel("size of a number")
plt.ylabel("distance to the next,\nas a share of it")
plt.legend()
plt.show()

# %% [markdown]
r"""
Two things go wrong, and they are different. A number can be too *small* to be
there at all. And a sum can be too *fine*: between 1 and the next `float16` there is
nothing for a small change to reach.
"""

# %%
one, step = torch.ones(1), torch.full((1,), 1e-4)
changed = {t: (one.to(t) + step.to(t)).double().item() for t in TYPES}
assert changed[torch.float32] > 1
assert_equal(changed[torch.float16], 1.0)
assert_equal(changed[torch.bfloat16], 1.0)
{str(t): value for t, value in changed.items()}

# %% [markdown]
r"""
## Master weights

The second is what happens to weights. An optimizer changes a weight by a ten
thousandth of itself, a thousand times. In 16 bits nothing happens, a thousand
times.
"""


# %%
def moved(dtype: torch.dtype, master: bool) -> float:
    """A weight of 1 after a thousand steps of 0.0001, used in a type."""
    weight = torch.ones((), dtype=torch.float32 if master else dtype)
    for _ in range(1000):
        weight += torch.tensor(1e-4, dtype=dtype)
    return round(weight.to(dtype).item(), 4)


assert_equal(moved(torch.float16, master=False), 1.0)
assert_equal(moved(torch.bfloat16, master=False), 1.0)
assert_close(moved(torch.float16, master=True), 1.1, atol=0.001)
moved(torch.float16, master=True), moved(torch.bfloat16, master=True)

# %% [markdown]
r"""
So the weights are held in 32 bits, and a copy of 16 is made each time that they are
used: *master weights* {cite:p}`micikevicius2018`. What takes memory in a training
are the activations, and they are small. A reader of part 3 has the rest: parameters
are `float32`, and `Tensor.to` has a gradient, which brings that of the copy back to
32 bits.

## Which operation in which type?

A product of matrices is a sum of products, added up in 32 bits inside of the
processor; it can be trusted in a low type, and there it is fast. A loss adds up and
takes logarithms and is a single number: nothing is gained. Everything else takes
what it is given. That is a table of names:
"""

# %% Low, wide, and the rest tags=["export"]
"""Mixed precision: low types where they pay, and gradients kept in range."""

_LOW = frozenset(
    """addbmm addmm _addmm_activation baddbmm bmm conv1d conv2d conv3d
    conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d linear matmul
    mm _native_multi_head_attention prelu rmatmul scaled_dot_product_attention
    """.split()
)
_WIDE = frozenset(
    """avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits cdist
    cosine_embedding_loss cross_entropy ctc_loss hinge_embedding_loss
    huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss
    multilabel_margin_loss nll_loss nll_loss2d poisson_nll_loss prod quantile
    nanquantile reflection_pad1d smooth_l1_loss soft_margin_loss trace
    triplet_margin_loss""".split()
)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Floats on the CPU in another type, in lists and tuples too."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.dtype != torch.float64
        return value.to(dtype) if fits and value.is_cpu else value
    if isinstance(value, list | tuple):
        return type(value)(_cast(each, dtype) for each in value)
    return value


# %%
assert_equal(_LOW & _WIDE, frozenset())
mixed = [torch.ones(1), torch.ones(1).double(), torch.ones(1).long(), "same"]
[getattr(each, "dtype", each) for each in _cast(mixed, torch.bfloat16)]

# %% [markdown]
r"""
Doubles were asked for by somebody and are left alone, and so are whole numbers.

Now the table has to come between the program and its operations. torch has a place
for that: a `TorchFunctionMode` is told of every function of torch that is called
while it is entered, and calls it itself. Ours changes the arguments on the way.
What works in place, or into a tensor that is given, is left as it is.
"""


# %% The low type in a region tags=["export"] earns="torch.autocast torch.amp.autocast torch.amp.autocast_mode.autocast"
_INNERMOST: ContextVar[Any] = ContextVar("_INNERMOST", default=None)


class autocast(TorchFunctionMode):
    """A region in which products run in a low type, and losses in float32.

    On the CPU, as torch's of that name does; also a decorator. Weights are
    cast at each use: there is no cache, whatever `cache_enabled` says.
    """

    def __init__(
        self,
        device_type: str,
        dtype: torch.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        super().__init__()
        if not isinstance(device_type, str):
            raise ValueError(f"device_type is a str, got {type(device_type)}")
        if device_type != "cpu":
            raise RuntimeError(f"autocast is for the cpu, got {device_type!r}")
        self.fast_dtype = torch.bfloat16 if dtype is None else dtype
        known = self.fast_dtype in (torch.bfloat16, torch.float16)
        if enabled and not known:
            wrong = f"no low type is {self.fast_dtype}: autocast is off"
            warnings.warn(wrong, stacklevel=2)
        self.enabled = enabled and known
        self.outer: list[Any] = []


# %% [markdown]
r"""
Regions lie in each other, and the innermost decides. A function that is called
within two of them is told to the inner one first and then, by its call, to the
outer one, which must then do nothing.
"""


# %% What happens to a call tags=["export"]
class autocast(autocast):
    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name.startswith("__") and name.endswith("__"):
            name = name[2:-2]  # x @ y
        acts = self.enabled and _INNERMOST.get() is self and "out" not in kwargs
        if acts and (name in _LOW or name in _WIDE):
            dtype = self.fast_dtype if name in _LOW else torch.float32
            args = _cast(args, dtype)
            kwargs = {key: _cast(each, dtype) for key, each in kwargs.items()}
        return func(*args, **kwargs)

    def __enter__(self) -> "autocast":
        self.outer.append(_INNERMOST.get())
        _INNERMOST.set(self)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _INNERMOST.set(self.outer.pop())

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside


# %%
torch.manual_seed(0)
x, weight = torch.randn(4, 8), torch.randn(8, 8)
with autocast("cpu"):
    product = x @ weight
    loss = torch.nn.functional.mse_loss(product, x)
    with autocast("cpu", enabled=False):
        plain = x @ weight
    again = torch.mm(x, product.T)
found = {t.dtype for t in (product, again)}
assert_equal(found, {torch.bfloat16})
assert_equal((loss.dtype, plain.dtype), (torch.float32, torch.float32))
product.dtype, loss.dtype

# %% [markdown]
r"""
The tests hold the table against torch's own list of operations, and the layers of
this book against torch's layers. It is told of torch's functions and of no others.
A function of ours that is made of several is cast inside: a product plus a bias of
32 bits comes out in 32. The layers call the whole operation, and theirs is low:
"""

# %%
with autocast("cpu"):
    parts = x @ weight + torch.zeros(8)
    whole = Linear(8, 8)(x)
assert_equal((parts.dtype, whole.dtype), (torch.float32, torch.bfloat16))

# %% [markdown]
r"""
## Gradients that are not there

Now the first thing that goes wrong. A loss is a mean over the batch, so each
example's gradient carries a factor of one over its size; and on the way back it is
multiplied by weights and shared out over places. We train a small network for a
little, send 512 images through it, and look at the gradients of all activations,
on the number line of `float16`:
"""


# %%
images, kinds = fashion_mnist()
pictures = (images[:, None].float() / 255 - 0.286) / 0.353


def layer(c_in: int, c_out: int, stride: int) -> tuple:
    kernels = Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
    return kernels, BatchNorm2d(c_out), ReLU()


def network() -> Sequential:
    torch.manual_seed(0)
    layers = *layer(1, 16, 1), *layer(16, 32, 2), *layer(32, 32, 2)
    return Sequential(*layers, Flatten(), Linear(32 * 7 * 7, 10))


def loader(n: int, batch_size: int) -> TensorLoader:
    order = torch.Generator().manual_seed(0)
    options = {"batch_size": batch_size, "shuffle": True, "generator": order}
    return TensorLoader(pictures[:n], kinds[:n], **options)


model = network()
learn = Learner(model, loader(6000, 100), optim=AdamW, lr=0.003, defaults=())
learn.fit(1)


# %%
def activation_gradients(model: Sequential, n: int) -> Tensor:
    """Gradients of the loss by all activations of n images, in a row."""
    h, outputs = pictures[-n:], []
    for layer in model:
        h = layer(h)
        outputs.append(h)
    grads = torch.autograd.grad(cross_entropy(h, kinds[-n:]), outputs)
    return torch.cat([grad.flatten() for grad in grads])


def flushed(grads: Tensor, scale: float) -> float:
    """The share of what is not zero that becomes zero in float16."""
    there = grads[grads != 0]
    return ((there * scale).half() == 0).float().mean().item()


grads = activation_gradients(model, 512)
lost, kept = flushed(grads, 1.0), flushed(grads, 2.0**16)
assert lost >= 0.10 and kept <= 0.0001
round(lost, 3), kept

# %% alt="Two histograms of gradient sizes on a logarithmic axis, one above the other. In the upper one about an eighth of the gradients lies in a shaded region to the left, below the smallest number of float16. In the lower one, multiplied by 65536, all of them lie to the right of it, and to the left of the largest number." tags=["hide-input"]
info = torch.finfo(torch.float16)
least, most = info.tiny * info.eps, info.max
figure, axes = plt.subplots(2, 1, figsize=(5.6, 3.8), sharex=True)
sizes = grads[grads != 0].abs().log10()
for ax, power in zip(axes, (0, 16)):
    moved_sizes = sizes + power * torch.tensor(2.0).log10()
    counts = torch.histc(moved_sizes, 60, -13, 5)
    ax.bar(torch.linspace(-12.85, 4.85, 60), counts, width=0.3)
    ax.axvspan(-13, torch.tensor(least / 2).log10(), color="C1", alpha=0.3)
    ax.axvspan(torch.tensor(most).log10(), 6, color="C3", alpha=0.3)
    ax.set(yticks=(), ylabel=f"times $2^{{{power}}}$", xlim=(-13, 6))
axes[0].text(-12.7, axes[0].get_ylim()[1] * 0.8, "becomes 0")
axes[0].text(4.95, axes[0].get_ylim()[1] * 0.8, "inf")
axes[1].set_xlabel("gradient, power of ten")
plt.show()

# %% [markdown]
r"""
More than a tenth of the gradients is not there, and the remedy is one factor:
multiply the *loss* by it, and by the chain rule every gradient on the way carries
it. Before the step the gradients of the weights, which are in 32 bits, are divided
by it again. For `bfloat16`, which reaches as far as `float32`, none of this is
needed:
"""

# %%
there = grads[grads != 0]
assert ((there.bfloat16() == 0).float().mean() < 1e-4).item()

# %% [markdown]
r"""
## A scale that finds itself

Which factor? As large as possible, and so that nothing overflows. Nobody knows that
in advance, and it changes in the course of training. So try: begin high. When a
gradient is not finite, leave the step out and halve the factor. When 2,000 steps in
a row went well, double it. These are torch's rules, and its names:

| call | what it does |
| --- | --- |
| `scale(loss)` | the loss times the factor |
| `unscale_(optimizer)` | divides its gradients; notes whether one is not finite |
| `step(optimizer)` | unscales if that was not done; steps if all are finite |
| `update()` | changes the factor by what was found since the last time |
"""


# %% Gradients divided again tags=["export"]
def _unscale(optimizer: Any, scale: Tensor) -> Tensor | None:
    """Divide all gradients; 1 if one is not finite, 0 if not, None of none."""
    inverse, flags = scale.double().reciprocal().float(), []
    for group in optimizer.param_groups:
        for grad in (p.grad for p in group["params"] if p.grad is not None):
            if grad.dtype == torch.float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            flags.append((~grad.isfinite()).any().to(scale.device))
            grad.mul_(inverse.to(grad.device))
    return torch.stack(flags).any().float() if flags else None


# %%
weight = torch.ones(2, requires_grad=True)
sgd = SGD([weight], lr=1.0)
marks = []
for last in (4.0, torch.inf):
    weight.grad = torch.tensor([8.0, last])
    marks.append(_unscale(sgd, torch.tensor(4.0)).item())
assert_equal(marks, [0.0, 1.0])
weight.grad

# %% [markdown]
r"""
A gradient that overflowed stays what it is and is noted. Now the scaler:
"""


# %% Loss scaling tags=["export"] earns="torch.amp.GradScaler torch.amp.grad_scaler.GradScaler"
class GradScaler:
    """A factor on the loss, as large as its gradients bear; as torch's."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and device == "cuda" and not torch.cuda.is_available():
            wrong = "GradScaler for cuda, but there is none: it is disabled"
            warnings.warn(wrong, stacklevel=2)
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled, self._init_scale = enabled, init_scale
        self._growth_factor, self._backoff_factor = (
            growth_factor,
            backoff_factor,
        )
        self._growth_interval, self._init_growth_tracker = growth_interval, 0
        self._scale: Tensor | None = None  # made where the loss is
        self._growth_tracker: Tensor | None = None
        self._found: dict[int, tuple[str, Tensor | None]] = {}


# %% [markdown]
r"""
The factor lies beside the loss, as a tensor, so that a GPU need not be waited for.
It is made when the first loss comes.
"""


# %% The loss times the factor tags=["export"]
class GradScaler(GradScaler):
    def scale(self, outputs: Any) -> Any:
        """Tensors, also in lists, tuples and iterables, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(outputs.device, non_blocking=True)
        if isinstance(outputs, list | tuple):
            return type(outputs)(map(self.scale, outputs))
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _start(self, device: torch.device) -> None:
        tracker, on = self._init_growth_tracker, {"device": device}
        self._scale = torch.tensor(self._init_scale, dtype=torch.float32, **on)
        self._growth_tracker = torch.tensor(tracker, dtype=torch.int32, **on)

    def _started(self, name: str) -> Tensor:
        """The factor, if there is one yet."""
        if self._scale is None:
            wrong = f"Attempted {name} but _scale is None.  "
            raise AssertionError(f"{wrong}Call scale(loss) earlier.")
        return self._scale


# %%
scaler = GradScaler("cpu")
scaler.scale(torch.tensor([1.0, 2.0]))

# %% [markdown]
r"""
An optimizer goes through three stages between two updates: ready, unscaled,
stepped. To unscale twice would divide twice, and nothing would fail; so that is an
error.
"""


# %% Gradients divided, once tags=["export"]
class GradScaler(GradScaler):
    def unscale_(self, optimizer: Any) -> None:
        """Divide an optimizer's gradients by the factor, and look at them."""
        if not self._enabled:
            return
        scale = self._started("unscale_")
        stage, _ = self._found.get(id(optimizer), ("ready", None))
        if stage == "unscaled":
            already = "unscale_() has already been called on this optimizer"
            raise RuntimeError(f"{already} since the last update().")
        if stage == "stepped":
            raise RuntimeError("unscale_() is being called after step().")
        self._found[id(optimizer)] = "unscaled", _unscale(optimizer, scale)


# %%
scaler = GradScaler("cpu", init_scale=4.0)
scaler.scale(weight)
scaler.unscale_(sgd)
assert_equal(weight.grad.tolist(), [0.5, torch.inf])  # 2, divided once more


# %% A step, or none tags=["export"]
class GradScaler(GradScaler):
    def found_inf(self, optimizer: Any) -> bool:
        """Whether its unscaled gradients have a number that is not finite."""
        found = self._found.get(id(optimizer), ("ready", None))[1]
        return found is not None and bool(found.item())

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Step, unscaling first if need be, unless a gradient is infinite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("a closure cannot be scaled: pass none")
        self._started("step")
        if self._found.get(id(optimizer), ("ready", None))[0] == "stepped":
            already = "step() has already been called since the last update()."
            raise RuntimeError(already)
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        found = self._found[id(optimizer)][1]
        if found is None:
            none = "No inf checks were recorded for this optimizer."
            raise AssertionError(none)
        skips = self.found_inf(optimizer)
        result = None if skips else optimizer.step(*args, **kwargs)
        self._found[id(optimizer)] = "stepped", found
        return result


# %% [markdown]
r"""
The update. The product is rounded once, from a double, as torch's is, and a factor
that would be infinite is not taken. The count of good steps begins anew at each
change, at an overflow too. One published implementation forgets that: the factor
then doubles sooner than it should, and overflows again.
"""


# %% The factor changes tags=["export"]
class GradScaler(GradScaler):
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Change the factor by what was found, or set it."""
        if not self._enabled:
            return
        scale = self._started("update")
        if new_scale is not None:
            scale.fill_(new_scale)
        else:
            found = [f for _, f in self._found.values() if f is not None]
            if not found:
                none = "No inf checks were recorded prior to update."
                raise AssertionError(none)
            self._adjust(torch.stack(found).any())
        self._found = {}

    def _adjust(self, found: Tensor) -> None:
        scale, tracker = self._scale, self._growth_tracker
        after = (tracker + 1).where(~found, 0)
        grows = after == self._growth_interval
        larger = (scale.double() * self._growth_factor).float()
        larger = larger.where(larger.isfinite(), scale)
        smaller = (scale.double() * self._backoff_factor).float()
        scale.copy_(smaller.where(found, larger.where(grows, scale)))
        tracker.copy_(after.where(~grows, 0))


# %%
small = GradScaler("cpu", init_scale=4.0, growth_interval=1)
small.scale(torch.ones(()))
for found in (False, True, False):
    small._adjust(torch.tensor(found))
assert_equal(small._scale.item(), 8.0)  # 8, 4 and 8 again

# %% [markdown]
r"""
What is left can be asked, set and saved.
"""


# %% Its numbers, to ask for and to set tags=["export"]
class GradScaler(GradScaler):
    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor."""
        if not self._enabled:
            return 1.0
        scale = self._scale
        return self._init_scale if scale is None else scale.item()

    def get_growth_factor(self) -> float:
        """What the factor grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Let it grow by another."""
        self._growth_factor = new_factor


# %%
scaler = GradScaler("cpu", init_scale=4.0)
scaler.scale(weight)
scaler.step(sgd)
scaler.update()
assert_equal(weight.tolist(), [1.0, 1.0])
assert_equal(scaler.get_scale(), 2.0)

# %% [markdown]
r"""
The step with the infinite gradient was left out, and the factor halved.
"""


# %% When it changes tags=["export"]
class GradScaler(GradScaler):
    def get_backoff_factor(self) -> float:
        """What it is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Multiply it by another."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps it grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Let it grow after another number of steps."""
        self._growth_interval = new_interval


# %% Its state tags=["export"]
class GradScaler(GradScaler):
    def state_dict(self) -> dict[str, Any]:
        """All its numbers; nothing, if it is disabled."""
        if not self._enabled:
            return {}
        tracker = self._growth_tracker
        count = self._init_growth_tracker if tracker is None else tracker.item()
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": count,
        }


# %%
assert_equal(GradScaler("cpu", enabled=False).state_dict(), {})
GradScaler("cpu").state_dict()


# %% [markdown]
r"""
And the way back:
"""


# %% Its state, taken over tags=["export"]
class GradScaler(GradScaler):
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("the state is empty: of a disabled GradScaler?")
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_scale = state_dict["scale"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._start(self._scale.device)


# %% [markdown]
r"""
A script of good and bad steps shows it at work, beside torch's:
"""


# %%
def trace(scaler: Any, script: str, **options: Any) -> list[tuple]:
    """Factor, count and weight after each step; an x is an infinite one."""
    weight = torch.nn.Parameter(torch.zeros(()))
    optimizer, rows = torch.optim.SGD([weight], lr=1.0), []
    for letter in script:
        slope = torch.inf if letter == "x" else 1.0
        scaler.scale(weight * slope).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        state = scaler.state_dict()
        rows.append((state["scale"], state["_growth_tracker"], weight.item()))
    return rows


options = {"init_scale": 4.0, "growth_interval": 3}
rows = trace(GradScaler("cpu", **options), "..x....x")
rows

# %% tags=["reference"]
assert_equal(trace(torch.amp.GradScaler("cpu", **options), "..x....x"), rows)

# %% [markdown]
r"""
## In the learner

A callback puts the pieces in their places. The region is entered last before the
model and left behind it, and scores leave it in 32 bits, so that the loss is as
exact as ever. The loss is scaled when everybody else has seen it. The place of
the division is between two others: after the accumulation of batches, and before
the clipping.
"""


# %% Mixed precision in a learner tags=["export"]
def _widened(value: Any) -> Any:
    is_tensor = isinstance(value, Tensor)
    low = is_tensor and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if low else value


class MixedPrecision(Callback):
    """Runs the model in a low type; for float16 with a scaled loss.

    For learners whose `train_step` is the usual one. A step whose gradients
    are not finite is left out: `skipped` counts them.
    """

    order = 55  # after accumulation, before clipping
    shapes_step = True

    def __init__(
        self,
        dtype: torch.dtype = torch.bfloat16,
        scaler: GradScaler | None = None,
        device_type: str = "cpu",
    ):
        self.dtype, self.device_type, self.skipped = dtype, device_type, 0
        scales = {"device": device_type, "enabled": dtype == torch.float16}
        self.scaler = GradScaler(**scales) if scaler is None else scaler
        self.region: autocast | None = None


# %%
on = [MixedPrecision(dtype).scaler.is_enabled() for dtype in TYPES[1:]]
assert_equal(on, [True, False])


# %% Its region tags=["export"]
class MixedPrecision(MixedPrecision):
    def before_batch(self, run: Run) -> None:
        """Enter the region."""
        self.region = autocast(self.device_type, self.dtype)
        self.region.__enter__()

    def after_predict(self, run: Run) -> None:
        """Leave it, with scores in float32."""
        self._leave()
        run.prediction = map_batch(_widened, run.prediction)

    def _leave(self) -> None:
        region, self.region = self.region, None
        if region is not None:
            region.__exit__(None, None, None)

    def after_cancel_batch(self, run: Run) -> None:
        """Leave the region if the model did not get to its end."""
        self._leave()


# %% [markdown]
r"""
And the loss and the step:
"""


# %% Its loss and its step tags=["export"]
class MixedPrecision(MixedPrecision):
    def after_loss(self, run: Run) -> None:
        """Scale what is derived; `before_step` puts the loss back."""
        if run.training:
            self.loss, run.loss = run.loss, self.scaler.scale(run.loss)
            self.scaled = run.loss

    def before_step(self, run: Run) -> None:
        """Divide the gradients, and leave the step out if one is infinite."""
        run.loss = self.loss if run.loss is self.scaled else run.loss
        self.scaler.unscale_(run.optimizer)
        if self.scaler.found_inf(run.optimizer):
            self.skipped += 1
            run.optimizer.zero_grad()
            self.scaler.update()
            raise CancelBatch


# %% After the step tags=["export"]
class MixedPrecision(MixedPrecision):
    def after_step(self, run: Run) -> None:
        """Change the factor."""
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The factor's state, and what was left out."""
        return {"scaler": self.scaler.state_dict(), "skipped": self.skipped}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.skipped = state_dict["skipped"]
        self.scaler.load_state_dict(state_dict["scaler"])


# %% [markdown]
r"""
Four trainings of one network, one order, one start: in 32 bits, in each of the two
small types, and in `float16` with a factor that begins far too high.
"""


# %%
def trained(callbacks: list[Callback]) -> dict[str, float]:
    model = network()
    options = {"optim": AdamW, "lr": 0.003, "defaults": ()}
    learn = Learner(model, loader(3000, 100), callbacks=callbacks, **options)
    start = time.process_time()
    learn.fit(1)
    taken = time.process_time() - start
    held_out = TensorLoader(pictures[-2000:], kinds[-2000:], batch_size=500)
    loss = Learner(model, held_out, **options).evaluate(held_out)["loss"]
    assert_equal(next(model.parameters()).dtype, torch.float32)
    return {"loss": loss, "seconds": taken}


high = MixedPrecision(torch.float16, GradScaler("cpu", init_scale=2.0**40))
runs = {
    "float32": trained([]),
    "bfloat16": trained([MixedPrecision()]),
    "float16": trained([MixedPrecision(torch.float16)]),
    "float16, from $2^{40}$": trained([high]),
}
losses = [run["loss"] for run in runs.values()]
assert max(losses[:3]) - min(losses[:3]) < 0.1 and high.skipped > 5

# %% tags=["hide-input"]
base = runs["float32"]["seconds"]
lines = [
    f"| {name} | {run['loss']:.3f} | {run['seconds'] / base:.1f} |"
    for name, run in runs.items()
]
head = "| type | loss, held out | CPU time, as a multiple |\n"
Markdown(head + "| --- | --- | --- |\n" + "\n".join(lines))

# %% [markdown]
r"""
The three losses agree. The last training began by leaving steps out, one for each
halving, until the factor fitted:
"""

# %%
high.skipped, high.scaler.get_scale()

# %% [markdown]
r"""
And the time? The last column is of the processor that built this page. One without
units for products of 16 bits makes 32 of them and rounds back, at each operation,
and is slower for it. On such a machine this is of no use, but to learn how it
works. Where there are such units, in most graphics cards of these years, it is the
first lever that one pulls.

## Three ways to go wrong

**Clip, then unscale.** Two well-known programs did. The norm that is clipped is
$2^{16}$ times too large, so every gradient is cut down to `max_norm`, and then
divided: training goes on with gradients that are next to nothing. The norm that
clipping returns gives it away: it has to be the one that 32 bits give.
"""


# %%
def clipped_norm(unscale_first: bool) -> tuple[float, float]:
    """The norm that clipping sees, and that of the gradients after all."""
    model, scaler = network(), GradScaler("cpu")
    optimizer = SGD(model.parameters(), lr=0.1)
    scaler.scale(cross_entropy(model(pictures[:100]), kinds[:100])).backward()
    if unscale_first:
        scaler.unscale_(optimizer)
    seen = clip_grad_norm_(model.parameters(), 1.0).item()
    if not unscale_first:
        scaler.unscale_(optimizer)
    return seen, clip_grad_norm_(model.parameters(), 1e9).item()


model = network()
cross_entropy(model(pictures[:100]), kinds[:100]).backward()
expected = clip_grad_norm_(model.parameters(), 1.0).item()
good, bad = clipped_norm(True), clipped_norm(False)
assert_close(good[0], expected, rtol=1e-4)
assert_close(bad[0] / 2**16, expected, rtol=1e-4)
assert bad[1] < 1e-4
good, bad

# %% [markdown]
r"""
In the learner the order is the callbacks': clipping sees what it should, also when
batches are accumulated. (Accumulation multiplies each loss by its batch's size, so
its factor begins lower.)
"""

# %%
seen, scaler = [], GradScaler("cpu", init_scale=2.0**8)
for callbacks in ([], [MixedPrecision(torch.float16, scaler)]):
    clip = ClipGradient(1.0)
    learn = Learner(
        *(network(), loader(200, 100)),
        **{"optim": SGD, "lr": 0.0, "defaults": ()},
        callbacks=[clip, Accumulate(2), *callbacks],
    )
    learn.fit(1)
    seen.append(clip.norm.item())
assert_close(seen[1], seen[0], rtol=0.02)
seen

# %% [markdown]
r"""
**The count is not set back.** One published course counts on after an overflow.
The check is the trace: with an interval of three, after two good steps, a bad one
and another good one the factor must not have grown.
"""

# %%
factors = [
    factor for factor, _, _ in trace(GradScaler("cpu", **options), "..x.")
]
assert_equal(factors, [4.0, 4.0, 2.0, 2.0])

# %% [markdown]
r"""
**The copy is trained.** `model.half()` seems to be shorter than all of this. Its
weights then *are* 16 bits, and the steps fall between two numbers, as in the first
section. The check: after a step each parameter is `float32`, and has moved.
"""

# %%
torch.manual_seed(0)
moves = []
for dtype in (torch.float32, torch.bfloat16):
    weight = torch.nn.Parameter(torch.randn(1000).to(dtype))
    weight.grad = torch.ones_like(weight)
    before = weight.detach().clone()
    SGD([weight], lr=1e-4).step()
    moves.append((weight != before).float().mean().item())
assert moves[0] > 0.99 and moves[1] < 0.1
[round(share, 3) for share in moves]

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `autocast` | `training` | products in a low type, losses in 32 bits |
| `GradScaler` | `training` | a factor on the loss that finds itself |
| `MixedPrecision` | `training` | both in a learner, in the right order |

## Questions

:::{dropdown} Which of the two small types needs a scaled loss, and why?
`float16`: its exponent has five bits, and gradients of a millionth are common.
`bfloat16` has the exponent of `float32`.
:::

:::{dropdown} Why is the loss scaled, and not each gradient?
Gradients get lost on the way, from one activation to the next. A factor on the loss
is in all of them from the start; one on the weights' gradients comes too late.
:::

:::{dropdown} Why are powers of two good factors?
They change the exponent and leave the fraction: nothing is rounded, neither in the
multiplication nor in the division.
:::
"""

# %% tags=["answer"]
values = torch.randn(1000)
assert_equal((values * 2**16 / 2**16 == values).all().item(), True)
assert not (values * 60_000 / 60_000 == values).all()

# %% [markdown]
r"""
:::{dropdown} What does a skipped step cost?
One batch. At the start there may be several, one for each halving; later one in
2,000 steps, when the factor is tried at twice its size.
:::

:::{dropdown} Why does the sum inside of a product not get lost in 16 bits?
It is kept in 32 inside of the processor, and rounded once at its end.
:::

## Exercises

**1. The coarse sum.** Add ten thousand times 1 in each type, one after the other.
Where does each stop, and why there?
"""


# %% tags=["solution"]
def counted(dtype: torch.dtype) -> float:
    total = torch.zeros((), dtype=dtype)
    for _ in range(10_000):
        total += 1
    return total.item()


assert_equal(counted(torch.float32), 10_000.0)
assert_equal(counted(torch.float16), 2048.0)  # 2 ** 11: the next is 2050
assert_equal(counted(torch.bfloat16), 256.0)  # 2 ** 8

# %% [markdown]
r"""
**2. A seeded coin for the last bit.** *Stochastic rounding* goes up with a
probability that is the share of the way to the next number. Write it for
`bfloat16` and show that a thousand steps of 0.0001 now arrive, on average, without
master weights.
"""


# %% tags=["solution"]
def stochastic(x: Tensor, coins: torch.Generator) -> Tensor:
    """A float32 as a bfloat16, up or down by chance: the last 16 bits go."""
    noise = torch.randint(2**16, x.shape, generator=coins, dtype=torch.int32)
    return ((x.view(torch.int32) + noise) & -(2**16)).view(torch.float32)


coins = torch.Generator().manual_seed(0)
weights = torch.ones(2000)
for _ in range(1000):
    weights = stochastic(weights + 1e-4, coins)
assert_equal((weights.bfloat16().float() == weights).all().item(), True)
assert_close(weights.mean().item(), 1.1, atol=0.005)

# %% [markdown]
r"""
**3. The best factor.** Scan the factors from $2^0$ to $2^{40}$ for the gradients of
above: which share is lost at the lower end, and which at the upper one? Is
$2^{16}$ a good start?
"""

# %% tags=["solution"]
powers = range(0, 41, 4)
below = [flushed(grads, 2.0**power) for power in powers]
above = [(grads * 2.0**power).half().isinf().any().item() for power in powers]
fits = [p for p, b, a in zip(powers, below, above) if b < 1e-4 and not a]
assert 16 in fits and 0 not in fits and 40 not in fits

# %% [markdown]
r"""
With this the lists of part 4 are complete. What it has built can see, and part 5
lets it find, read, listen and write.
"""
