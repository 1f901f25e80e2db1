# %% [markdown] module="nn.module"
r"""
# nn.Linear, twice, and the square root of five

`nn.Linear` has been on loan since {doc}`/1_pixels/3_network`. It looks like a
matrix product with a bias, so it should take ten lines. The first ten lines
work, and learn badly. **What else is in a layer, and why is every bit of it
there?**

We write it twice. Between the two stands a listing with four bugs, found by
tests, and a constant, $\sqrt 5$, that looks like a bug and is not quite one.
Around the layer grows what every later layer needs: parameters that are found
by themselves, moved, saved, and loaded.

| name | shape | meaning |
| --- | --- | --- |
| `input` | `(*, in_features)` | any number of leading axes |
| `weight` | `(out_features, in_features)` | one row of weights for each output |
| `bias` | `(out_features,)` | or `None` |
"""

# %% Imports tags=["hide-input"]
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor
from torch.nn.functional import linear

from groundup.datasets import mnist
from groundup.nn import init
from groundup.nn.functional.activation import relu
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## A test bench

A layer is judged by what it learns. The task is all ten digits of MNIST, the
model a single layer from 784 pixels to 10 scores, batches of 64, a learning
rate of 0.02, one epoch. The loss is cross-entropy, which part 3 builds; here it
is on loan.
"""

# %% The bench loans="torch.nn.functional.cross_entropy" repaid="3_training/1_loss"
from torch.nn.functional import cross_entropy

images, digits = mnist()
x = images[:50_000].view(-1, 784).float() / 255
y = digits[:50_000]


def batches(seed: int = 0) -> Iterator[Tensor]:
    """The rows of each batch of one epoch, shuffled."""
    generator = torch.Generator().manual_seed(seed)
    yield from torch.randperm(len(x), generator=generator).split(64)


def train(
    forward: Callable, decayed: list, others: Iterable = (), decay: float = 1e-5
) -> list[float]:
    """One epoch; the loss of each batch without the decay's share."""
    params, losses = [*decayed, *others], []
    for rows in batches():
        loss = cross_entropy(forward(x[rows]), y[rows])
        penalty = sum((param**2).sum() for param in decayed)
        (loss + decay * penalty).backward()
        with torch.no_grad():
            for param in params:
                param -= 0.02 * param.grad
                param.grad = None
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
`train` adds the squares of the weights to the loss, times a small number. That
is {term}`weight decay` as the sources do it: large weights cost something, so
the descent keeps them small.

## The first version

A weight, a bias, a product. The weight has one row for each *output*, as in
torch, so the product takes its transpose.
"""


# %%
class Linear:
    def __init__(self, in_features: int, out_features: int):
        self.weight = torch.randn(out_features, in_features).requires_grad_()
        self.bias = torch.randn(out_features).requires_grad_()

    def forward(self, input: Tensor) -> Tensor:
        return input @ self.weight.T + self.bias


torch.manual_seed(0)
layer = Linear(784, 10)
first_losses = train(layer.forward, [layer.weight, layer.bias])
round(first_losses[0], 2), round(sum(first_losses[-50:]) / 50, 2)

# %% [markdown]
r"""
It learns. But ten digits guessed at random cost $\ln 10 = 2.30$, and this layer
*starts* far above that: with 784 weights of variance 1 its scores have a spread
near 9, and it is sure of wrong answers. After an epoch it has made up part of
what its first numbers cost. From {doc}`/2_backward/2_init` we know what to do
about it, but first the other parts of a layer.

## Parameters that are found

`train` had to be told what to train. In a network of a hundred layers nobody
wants to keep that list. So a parameter shall be a tensor of a type of its own,
and a {term}`module` something that can list the parameters it holds.
"""


# %% A parameter tags=["export"] module="nn.parameter" earns="torch.nn.Parameter"
"""Parameters: the tensors that training changes."""


class Parameter(torch.Tensor):
    """A tensor that training changes; any shape, found by its module."""

    _is_param = True  # so that isinstance(ours, torch.nn.Parameter) holds
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(
        cls, data: Tensor | None = None, requires_grad: bool = True
    ) -> "Parameter":
        data = torch.empty(0) if data is None else data
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict) -> "Parameter":
        if id(self) not in memo:
            data = self.detach().clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> tuple:
        return type(self), (self.detach(), self.requires_grad)

    def __repr__(self) -> str:
        data = self.detach().requires_grad_(self.requires_grad)
        return f"Parameter containing:\n{data!r}"


# %% [markdown]
r"""
A parameter *is* a tensor: `_make_subclass` puts another label on the same
memory. The line with `__torch_function__` says that results of operations are
plain tensors again; a sum of parameters is nothing to train. The rest makes
copies and pickles keep the label.
"""

# %%
weight = Parameter(torch.ones(2, 3))
type(weight), type(weight * 2), weight.requires_grad

# %% [markdown]
r"""
Now the module. Its attributes lie in a dictionary, `vars(self)`. Go through it:
what is a parameter is listed, and what is a module is asked for its own.
"""


# %%
class Small:
    def named_parameters(self, prefix: str = "") -> Iterator:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
            elif isinstance(value, Small):
                yield from value.named_parameters(f"{prefix}{name}.")

    def __call__(self, input: Tensor) -> Tensor:
        return self.forward(input)


class Product(Small):
    def __init__(self, d_in: int, d_out: int):
        self.weight = Parameter(torch.randn(d_out, d_in) / math.sqrt(d_in))

    def forward(self, input: Tensor) -> Tensor:
        return input @ self.weight.T


class Network(Small):
    def __init__(self):
        self.hidden, self.output = Product(784, 50), Product(50, 10)

    def forward(self, input: Tensor) -> Tensor:
        return self.output(relu(self.hidden(input)))


# %%
torch.manual_seed(0)
network = Network()
listed = dict(network.named_parameters())
listed_losses = train(network, list(listed.values()))
assert sum(listed_losses[-50:]) < sum(listed_losses[:50])
{name: tuple(param.shape) for name, param in listed.items()}

# %% [markdown]
r"""
Nobody told `train` what to train, and the names say where each parameter lives.
That is the whole idea of a module, in ten lines. What follows is what use has
asked of it since: tensors that are saved but not trained, a weight that two
places share and that counts once, saving and loading, moving to a device,
hooks, and torch's name for each.

Torch keeps parameters, buffers and children in three dictionaries, and meets
every look-up of `self.weight` with a function that searches them. Ours stay
where Python puts them, so an attribute is just an attribute. We write the
module in three steps, each a class on top of the last: what it *holds*, how
that is *saved*, and how it is *used*.
"""


# %% What a module holds tags=["export"] module="nn.tree" namespace=true
"""What a module holds, listed, saved and loaded by name."""


class Tree:
    """What a module holds: parameters, buffers and modules, by name."""

    # empty and shared until an instance registers a buffer: name -> persistent
    _buffers: Mapping[str, bool] = MappingProxyType({})

    def named_children(self) -> Iterator[tuple[str, "Tree"]]:
        """The modules held directly, each once."""
        seen = set()
        for name, value in vars(self).items():
            if isinstance(value, Tree) and value not in seen:
                seen.add(value)
                yield name, value

    def named_modules(
        self,
        memo: set | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, "Tree"]]:
        """This module and all below it, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in list(vars(self).items()):
            if isinstance(child, Tree):
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, torch.nn.Parameter):  # ours, or torch's
                yield name, value

    def _own_buffers(self) -> Iterator[tuple[str, Tensor]]:
        for name in self._buffers:
            if vars(self)[name] is not None:
                yield name, vars(self)[name]


# %% [markdown]
r"""
`vars(self)` keeps the order in which things were assigned, so parameters come
out in the order in which `__init__` made them. A *buffer* is a tensor that
belongs to the module and is saved with it but not trained, such as a running
mean. Only its name needs a note, since a tensor alone does not tell.

Everything that can be listed is listed below the module too, with dotted names,
each object once even if two places share it.
"""


# %% Listing it tags=["export"] module="nn.tree"
class Listing(Tree):
    """Iterators over everything a module holds, itself and below."""

    def _named(
        self, own: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        tree = self.named_modules(None, prefix, remove_duplicate)
        for path, module in tree if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, own)():
                if not (remove_duplicate and tensor in seen):
                    seen.add(tensor)
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(
        self,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Parameter]]:
        """Dotted names and parameters, each parameter once."""
        return self._named("_own_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(
        self,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Tensor]]:
        """Dotted names and buffers, each buffer once."""
        return self._named("_own_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimiser is given."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Tensors that are saved and moved, but not trained."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def children(self) -> Iterator["Tree"]:
        """The modules held directly, each once."""
        return (child for _, child in self.named_children())

    def modules(self) -> Iterator["Tree"]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())


# %% [markdown]
r"""
## Saving and loading

A {term}`state dict` is a plain dictionary from dotted names to tensors. It is
how weights travel: to a file, to another machine, from torch to us and back.
Loading is where mistakes happen, so it checks every name and every shape
*before* it copies the first number. What cannot be loaded whole is not loaded
at all.
"""


# %% Saving tags=["export"] module="nn.tree"
class Saving(Listing):
    """State dicts: tensors by dotted name, out of a module and into it."""

    def state_dict(
        self,
        *,
        destination: dict | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """Every parameter and persistent buffer; the memory is shared."""
        state = {} if destination is None else destination
        for name, tensor in self._own_state():
            state[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, child in vars(self).items():
            if isinstance(child, Tree):
                path = f"{prefix}{name}."
                child.state_dict(
                    destination=state, prefix=path, keep_vars=keep_vars
                )
        return state

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        buffers = self._own_buffers()
        saved = (
            (name, tensor) for name, tensor in buffers if self._buffers[name]
        )
        return chain(self._own_parameters(), saved)

    def load_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        strict: bool = True,
        assign: bool = False,
    ) -> "LoadedKeys":
        """Copy the tensors in, all or none; `assign` keeps theirs instead.

        Raises RuntimeError for a shape that differs, with both shapes, and
        when `strict` for names that are missing or unexpected.
        """
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        errors = _shape_errors(own, state_dict)
        if strict and unexpected:
            errors.append(
                f"Unexpected key(s) in state_dict: {_listed(unexpected)}"
            )
        if strict and missing:
            errors.append(f"Missing key(s) in state_dict: {_listed(missing)}")
        if errors:
            name = type(self).__name__
            lines = "\n\t".join(
                [f"Error(s) in loading state_dict for {name}:", *errors]
            )
            raise RuntimeError(lines)
        for name in own.keys() & state_dict.keys():
            self._load(name, state_dict[name], assign)
        return LoadedKeys(missing, unexpected)


# %% tags=["export"] module="nn.tree"
class LoadedKeys(NamedTuple):
    """What `load_state_dict(strict=False)` left out, on either side."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _shape_errors(own: Mapping, given: Mapping) -> list[str]:
    return [
        f"size mismatch for {name}: {tuple(given[name].shape)} in the state "
        f"dict, {tuple(tensor.shape)} in the module"
        for name, tensor in own.items()
        if name in given and given[name].shape != tensor.shape
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) + "."


# %% [markdown]
r"""
## Being used

What remains is what one does with a module: register things under a name that
is only known at run time, call it, move it to another type or device, switch it
between training and evaluation, print it.
"""


# %% Names known at run time tags=["export"]
"""Modules: register, look up, move, switch and call."""


class _Registry(Saving):
    """Registering and looking up by name, and refusing what would be lost."""

    def __setattr__(self, name: str, value: object) -> None:
        old = vars(self).get(name)
        for kind, what in (
            (torch.nn.Parameter, "parameter"),
            (Module, "child module"),
        ):
            if isinstance(old, kind) and not isinstance(value, kind | None):
                given = type(value).__name__
                raise TypeError(f"cannot assign {given} as {what} {name!r}")
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold a parameter, or None: a parameter that is known to be absent."""
        if not isinstance(param, torch.nn.Parameter | None):
            raise TypeError(
                f"cannot assign {type(param).__name__} as parameter {name!r}"
            )
        held = isinstance(vars(self).get(name), torch.nn.Parameter)
        self._register(name, param, held)

    def register_module(self, name: str, module: "Module | None") -> None:
        """Hold a module under a name."""
        if not isinstance(module, Module | None):
            raise TypeError(f"{type(module).__name__} is not a Module")
        self._register(name, module, isinstance(vars(self).get(name), Module))

    add_module = register_module

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Hold a tensor that is moved, and saved if persistent: not trained."""
        if not isinstance(tensor, Tensor | None):
            raise TypeError(
                f"cannot assign {type(tensor).__name__} as buffer {name!r}"
            )
        self._register(name, tensor, name in self._buffers)
        self._buffers = {**self._buffers, name: persistent}

    def _register(self, name: str, value: object, held: bool) -> None:
        if "." in name or not name:
            raise KeyError(
                f'a name is not empty and holds no ".", got {name!r}'
            )
        if hasattr(self, name) and vars(self).get(name, name) is not None:
            if not held:
                raise KeyError(f"attribute {name!r} already exists")
        setattr(self, name, value)


# %% [markdown]
r"""
A parameter that is overwritten by a plain tensor would vanish from every list
without a word, so `__setattr__` refuses it. Other attributes pass at the price
of one look-up. The inverse of a listing is a look-up by dotted name:
"""


# %% Names with dots tags=["export"]
class _Lookup(_Registry):
    """Finding what a dotted name stands for."""

    def get_submodule(self, target: str) -> "Module":
        """The module at a dotted name; the empty name is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            module = vars(module).get(name)
            if not isinstance(module, Module):
                raise AttributeError(
                    f"no module at {target!r}: {name!r} is none"
                )
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        return self._get(target, "_own_parameters")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
        return self._get(target, "_own_buffers")

    def _get(self, target: str, own: str) -> Any:
        path, _, name = target.rpartition(".")
        held = dict(getattr(self.get_submodule(path), own)())
        if name not in held:
            what = own.removeprefix("_own_")
            raise AttributeError(
                f"{target!r} is not one of {what} {list(held)}"
            )
        return held[name]

    def _load(self, target: str, value: Tensor, assign: bool) -> None:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        old = vars(module)[name]
        if not assign:
            with torch.no_grad():
                old.copy_(value)
        elif isinstance(old, Parameter):
            setattr(module, name, Parameter(value, old.requires_grad))
        else:
            setattr(module, name, value)


# %% [markdown]
r"""
Moving a module to another type or device must leave the *parameter objects* as
they are, since an optimiser holds them; so their data is exchanged inside them.
Only tensors without memory, on torch's `meta` device, have to be replaced.
"""


# %% Moving tags=["export"]
class _Moving(_Lookup):
    """Everything that is done to all tensors, or all modules, at once."""

    def apply(self, fn: Callable[["Module"], Any]) -> "Module":
        """Call `fn` on every module, the children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _convert(self, fn: Callable[[Tensor], Tensor]) -> "Module":
        made = {}  # a shared parameter stays shared
        for module in self.modules():
            for name, param in list(module._own_parameters()):
                if param not in made:
                    made[param] = _converted(param, fn)
                setattr(module, name, made[param])
            for name, buffer in module._own_buffers():
                setattr(module, name, fn(buffer))
        return self

    def to(
        self,
        *target: torch.device | torch.dtype | str | int | Tensor,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
        memory_format: torch.memory_format | None = None,
    ) -> "Module":
        """Move to a device, a floating-point type, or those of a tensor."""
        for item in target:
            if isinstance(item, Tensor):
                device, dtype = item.device, item.dtype
            elif isinstance(item, torch.dtype):
                dtype = item
            else:
                device = item
        if dtype and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"a module is of a floating-point type, not {dtype}"
            )

        def move(tensor: Tensor) -> Tensor:
            kind = dtype if tensor.is_floating_point() else None
            layout = memory_format if tensor.dim() in (4, 5) else None
            layout = {} if layout is None else {"memory_format": layout}
            return tensor.to(device, kind, non_blocking, **layout)

        return self._convert(move)

    def cpu(self) -> "Module":
        """Move to the processor's memory."""
        return self.to("cpu")

    def cuda(self, device: int | str | None = None) -> "Module":
        """Move to a CUDA device, the current one by default."""
        return self.to(
            torch.device("cuda", device) if device is not None else "cuda"
        )

    def float(self) -> "Module":
        """Convert to float32."""
        return self.to(torch.float32)

    def double(self) -> "Module":
        """Convert to float64."""
        return self.to(torch.float64)

    def half(self) -> "Module":
        """Convert to float16."""
        return self.to(torch.float16)

    def bfloat16(self) -> "Module":
        """Convert to bfloat16."""
        return self.to(torch.bfloat16)


# %% tags=["export"]
def _converted(param: Parameter, fn: Callable[[Tensor], Tensor]) -> Parameter:
    """The same object with other data, or a new one where it must be."""
    with torch.no_grad():
        data = fn(param)
        grad, param.grad = param.grad, None
    if data.is_meta == param.is_meta:
        param.data = data
    else:
        param = Parameter(data, param.requires_grad)
    param.grad = None if grad is None else fn(grad)
    return param


# %% [markdown]
r"""
Two switches for training: `training`, which layers such as dropout will ask
for, and `requires_grad`.
"""


# %% Training and evaluation tags=["export"]
class _Modes(_Moving):
    """Switches for training."""

    training: bool = True

    def train(self, mode: bool = True) -> "Module":
        """Set `training` here and below."""
        if not isinstance(mode, bool):
            raise ValueError(
                f"training mode is expected to be boolean, got {mode}"
            )
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Set `training` to False here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Train the parameters here and below, or freeze them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for param in self.parameters():
            if set_to_none or param.grad is None:
                param.grad = None
            else:
                param.grad = torch.zeros_like(param.grad)


# %% [markdown]
r"""
And at the top the class that everyone inherits from. It adds what a module is
for, the call.
"""


# %% Calling tags=["export"] earns="torch.nn.Module"
class Module(_Modes):
    """The base of layers and models: define `forward`, call the module."""

    _pre_hooks: Mapping["Handle", tuple] = MappingProxyType({})
    _hooks: Mapping["Handle", tuple] = MappingProxyType({})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        name = type(self).__name__
        raise NotImplementedError(
            f'Module [{name}] is missing the "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._pre_hooks or self._hooks:
            return _call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def register_forward_pre_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> "Handle":
        """Call `hook(module, args)` before `forward`; it may replace args."""
        return Handle(self, "_pre_hooks", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> "Handle":
        """Call `hook(module, args, output)` after; it may replace output."""
        return Handle(self, "_hooks", (hook, with_kwargs), prepend)

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def __repr__(self) -> str:
        children = [
            f"({name}): {child!r}"
            for name, child in vars(self).items()
            if isinstance(child, Module)
        ]
        return show_tree(type(self).__name__, self.extra_repr(), children)


# %% tags=["export"]
class Handle:
    """A registered hook: `remove` it, or use it in a `with` statement."""

    def __init__(self, module: Module, kind: str, hook: tuple, first: bool):
        self.module, self.kind = module, kind
        held, own = getattr(module, kind), {self: hook}
        setattr(module, kind, {**own, **held} if first else {**held, **own})

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        held = getattr(self.module, self.kind)
        rest = {key: hook for key, hook in held.items() if key is not self}
        setattr(self.module, self.kind, rest)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _call_with_hooks(module: Module, args: tuple, kwargs: dict) -> Any:
    for hook, with_kwargs in tuple(module._pre_hooks.values()):
        if with_kwargs:
            args, kwargs = hook(module, args, kwargs) or (args, kwargs)
        elif (changed := hook(module, args)) is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    output = module.forward(*args, **kwargs)
    for hook, with_kwargs in tuple(module._hooks.values()):
        given = (args, kwargs, output) if with_kwargs else (args, output)
        changed = hook(module, *given)
        output = output if changed is None else changed
    return output


def show_tree(name: str, extra: str, children: list[str]) -> str:
    """A module as text, what it holds indented below it."""
    lines = ([extra] if extra else []) + children
    if not children:
        return f"{name}({extra})"
    body = "\n".join(lines).replace("\n", "\n  ")
    return f"{name}(\n  {body}\n)"


# %% [markdown]
r"""
A call without hooks costs one test and one function call. With hooks, a
function may look at, or replace, what goes into a module and what comes out;
{doc}`/1_pixels/3_network` needed none of that, the part on training will.

No part of this has an `__init__`. A module whose author forgets
`super().__init__()` works, since there is nothing there to forget.
"""


# %%
class Pair(Module):
    def __init__(self):
        self.scale = Parameter(torch.ones(3))
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, input: Tensor) -> Tensor:
        return (input - self.mean) * self.scale


class Outer(Module):
    def __init__(self):
        self.inner = Pair()
        self.shift = Parameter(torch.zeros(3))


outer = Outer()
[name for name, _ in outer.named_parameters()], list(outer.state_dict())

# %%
outer


# %%
def error_of(call: Callable[[], object]) -> str:
    try:
        return f"no error, but {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


wrong = {"shift": torch.zeros(4), "inner.scal": torch.ones(3)}
error_of(lambda: outer.load_state_dict(wrong)).splitlines()

# %% [markdown]
r"""
Both shapes, and every name that does not fit, in one message. What a plain list
holds is *not* found, here as in torch, and the source's first `Model` fell into
that trap:
"""


# %%
class Listed(Module):
    def __init__(self):
        self.layers = [Pair(), Pair()]


list(Listed().parameters())

# %% [markdown]
r"""
## The second version, with four bugs

The source's second version is right in its parts and wrong in its final
listing. Here are its four mistakes in our words, each with the test that finds
it. A layer that has never been called is not finished.
"""


# %% Four bugs
class Buggy(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features = in_features
        self.bias = bias
        self.weight = Parameter(torch.ones(out_features, in_features))
        if bias:
            self.bias = Parameter(torch.zeros(out_features))
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        n, width = input.shape
        if width != self.in_features:
            print(f"Wrong Input Features: expected {self.in_features}")
            return 0
        return input @ weight_.T + self.bias


# %% One call each
[
    error_of(lambda: Buggy(3, 2).forward(torch.ones(1, 3))),
    error_of(lambda: Buggy(3, 2, bias=False)),
    error_of(lambda: Buggy(3, 2).forward(torch.ones(1, 4))),
    error_of(lambda: Buggy(3, 2).forward(torch.ones(3))),
]

# %% [markdown]
r"""
1. The product uses a bare name where it means `self.weight`: `NameError` at the
   first call.
2. `self.bias = bias` stores the flag, so that the name is taken when
   `register_parameter` wants it: `KeyError`, but only for `bias=False`, which
   nobody had tried.
3. A wrong width prints a line and returns 0, which is a number like any other.
   The error surfaces somewhere else, or never.
4. `n, width = input.shape` admits two axes and no other number.

## The second version

All of it is in {term}`fan-in`: how many numbers are added up for one output.
{doc}`/2_backward/2_init` built the initialiser. It also earned torch's
`linear`, which adds the bias within the product, as in
{doc}`/2_backward/4_layers`: one kernel, and one step of the backward pass less.
"""


# %% The layer tags=["export"] module="nn.linear" earns="torch.nn.Linear"
"""The linear layer."""


class Linear(Module):
    """An affine map of the last axis: (*, in_features) -> (*, out_features).

    Initialised as torch does it: weight and bias uniform between plus and
    minus 1 / sqrt(in_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        like = {"device": device, "dtype": dtype}
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(torch.empty(out_features, in_features, **like))
        self.bias = (
            Parameter(torch.empty(out_features, **like)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The weighted sums of the features, plus the bias."""
        if input.shape[-1:] != (self.in_features,):
            given, own = tuple(input.shape), tuple(self.weight.shape)
            raise RuntimeError(
                f"expected {self.in_features} features in the last axis: "
                f"input {given}, weight {own}"
            )
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        n, m = self.in_features, self.out_features
        return (
            f"in_features={n}, out_features={m}, bias={self.bias is not None}"
        )


# %% [markdown]
r"""
Three decisions are hidden in there. `bias` is only ever a parameter or `None`.
The wrong width raises, with both shapes. And `reset_parameters` stands apart
from `__init__`, so that a layer can be drawn anew. The bench again, for both
versions:
"""

# %%
torch.manual_seed(0)
second = Linear(784, 10)
second_losses = train(second, list(second.parameters()))
[round(loss, 2) for loss in (first_losses[0], second_losses[0], math.log(10))]

# %% alt="The loss over the batches of one epoch for both versions, each point a mean of twenty. The first version starts above 10 and is still above 2 at the end; the second starts at 2.3 and ends near 0.5." tags=["hide-input"]


def smooth(values: list[float], width: int = 20) -> Tensor:
    whole = len(values) // width * width
    return torch.tensor(values[:whole]).view(-1, width).mean(1)


middles = range(10, len(first_losses) - 10, 20)
plt.semilogy(middles, smooth(first_losses), "C1", label="first version")
plt.semilogy(middles, smooth(second_losses), "C0", label="second version")
plt.axhline(math.log(10), color="0.5", ls="--", label="guessing")
plt.xlabel("batch")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
first_end, second_end = (
    sum(ls[-50:]) / 50 for ls in (first_losses, second_losses)
)
assert second_end < 0.55 < 2 * second_end < first_end
round(first_end, 2), round(second_end, 2)

# %% [markdown]
r"""
The source saw 2.5 and 0.5 after its epoch. The difference between the versions
is nothing but where they start.

## Does the bias decay?

`train` penalised the bias too, as the source does. The bias does not multiply
anything, so a large one makes no output steeper, and common advice leaves it
out. With the source's $10^{-5}$ that is hard to see, so try more as well.
"""

# %% limit=120
decays, ends = (0.0, 1e-5, 1e-2), {}
for decay in decays:
    for with_bias in (True, False):
        torch.manual_seed(0)
        model = Linear(784, 10)
        decayed = [model.weight, model.bias] if with_bias else [model.weight]
        others = [] if with_bias else [model.bias]
        losses = train(model, decayed, others, decay)
        norm = (model.weight.detach() ** 2).sum().item()
        ends[decay, with_bias] = sum(losses[-50:]) / 50, norm

# %% tags=["remove-input"]
rows = [
    f"| {decay:g} | {'weights and bias' if with_bias else 'weights only'} "
    f"| {loss:.4f} | {norm:.2f} |"
    for (decay, with_bias), (loss, norm) in ends.items()
]
head = "| decay | of | loss at the end | sum of the squared weights |"
Markdown("\n".join([head, "| --: | --- | --: | --: |", *rows]))

# %%
gaps = [abs(ends[d, True][0] - ends[d, False][0]) for d in decays]
assert max(gaps) < 0.02
assert ends[1e-2, True][1] < 0.8 * ends[0.0, True][1]
f"{max(gaps):.4f}"

# %% [markdown]
r"""
That is the largest difference that the bias makes to the loss, at any strength.
What the decay does, it does to the weights. So the advice is harmless here, and
worth nothing here.

## Why the square root of five

Torch initialises the weight by `kaiming_uniform_(weight, a=math.sqrt(5))`. In
{doc}`/2_backward/2_init` the argument `a` was the slope of a leaky ReLU for
negative numbers. Nobody has a slope of 2.24. Follow the number through:
Kaiming's gain for a slope $a$ is $\sqrt{2 / (1 + a^2)}$, and a uniform
distribution with deviation $s$ reaches to $\pm\sqrt 3\, s$. So the bound is

$$\sqrt{3} \cdot \sqrt{\frac{2}{1 + 5}} \cdot \frac{1}{\sqrt{n_\text{in}}} = \frac{1}{\sqrt{n_\text{in}}}.$$

The 5 was chosen so that everything cancels. What remains is the rule of the
first Torch, weights between $\pm 1/\sqrt{n_\text{in}}$, written in the
vocabulary of a newer paper. The bias has the same bound.
"""

# %%
weight = init.kaiming_uniform_(torch.empty(300, 784), a=math.sqrt(5))
[28 * each for each in (weight.min(), weight.max(), weight.std())]

# %% [markdown]
r"""
But the deviation of such weights is $1/\sqrt{3 n_\text{in}}$, so a linear layer
makes the variance of its input a third, and with a ReLU behind it a sixth. Ten
layers deep that is a factor of 60 million. The source says that this
initialisation keeps the variance, and draws from a normal distribution. It does
neither.
"""

# %%
torch.manual_seed(0)
gains = {"sqrt 5": math.sqrt(5), "Kaiming, a=0": 0.0}
stds = {name: [1.0] for name in gains}
for name, a in gains.items():
    signal = torch.randn(512, 256)
    for _ in range(20):
        weight = init.kaiming_uniform_(torch.empty(256, 256), a=a)
        signal = relu(linear(signal, weight))
        stds[name].append((signal**2).mean().sqrt().item())

# %% alt="Size of the signal after each of twenty layers with ReLU, on a logarithmic axis. With a = sqrt 5 it falls on a straight line to about a hundred-millionth; with a = 0 it stays near 1." tags=["hide-input"]
for i, (name, sizes) in enumerate(stds.items()):
    plt.semilogy(sizes, ".-", color=f"C{1 - i}", label=name)
plt.xticks(range(0, 21, 5))
plt.xlabel("layer")
plt.ylabel("root mean square of the signal")
plt.legend()
plt.show()

# %%
shrink = (stds["sqrt 5"][-1] / stds["sqrt 5"][0]) ** (1 / 20)
assert abs(shrink - 1 / math.sqrt(6)) < 0.02
assert 0.4 < stds["Kaiming, a=0"][-1] < 2.5
round(shrink, 3), round(1 / math.sqrt(6), 3)

# %% [markdown]
r"""
For one layer a third is harmless, and a smaller start is often a safe start.
For deep networks somebody has to make up for it: a normalisation layer, or an
explicit initialisation. `Linear` keeps torch's choice, because code written for
torch counts on it.

## One after the other

Layers are held in order. `Sequential` calls them, `ModuleList` only holds them,
so that they are found.
"""


# %% What both share tags=["export"] module="nn.container"
"""Modules that hold modules in order."""


class _Indexed(Module):
    """Children in order, named "0", "1", ..., used like a list."""

    def _names(self) -> list[str]:
        return [k for k, held in vars(self).items() if isinstance(held, Module)]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return iter([m for m in vars(self).values() if isinstance(m, Module)])

    def __getitem__(self, index: int | slice) -> Any:
        names = self._names()[index]
        if isinstance(names, str):
            return vars(self)[names]
        return type(self)._of({name: vars(self)[name] for name in names})

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._names()[index], module)

    def __delitem__(self, index: int | slice) -> None:
        children = list(self)
        del children[index]
        self._renew(children)

    def _renew(self, children: Iterable[Module]) -> None:
        for name in self._names():
            delattr(self, name)
        self.extend(children)

    def append(self, module: Module) -> "_Indexed":
        """Add a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> "_Indexed":
        """Add modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before the one at `index`."""
        children = list(self)
        children.insert(index, module)
        self._renew(children)

    def pop(self, index: int = -1) -> Module:
        """Take a module out."""
        module = self[index]
        del self[index]
        return module


# %% The two containers tags=["export"] module="nn.container" earns="torch.nn.Sequential torch.nn.ModuleList"
class Sequential(_Indexed):
    """Call modules one after the other, each on the output of the last.

    Takes modules, or one dictionary of modules by name.
    """

    def __init__(self, *args: Module | Mapping[str, Module]):
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.register_module(name, module)
        else:
            self.extend(args)

    @classmethod
    def _of(cls, children: Mapping[str, Module]) -> "Sequential":
        return cls(children)

    def forward(self, input: Any) -> Any:
        """The output of the last module."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Indexed):
    """Hold modules so that they are found; calling it is an error."""

    def __init__(self, modules: Iterable[Module] | None = None):
        self.extend(modules or ())

    @classmethod
    def _of(cls, children: Mapping[str, Module]) -> "ModuleList":
        return cls(children.values())

    def __iadd__(self, modules: Iterable[Module]) -> "ModuleList":
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> "ModuleList":
        return ModuleList(chain(self, modules))

    def __repr__(self) -> str:
        lines, start = [], 0
        for text, group in groupby(map(repr, self)):
            n = len(list(group))
            if n == 1:
                lines.append(f"({start}): {text}")
            else:
                lines.append(f"({start}-{start + n - 1}): {n} x {text}")
            start += n
        return show_tree(type(self).__name__, self.extra_repr(), lines)


# %% Activations as modules tags=["export"] module="nn.activation" earns="torch.nn.ReLU"
"""Activation functions as modules."""


class ReLU(Module):
    """Negative elements become zero: any shape."""

    def __init__(self, inplace: bool = False):
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """max(0, input)."""
        return relu(input, self.inplace)

    def extra_repr(self) -> str:
        """The flag, as torch prints it."""
        return "inplace=True" if self.inplace else ""


# %% [markdown]
r"""
The network of the sources, in three modules:
"""

# %%
torch.manual_seed(0)
net = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
net

# %%
net_losses = train(net, list(net.parameters()))
round(sum(net_losses[-50:]) / 50, 2)

# %% [markdown]
r"""
## The real one

The names, the shapes and the random numbers are torch's, so weights go back and
forth, and a layer drawn from the same seed is the same layer.
"""

# %% tags=["reference"]
theirs = torch.nn.Sequential(
    torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10)
)
theirs.load_state_dict(net.state_dict())
assert_close(theirs(x[:64]), net(x[:64]))
net.load_state_dict(theirs.state_dict())

# %% tags=["reference"]
torch.manual_seed(1)
ours = Linear(784, 10)
torch.manual_seed(1)
assert_equal(torch.nn.Linear(784, 10).weight.detach(), ours.weight.detach())

# %%
doubled = copy.deepcopy(net).double()
doubled(x[:2].double()).dtype, net(x[:0]).shape

# %% [markdown]
r"""
What does a plain module buy? The call of a module, with nothing in it, beside
torch's, in one run:
"""

# %% tags=["hide-input", "reference"]
from timeit import repeat


class Ours(Module):
    def forward(self, input: Tensor) -> Tensor:
        return input


class Theirs(torch.nn.Module):
    def forward(self, input: Tensor) -> Tensor:
        return input


times = {
    kind.__name__: min(
        repeat(lambda m=kind(): m(None), number=20_000, repeat=7)
    )
    for kind in (Ours, Theirs)
}
round(times["Ours"] / times["Theirs"], 2)

# %% [markdown]
r"""
## What we built

* `Parameter` (`nn.parameter`): what is trained.
* `Module` (`nn.module`, its listing and saving in `nn.tree`): what holds, finds,
  moves, saves and loads it.
* `Linear` (`nn.linear`): the layer, with torch's numbers and an error that
  shows both shapes.
* `Sequential`, `ModuleList` (`nn.container`), `ReLU` (`nn.activation`).

## Questions

:::{dropdown} Why is the weight stored as (out_features, in_features)?
Each row holds the weights of one output, so the row lies together in memory.
The product then takes the transpose, which costs nothing: it is a change of
strides.
:::

:::{dropdown} Why is a parameter not just any tensor that requires a gradient?
A module also holds tensors that are not to be trained. The type says which are,
so that `parameters()` needs no list.
:::

:::{dropdown} Why does a plain list of layers train nothing?
The module looks at its attributes. A list is one attribute that is neither a
parameter nor a module.
:::

:::{dropdown} What is the use of `register_parameter("bias", None)`?
It records that the name exists and is empty, so that `self.bias is None` can be
asked, and no state dict mentions it.
:::

:::{dropdown} What does √5 have to do with leaky ReLU?
Nothing. It is the slope for which Kaiming's formula gives the bound
$1/\sqrt{n_\text{in}}$.
:::

:::{dropdown} What is lost if `load_state_dict` copies before it has checked everything?
A failure half-way leaves a model that is neither the old one nor the new one.
:::

## Exercises

**1.** Write `Embedding(n, d)`, whose `forward` picks rows of its weight. Which
of the methods above do you need to change?
"""


# %% tags=["solution"]
class Embedding(Module):
    def __init__(self, n: int, d: int):
        self.weight = Parameter(torch.randn(n, d))

    def forward(self, input: Tensor) -> Tensor:
        return self.weight[input]


embedding = Embedding(10, 4)  # none of them: it is found, saved and moved
assert_equal(list(embedding.state_dict()), ["weight"])
assert_equal(tuple(embedding(digits[:5]).shape), (5, 4))

# %% [markdown]
r"""
**2.** Mend the four bugs of `Buggy` and nothing else, and show that each is
gone.
"""


# %% tags=["solution"]
class Mended(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features = in_features
        self.weight = Parameter(torch.ones(out_features, in_features))
        self.bias = Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.in_features:
            raise ValueError(f"expected {self.in_features}, got {input.shape}")
        output = input @ self.weight.T
        return output if self.bias is None else output + self.bias


assert_equal(Mended(3, 2)(torch.ones(3)).tolist(), [3.0, 3.0])
assert_equal(Mended(3, 2, bias=False)(torch.ones(1, 3)).tolist(), [[3.0, 3.0]])
try:
    Mended(3, 2)(torch.ones(1, 4))
except ValueError as error:
    assert "3" in str(error) and "4" in str(error)
else:
    raise AssertionError("a wrong width must raise")

# %% [markdown]
r"""
**3.** For which `a` does `kaiming_uniform_` keep the variance of a *linear*
layer, without any ReLU?
"""

# %% tags=["solution"]
# a gain of 1: 2 / (1 + a * a) = 1
signal = torch.randn(4096, 256)
weight = init.kaiming_uniform_(torch.empty(256, 256), a=1.0)
assert abs(linear(signal, weight).std().item() - 1) < 0.05

# %% [markdown]
r"""
**4.** Two layers may share one parameter. How often does `parameters()` list
it, how often does `state_dict()`, and why?
"""

# %% tags=["solution"]
tied = Sequential(Linear(4, 4), Linear(4, 4))
tied[1].weight = tied[0].weight
# an optimiser must step it once; a file must answer for both names
assert_equal(len(list(tied.parameters())), 3)
assert_equal(len(tied.state_dict()), 4)

# %% [markdown]
r"""
Every loan of the first part that concerned the inside of a network is repaid.
What is still borrowed is the training around it, and that is part 3.
"""
