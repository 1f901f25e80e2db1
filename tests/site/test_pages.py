"""Every page of the built site, as readers meet it."""

from collections.abc import Iterable, Iterator

import pytest

from _config.chapters.files import ROOT
from tests.site import checks
from tests.site.conftest import Visit, served
from tests.site.files import broken_links, page_names, too_heavy

SITE = ROOT / "_build/html"
PAGES = page_names(SITE)
GENERATED = {"404.html", "genindex.html", "py-modindex.html", "search.html"}
TITLED = [name for name in PAGES if name not in GENERATED]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(SITE) as address:
        yield address


def refuse(problems: Iterable[str]) -> None:
    assert not (lines := [*problems]), "\n".join(lines)


def test_there_is_a_site():
    assert PAGES, "run nox -s build first"


def test_all_links_and_anchors_lead_somewhere():
    refuse(broken_links(SITE))


@pytest.mark.parametrize("mode", checks.MODES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read(visit: Visit, address: str, name: str, mode: str):
    page, watch = visit(address, name, mode)
    problems = [*checks.shown(page, dark=mode.endswith("dark"))]
    problems += [*watch.problems, *too_heavy(SITE, name, watch.files)]
    refuse(problems)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_without_scripts_and_on_paper(
    visit: Visit, address: str, name: str
):
    page, watch = visit(address, name, java_script_enabled=False)
    paper, other = visit(address, name, "dark")
    problems = [*checks.without_scripts(page), *checks.on_paper(paper)]
    refuse(problems + watch.problems + other.problems)


@pytest.mark.parametrize("mode", checks.MODES)
def test_the_search_and_the_menu_open(visit: Visit, address: str, mode: str):
    page, watch = visit(address, "index.html", mode)
    refuse([*checks.pressed(page), *watch.problems])


@pytest.mark.parametrize("name", TITLED[:: max(1, len(TITLED) // 5)])
def test_the_search_finds_a_page(visit: Visit, address: str, name: str):
    page, watch = visit(address, name)
    refuse([*checks.searched(page, address, name), *watch.problems])
