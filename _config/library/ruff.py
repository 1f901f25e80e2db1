"""Ruff: what it finds in the library's files, and how it formats them."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruff import find_ruff_bin

from _config.chapters.files import PACKAGE

OPTIONS = (
    "--isolated",
    "--no-cache",
    "--quiet",
    "--target-version=py311",
    "--line-length=80",
    f'--config=lint.isort.known-first-party=["{PACKAGE}"]',
)
# Ruff's name of a mistake -> how to mend it.
MENDS = {
    "D100": 'start its first cell with """..."""',
    "D": "say in a line what it is or returns",
    "ANN0": "annotate it",
    "ANN2": "add -> ...",
    "T201": "return the value, or raise",
}
DUNDER = re.compile(r"\s*def __\w+__\(")
IGNORED = "D104,D105,D107,ANN204,ANN401"  # dunders are known; Any is torch's


@contextmanager
def folder(texts: dict[str, str]) -> Iterator[str]:
    """The files in a folder of their own."""
    with tempfile.TemporaryDirectory() as name:
        for each, text in texts.items():
            path = Path(name, each)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        yield name


def findings(texts: dict[str, str]) -> Iterator[tuple[str, int, str]]:
    """(file, line, message) for each mistake in code that is to be offered."""
    with folder(texts) as name:
        select = "--select=D1,ANN,T201", f"--ignore={IGNORED}"
        output = call_ruff(
            name, "check", *select, "--ignore-noqa", "--output-format=json"
        )
        root = Path(name).resolve()
        for each in json.loads(output):
            file = Path(each["filename"]).resolve().relative_to(root)
            code, row = each["code"] or "", each["location"]["row"]
            line = texts[file.as_posix()].split("\n")[row - 1]
            if code == "D102" and DUNDER.match(line):  # __call__, __new__
                continue
            mend = [text for key, text in MENDS.items() if code.startswith(key)]
            message = ": ".join([each["message"].rstrip("."), *mend[:1]])
            yield file.as_posix(), row, message


def formatted(texts: dict[str, str]) -> dict[str, bytes]:
    """Sort the imports and format, all files in one go.

    What only quoted annotations name is imported for type checkers alone, as
    matplotlib, which is slow to import; torch is there in any case.
    """
    with folder(texts) as name:
        typing = '--config=lint.flake8-type-checking.exempt-modules=["torch"]'
        fix = "--fix-only", "--unsafe-fixes"
        call_ruff(name, "check", "--select=I,TC002", typing, *fix)
        call_ruff(name, "format")
        return {each: Path(name, each).read_bytes() for each in sorted(texts)}


def call_ruff(folder: str, command: str, *options: str) -> str:
    """Run ruff over a folder, by our settings alone."""
    done = subprocess.run(
        [find_ruff_bin(), command, ".", *OPTIONS, *options],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"ruff {command} failed: {done.stderr}")
    return done.stdout
