"""What torch's names mean, without importing torch at every build.

The answers are kept in ``_build/torch_names.json`` under torch's version, so
torch is imported only when a book asks for a name for the first time.
"""

import importlib
import json
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from types import ModuleType

from _config.chapters.files import ROOT, write

ANSWERS = ROOT / "_build" / "torch_names.json"
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


def kind(name: str) -> str:
    """``"module"``, ``"definition"`` or ``"missing"``."""
    kinds = answers()["kinds"]
    if name not in kinds:
        kinds[name] = kind_of(name)
        keep()
    return kinds[name]


def tensor_names() -> frozenset[str]:
    """The attributes of torch.Tensor, and the operator method of ``@``."""
    if "tensor" not in answers():
        import torch

        names = [name for name in dir(torch.Tensor) if name[0] != "_"]
        answers()["tensor"] = names
        keep()
    return frozenset(answers()["tensor"]) | {"__matmul__"}


def kind_of(name: str) -> str:
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


@cache
def answers() -> dict:
    """What is known about the installed torch, from earlier runs."""
    unknown = {"torch": version("torch"), "kinds": {}}
    try:
        known = json.loads(ANSWERS.read_text())
        return known if known["torch"] == unknown["torch"] else unknown
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged
        return unknown


def keep() -> None:
    with suppress(OSError):  # a read-only checkout asks torch again
        write(ANSWERS, json.dumps(answers()).encode())
