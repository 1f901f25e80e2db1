# Extracted from book/2_backward/7_module.py; edit it there.
"""Modules that hold modules in order."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any, Self

from groundup.nn.module import Module


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
