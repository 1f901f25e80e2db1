"""What a chapter put out, without what holds only on this machine, today.

Every pattern is linear here: a line of output may have a million letters.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ipykernel.compiler import get_file_name

from _config.chapters.parse import Cell

ANSI = re.compile(r"\x1b\[[\d;]*m")
FRAME = re.compile(r"Cell In\[(\d+)\], line (\d+)")
WORD = re.compile(r"[^\s\"'(\x1b]+")
CELL = re.compile(r"\A.*/ipykernel_\d+/(\d+)\.py")
MODULE = re.compile(r"\bsrc/([\w/.]+\.py)\b")
INSTALLED = re.compile(r"\A([^~/]*)[~/].*/(?:site-packages|lib/python3\.\d+)/")
ELSEWHERE = re.compile(r"\s*File (?:[/~]|src/|<frozen)")
PLACES = ("Cell ", "File ")  # what a frame starts with


class Tidy:
    """Tidies outputs; ``places`` are the texts whose lines they quote."""

    def __init__(self, cells: Sequence[Cell], src: Path, work: Path):
        home = str(Path.home())
        folders = {f"{src.resolve()}/": "src/", f"{work.resolve()}/": ""}
        short = {path.replace(home, "~", 1): to for path, to in folders.items()}
        self.folders = folders | short  # as Python and as IPython write them
        self.files = {
            Path(get_file_name(cell.source)).stem: str(number)
            for number, cell in enumerate(cells)
        }
        self.places: set[str] = set()

    def output(self, output: dict) -> dict:
        """An output as the page shows it."""
        output = dict(output)
        if output["output_type"] == "stream":
            lines = output["text"].split("\n")
            output["text"] = self.text("\n".join(map(settled, lines)))
        elif output["output_type"] == "error":
            output["traceback"] = [*self.traceback(output["traceback"])]
        else:
            data = output["data"]
            texts = {k: self.text(v) for k, v in data.items() if "text/" in k}
            output["data"] = data | texts
        return output

    def text(self, text: str) -> str:
        """A text without folders of this machine."""
        return WORD.sub(self.word, self.own(text))

    def own(self, text: str) -> str:
        for folder, shown in self.folders.items():
            text = text.replace(folder, shown)
        return text

    def word(self, match: re.Match) -> str:
        word = match[0]
        if "/" not in word:
            return word
        if cell := CELL.match(word):
            self.places.update(filter(None, [self.files.get(cell[1])]))
            return f"cell{word[cell.end() :]}"
        if module := MODULE.search(word):
            self.places.add(module[1])
        return INSTALLED.sub(r"\1", word)

    def traceback(self, parts: Sequence[str]) -> Iterator[str]:
        """The chapter's own frames, and the message.

        Frames in the library and in packages are left out: their lines are
        of other texts, which change while this chapter stays as it is.
        """
        plain = {one: self.own(ANSI.sub("", one)) for one in parts}
        own = [one for one in parts if not ELSEWHERE.match(plain[one])]
        for one in shortened(own, most=8):
            cells = FRAME.findall(plain.get(one, ""))
            self.places.update(str(int(cell) - 1) for cell, _ in cells)
            yield self.text(one)


def shortened(parts: Sequence[str], most: int) -> list[str]:
    """A traceback without the middle of many frames, as of a recursion."""
    starts = [ANSI.sub("", one).lstrip()[:5] for one in parts]
    frames = [i for i, start in enumerate(starts) if start in PLACES]
    left_out = frames[most // 2 : -most // 2]
    note = f"… {len(left_out)} more …\n"
    kept = [*parts]
    for i in reversed(left_out):
        kept[i : i + 1] = [note] * (i == left_out[0])
    return kept


def settled(line: str) -> str:
    """A line as a terminal leaves it: what follows a return replaces it."""
    body = line.rstrip("\r")
    return body.rpartition("\r")[2] + line[len(body) :]


def merged_streams(outputs: Iterable[dict]) -> list[dict]:
    """A cell's outputs with one of each stream."""
    found, pieces = [], defaultdict(list)
    for output in outputs:
        name = output.get("name")  # streams alone have one
        if name not in pieces:
            found.append(dict(output))
        if name:
            pieces[name].append(output["text"])
    for output in found:
        if "name" in output:
            output["text"] = "".join(pieces[output["name"]])
    return found
