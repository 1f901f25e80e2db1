"""What every chapter of the book promises its reader."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import pybtex.database
import pybtex.errors
import pytest

from _config.chapters.files import BOOK, ROOT
from _config.chapters.parse import read_book
from _config.library.extraction import library
from _config.library.modules import collect

CHAPTERS = {chapter.name: chapter for chapter in read_book()}


def text(name: str) -> str:
    return "\n\n".join(cell.prose for cell in CHAPTERS[name].cells)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_ends_with_what_was_built_questions_and_exercises(name):
    headings = re.findall(r"^## (.+)$", text(name), re.MULTILINE)
    order = [h for h in headings if h in ENDING]
    assert order == ENDING
    assert text(name).count(":::{dropdown}") >= 4, "questions with answers"


ENDING = ["What we built", "Questions", "Exercises"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_as_a_plain_script(name):
    for cell in CHAPTERS[name].code:  # such a cell would end the script
        assert "raises-exception" not in cell.tags, cell.line


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_solution_checks_itself(name):
    solutions = [c for c in CHAPTERS[name].code if "solution" in c.tags]
    assert len(solutions) >= 3
    for cell in solutions:
        checks = re.search(r"\b(assert|check|gradcheck)", cell.source)
        assert checks or "alt" in cell.metadata, cell.line


# A check that expects a value says what came instead: `assert_equal`.  A plain
# `assert` is for conditions.  Chapter 0.1 shows why, by example; what begins
# like one of these has not been brought to the rule yet.
PLAIN = ("0_workshop/1", "2_")


@pytest.mark.parametrize(
    "name", [name for name in CHAPTERS if not name.startswith(PLAIN)]
)
def test_a_value_that_is_expected_is_not_checked_by_a_plain_assert(name):
    plain = [
        f"{name}:{node.lineno}: write assert_equal(…, …)"
        for node in ast.walk(CHAPTERS[name].tree)
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare)
        if any(isinstance(op, ast.Eq) for op in node.test.ops)
    ]
    assert not plain, "\n".join(plain)


# Sizes
FOLDED = {"hide-input", "solution", "answer", "record"}


def oversized(name: str) -> Iterator[str]:
    """What a chapter has too much of, with its place."""
    chapter = CHAPTERS[name]
    if not chapter.starred and len(chapter.lines) > 1_000:
        yield f"{name}: {len(chapter.lines)} lines, at most 1,000"
    in_a_row = exported = 0
    for cell in chapter.cells:
        place = f"{name}:{cell.line}"
        if cell.kind == "markdown":
            in_a_row = 0
            continue
        folded = bool(FOLDED & {*cell.tags})
        limit, length = 40 if folded else 30, cell.source.count("\n") + 1
        if length > limit:
            yield f"{place}: a cell of {length} lines, at most {limit}"
        in_a_row += not folded
        if in_a_row > 3:
            yield f"{place}: more than 3 code cells without prose"
        if "export" not in cell.tags:
            exported = 0
            continue
        before, exported = exported, exported + length
        if before <= 60 < exported:
            yield f"{place}: {exported} exported lines and nothing run"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_keeps_to_the_sizes(name):
    assert not (found := list(oversized(name))), "\n".join(found)


def test_starred_chapters_stand_at_the_end_of_their_part():
    parts = groupby(CHAPTERS.values(), key=lambda chapter: chapter.part)
    for part, chapters in parts:
        stars = [chapter.starred for chapter in chapters]
        assert stars == sorted(stars), part


@pytest.mark.parametrize(
    "name", [name for name in CHAPTERS if CHAPTERS[name].starred]
)
def test_a_starred_chapter_says_on_top_what_it_finishes(name):
    paragraphs = CHAPTERS[name].cells[0].prose.split("\n\n")
    said = [" ".join(each.split()) for each in paragraphs]
    (banner,) = (each for each in said if "go on without it" in each)
    assert re.search(r"finishes what .*{doc}`/\w+/\w+`", banner)


# The library's shape


def classes() -> dict[str, tuple[str, list[str], bool]]:
    """Path -> name, bases of ours, whether users see it."""
    modules, _ = collect([*CHAPTERS.values()])
    exports = [e for m in modules.values() for e in m.names.values()]
    found = {e.home: e for e in exports if isinstance(e.node, ast.ClassDef)}
    names = {export.name: home for home, export in found.items()}
    return {
        home: (
            export.name,
            [
                names[base]
                for each in export.node.bases
                if (base := ast.unparse(each).split("[")[0].split(".")[-1])
                in names
                and names[base] != home
            ],
            export.public,
        )
        for home, export in found.items()
    }


def levels(home: str, found: dict) -> int:
    """How many classes of ours stand above one."""
    return max((1 + levels(base, found) for base in found[home][1]), default=0)


def test_a_class_has_at_most_three_levels_of_ours_above_it():
    found = classes()
    deep = {home: levels(home, found) for home in found}
    assert {home: n for home, n in deep.items() if n > 3} == {}


def test_no_hidden_base_exists_for_a_single_child():
    found = classes()
    children = Counter(base for _, bases, _ in found.values() for base in bases)
    lonely = [
        home
        for home, (_, _, public) in found.items()
        if children[home] == 1 and not public
    ]
    assert lonely == []


def test_all_37_topics_of_the_questionnaire_are_asked_once():
    topics = Counter(
        int(n)
        for name in CHAPTERS
        if name.startswith("1_")
        for n in re.findall(r"^:name: topic-(\d+)$", text(name), re.MULTILINE)
    )
    assert topics == Counter(range(1, 38))


def test_every_module_has_a_test_file_in_its_place():
    for path in library(BOOK):
        if not path.endswith("__init__.py"):
            module = ROOT / "tests" / path  # or its package, if that is small
            places = [module, module.parent.with_suffix(".py")]
            assert any(p.with_name(f"test_{p.name}").exists() for p in places)


def test_nothing_in_the_library_prints_or_knows_the_workshop():
    for path, data in library(BOOK).items():
        tree = ast.parse(data)
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert "print" not in names and b"_config" not in data, path


def test_the_bibliography_parses_and_holds_what_is_cited():
    with pybtex.errors.capture() as faults:
        entries = pybtex.database.parse_file(BOOK / "references.bib").entries
    assert not faults
    cited = {
        key
        for path in (*BOOK.rglob("*.py"), *BOOK.rglob("*.md"))
        for keys in re.findall(
            r"\{cite:\w+\}`([^`]+)`", path.read_text("utf-8")
        )
        for key in re.split(r"\s*,\s*", keys)
    }
    assert cited and not cited - {*entries}
