"""What every chapter of the book promises its reader."""

import ast
import re
from collections import Counter

import pytest

from _config.chapters.parse import BOOK, ROOT, prose, read_book
from _config.library.extraction import library

CHAPTERS = {chapter.name: chapter for chapter in read_book()}


def text(name: str) -> str:
    return "\n\n".join(prose(cell) for cell in CHAPTERS[name].cells)


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


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_cell_fits_on_a_screen_and_prose_is_never_far(name):
    run = 0
    for cell in CHAPTERS[name].cells:
        folded = {"hide-input", "solution", "answer", "record"} & {*cell.tags}
        limit = 80 if folded or "export" in cell.tags else 45
        assert cell.source.count("\n") < limit or cell.kind == "markdown", (
            f"{name}:{cell.line}"
        )
        run = run + 1 if cell.kind == "code" and not folded else 0
        assert run <= 5, f"{name}:{cell.line}: code cells without prose"


def test_all_37_topics_of_the_questionnaire_are_asked_once():
    topics = Counter(
        int(n)
        for name in CHAPTERS
        if name.startswith("1_")
        for n in re.findall(r"^:name: topic-(\d+)$", text(name), re.MULTILINE)
    )
    assert topics == Counter(range(1, 38))


def test_the_library_is_what_the_book_extracts_to():
    for path, data in library(BOOK).items():
        assert (ROOT / "src/groundup" / path).read_bytes() == data, path


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
