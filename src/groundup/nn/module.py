# Extracted from book/2_backward/7_module.py; edit it there.
"""Modules: they hold, find, save, load and move the parts of a model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import methodcaller
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from groundup.nn.parameter import Parameter


class Module:
    """The base of layers and models: define `forward`, call the module.

    What it holds are attributes like any other; torch's modules may be
    among them.
    """

    training: bool = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._pre_hooks or self._hooks:
            return _call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

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

    def cpu(self) -> Self:
        """Move to the processor's memory."""
        return self.to("cpu")

    def cuda(self, device: torch.device | str | int | None = None) -> Self:
        """Move to a CUDA device, the current one by default."""
        return self.to("cuda" if device is None else device)

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


def _types(kind: str) -> type | tuple[type, ...]:
    if kind == "child module":
        return Module, torch.nn.Module
    return torch.nn.Parameter if kind == "parameter" else Tensor


def _check_kind(name: str, value: object, kind: str) -> None:
    if value is not None and not isinstance(value, _types(kind)):
        given = type(value).__name__
        raise TypeError(f"cannot assign {given} as {kind} {name!r}")


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


def _get(module: Module, target: str, kind: str) -> Any:
    path, _, name = target.rpartition(".")
    held = dict(_held_by(module.get_submodule(path), kind))
    if name not in held:
        message = f"{target!r} is not one of the {kind}s {list(held)}"
        raise AttributeError(message)
    return held[name]


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


class LoadedKeys(NamedTuple):
    """What `load_state_dict(strict=False)` left out, on either side."""

    missing_keys: list[str]
    unexpected_keys: list[str]


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


def _cast(module: Module, method: str) -> Module:
    call = methodcaller(method)

    def cast(tensor: Tensor) -> Tensor:
        return call(tensor) if tensor.is_floating_point() else tensor

    return _convert(module, cast, call, {})


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
