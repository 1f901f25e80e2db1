"""What a reader would meet on a page: each check lists the problems it finds.

What is looked at in the page itself is in layout.js, what needs no browser in
files.py.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LAYOUT = Path(__file__).with_name("layout.js").read_text("utf-8")
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MODES = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone light": {"viewport": PHONE, "color_scheme": "light"},
    "phone dark": {"viewport": PHONE, "color_scheme": "dark"},
}
OPEN = "folds => folds.forEach(fold => fold.open = true)"
STILL = """*, ::before, ::after, ::details-content {
  transition: none !important; animation: none !important }"""
# What is opened is drawn with the frame after the next.
DRAWN = """() => new Promise(drawn =>
  requestAnimationFrame(() => requestAnimationFrame(drawn)))"""
# Axe looks for what covers each element: a minute for a chapter's thousands of
# code tokens and symbols, of which one of a colour is enough.  A formula's text
# is longer than the formula, so that a table would begin to scroll.
THIN = """() => {
  const seen = new Set(), spare = [];
  for (const it of document.querySelectorAll(".highlight span, .katex")) {
    const { color, backgroundColor, fontWeight } = getComputedStyle(it);
    const look = [it.className, color, backgroundColor, fontWeight].join();
    seen.has(look) ? spare.push(it) : seen.add(look);
  }
  for (const it of spare)
    it.replaceWith(it.matches(".katex") ? "x" : it.textContent);
  document.body.normalize();
}"""
COLOURS = ["color-contrast", "link-in-text-block"]


class Watch:
    """What a page's console and network show, and the files that it loads."""

    def __init__(self, page: Page, address: str) -> None:
        self.address, self.problems, self.files = address, [], set()
        page.on("request", lambda it: self.request(it.url))
        page.on("response", lambda it: self.response(it.status, it.url))
        page.on("pageerror", lambda it: self.note(f"script error: {it}"))
        page.on("console", lambda it: self.console(it.type, it.text))

    def note(self, problem: str) -> None:
        self.problems.append(problem)

    def request(self, url: str) -> None:
        if url.startswith(self.address):
            self.files.add(unquote(urlsplit(url).path).lstrip("/"))
        elif not url.startswith(("data:", "blob:")):
            self.note(f"request to another host: {url}")

    def response(self, status: int, url: str) -> None:
        if status >= 400:
            self.note(f"error {status}: {url}")

    def console(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load"):
            self.note(f"console error: {text}")


def shown(page: Page, dark: bool = False) -> Iterator[str]:
    """The layout, folds closed and open, and what axe finds; dark, only
    colours differ."""
    page.evaluate("document.fonts.ready.then(() => true)")
    page.add_style_tag(content=STILL)
    found = [] if dark else page.evaluate(LAYOUT)
    page.locator("details").evaluate_all(OPEN)
    found += [] if dark else page.evaluate(LAYOUT)
    yield from dict.fromkeys(": ".join(filter(None, each)) for each in found)
    page.evaluate(DRAWN)
    page.evaluate(THIN)
    yield from axe(page, COLOURS if dark else None)


def pressed(page: Page) -> Iterator[str]:
    """What axe finds with the search open, and with the menu."""
    page.add_style_tag(content=STILL)
    for button in (".search-button__button", ".primary-toggle"):
        page.locator(button).locator("visible=true").first.click()
        page.evaluate(DRAWN)
        yield from axe(page)
        page.keyboard.press("Escape")


def axe(page: Page, rules: list[str] | None = None) -> Iterator[str]:
    """What axe-core finds on the page now, by all rules or by these."""
    kinds = ["violations", "incomplete"]
    options = {"preload": False, "resultTypes": kinds}  # no CSS anew
    if rules:
        options["runOnly"] = rules
    found = Axe().run(page, options=options).response
    for kind in kinds:
        for finding in found[kind]:
            for node in finding["nodes"]:
                if kind == "violations" or is_invisible(node):
                    where = f"{finding['id']}: {node['target'][0]}"
                    yield f"axe {where}: {finding['help']}"


def is_invisible(node: dict) -> bool:
    """Whether text has its background's colour: to axe only a question."""
    data = (check["data"] for check in node["any"])
    reasons = [it.get("messageKey") for it in data if isinstance(it, dict)]
    return "equalRatio" in reasons


def without_scripts(page: Page) -> Iterator[str]:
    """Without JavaScript there are still text, colours and formulas."""

    def style(selector: str, name: str = "color") -> str | None:
        found = page.locator(selector)
        read = f"it => getComputedStyle(it).{name}"
        return found.first.evaluate(read) if found.count() else None

    if not page.locator("main").inner_text().strip():
        yield "no text: main"
    if style("body", "backgroundColor") == "rgba(0, 0, 0, 0)":
        yield "no colours: body"
    keyword = style(".highlight .k, .highlight .kn")
    if keyword and keyword == style(".highlight"):
        yield "code is not highlighted"
    formula = style(".katex-html", "fontFamily")
    if formula and "KaTeX" not in formula:
        yield "formula without its font"
    if page.locator(".math:not(:has(.katex))").count():
        yield "formula not rendered"


def on_paper(page: Page) -> Iterator[str]:
    """Printed, a page is light, and its folds are open."""
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.add_style_tag(content=STILL)
    for fold in page.locator("main details:not([open])").all():
        inside = fold.locator(":scope > :not(summary)").first
        if not inside.evaluate("it => it.checkVisibility() && it.offsetHeight"):
            yield f"folded on paper: {fold.inner_text().strip()[:40]}"
    dark = page.evaluate(
        """() => [...document.querySelectorAll("body, article, article *")].filter(it => {
          const [r, g, b, a] = getComputedStyle(it).backgroundColor.match(/[\\d.]+/g).map(Number);
          return a !== 0 && r + g + b < 500;
        }).map(it => it.localName + "." + it.className)"""
    )
    yield from (f"dark on paper: {element}" for element in dark)
    page.evaluate("dispatchEvent(new Event('afterprint'))")


def searched(page: Page, address: str, name: str) -> Iterator[str]:
    """The search finds a page by the longest word of its title."""
    page.goto(address + name)
    title = page.locator("h1").first.inner_text().replace("#", " ")
    word = max(title.split(), key=len, default="")
    page.goto(f"{address}search.html?q={word}")
    page.wait_for_selector(".search-summary:has-text('found')")
    if not page.locator(f'#search-results a[href^="{name}"]').count():
        yield f"not found by: {word}"
