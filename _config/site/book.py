"""The book of one build: each fact is found once, and kept for the next build.

What a chapter's page shows depends on the chapter's file, its records, its
outputs, the library, the workshop and the installed versions.  Where all of
these are the bytes that they were, so is what was found out about them: an
unchanged book is neither parsed nor looked into.
"""

import json
import os
import sys
import sysconfig
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

from _config.chapters.files import (
    ROOT,
    chapter_paths,
    fingerprint,
    keep,
    recall,
)
from _config.chapters.parse import Chapter, read_book
from _config.ledger.rule import Ledger, read_ledger
from _config.library.modules import Export, exports
from _config.runs import records, reports, store
from _config.runs.reach import digest
from _config.site import links

WORKSHOP = ROOT / "_config"


class Book:
    """What is known of the book in ``root``, now and from the last build."""

    def __init__(self, root: Path = ROOT, folder: Path | None = None) -> None:
        self.folder, self.src = folder or root / "book", root / "src"
        self.tests, self.build = root / "tests", root / "_build"
        self.store, self.kept = self.build / "store", self.build / "book.json"
        self.bench = self.build / "bench.json"
        self.known = recall(self.kept)

    @cached_property
    def paths(self) -> dict[str, Path]:
        """The chapters' files by name, in reading order."""
        paths = chapter_paths(self.folder)
        relative = {path: path.relative_to(self.folder) for path in paths}
        return {
            relative[path].with_suffix("").as_posix(): path for path in paths
        }

    @cached_property
    def chapters(self) -> dict[str, Chapter]:
        return {each.name: each for each in read_book(self.folder)}

    @cached_property
    def library(self) -> dict[str, Export]:
        return exports([*self.chapters.values()])

    @cached_property
    def ledger(self) -> Ledger:
        return read_ledger([*self.chapters.values()], self.tests)

    @cache  # noqa: B019  a Book lives as long as its build
    def links(self, name: str) -> list[links.Link]:
        return links.find_links(self.chapters[name], self.library)

    def entry(self, name: str) -> store.Entry | None:
        """What the store keeps of a chapter as it is now."""
        return store.load(self.chapters[name], self.src, self.store)

    # What was found out, and for what it holds

    @property
    def sources(self) -> str:
        """Changes with the library, and with the version that it states."""
        project = self.src.parent / "pyproject.toml"
        return fingerprint([*self.src.rglob("*.py"), project])

    @cached_property
    def around(self) -> str:
        """Changes with whatever may change any page."""
        return self.sources + workshop()

    @cached_property
    def texts(self) -> str:
        """Changes with the chapters."""
        return fingerprint(self.paths.values()) + workshop()

    @cached_property
    def code(self) -> str:
        """Changes with the chapters' code and markers, not with their prose."""
        known = self.known.get("code", {})
        if known.get("texts") != self.texts:
            cells = [
                [name, cell.metadata, cell.source * (cell.kind == "code")]
                for name, chapter in self.chapters.items()
                for cell in chapter.cells
            ]
            code = digest(json.dumps(cells)) + workshop()
            known = {"texts": self.texts, "code": code}
            self.known["code"] = known
        return known["code"]

    @cached_property
    def proofs(self) -> str:
        """Changes with the tests, and with the benchmarks among them."""
        return fingerprint(self.tests.rglob("*.py"))

    @property
    def measured(self) -> str:
        """Changes with benchmarks' results, and with what they depend on."""
        return fingerprint([self.bench]) + self.proofs + self.around

    def due(self, step: str, *inputs: str) -> bool:
        """Whether a step was last done for other inputs; now it is done.

        That is kept by ``save``, which is not called where a step fails.
        """
        before, now = self.known.get(step), digest("".join(inputs))
        self.known[step] = now
        return before != now

    def facts(self, name: str) -> dict:
        """``key`` of a chapter's outputs, whether it ``ran``, the library's
        names it ``used``, ``warnings`` and a ``stamp`` of all its page shows
        that is not in its file."""
        found = self.known.get(name)
        if not found or found["state"] != self.state(name, found["key"]):
            found = self.known[name] = self.find_out(name)
        with suppress(OSError):
            os.utime(self.outputs(found["key"]))  # what is in use is kept
        return found

    def state(self, name: str, key: str) -> str:
        """Changes with whatever the facts of a chapter depend on."""
        path = self.paths[name]
        kept = sorted(path.parent.glob(f"{path.stem}.*.json"))
        own = fingerprint([path, *kept, self.outputs(key)])
        return digest(own + self.around + self.code)

    def outputs(self, key: str) -> Path:
        return self.store / f"{key}.json"

    def find_out(self, name: str) -> dict:
        chapter = self.chapters[name]
        key = store.key(chapter, self.src)
        used = sorted({link.name for link in self.links(name)})
        summaries = [self.library[each].summary for each in used]
        kept = records.status(chapter, self.src)
        shown = [(each.status, each.kept) for each in kept]
        shown += [used, summaries, fingerprint([self.outputs(key)])]
        return {
            "state": self.state(name, key),
            "key": key,
            "ran": self.entry(name) is not None,
            "used": used,
            "warnings": reports.warnings(chapter, self.src, self.store),
            "stamp": digest(json.dumps(shown)),
        }

    def save(self) -> None:
        """Keep what was found out."""
        keep(self.kept, self.known)


@cache
def workshop() -> str:
    """Changes with the workshop's code and with what is installed."""
    kinds = "*.py", "*.toml", "kernel/*"
    code = {path for kind in kinds for path in WORKSHOP.rglob(kind)}
    installed = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    return fingerprint(code) + digest(
        sys.version + str(sorted(each.name for each in installed))
    )


@cache
def open_book(root: Path, folder: Path) -> Book:
    """The one Book of this process, for its commands and for Sphinx."""
    return Book(root, folder)
