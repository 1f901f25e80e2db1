# Extracted from book/2_backward/6_linear.py; edit it there.
"""Modules that hold modules in order."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from groundup.nn.module import Module, show_tree


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
