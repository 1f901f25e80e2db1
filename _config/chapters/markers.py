"""The line that starts a cell: where one is, and what it says.

    # %% Title of the cell tags=["export"] module="nn.linear"
    # %% [markdown] alt="..."

Values are JSON.  What Jupytext would read otherwise than we do is refused.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from _config.chapters.files import ChapterError

MARKER = re.compile(r"# %%(?:[ \t]+(?P<rest>.*))?")
# What Jupytext, or a hurried author, also takes for a marker.
NEAR_MARKER = re.compile(r"\s*#\s*(%%|<codecell>\s*$|In\[[\d ]*\]:?\s*$)")
# A marker inside a string is text; ``own`` is a comment on a line of its own.
TOKEN = re.compile(
    r'''("""|\'\'\')(?:\\.|[^\\])*?\1'''
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
    r"""|(?P<own>(?m:^)[ \t]*\#[^\n]*)|\#[^\n]*""",
    re.DOTALL,
)
KEY = re.compile(r"(?<!\S)(?P<key>[A-Za-z_]\w*)=")
KIND = re.compile(r"\[(markdown|raw|md)\]")
TEXT_KEYS = {"module", "earns", "loans", "repaid", "alt", "record"}
FLAGS = {"namespace", "starred"}
KEYS = TEXT_KEYS | FLAGS | {"tags", "limit", "mystnb"}
# Metadata that KEY does not match would be read as a title and lost.
NEAR_KEY = re.compile(rf'\b({"|".join(KEYS)})\s*[=:]\s*["\[]')
TAGS = {
    "export",  # copied into src/groundup/
    "internal",  # exported, but no name that the package offers
    "reference",  # the real thing, for comparison: exempt from the ledger
    "answer",  # code that answers a question: folded
    "solution",  # code that solves an exercise: folded
    "record",  # a long measurement, run by `nox -s record`
    "hide-input",
    "hide-output",
    "hide-cell",
    "remove-input",
    "remove-output",
    "remove-cell",
    "raises-exception",
}


def marker_lines(text: str, path: Path) -> Iterator[int]:
    """The index of each line that starts a cell."""
    for match in TOKEN.finditer(text):
        comment = match["own"] or ""
        if not NEAR_MARKER.match(comment):
            continue
        line = text.count("\n", 0, match.start())
        if MARKER.fullmatch(comment) is None:
            message = (
                f"{comment.strip()!r}: a cell starts with `# %%` and a "
                "space, at the start of the line"
            )
            raise ChapterError(path, line + 1, message)
        yield line


def read_marker(text: str, path: Path, line: int) -> tuple[str, str, dict]:
    """``# %% [markdown] title key=json ...`` as kind, title and metadata."""
    try:
        rest = MARKER.fullmatch(text)["rest"] or ""
        first = KEY.search(rest)
        cut = first.start() if first else len(rest)
        metadata = read_metadata(rest[cut:])
        return *read_title(rest[:cut]), metadata
    except ValueError as error:
        raise ChapterError(path, line, str(error)) from None


def read_title(text: str) -> tuple[str, str]:
    """``A section [markdown]`` -> kind and title."""
    if near := NEAR_KEY.search(text):
        wrong = f"{near[0]!r} in a title"
        raise ValueError(f"{wrong}: write {near[1]}= and its value")
    kinds = KIND.findall(text)
    title = KIND.sub("", text).strip() if kinds else text.strip()
    if kinds not in ([], ["markdown"]) or title.startswith("["):
        wrong = next((k for k in kinds if k != "markdown"), title.split("]")[0])
        raise ValueError(f"unknown kind of cell: {wrong} (only [markdown])")
    if "{" in title:
        wrong = f"{title!r}: Jupytext takes what is in braces for metadata"
        raise ValueError(f"{wrong}; write key=value, and no brace in a title")
    if title.startswith("%"):
        raise ValueError(f"{title!r}: a title does not start with %")
    if title.split(" ")[0].rstrip(":") in TAGS:
        raise ValueError(
            f'{title!r} is a title; for a tag write tags=["{title}"]'
        )
    return "markdown" if kinds else "code", title


def read_metadata(text: str) -> dict:
    """``key=json key=json`` as a dict; every key and value is checked."""
    metadata = {}
    while text:
        match = KEY.match(text)
        if match is None:
            wrong = f"cannot read {text!r}"
            raise ValueError(f"{wrong}: expected key=value, the value in JSON")
        key = match["key"]
        try:
            value, end = json.JSONDecoder().raw_decode(text, match.end())
        except (json.JSONDecodeError, RecursionError) as error:
            why = getattr(error, "msg", "too deep")
            raise ValueError(
                f"{key}= is not followed by JSON ({why}): {text!r}"
            ) from None
        if key in metadata:
            raise ValueError(f"{key}= is given twice")
        check_value(key, value)
        metadata[key] = value
        text = text[end:].lstrip()
    return metadata


def check_value(key: str, value: object) -> None:
    """Refuse a value of the wrong type: it would be lost in silence."""
    if key not in KEYS:
        known = ", ".join(sorted(KEYS))
        raise ValueError(f"unknown key {key}= (known: {known})")
    got = f"got {json.dumps(value)}"
    if key in TEXT_KEYS and not isinstance(value, str):
        raise ValueError(f"{key}= takes a string, {got}")
    if key in FLAGS and not isinstance(value, bool):
        raise ValueError(f"{key}= takes true or false, {got}")
    if key == "limit":
        number = type(value) in (int, float)
        if not number or not 0 < value < float("inf"):
            raise ValueError(f"limit= takes a number of seconds, {got}")
    if key == "tags":
        if type(value) is not list or not all(type(t) is str for t in value):
            raise ValueError(f"tags= takes a list of strings, {got}")
        if unknown := [tag for tag in value if tag not in TAGS]:
            known = ", ".join(sorted(TAGS))
            raise ValueError(f"unknown tag {unknown[0]!r} (known: {known})")
