"""The store of executed chapters: the key of a chapter, and the entry under it.

The key covers what can change a chapter's outputs: its code, the sources of
the library modules that it can see (the data sets' checksums are constants in
one of them), the kernel's settings, and the versions of the packages below.
"""

import json
import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from _config.chapters.files import ROOT, SRC, shown
from _config.chapters.parse import Chapter
from _config.runs.reach import digest, modules

logger = logging.getLogger(__name__)
STORE = ROOT / "_build" / "store"
KERNEL = Path(__file__).with_name("kernel")
SETTINGS = (KERNEL / "matplotlibrc", KERNEL / "ipython_kernel_config.py")
PACKAGES = ("torch", "numpy", "matplotlib", "ipython", "ipykernel")
KEEP = 5  # entries a chapter, so that going back to a version runs nothing


@dataclass(frozen=True)
class Entry:
    """What a chapter put out when it ran."""

    key: str
    outputs: list[list[dict]]  # of each code cell, in nbformat's form
    receipt: dict  # seconds, seconds of each cell, versions, platform, date


@cache
def versions() -> dict[str, str]:
    """The versions that an output may depend on."""
    return {"python": python_version()} | {
        package: version(package) for package in PACKAGES
    }


def key(chapter: Chapter, src: Path = SRC) -> str:
    """``2_backward.1_matmul.`` and a digest: the entry's file name."""
    parts = {
        "cells": [
            (
                cell.source,
                "raises-exception" in cell.tags,
                bool(cell.metadata.get("alt")),
            )
            for cell in chapter.code
        ],
        "modules": modules([chapter.tree], src),
        "kernel": [path.read_text() for path in SETTINGS],
        "versions": versions(),
    }
    name = chapter.name.replace("/", ".")
    return f"{name}.{digest(json.dumps(parts, sort_keys=True))[:32]}"


def load(
    chapter: Chapter, src: Path = SRC, store: Path = STORE
) -> Entry | None:
    """The outputs of a chapter as it is now, or None if it must be run."""
    path = store / f"{key(chapter, src)}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["checksum"] != checksum(stored["entry"]):
            raise ValueError("its checksum differs")
        return Entry(**stored["entry"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        message = "%s is damaged (%s): its chapter must run"
        logger.warning(message, shown(path), error)
        return None


def save(entry: Entry, store: Path = STORE) -> None:
    """Write an entry, whole or not at all, and drop its chapter's oldest."""
    body = asdict(entry)
    text = json.dumps({"checksum": checksum(body), "entry": body}, indent=1)
    write(store / f"{entry.key}.json", text.encode())
    name = entry.key.rpartition(".")[0]
    with suppress(FileNotFoundError):  # another build may be pruning too
        kept = sorted(store.glob(f"{name}.*.json"), key=os.path.getmtime)
        for path in kept[:-KEEP]:
            path.unlink()


def checksum(body: dict) -> str:
    """The checksum of an entry's content, whatever its layout in the file."""
    return digest(json.dumps(body, sort_keys=True))


def write(path: Path, data: bytes) -> None:
    """Write a file so that others see all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(handle, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
