"""The library's files on the disk: what changes, all of it or nothing.

``_build/`` keeps a stamp of what the files were made of, and their digests as
they were written: a file that was edited since is kept aside before it is
replaced.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from _config.chapters.files import (
    PACKAGE,
    ChapterError,
    fingerprint,
    keep,
    recall,
    refuse,
    shown,
    write,
)
from _config.library.text import HEADER

Changes = dict[Path, bytes | None]  # None: to be deleted


class Output:
    """The package below ``src``, and what is remembered of it."""

    def __init__(self, src: Path) -> None:
        self.root = src / PACKAGE
        self.folder = src.resolve().parent / "_build"
        self.notes = self.folder / f"{src.name}.json"
        self.known: dict = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One extraction at a time; where none can write, none need wait."""
        lock = FileLock(self.notes.with_suffix(".lock"))
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            self.known = recall(self.notes)
            yield
        finally:
            lock.release()

    def files(self) -> list[Path]:
        """The package's files, as they are."""
        return sorted(self.root.rglob("*.py"))

    def stamp(self, inputs: Iterable[Path]) -> str:
        """A digest of what the library is made of, and of what it is."""
        return sys.version + fingerprint([*inputs, *self.files()])

    def changes(self, files: dict[str, bytes]) -> Changes:
        """The files to write or delete; refuses what is not extracted."""
        found = {path: path.read_bytes() for path in self.files()}
        foreign = [
            path
            for path, text in found.items()
            if not text.startswith(HEADER.encode())
        ]
        message = (
            "not extracted from a chapter: move it elsewhere, or delete it"
        )
        refuse([ChapterError(path, 1, message) for path in foreign])
        wanted = {self.root / name: text for name, text in files.items()}
        return {
            path: wanted.get(path)
            for path in wanted | found
            if wanted.get(path) != found.get(path)
        }

    def write(self, changed: Changes) -> None:
        """Replace, and delete what no chapter exports any more."""
        for left in self.root.rglob(".*.py.new"):  # by one that was killed
            left.unlink()
        self.keep_edited(changed)
        fresh = {}
        try:
            for path, text in sorted(changed.items()):
                if text is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    fresh[path] = path.with_name(f".{path.name}.new")
                    fresh[path].write_bytes(text)
            for path, new in fresh.items():
                new.replace(path)
        finally:
            for new in fresh.values():
                new.unlink(missing_ok=True)
        gone = changed.keys() - fresh.keys()
        for path in gone:
            path.unlink()
        for folder in sorted({path.parent for path in gone}, reverse=True):
            if all(path.name == "__pycache__" for path in folder.iterdir()):
                shutil.rmtree(folder)

    def keep_edited(self, changed: Changes) -> None:
        """Copy aside what was not written here, and say where it is."""
        written = self.known.get("written", {})
        for path in changed:
            name = path.relative_to(self.root).as_posix()
            text = path.read_bytes() if path.exists() else b""
            known = not text or sha256_of(text) == written.get(name)
            if not known and not is_committed(path):
                kept = self.folder / "edited" / name
                write(kept, text)
                mend = "edit its chapter instead"
                print(
                    f"{shown(path)}: changed by other hands; that version is "
                    f"kept in {shown(kept)}: {mend}",
                    file=sys.stderr,
                )

    def remember(self, stamp: str) -> None:
        """Note what was written."""
        written = {
            path.relative_to(self.root).as_posix(): sha256_of(path.read_bytes())
            for path in self.files()
        }
        keep(self.notes, {"stamp": stamp, "written": written})


def is_committed(path: Path) -> bool:
    """Whether git holds this version of a file."""
    command = ["git", "status", "--porcelain", "--ignored", "--", path.name]
    try:
        done = subprocess.run(command, cwd=path.parent, capture_output=True)
    except OSError:  # no git
        return False
    return not (done.returncode or done.stdout)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
