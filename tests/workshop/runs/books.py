"""Small books of a test's own, with a library and a store."""

import sys
from pathlib import Path

from _config.chapters.parse import Chapter, read_chapter
from _config.runs import store
from _config.runs.execution import execute, sort_out

RAISES = '# %% tags=["raises-exception"]\n'


class Book:
    """A book, its library and its store in a temporary folder."""

    def __init__(self, root: Path):
        self.book, self.src, self.store = (
            root / name for name in ("book", "src", "store")
        )
        self.options = [
            f"--{name}={getattr(self, name)}"
            for name in ("book", "src", "store")
        ]
        self.command = [sys.executable, "-m", "_config.execute", *self.options]

    def module(self, name: str, text: str) -> None:
        path = self.src / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def chapter(self, name: str, *cells: str, newline: str = "\n") -> None:
        """A chapter with a title; a cell may bring its own marker line."""
        marked = [c if c.startswith("# %%") else f"# %%\n{c}" for c in cells]
        text = "\n\n".join([f'# %% [markdown]\nr"""\n# {name}\n"""', *marked])
        path = self.book / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{text}\n".replace("\n", newline).encode())

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the first ``old`` in a chapter, or else in a module."""
        paths = self.book / f"{name}.py", self.src / f"{name}.py"
        (path,) = [path for path in paths if path.exists()]
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def read(self, name: str) -> Chapter:
        return read_chapter(self.book / f"{name}.py", self.book)

    def run(self, *names: str) -> list[str]:
        """The errors of a build, as text."""
        errors = execute(names, self.book, self.src, self.store)
        return [str(error) for error in errors]

    def load(self, name: str) -> store.Entry | None:
        return store.load(self.read(name), self.src, self.store)

    def entry(self, name: str) -> Path:
        """The file that holds, or is to hold, a chapter's outputs."""
        return self.store / f"{store.key(self.read(name), self.src)}.json"

    def pretend_to_run(self, **quotes: str) -> None:
        """Store entries without outputs for what is stale."""
        for chapter in self.sorted()[0]:
            key = store.key(chapter, self.src)
            store.save(store.Entry(key, [], {}, quotes), self.store)

    def sorted(self) -> tuple[list, list, list]:
        paths = sorted(self.book.glob("*/*.py"))
        return sort_out(paths, self.book, self.src, self.store)

    def stale(self) -> list[str]:
        return [chapter.name for chapter in self.sorted()[0]]


def texts(entry: store.Entry) -> list[str]:
    """The text of each output of each cell."""
    return [
        output.get("text") or output.get("data", {}).get("text/plain")
        for outputs in entry.outputs
        for output in outputs
    ]
