"""What the execution of chapters says while it goes on."""

import sys

from _config.chapters.parse import Chapter
from _config.runs.store import executed

ERASE = "\r\x1b[2K" if sys.stdout.isatty() else ""


class Progress:
    """A line a chapter when it ends; in a terminal, what runs meanwhile."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}

    def update(self, chapter: Chapter, done: int) -> None:
        """Note how many cells of a chapter are done."""
        self.running[chapter.number] = f"{done}/{len(executed(chapter))}"
        self.show()

    def end(self, chapter: Chapter, result: str) -> None:
        """Print the chapter's line."""
        del self.running[chapter.number]
        print(f"{ERASE}{chapter.number} {chapter.title} … {result}", flush=True)
        self.show()

    def show(self) -> None:
        """Draw the line of the chapters that run."""
        if ERASE:
            items = (f"{key} cell {done}" for key, done in self.running.items())
            print(ERASE + ", ".join(items), end="", flush=True)
