# Extracted from book/2_backward/6_linear.py; edit it there.
"""What a module holds, listed, saved and loaded by name."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.nn.parameter import Parameter


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
