# Extracted from book/4_convnets/8_fast.py; edit it there.
"""Data that is to be looked at once, when all choices are made."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Sealed:
    """Data that writes down each time it is opened, and what for.

    A purpose opens it once: who looks again, chooses by it. `log` is a file of
    lines, time and purpose, that only grows.
    """

    def __init__(self, load: Callable[[], Any], log: str | Path):
        self.load, self.log = load, Path(log)
        self.opened: list[str] = []

    def open(self, purpose: str) -> Any:
        """What `load` returns, after the line was written."""
        if not purpose.strip() or "\n" in purpose:
            raise ValueError(f"a purpose is a line of text, got {purpose!r}")
        if purpose in self.opened:
            told = "a second look is a choice; choose on validation data"
            raise RuntimeError(f"opened before for {purpose!r}: {told}")
        self.opened.append(purpose)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{now} {purpose}\n")
        return self.load()
