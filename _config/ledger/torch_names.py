"""What torch's names mean; torch is imported when the first one is asked."""

import importlib
from functools import cache
from types import ModuleType

# One operation, several spellings: torch.relu, x.relu(), F.relu, x.relu_().
NAMESPACES = ("torch", "torch.Tensor", "torch.nn.functional", "torch.special")


def spellings(name: str) -> set[str]:
    """Every way to write the operation ``name``: function, method, in place."""
    namespace, _, operation = name.rpartition(".")
    if namespace not in NAMESPACES:
        return {name}
    operation = operation.removesuffix("_")
    if operation in ("matmul", "__matmul_"):  # the operator `@`
        return {
            "torch.matmul",
            "torch.Tensor.matmul",
            "torch.Tensor.__matmul__",
        }
    return {
        f"{namespace}.{operation}{end}"
        for namespace in NAMESPACES
        for end in ("", "_")
    }


def prefixes(name: str) -> list[str]:
    """``"a.b.c"`` -> ``["a", "a.b", "a.b.c"]``."""
    pieces = name.split(".")
    return [".".join(pieces[:end]) for end in range(1, len(pieces) + 1)]


@cache
def tensor_names() -> frozenset[str]:
    """The attributes of torch.Tensor, and the operator method of ``@``."""
    tensor = importlib.import_module("torch").Tensor
    names = {name for name in dir(tensor) if name[0] != "_"}
    return frozenset(names | {"__matmul__"})


@cache
def kind(name: str) -> str:
    """``"module"``, ``"definition"`` or ``"missing"``."""
    found = importlib.import_module("torch")
    for prefix in prefixes(name)[1:]:
        try:
            found = getattr(found, prefix.rpartition(".")[2])
        except AttributeError:
            try:
                found = importlib.import_module(prefix)
            except ImportError:
                return "missing"
    return "module" if isinstance(found, ModuleType) else "definition"
