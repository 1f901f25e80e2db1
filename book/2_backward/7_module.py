# %% [markdown] module="nn.module" starred=true
r"""
# Module, finished

This chapter finishes what {doc}`/2_backward/6_linear` began: the `Module` of
the library, to the corners of torch's. You may go on without it: a chapter that
uses more than a call and `parameters()` says what it uses.

**What has use asked of a module, since it could find its parameters?** Tensors
that are saved but not trained. A weight that two places share and that counts
once. Saving and loading, all or nothing. Moving to a device under an
optimiser's feet. Functions that listen in. And layers of torch's among ours.

| word | meaning |
| --- | --- |
| parameter | a tensor that training changes |
| buffer | a tensor that belongs to the module but is not trained |
| child | a module held by a module, ours or torch's |
| kind | which of the three a name stands for |
"""

# %% Imports tags=["hide-input"]
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain, groupby
from math import sqrt
from operator import methodcaller
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import linear

from groundup.nn import init
from groundup.nn.functional.activation import relu
from groundup.nn.parameter import Parameter
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## What it is

The promise is as small as before: define `forward`, call the module. `training`
is a switch for later, and there is no `__init__`, so there is nothing that a
subclass could forget to call.
"""


# %% The promise tags=["export"] earns="torch.nn.Module"
"""Modules: they hold, find, save, load and move the parts of a model."""


class Module:
    """The base of layers and models: define `forward`, call the module.

    What it holds are attributes like any other; torch's modules may be
    among them.
    """

    training: bool = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")


# %% [markdown]
r"""
## What it holds

Whatever a module holds is an attribute like any other, and lies in
`vars(self)`. A parameter and a child are known by their type. Two things are
not: a plain tensor may be a buffer or nothing of ours, and `None` may stand for
anything. For those the name is noted, with its kind. The notes are empty, and
shared by all modules, until one needs its own.
"""


# %% Kinds tags=["export"]
class Module(Module):
    _kinds: Mapping[str, str] = MappingProxyType({})  # of buffers and of None
    _unsaved: frozenset[str] = frozenset()  # buffers that no file keeps

    def _kind(self, name: str) -> str | None:
        value = vars(self).get(name)
        if isinstance(value, (Module, torch.nn.Module)):
            return "child module"
        if isinstance(value, torch.nn.Parameter):  # ours, or torch's
            return "parameter"
        return self._kinds.get(name)

    def _held(self, kind: str) -> Iterator[tuple[str, Any]]:
        held, types = vars(self), _types(kind)
        if kind == "buffer":  # known by its note alone
            own = [name for name in self._kinds if self._kind(name) == kind]
            held = {name: held.get(name) for name in own}
        for name, value in held.items():
            if isinstance(value, types):
                yield name, value


def _types(kind: str) -> type | tuple[type, ...]:
    if kind == "child module":
        return Module, torch.nn.Module
    return torch.nn.Parameter if kind == "parameter" else Tensor


# %%
module = Module()
module.weight, module.below = Parameter(torch.ones(2)), Module()
module.scratch = torch.zeros(2)
kinds = ("parameter", "child module")
{kind: list(dict(module._held(kind))) for kind in kinds}

# %% [markdown]
r"""
## Registering

What has a kind keeps it. A plain tensor in the place of a parameter, or a
number in that of a buffer, would vanish from every list without a word, so
`__setattr__` refuses it. `None` empties the place and leaves the note.
"""


# %% Assigning and deleting tags=["export"]
class Module(Module):
    def __setattr__(self, name: str, value: object) -> None:
        kind = self._kind(name)
        if kind is not None:
            _check_kind(name, value, kind)
            if value is None:
                self._kinds = {**self._kinds, name: kind}
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in self._kinds:
            self._kinds = {k: v for k, v in self._kinds.items() if k != name}
            self._unsaved = self._unsaved - {name}


def _check_kind(name: str, value: object, kind: str) -> None:
    if value is not None and not isinstance(value, _types(kind)):
        given = type(value).__name__
        raise TypeError(f"cannot assign {given} as {kind} {name!r}")


# %% [markdown]
r"""
The three `register_…` say the kind aloud, and so can register nothing yet. A
name that means something else already is refused, as are names that a dotted
path could not reach.
"""


# %% Registering by name tags=["export"]
class Module(Module):
    def _register(self, name: str, value: object, kind: str) -> None:
        if "." in name or not name:
            raise KeyError(f'a name is empty or holds a ".": {name!r}')
        if self._kind(name) != kind and hasattr(self, name):
            raise KeyError(f"attribute {name!r} already exists")
        _check_kind(name, value, kind)
        setattr(self, name, value)
        if self._kind(name) != kind:  # the value does not tell
            self._kinds = {**self._kinds, name: kind}

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold a parameter, or None: a parameter that is known to be absent."""
        self._register(name, param, "parameter")

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Hold a tensor that is moved, and saved if persistent: not trained."""
        self._register(name, tensor, "buffer")
        unsaved = self._unsaved - {name}
        self._unsaved = unsaved if persistent else unsaved | {name}

    def register_module(self, name: str, module: "Module | None") -> None:
        """Hold a module of ours or of torch's under a name."""
        self._register(name, module, "child module")

    add_module = register_module


# %%
def error_of(call: Callable[[], object]) -> str:
    try:
        return f"no error, but {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


module = Module()
module.register_buffer("mean", torch.zeros(2))
module.register_parameter("bias", None)
module.below = Module()
[
    error_of(lambda: setattr(module, "mean", 0.5)),
    error_of(lambda: setattr(module, "bias", torch.ones(2))),
    error_of(lambda: setattr(module, "below", len)),
    error_of(lambda: module.register_buffer("below", torch.ones(2))),
]

# %% [markdown]
r"""
A tree to try things on, built anew in each section: two levels, a buffer that
is saved and one that is not, a child held twice, and a layer of torch's.
"""


# %% tags=["reference"]
def example() -> Module:
    torch.manual_seed(0)
    tree, scale = Module(), Module()
    scale.weight = Parameter(torch.ones(3))
    scale.register_parameter("bias", None)
    scale.register_buffer("mean", torch.zeros(3))
    scale.register_buffer("scratch", torch.zeros(3), persistent=False)
    tree.first, tree.theirs, tree.again = scale, torch.nn.Linear(3, 2), scale
    return tree


list(vars(example()))

# %% [markdown]
r"""
## Listing

Everything that is held is listed below the module too, with dotted names, each
object once even if two places share it. First the modules: a child of torch's
lists what is below it by a method of the same name, so nobody has to ask whose
it is.
"""


# %% The tree tags=["export"]
class Module(Module):
    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules held directly, each once."""
        seen = set()
        for name, child in self._held("child module"):
            if child not in seen:
                seen.add(child)
                yield name, child

    def named_modules(
        self,
        memo: set | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in list(self._held("child module")):
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(memo, path, remove_duplicate)


# %%
tree = example()
[
    [name for name, _ in tree.named_modules(remove_duplicate=once)]
    for once in (True, False)
]

# %% [markdown]
r"""
Parameters and buffers are those of each module in the tree. Here torch's
modules do not know our `_held`, but they can list their own.
"""


# %% Parameters and buffers tags=["export"]
def _held_by(module: "Module", kind: str) -> Iterator[tuple[str, Any]]:
    if isinstance(module, Module):
        return module._held(kind)
    parameters = kind == "parameter"
    own = module.named_parameters if parameters else module.named_buffers
    return own(recurse=False, remove_duplicate=False)


def _held_below(
    module: "Module", kind: str, prefix: str, recurse: bool, once: bool
) -> Iterator[tuple[str, Any]]:
    tree = module.named_modules(None, prefix, once)
    seen = set()
    for path, each in tree if recurse else [(prefix, module)]:
        for name, value in _held_by(each, kind):
            if not (once and value in seen):
                seen.add(value)
                yield f"{path}.{name}" if path else name, value


# %% [markdown]
r"""
What users call has torch's names.
"""


# %% Torch's names for it tags=["export"]
class Module(Module):
    def named_parameters(
        self,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Parameter]]:
        """Dotted names and parameters, each parameter once."""
        return _held_below(self, "parameter", prefix, recurse, remove_duplicate)

    def named_buffers(
        self,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Tensor]]:
        """Dotted names and buffers, each buffer once."""
        return _held_below(self, "buffer", prefix, recurse, remove_duplicate)


# %% [markdown]
r"""
Who needs no names asks for the things alone.
"""


# %% Without the names tags=["export"]
class Module(Module):
    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimiser is given."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Tensors that are saved and moved, but not trained."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def children(self) -> Iterator["Module"]:
        """The modules held directly, each once."""
        return (child for _, child in self.named_children())

    def modules(self) -> Iterator["Module"]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())


# %%
tree = example()
list(dict(tree.named_parameters())), list(dict(tree.named_buffers()))

# %% [markdown]
r"""
The inverse of a listing is a look-up by dotted name.
"""


# %% Names with dots tags=["export"]
class Module(Module):
    def get_submodule(self, target: str) -> "Module":
        """The module at a dotted name; the empty name is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            module = getattr(module, name, None)
            if not isinstance(module, (Module, torch.nn.Module)):
                message = f"no module at {target!r}: {name!r} is none"
                raise AttributeError(message)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        return _get(self, target, "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
        return _get(self, target, "buffer")


def _get(module: Module, target: str, kind: str) -> Any:
    path, _, name = target.rpartition(".")
    held = dict(_held_by(module.get_submodule(path), kind))
    if name not in held:
        message = f"{target!r} is not one of the {kind}s {list(held)}"
        raise AttributeError(message)
    return held[name]


# %%
tree = example()
assert tree.get_parameter("theirs.bias") is tree.theirs.bias
error_of(lambda: tree.get_parameter("first.wait"))

# %% [markdown]
r"""
## Saving and loading

A {term}`state dict` is a plain dictionary from dotted names to tensors. It is
how weights travel: to a file, to another machine, from torch to us and back.
A parameter that two names share is in it under both, since a file must answer
for both.
"""


# %% Saving tags=["export"]
class Module(Module):
    def state_dict(
        self,
        *,
        destination: dict | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """Every parameter and persistent buffer; the memory is shared."""
        state = {} if destination is None else destination
        for name, tensor in self._saved():
            state[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, child in self._held("child module"):
            path = f"{prefix}{name}."
            child.state_dict(
                destination=state, prefix=path, keep_vars=keep_vars
            )
        return state

    def _saved(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._held("parameter")
        for name, buffer in self._held("buffer"):
            if name not in self._unsaved:
                yield name, buffer


# %%
list(example().state_dict())

# %% [markdown]
r"""
Loading is where mistakes happen, so it checks every name and every tensor
*before* it copies the first number. What cannot be loaded whole is not loaded
at all: a model that is half the old one and half the new one would be neither.
"""


# %% Loading tags=["export"]
class Module(Module):
    def load_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        strict: bool = True,
        assign: bool = False,
    ) -> "LoadedKeys":
        """Copy the tensors in, all or none; `assign` keeps theirs instead.

        Raises RuntimeError for a tensor that does not fit, with both shapes,
        and when `strict` for names that are missing or unexpected.
        """
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        errors = list(_misfits(own, state_dict, assign))
        if strict:
            errors += _listed("Unexpected", unexpected)
            errors += _listed("Missing", missing)
        if errors:
            name = type(self).__name__
            first = f"Error(s) in loading state_dict for {name}:"
            raise RuntimeError("\n\t".join([first, *errors]))
        _load(self, state_dict, assign)
        return LoadedKeys(missing, unexpected)


# %% [markdown]
r"""
Four things can be wrong with a value, apart from its shape: it is no tensor, it
is stored otherwise, as a sparse one is, it lies on the `meta` device and has no
numbers to copy, or it is to be kept as a parameter and is of a type that cannot
be trained.
"""


# %% What does not fit tags=["export"]
def _misfits(own: Mapping, given: Mapping, assign: bool) -> Iterator[str]:
    for name, tensor in own.items():
        if name not in given or not isinstance(tensor, Tensor):
            continue  # a module of torch's may save more than tensors
        value = given[name]
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            yield f"{name}: expected a tensor, got {kind} in the state dict"
        elif value.shape != tensor.shape:
            yield (
                f"size mismatch for {name}: {tuple(value.shape)} in the state "
                f"dict, {tuple(tensor.shape)} in the module"
            )
        elif not assign and value.layout != tensor.layout:
            yield f"{name}: {value.layout} in the state dict"
        elif value.is_meta and not (assign or tensor.is_meta):
            yield f"{name}: on the meta device in the state dict, no numbers"
        elif assign and tensor.requires_grad and not _has_gradient(value):
            yield f"{name}: {value.dtype} in the state dict has no gradient"


def _has_gradient(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _listed(what: str, names: list[str]) -> list[str]:
    quoted = ", ".join(f'"{name}"' for name in names)
    return [f"{what} key(s) in state_dict: {quoted}."] if names else []


# %%
own = example().state_dict()
wrong = own | {"theirs.bias": torch.ones(3), "first.mean": 1.0}
list(_misfits(own, wrong, assign=False))

# %% [markdown]
r"""
After that the numbers are copied, in the order of the listing. What was left
out, if that was allowed, is returned. A module of torch's loads its own share:
it may have more to do than to copy.
"""


# %% Copying tags=["export"]
def _load(module: Module, state: Mapping, assign: bool) -> None:
    if not isinstance(module, Module):
        module.load_state_dict(state, strict=False, assign=assign)
        return
    for name, old in list(module._saved()):
        if name in state and assign:
            setattr(module, name, _like(old, state[name]))
        elif name in state:
            with torch.no_grad():
                old.copy_(state[name])
    for name, child in module._held("child module"):
        below = [key for key in state if key.startswith(f"{name}.")]
        share = {key.removeprefix(f"{name}."): state[key] for key in below}
        _load(child, share, assign)


def _like(old: Tensor, value: Tensor) -> Tensor:
    if not isinstance(old, torch.nn.Parameter):
        return value
    if isinstance(value, torch.nn.Parameter):
        return value.requires_grad_(old.requires_grad)
    return Parameter(value, old.requires_grad)


# %% Left out tags=["export", "internal"]
class LoadedKeys(NamedTuple):
    """What `load_state_dict(strict=False)` left out, on either side."""

    missing_keys: list[str]
    unexpected_keys: list[str]


# %%
tree = example()
state = tree.state_dict() | {"theirs.bias": torch.ones(3), "first.wait": 1.0}
error_of(lambda: tree.load_state_dict(state)).splitlines()

# %% [markdown]
r"""
Nothing has changed. What fits is loaded, and trains on.
"""

# %%
state = {name: value + 1 for name, value in tree.state_dict().items()}
tree.load_state_dict(state), tree.first.mean, tree.theirs.bias.requires_grad

# %% [markdown]
r"""
## Moving

Moving a module to another type or device must leave the *parameter objects* as
they are, since an optimiser holds them; so their data is exchanged inside them.
Only where one side is without memory, on the `meta` device, is a parameter
replaced; then a shared one stays shared. Torch's modules move themselves.
"""


# %% Exchanging what is inside tags=["export"]
def _convert(
    module: Module,
    fn: Callable[[Tensor], Tensor],
    theirs: Callable[[torch.nn.Module], Any],
    made: dict,
) -> Module:
    if not isinstance(module, Module):
        return theirs(module)
    for child in module.children():
        _convert(child, fn, theirs, made)
    for name, param in list(module._held("parameter")):
        if param not in made:
            made[param] = _converted(param, fn)
        setattr(module, name, made[param])
    for name, buffer in list(module._held("buffer")):
        setattr(module, name, fn(buffer))
    return module


# %% [markdown]
r"""
The gradient, if there is one, goes where its parameter goes.
"""


# %% One parameter tags=["export"]
def _converted(param: Parameter, fn: Callable[[Tensor], Tensor]) -> Parameter:
    with torch.no_grad():
        data = fn(param)
        grad, param.grad = param.grad, None
    if data.is_meta == param.is_meta:
        param.data = data
    else:
        param = Parameter(data, param.requires_grad)
    param.grad = None if grad is None else fn(grad)
    return param


# %%
scale = example().first
weight = scale.weight
_convert(scale, lambda tensor: tensor.double(), theirs=len, made={})
scale.weight is weight, weight.dtype, scale.mean.dtype

# %% [markdown]
r"""
`to` takes a device, a type, or a tensor that has both, in any order, as torch's
does. What was meant by position is said by keyword first.
"""


# %% What was meant tags=["export"]
def _meant(target: Iterable) -> dict[str, Any]:
    where = {}
    for item in target:
        if isinstance(item, Tensor):
            where |= {"device": item.device, "dtype": item.dtype}
        elif isinstance(item, torch.dtype):
            where["dtype"] = item
        elif isinstance(item, bool):
            where["non_blocking"] = item
        else:
            where["device"] = item
    return where


# %% [markdown]
r"""
Integers, such as a count of batches, keep their type.
"""


# %% To a device or a type tags=["export"]
class Module(Module):
    def to(
        self,
        *target: torch.device | torch.dtype | str | int | bool | Tensor | None,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
        memory_format: torch.memory_format | None = None,
    ) -> Self:
        """Move to a device, a floating-point type, or those of a tensor."""
        where = {"device": device, "dtype": dtype, "non_blocking": non_blocking}
        where |= _meant(target)
        dtype = where["dtype"]
        if dtype and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"a module cannot be of the type {dtype}")
        layout = {"memory_format": memory_format} if memory_format else {}

        def move(tensor: Tensor) -> Tensor:
            own = {} if _has_gradient(tensor) else {"dtype": None}
            axes = layout if tensor.dim() in (4, 5) else {}
            return tensor.to(**where | own | axes)

        return _convert(self, move, methodcaller("to", **where | layout), {})


# %% [markdown]
r"""
The short forms for a device:
"""


# %% Devices tags=["export"]
class Module(Module):
    def cpu(self) -> Self:
        """Move to the processor's memory."""
        return self.to("cpu")

    def cuda(self, device: torch.device | str | int | None = None) -> Self:
        """Move to a CUDA device, the current one by default."""
        return self.to("cuda" if device is None else device)


# %%
tree = example().to(torch.bfloat16).cpu()
{tensor.dtype for tensor in tree.state_dict().values()}

# %% [markdown]
r"""
Those for a type leave complex numbers alone, as torch's do. A tensor, a module
of ours and one of torch's all have a method of that name.
"""


# %% Types tags=["export"]
class Module(Module):
    def float(self) -> Self:
        """Convert to float32."""
        return _cast(self, "float")

    def double(self) -> Self:
        """Convert to float64."""
        return _cast(self, "double")

    def half(self) -> Self:
        """Convert to float16."""
        return _cast(self, "half")

    def bfloat16(self) -> Self:
        """Convert to bfloat16."""
        return _cast(self, "bfloat16")


def _cast(module: Module, method: str) -> Module:
    call = methodcaller(method)

    def cast(tensor: Tensor) -> Tensor:
        return call(tensor) if tensor.is_floating_point() else tensor

    return _convert(module, cast, call, {})


# %%
tree = example()
before = list(tree.parameters())
tree.double()
assert all(a is b for a, b in zip(before, tree.parameters(), strict=True))
{name: tensor.dtype for name, tensor in tree.state_dict().items()}

# %% [markdown]
r"""
## Modes

Two switches for training: `training`, which layers such as dropout ask for, and
`requires_grad`. A mode is handed from parent to child rather than set on all,
so that a child may have a `train` of its own: one that stays frozen, say.
"""


# %% For the whole tree tags=["export"]
class Module(Module):
    def apply(self, fn: Callable[["Module"], Any]) -> Self:
        """Call `fn` on every module, the children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and below."""
        if not isinstance(mode, bool):
            raise ValueError(f"a mode is True or False, got {mode}")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Set `training` to False here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train the parameters here and below, or freeze them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self


# %% [markdown]
r"""
Gradients are forgotten, or set to zero where they lie: whoever holds one, such
as a buffer that is sent to other machines, goes on holding it.
"""


# %% Gradients tags=["export"] loans="torch.Tensor.grad_fn" repaid="2_backward/9_engine"
class Module(Module):
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero in place."""
        for param in self.parameters():
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                if param.grad.grad_fn is None:
                    param.grad.requires_grad_(False)
                else:
                    param.grad.detach_()
                param.grad.zero_()


# %%
tree = example().eval()
tree.theirs(torch.ones(3)).sum().backward()
grad = tree.theirs.bias.grad
tree.zero_grad(set_to_none=False)
[module.training for module in tree.modules()], grad

# %% [markdown]
r"""
## Hooks

A hook is a function that a module calls with what goes in, or with what comes
out; it may return something else in its place. Hooks are kept as the notes are,
one mapping for each of the two places, and the handle that takes a hook off is
its key.
"""


# %% Listening in tags=["export"]
class Module(Module):
    _pre_hooks: Mapping[Any, tuple] = MappingProxyType({})
    _hooks: Mapping[Any, tuple] = MappingProxyType({})

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


# %% [markdown]
r"""
A mapping is never changed, only replaced, so a hook may take itself off in the
middle of a call.
"""


# %% The handle tags=["export"]
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


# %%
module = Module()
with module.register_forward_hook(len):
    inside = len(module._hooks)
inside, len(module._hooks)

# %% [markdown]
r"""
The call is written again. Without hooks it costs one test more than before.
"""


# %% The call, with hooks tags=["export"]
class Module(Module):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._pre_hooks or self._hooks:
            return _call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)


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


# %%
class Double(Module):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * input


double, seen = Double(), []
with double.register_forward_hook(lambda module, args, out: seen.append(out)):
    double(torch.ones(2))
double(torch.zeros(2)), seen

# %% [markdown]
r"""
The second call is not seen, for the hook came off with the block.

## Printing

As in the last chapter: the name, `extra_repr`, and what it holds below it. How
the children are told is a method, since a list of forty equal layers will want
to tell them in one line.
"""


# %% Printing tags=["export"]
class Module(Module):
    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def _child_lines(self) -> list[str]:
        children = self._held("child module")
        return [f"({name}): {child!r}" for name, child in children]

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        lines = self._child_lines()
        if not lines:
            return f"{name}({extra})"
        body = "\n".join([extra, *lines] if extra else lines)
        body = body.replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"


# %%
example()

# %% [markdown]
r"""
That is the module. What is built on it from here on is small.

## Linear

The second version of the last chapter, with a device and a type to begin with.
"""


# %% Its parts tags=["export"] module="nn.linear" earns="torch.nn.Linear"
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
        self.register_parameter(
            "bias",
            Parameter(torch.empty(out_features, **like)) if bias else None,
        )
        self.reset_parameters()


# %% tags=["export"] module="nn.linear"
class Linear(Linear):
    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features) if self.in_features else 0
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
        bias = self.bias is not None
        return f"in_features={n}, out_features={m}, bias={bias}"


# %%
layer = Linear(3, 2, bias=False, dtype=torch.float64)
layer, error_of(lambda: setattr(layer, "bias", torch.ones(2)))

# %% [markdown]
r"""
## One after the other

Layers are held in order. `Sequential` calls them, `ModuleList` only holds them,
so that they are found. Both are lists to those who use them, and modules with
children named "0", "1", … to themselves.
"""


# %% What both share tags=["export"] module="nn.container"
"""Modules that hold modules in order."""


class _Indexed(Module):
    """Children in order, named "0", "1", ..., used like a list."""

    @classmethod
    def _of(cls, children: Mapping[str, Module]) -> Self:
        return cls(children.values())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Module]:
        return iter([child for _, child in self._held("child module")])

    def __getitem__(self, index: int | slice) -> Any:
        found = list(self._held("child module"))[index]
        return self._of(dict(found)) if isinstance(index, slice) else found[1]

    def __setitem__(self, index: int, module: Module) -> None:
        name, _ = list(self._held("child module"))[index]
        setattr(self, name, module)


# %% At the end tags=["export"] module="nn.container"
class _Indexed(_Indexed):
    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for i, module in enumerate(list(modules), len(self)):
            if str(i) in vars(self):
                raise KeyError(f"the next name, '{i}', is taken")
            self.register_module(str(i), module)
        return self


# %%
held = _Indexed().extend([Linear(1, 2), Linear(2, 1)])
held[1], len(held), error_of(lambda: held.append(len))

# %% [markdown]
r"""
Whoever takes out the first of three makes the second the first, so the rest are
numbered anew, as torch's are. Putting one in does the same, unless the children
have names of their own: names are how a saved file finds its layer, and stay.
"""


# %% In the middle tags=["export"] module="nn.container"
class _Indexed(_Indexed):
    def __delitem__(self, index: int | slice) -> None:
        children = list(self)
        del children[index]
        self._renew(enumerate(children))

    def _renew(self, named: Iterable[tuple[object, Module]]) -> None:
        for name, _ in list(self._held("child module")):
            delattr(self, name)
        for name, module in named:
            self.register_module(str(name), module)

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`."""
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"index {index} is out of range for {n} modules")
        names = [name for name, _ in self._held("child module")]
        self.append(module)
        named = list(self._held("child module"))
        named.insert(index, named.pop())
        numbered = names == [str(i) for i in range(n)]
        self._renew(enumerate(dict(named).values()) if numbered else named)
        return self

    def pop(self, index: int | slice = -1) -> Any:
        """Take a module out, or several."""
        taken = self[index]
        del self[index]
        return taken


# %% [markdown]
r"""
`Sequential` adds the call.
"""


# %% Sequential tags=["export"] module="nn.container" earns="torch.nn.Sequential"
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
    def _of(cls, children: Mapping[str, Module]) -> Self:
        return cls(children)

    def forward(self, input: Any) -> Any:
        """The output of the last module."""
        for module in self:
            input = module(input)
        return input


# %%
two = Sequential({"first": Linear(2, 3), "last": Linear(1, 2)})
two.insert(1, Linear(3, 1)), two(torch.ones(2)).shape

# %% [markdown]
r"""
With `+` and `*` it grows as a list does, and as in a list, what is there twice
is one and the same: three times a layer is a layer applied three times, with
one set of weights.
"""


# %% Sums and products tags=["export"] module="nn.container"
class Sequential(Sequential):
    def __add__(self, other: "Sequential") -> "Sequential":
        return Sequential(*self, *_sequential(other))

    def __iadd__(self, other: "Sequential") -> Self:
        return self.extend(_sequential(other))

    def __mul__(self, n: int) -> "Sequential":
        if not isinstance(n, int):
            given = type(n).__name__
            raise TypeError(f"a Sequential times a {given}: expected an int")
        if n <= 0:
            raise ValueError(f"a Sequential times {n}: expected 1 or more")
        return Sequential(*(list(self) * n))

    def __rmul__(self, n: int) -> "Sequential":
        return self * n

    def __imul__(self, n: int) -> Self:
        return self.extend(list(self * n)[len(self) :])


def _sequential(other: object) -> Sequential:
    if not isinstance(other, Sequential):
        given = type(other).__name__
        raise ValueError(f"a Sequential and a {given} do not add up")
    return other


# %% tags=["reference"]
layer = Linear(2, 2)
deep = Sequential(layer) * 3 + Sequential(torch.nn.ReLU())
assert_close(deep[:-1](torch.ones(2)), layer(layer(layer(torch.ones(2)))))
deep, len(list(deep.parameters()))

# %% [markdown]
r"""
A `ModuleList` leaves the call to its owner, who loops over it. It prints equal
layers in one line.
"""


# %% ModuleList tags=["export"] module="nn.container" earns="torch.nn.ModuleList"
class ModuleList(_Indexed):
    """Hold modules so that they are found; calling it is an error."""

    def __init__(self, modules: Iterable[Module] | None = None):
        self.extend(modules or ())

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> "ModuleList":
        return ModuleList(chain(self, modules))

    def _child_lines(self) -> list[str]:
        lines, start = [], 0
        for text, group in groupby(map(repr, self)):
            n = len(list(group))
            if n == 1:
                lines.append(f"({start}): {text}")
            else:
                lines.append(f"({start}-{start + n - 1}): {n} x {text}")
            start += n
        return lines


# %%
layers = ModuleList([Linear(4, 4), Linear(4, 4), Linear(4, 2)])
layers.pop(0)
layers.insert(0, Linear(9, 4))

# %% [markdown]
r"""
## An activation

An activation has nothing to hold. It is a module so that it can stand in line.
"""


# %% ReLU tags=["export"] module="nn.activation" earns="torch.nn.ReLU"
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


# %%
torch.manual_seed(0)
net = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
net

# %% [markdown]
r"""
## The real one

Weights go back and forth.
"""

# %% tags=["reference"]
x = torch.rand(64, 784)
theirs = torch.nn.Sequential(
    torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10)
)
theirs.load_state_dict(net.state_dict())
assert_close(theirs(x), net(x))
net.load_state_dict(theirs.state_dict())

# %%
doubled = copy.deepcopy(net).double()
doubled(torch.ones(2, 784).double()).dtype, net(torch.ones(0, 784)).shape

# %% [markdown]
r"""
What does a plain module buy? The call of a module with nothing in it, as a
share of the time that the same call of torch's takes:
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

| name | module | what it is |
| --- | --- | --- |
| `Module` | `nn.module` | holds, finds, saves, loads, moves and calls the parts of a model |
| `Handle` | `nn.module` | takes a hook off |
| `Linear` | `nn.linear` | the layer, with torch's numbers |
| `Sequential`, `ModuleList` | `nn.container` | modules in order: called, or only held |
| `ReLU` | `nn.activation` | the activation, as a module |

## Questions

:::{dropdown} Why does a buffer need a note, and a parameter none?
A parameter is known by its type. A buffer is a plain tensor, and so is much
that a module keeps for itself, such as its last input.
:::

:::{dropdown} What is lost if `load_state_dict` copies before it has checked everything?
A failure half-way leaves a model that is neither the old one nor the new one.
:::

:::{dropdown} Why does `to` exchange the data inside a parameter instead of the parameter?
An optimiser holds the parameter objects. It would go on stepping the old ones,
and the model would not change any more.
:::

:::{dropdown} `train()` asks each child, `zero_grad()` goes through the parameters. Why not both the same way?
A child may mean something of its own by a mode: a frozen layer stays in
evaluation. A gradient is a matter of the parameter alone.
:::

:::{dropdown} Why is a layer of torch's asked to load its share itself?
It may save more than tensors, under names that its attributes do not have, and
knows best what to do with them.
:::

## Exercises

**1.** Write `Center`, which subtracts the mean of everything it has seen while
training. The mean is saved, and the number of examples with it.
"""


# %% tags=["solution"]
class Center(Module):
    def __init__(self, d: int):
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("n", torch.tensor(0))

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            self.n += len(input)
            self.mean += (input - self.mean).sum(0) / self.n
        return input - self.mean


center = Center(2)
for n, shift in ((4, 1.0), (12, 3.0)):  # the mean of the batches would be 2
    center(torch.full((n, 2), shift))
assert_equal(center.eval()(torch.zeros(1, 2)).tolist(), [[-2.5, -2.5]])
assert_equal(list(center.state_dict()), ["mean", "n"])
assert_equal(len(list(center.parameters())), 0)

# %% [markdown]
r"""
**2.** Two layers may share one parameter. How often does `parameters()` list
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
**3.** Keep the body of a trained network and give it a new head for three
classes: load what fits, freeze the body, and show what would be trained.
"""

# %% tags=["solution"]
trained = Sequential({"body": Linear(8, 4), "head": Linear(4, 10)})
new = Sequential({"body": Linear(8, 4), "head": Linear(4, 3)})
saved = trained.state_dict()
body = {name: saved[name] for name in saved if name.startswith("body")}
keys = new.load_state_dict(body, strict=False)
new.body.requires_grad_(False)
assert_equal(keys.missing_keys, ["head.weight", "head.bias"])
trainable = [n for n, p in new.named_parameters() if p.requires_grad]
assert_equal(trainable, ["head.weight", "head.bias"])

# %% [markdown]
r"""
**4.** A layer deep in a network is fed something that is not finite. Write
`check_finite(net, input)`, which names the layer whose *output* is the first
that is not, and leaves no hook behind, even if a layer raises an error.
"""


# %% tags=["solution"]
def check_finite(net: Module, input: Tensor) -> str | None:
    bad: list[str] = []

    def look(name: str) -> Callable:
        return lambda module, args, output: (
            None if output.isfinite().all() else bad.append(name)
        )

    with ExitStack() as hooks:
        for name, module in net.named_modules():
            hooks.enter_context(module.register_forward_hook(look(name)))
        net(input)
    return bad[0] if bad else None


net = Sequential(Linear(2, 2), ReLU(), torch.nn.Linear(2, 2))
assert check_finite(net, torch.ones(1, 2)) is None
with torch.no_grad():
    net[2].bias[0] = torch.inf
assert_equal(check_finite(net, torch.ones(1, 2)), "2")
assert "expected 2" in error_of(lambda: check_finite(net, torch.ones(1, 3)))
assert not any(module._hooks for module in net[:2])

# %% [markdown]
r"""
Every loan of the first part that concerned the inside of a network is repaid.
What is still borrowed is the training around it. That is part 3, after one more
star, {doc}`/2_backward/8_optimizer`: what holds the parameters meanwhile.
"""
