"""What chapters put out, as readers meet it: every colour and kind of image."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from _config.chapters.parse import read_book
from _config.runs import store
from tests.site import checks
from tests.site.conftest import Visit, served
from tests.workshop.site.small_book import build, write_book

CHAPTER = '''# %% [markdown]
r"""
# Outputs

What does a cell put out?
"""

# %%
print(colours)

# %% alt="A dot, in many kinds"
for image in images:
    display(image)

# %% tags=["solution"]
print("folded")

# %% [markdown]
"""
:::{dropdown} Why?
Because.
:::
"""
'''
NAME = "1_one/1_first.html"
DRAWN = '<svg width="9pt" height="9pt"><rect width="5" height="5"/></svg>'
DOT = "R0lGODlhAQABAIAAAP///////yH5BAEAAAEALAAAAAABAAEAAAICTAEAOw=="
IMAGES = [
    *({f"image/{kind}": DOT} for kind in ("png", "jpeg", "gif", "webp")),
    {"image/svg+xml": DRAWN, "image/png": DOT},
    {"text/html": f'<p><img src="data:image/gif;base64,{DOT}"> kept</p>'},
]
CODES = [*range(30, 38), *range(40, 48), 1, 2, "38;5;1", "38;5;12", "38;5;200"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = write_book(tmp_path_factory.mktemp("shown"))
    path = root / "book/1_one/1_first.py"
    path.write_text(CHAPTER)
    (root / "book/2_two/1_second.py").unlink()
    (root / "book/2_two/index.md").write_text("# Endings\n")
    colours = "".join(f"\x1b[{code}m code {code}\x1b[0m\n" for code in CODES)
    outputs = [
        [stream(colours)],
        [{"output_type": "display_data", "data": each, "metadata": {}}
         for each in IMAGES],
        [stream("folded\n")],
    ]  # fmt: skip
    (chapter,) = read_book(root / "book")
    receipt = {"seconds": 2.0, "versions": {"torch": "2.13.0"}}
    key = store.key(chapter, root / "src")
    store.save(store.Entry(key, outputs, receipt), root / "_build/store")
    built = build(root, "-W")
    assert built.returncode == 0, built.stderr
    with served(root / "html") as address:
        yield address


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.mark.parametrize("mode", checks.MODES)
def test_colours_and_images_can_be_read(visit: Visit, address: str, mode: str):
    page, watch = visit(address, NAME, mode)
    problems = [*checks.shown(page), *watch.problems]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_colours_of_a_terminal_are_kept(
    visit: Visit, address: str, mode: str
):
    page, _ = visit(address, NAME, mode)
    ink = colour(page, page.locator(".cell_output pre").first)
    kept = {code: colour(page, page.get_by_text(f" code {code}", exact=True))
            for code in (31, 32, 33, 34, 35, 36, "38;5;1")}  # fmt: skip
    assert len({ink, *kept.values()}) == 7
    assert kept[31] == kept["38;5;1"]


def colour(page: Page, found: object) -> str:
    return found.evaluate("it => getComputedStyle(it).color")


def test_every_image_says_what_it_shows(visit: Visit, address: str):
    page, _ = visit(address, NAME)
    images = page.locator("article :is(img, figure > svg)")
    said = [
        image.get_attribute("alt") or image.get_attribute("aria-label")
        for image in images.all()
    ]
    assert said == ["A dot, in many kinds"] * len(IMAGES)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_paper_is_light_and_its_folds_are_open(
    visit: Visit, address: str, mode: str
):
    page, _ = visit(address, NAME, mode)
    assert page.locator("main details:not([open])").count() == 2
    assert [*checks.on_paper(page)] == []
    assert page.locator("html").get_attribute("data-theme") == mode
