# Extracted from book/3_training/3_learner.py; edit it there.
"""A checkpoint's file: whole or absent, and checked to the last bit."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from groundup.training.state import CheckpointError, put_together, take_apart

DIGEST = b'\\"sha256\\": \\"'  # as JSON inside of JSON
ZEROS = "0" * 64


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> str:
    """Write a tree of tensors, numbers and text; return its SHA-256."""
    tensors: dict[str, Tensor] = {}
    tree = take_apart(state, tensors)
    text = json.dumps({"sha256": ZEROS, "state": tree})
    data = safetensors.torch.save(tensors, metadata={"checkpoint": text})
    digest = hashlib.sha256(data).hexdigest()
    write_file(path, data.replace(ZEROS.encode(), digest.encode(), 1))
    return digest


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tree that was written; CheckpointError if one bit is another."""
    data = Path(path).read_bytes()
    start = data.find(DIGEST) + len(DIGEST)
    told = data[start : start + len(ZEROS)]
    blank = data[:start] + ZEROS.encode() + data[start + len(ZEROS) :]
    found = hashlib.sha256(blank).hexdigest()
    if found.encode() != told:
        raise CheckpointError(
            f"{path} is damaged: it says its SHA-256 is "
            f"{told.decode(errors='replace')}, but it is {found}"
        )
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tree = json.loads(header["__metadata__"]["checkpoint"])["state"]
    return put_together(tree, safetensors.torch.load(data))


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
