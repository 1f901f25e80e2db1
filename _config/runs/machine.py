"""The machine and the versions that a result depends on."""

import os
import platform
import re
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

WATCHED = ("torch", "numpy", "matplotlib", "ipython", "ipykernel")


@cache
def versions() -> dict[str, str]:
    """The versions that an output may depend on."""
    return {"python": platform.python_version()} | {
        package: version(package) for package in WATCHED
    }


def hardware() -> str:
    """The processor and, if a measurement could use one, the GPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        processor = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)[1]
    except (OSError, TypeError):
        processor = platform.processor() or platform.machine()
    parts = [f"{os.cpu_count()} cores of {processor}"]
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)
