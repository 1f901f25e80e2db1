# Extracted from book/3_training/10_checkpoint.py; edit it there.
"""All of a run, in a file that is whole or absent, and checked to the bit."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from groundup.training.callback import Run
from groundup.training.snapshot import set_all_random_states


class CheckpointError(Exception):
    """A checkpoint that is not what was written, or not of this run."""


def take_apart(
    tree: Any, tensors: dict[str, Tensor], path: str = "state"
) -> Any:
    """The tree for JSON; its tensors go into `tensors`, copied, by path."""
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case Tensor():
            whole = torch.contiguous_format
            tensors[path] = tree.detach().cpu().clone(memory_format=whole)
            return {"tensor": path}
        case Mapping():
            items = [
                [key, take_apart(value, tensors, f"{path}.{key}")]
                for key, value in tree.items()
            ]
            return {"dict": items}
        case list() | tuple():
            items = [
                take_apart(value, tensors, f"{path}.{i}")
                for i, value in enumerate(tree)
            ]
            return {type(tree).__name__: items}
    raise TypeError(
        f"{path} is of type {type(tree).__name__}; a checkpoint holds tensors, "
        "numbers, text and None in dicts, lists and tuples"
    )


def put_together(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `take_apart` took apart."""
    if not isinstance(tree, dict):
        return tree
    [(kind, value)] = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: put_together(each, tensors) for key, each in value}
    items = [put_together(each, tensors) for each in value]
    return tuple(items) if kind == "tuple" else items


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole, and on the disk, or not at all."""
    path = Path(path)
    new = path.with_name(path.name + ".tmp")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name too
    finally:
        os.close(folder)


_DIGEST = b'\\"sha256\\": \\"'  # as JSON inside of JSON
_ZEROS = b"0" * 64


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> str:
    """Write a tree of tensors, numbers and text; return its SHA-256."""
    tensors: dict[str, Tensor] = {}
    tree = take_apart(state, tensors)
    text = json.dumps({"sha256": _ZEROS.decode(), "state": tree})
    data = safetensors.torch.save(tensors, metadata={"checkpoint": text})
    digest = hashlib.sha256(data).hexdigest()
    write_file(path, data.replace(_ZEROS, digest.encode(), 1))
    return digest


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tree that was written; CheckpointError if one bit is another."""
    data = Path(path).read_bytes()
    if _DIGEST not in data:
        text = "is no checkpoint, or is damaged: it tells no SHA-256"
        raise CheckpointError(f"{path} {text}")
    start = data.find(_DIGEST) + len(_DIGEST)
    told = data[start : start + len(_ZEROS)]
    blank = data[:start] + _ZEROS + data[start + len(_ZEROS) :]
    found = hashlib.sha256(blank).hexdigest()
    if found.encode() != told:
        raise CheckpointError(
            f"{path} is damaged: it says its SHA-256 is "
            f"{told.decode(errors='replace')}, but it is {found}"
        )
    try:
        return _parsed(data)
    except Exception as error:  # whatever a forger thought of
        raise CheckpointError(f"{path} is no checkpoint: {error!r}") from None


def _parsed(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tree = json.loads(header["__metadata__"]["checkpoint"])["state"]
    state = put_together(tree, safetensors.torch.load(data))
    if not isinstance(state, dict):
        raise TypeError(f"a {type(state).__name__} in place of a dict")
    return state


def batches_after(
    n: int, run: Run, began: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator:
    """The epoch's batches but the first n, which are loaded and let go."""
    set_all_random_states(run, began)
    batches = iter(run.train)
    for _ in zip(range(n), batches, strict=False):
        pass
    set_all_random_states(run, now)
    yield from batches
