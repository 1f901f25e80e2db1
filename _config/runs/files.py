"""Files that others see whole or not at all."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

TORN = ".torn"  # the ending of what is being written


def write(path: Path, data: bytes) -> None:
    """Write a file so that others see all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}."
    handle, name = tempfile.mkstemp(TORN, start, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(handle, 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def sweep_torn(folder: Path) -> None:
    """Delete what processes that were killed had begun to write there."""
    for path in folder.glob(f".*{TORN}"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 600:
                path.unlink()
