"""A number in prose is one that the code holds, a cell put out, or a record.

Support is looked for in the chapter's code and records, and in what the cells
of the same section put out (of all sections, for the chapter's opening and its
endings).  Prose may count to twelve, name years and chapters.
"""

import re
from collections.abc import Iterator

import pytest

from _config.chapters.parse import Cell, Chapter, read_book
from _config.runs import store
from _config.runs.execution import execute
from tests.workshop.test_book import ENDING

CHAPTERS = {chapter.name: chapter for chapter in read_book()}
CHAPTER_NUMBERS = {chapter.number for chapter in CHAPTERS.values()}
COUNTS = range(13)
YEARS = range(1900, 2101)
# What no cell need compute, and why.
MNIST = {"784", "28", "10,000", "50,000", "60,000", "70,000", "255"}
NAMED = {
    # Figures that the sources state.
    "1_pixels/3_network": {"99.4 %"},
    "4_convnets/7_paper": {"94 %", "3.29"},
    "2_backward/2_init": {
        *("0.3073", "0.0155", "1.0006", "0.3896", "0.5860", "0.72", "0.94"),
    },
}
MARKUP = re.compile(
    r"^(?:`{3,}|:{3,}).*?$|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)"
    r"|https?://\S+|<[^>]*>|\{[^}]*\}",
    re.DOTALL | re.MULTILINE,
)
WRITTEN = re.compile(
    r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?(?!\w)(?:\s?%| per cent)?"
)
PUT_OUT = re.compile(r"(?<![A-Za-z_])\d[\d,_]*(?:\.\d+)?(?:e[+-]?\d+)?")
TEXTS = "text/plain", "text/html", "text/markdown", "text/latex"


def values(text: str) -> set[float]:
    """All numbers of a program or an output, without their signs."""
    return {float(re.sub("[,_]", "", n)) for n in PUT_OUT.findall(text)}


def is_supported(number: str, known: set[float]) -> bool:
    """Whether a known value, rounded as the number is, is the number."""
    digits, percent = re.fullmatch(r"([\d,.]+?),?(\D*)", number).groups()
    value = float(digits.replace(",", ""))
    places = len(digits.partition(".")[2])
    if not places and not percent and "," not in digits:
        if value in COUNTS or value in YEARS:
            return True
    scales = (1, 100) if percent else (1,)
    return any(round(s * k, places) == value for k in known for s in scales)


def written(prose: str) -> Iterator[tuple[int, str]]:
    """Line and text of the numbers in prose, without markup and formulas."""
    blank = MARKUP.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), prose)
    for match in WRITTEN.finditer(blank):
        yield blank[: match.start()].count("\n"), match.group().rstrip(",")


def shown(outputs: list[dict]) -> set[float]:
    """The numbers of a cell's outputs, as a reader sees them."""
    data = [output.get("data", {}) for output in outputs]
    texts = [output.get("text", "") for output in outputs]
    texts += [part[kind] for part in data for kind in TEXTS if kind in part]
    return values(re.sub(r"<[^>]*>", " ", "\n".join(map("".join, texts))))


def sections(chapter: Chapter) -> Iterator[tuple[str, Cell]]:
    """The cells, each with the heading that it stands under."""
    heading = ""
    for cell in chapter.cells:
        found = re.findall(r"^## (.+)$", cell.prose, re.MULTILINE)
        heading = found[0] if found else heading
        yield heading, cell


def unsupported(chapter: Chapter, outputs: list[list[dict]]) -> Iterator[str]:
    """The place of each number that nothing in its chapter bears out."""
    put_out: dict[str, set[float]] = {}
    of_cell = dict(zip(map(id, store.executed(chapter)), outputs, strict=True))
    for heading, cell in sections(chapter):
        numbers = shown(of_cell.get(id(cell), []))
        put_out[heading] = put_out.get(heading, set()) | numbers
    everywhere = set().union(*put_out.values())
    held = values("\n".join(cell.source for cell in chapter.code))
    for record in chapter.path.parent.glob(f"{chapter.path.stem}.*.json"):
        held |= values(record.read_text(encoding="utf-8"))
    exempt = CHAPTER_NUMBERS | MNIST | NAMED.get(chapter.name, set())
    for heading, cell in sections(chapter):
        if heading in ("", *ENDING):
            known = held | everywhere
        else:
            known = held | put_out[heading] | put_out.get("", set())
        for line, number in written(cell.prose):
            if number not in exempt and not is_supported(number, known):
                yield f"{chapter.path}:{cell.first_line + 1 + line}: {number}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_number_in_prose_is_computed_or_recorded(name):
    chapter = CHAPTERS[name]
    entry = store.load(chapter)
    if entry is None:
        assert execute([name]) == []
        entry = store.load(chapter)
    found = list(unsupported(chapter, entry.outputs))
    assert not found, "\n".join(found)


def test_every_exception_is_one():
    for name, numbers in NAMED.items():
        prose = "\n".join(cell.prose for cell in CHAPTERS[name].cells)
        assert numbers <= {number for _, number in written(prose)}, name


@pytest.mark.parametrize(
    ("prose", "known", "found"),
    [
        ("It costs 0.35 in 2019, with 12 layers.", "", ["0.35"]),
        ("It costs 0.35.", "tensor(0.3514)", []),
        ("It costs 0.35.", "tensor(0.3574)", ["0.35"]),
        ("It costs 0.350.", "tensor(0.35)", []),
        ("In 97.5 % and 3 % of cases", "0.9749", ["3 %"]),
        ("In 97.5 % of cases", "97.48", []),
        ("Of 1,234, 1234 or $99$ `98` {record}`97`", "1_234", []),
        ("Of 1,235 images", "1234.6 1e3", []),
        ("Of 1,000 images", "1e3", []),
        ("Of 14 images", "4.14e1", ["14"]),
    ],
)
def test_what_bears_a_number_out(prose, known, found):
    numbers = [number for _, number in written(prose)]
    known = values(known)
    assert [n for n in numbers if not is_supported(n, known)] == found
