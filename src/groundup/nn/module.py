# Extracted from book/2_backward/6_linear.py; edit it there.
"""Modules: register, look up, move, switch and call."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from groundup.nn.parameter import Parameter
from groundup.nn.tree import Saving


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
