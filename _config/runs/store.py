"""The store of executed chapters: an entry under the key of what it shows.

The key covers what can change a chapter's outputs: the syntax of its code and
of the library modules that it can see (the data sets' checksums are constants
in one of them), the kernel's settings, and the versions of some packages.  So
a chapter may be renamed or commented.  An output that quotes lines of code, as
a traceback does, holds good for their text alone, which the entry names.
"""

import json
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from _config.chapters.files import ROOT, SRC, shown, write
from _config.chapters.parse import Cell, Chapter
from _config.runs.digests import digest
from _config.runs.machine import versions
from _config.runs.reach import code_key

logger = logging.getLogger(__name__)
STORE = ROOT / "_build" / "store"
KERNEL = Path(__file__).with_name("kernel")
KERNEL_SETTINGS = (KERNEL / "matplotlibrc", KERNEL / "ipython_kernel_config.py")
KEEP = 5  # entries a chapter, so that going back to a version runs nothing


@dataclass(frozen=True)
class Entry:
    """What a chapter put out when it ran."""

    key: str
    outputs: list[list[dict]]  # of each executed cell, in nbformat's form
    receipt: dict  # seconds and versions
    quotes: dict[str, str] = field(default_factory=dict)  # see ``text_digest``


def executed(chapter: Chapter) -> list[Cell]:
    """The code cells that hold more than comments."""
    return [cell for cell in chapter.code if cell.statements]


def key(chapter: Chapter, src: Path = SRC) -> str:
    """The digest of all that a chapter's outputs depend on."""
    cells = executed(chapter)
    parts = [
        code_key(cells, src),
        ["raises-exception" in cell.tags for cell in cells],
        [path.read_text() for path in KERNEL_SETTINGS],
        versions(),
    ]
    return digest(json.dumps(parts, sort_keys=True))[:32]


def text_digest(place: str, chapter: Chapter, src: Path) -> str:
    """The digest of a text as it is now: an executed cell's, or a module's."""
    with suppress(OSError, IndexError):
        if place.isdecimal():
            return digest(executed(chapter)[int(place)].source)
        return digest((src / place).read_text(encoding="utf-8"))
    return ""


def load(
    chapter: Chapter, src: Path = SRC, store: Path = STORE
) -> Entry | None:
    """The outputs of a chapter as it is now, or None if it must be run."""
    wanted = key(chapter, src)
    path = store / f"{wanted}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["checksum"] != entry_digest(stored["entry"]):
            raise ValueError("its checksum differs")
        entry = Entry(**stored["entry"])
        if entry.key != wanted:
            raise ValueError("it is another chapter's")
    except FileNotFoundError:
        return None
    except (OSError, LookupError, TypeError, ValueError, RecursionError) as e:
        message = "%s: its outputs in %s are damaged (%s): it must run"
        logger.warning(message, shown(chapter.path), shown(path), e)
        return None
    with suppress(OSError):
        os.utime(path)  # entries in use are kept
    quotes = entry.quotes.items()
    fits = all(
        text_digest(place, chapter, src) == text for place, text in quotes
    )
    return entry if fits else None


def save(entry: Entry, store: Path = STORE) -> None:
    """Write an entry, whole or not at all."""
    body = asdict(entry)
    text = json.dumps({"checksum": entry_digest(body), "entry": body}, indent=1)
    path = store / f"{entry.key}.json"
    if path.is_dir():
        shutil.rmtree(path)
    write(path, text.encode())


def prune(store: Path, chapters: int) -> None:
    """Drop the entries that were not used for longest, and torn files."""
    with suppress(OSError):  # another build may be pruning too
        kept = filter(Path.is_file, store.glob("[!.]*.json"))
        for path in sorted(kept, key=os.path.getmtime)[: -KEEP * chapters]:
            path.unlink()
        for path in store.glob(".*.json.*"):  # whose writer was killed
            if path.stat().st_mtime < time.time() - 600:
                path.unlink()


def entry_digest(body: dict) -> str:
    """The checksum of an entry's content, whatever its layout in the file."""
    return digest(json.dumps(body, sort_keys=True))
