"""The built site in a browser: python -m _config.browser [--site _build/html]

Every page is opened on a desktop and a phone, light and dark, with its folds
open.  A line is printed for each problem, with page, mode and element; any
problem fails the run.  What is checked on the page itself is in browser.js.
"""

import argparse
import gzip
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from _config.chapters import ROOT

PAGE_CHECKS = Path(__file__).with_name("browser.js").read_text("utf-8")
OPEN = "folds => folds.forEach(fold => fold.open = true)"
MODES = {
    "light": {
        "viewport": {"width": 1440, "height": 900},
        "color_scheme": "light",
    },
    "dark": {
        "viewport": {"width": 1440, "height": 900},
        "color_scheme": "dark",
    },
    "phone light": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
    },
    "phone dark": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "dark",
    },
}
FIRST_VIEW, NEXT_PAGE = 350_000, 60_000  # bytes, text files by gzip
PACKED = {".woff2", ".png", ".jpg", ".webp", ".gif"}
GENERATED = {"404.html", "genindex.html", "py-modindex.html", "search.html"}


@dataclass(frozen=True)
class Problem:
    """One defect; ``str`` of it is the line that is printed."""

    page: str
    mode: str
    check: str
    element: str
    detail: str = ""

    def __str__(self) -> str:
        parts = [
            f"{self.page} [{self.mode}]",
            self.check,
            self.element,
            self.detail,
        ]
        return ": ".join(part for part in parts if part)


# --- What needs no browser -------------------------------------------------


class Links(HTMLParser):
    """The anchors of a page and the addresses that it links to."""

    def __init__(self, page: Path):
        super().__init__()
        self.anchors, self.targets = {"", "top"}, []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        """Note ids, and what ``href`` and ``src`` name."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def page_names(site: Path) -> list[str]:
    """The pages of a site, without the templates among its static files."""
    names = (page.relative_to(site).as_posix() for page in site.rglob("*.html"))
    return sorted(name for name in names if not name.startswith("_static/"))


def broken_links(site: Path) -> Iterator[Problem]:
    """Links and anchors inside the site that lead nowhere."""
    links = {site / name: Links(site / name) for name in page_names(site)}
    for page, found in links.items():
        name = page.relative_to(site).as_posix()
        for target in dict.fromkeys(found.targets):
            url = urlsplit(urljoin(f"http://site/{name}", target))
            if url.netloc != "site":
                continue
            file = site / unquote(url.path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file():
                yield Problem(name, "links", "broken link", target)
            elif (
                file in links
                and unquote(url.fragment) not in links[file].anchors
            ):
                yield Problem(name, "links", "no such anchor", target)


@cache
def weight(file: Path) -> int:
    """The bytes that a server sends for a file."""
    data = file.read_bytes()
    return len(data) if file.suffix in PACKED else len(gzip.compress(data))


def too_heavy(site: Path, loaded: dict[str, set[str]]) -> Iterator[Problem]:
    """Pages over the limits, given the files of the site that each loads."""
    used = Counter(file for files in loaded.values() for file in files)
    for page, files in loaded.items():
        sizes = {
            file: weight(site / file)
            for file in files
            if (site / file).is_file()
        }
        own = {file: size for file, size in sizes.items() if used[file] == 1}
        if page == "search.html":  # it alone loads the index of the whole book
            continue
        if sum(sizes.values()) > FIRST_VIEW:
            detail = f"{sum(sizes.values()):,} bytes, at most {FIRST_VIEW:,}"
            yield Problem(page, "weight", "first view", heaviest(sizes), detail)
        if sum(own.values()) > NEXT_PAGE:
            own_size = sum(own.values())
            detail = f"{own_size:,} bytes of its own, at most {NEXT_PAGE:,}"
            yield Problem(page, "weight", "next page", heaviest(own), detail)


def heaviest(sizes: dict[str, int]) -> str:
    return max(sizes, key=sizes.__getitem__)


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(site: Path) -> Iterator[str]:
    """The site's address on this machine while the block runs."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=site)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


# --- What needs one --------------------------------------------------------


def chromium() -> str:
    """The path of the system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    sys.exit("no Chromium found: sudo apt-get install --yes chromium")


class Visit:
    """Pages of one site, opened one after the other in one browser."""

    def __init__(self, browser, address: str):
        self.browser, self.address = browser, address
        self.problems: list[Problem] = []
        self.loaded: dict[str, set[str]] = {}

    def check(self, page: str) -> None:
        """All checks of one page."""
        for mode in MODES:
            self.check_mode(page, mode)
        self.check_without_scripts(page)
        if page not in GENERATED:
            self.check_search(page)

    @contextmanager
    def open(self, page: str, mode: str, **options: object) -> Iterator:
        """The loaded page; what its console and network show is noted."""

        def note(check: str, element: str) -> None:
            self.problems.append(Problem(page, mode, check, element))

        def request(url: str) -> None:
            if url.startswith(self.address):
                file = unquote(urlsplit(url).path).lstrip("/")
                self.loaded.setdefault(page.partition("?")[0], set()).add(file)
            elif not url.startswith(("data:", "blob:")):
                note("request to another host", url)

        def console(kind: str, text: str) -> None:
            if kind == "error" and not text.startswith(
                "Failed to load resource"
            ):
                note("console error", text)

        context = self.browser.new_context(
            **MODES.get(mode, MODES["light"]), **options
        )
        tab = context.new_page()
        tab.on("request", lambda it: request(it.url))
        tab.on(
            "response",
            lambda it: it.status >= 400 and note(f"error {it.status}", it.url),
        )
        tab.on("pageerror", lambda it: note("script error", str(it)))
        tab.on("console", lambda it: console(it.type, it.text))
        try:
            tab.goto(self.address + page, wait_until="load")
            yield tab
        finally:
            context.close()

    def check_mode(self, page: str, mode: str) -> None:
        """Look at a page as it is, then with all folds open and by axe."""
        with self.open(page, mode) as tab:
            tab.evaluate("document.fonts.ready.then(() => true)")
            tab.add_style_tag(content="* { transition: none !important }")
            found = tab.evaluate(PAGE_CHECKS)
            tab.locator("details").evaluate_all(OPEN)
            found += [it for it in tab.evaluate(PAGE_CHECKS) if it not in found]
            self.problems += [Problem(page, mode, *it) for it in found]
            self.axe(tab, page, mode)
            if page == "index.html":
                for state, button in (
                    ("search", ".search-button__button"),
                    ("menu", ".primary-toggle"),
                ):
                    tab.locator(button).locator("visible=true").first.click()
                    tab.wait_for_timeout(400)
                    self.axe(tab, page, f"{mode}, {state} open")
                    tab.keyboard.press("Escape")

    def axe(self, tab, page: str, mode: str) -> None:
        """Note what axe-core finds on the page as it stands."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(
            tab, options={"preload": False}
        )  # it would fetch CSS anew
        for violation in found.response["violations"]:
            for node in violation["nodes"]:
                rule = f"axe {violation['id']}"
                self.problems.append(
                    Problem(
                        page,
                        mode,
                        rule,
                        str(node["target"][0]),
                        violation["help"],
                    )
                )

    def check_without_scripts(self, page: str) -> None:
        """Without JavaScript there are still text, colours and formulas."""
        mode = "no scripts"
        with self.open(page, mode, java_script_enabled=False) as tab:

            def color(selector: str, name: str = "color") -> str | None:
                found = tab.locator(selector)
                style = f"it => getComputedStyle(it).{name}"
                return found.first.evaluate(style) if found.count() else None

            def note(check: str, element: str) -> None:
                self.problems.append(Problem(page, mode, check, element))

            if not tab.locator("main").inner_text().strip():
                note("no text", "main")
            if color("body", "backgroundColor") == "rgba(0, 0, 0, 0)":
                note("no colours", "body")
            if (
                keyword := color(".highlight .k, .highlight .kn")
            ) and keyword == color(".highlight"):
                note("code is not highlighted", ".highlight")
            if (
                formula := color(".katex-html", "fontFamily")
            ) and "KaTeX" not in formula:
                note("formula without its font", ".katex-html")
            if tab.locator(".math:not(:has(.katex))").count():
                note("formula not rendered", ".math")

    def check_search(self, page: str) -> None:
        """The search finds a page by the longest word of its title."""
        with self.open(page, "search", java_script_enabled=False) as tab:
            title = tab.locator("h1").first.inner_text().replace("#", " ")
        word = max(title.split(), key=len, default="")
        with self.open(f"search.html?q={word}", "search") as tab:
            tab.wait_for_selector(
                ".search-summary:has-text('found')", timeout=20_000
            )
            if not tab.locator(f'#search-results a[href^="{page}"]').count():
                self.problems.append(
                    Problem(page, "search", "not found by", word)
                )


def visit(address: str, pages: list[str]) -> Visit:
    """Check some pages in a browser of their own."""
    from playwright.sync_api import sync_playwright

    # Offline but for this machine, so that a stray request fails at once.
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    arguments = ["--no-sandbox", offline]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=arguments
        )
        result = Visit(browser, address)
        for page in pages:
            result.check(page)
            print(
                f"{page}: {len(result.problems)} problems so far",
                file=sys.stderr,
            )
        browser.close()
    result.browser = None
    return result


def check_site(site: Path, jobs: int = os.cpu_count() or 1) -> list[Problem]:
    """Every problem of every page of a built site."""
    pages = page_names(site)
    if not pages:
        sys.exit(f"{site}: no pages: run nox -s build first")
    chromium()
    problems, loaded = list(broken_links(site)), {}
    with serve(site) as address, ProcessPoolExecutor(jobs) as pool:
        shares = [pages[start::jobs] for start in range(jobs)]
        for result in pool.map(partial(visit, address), shares):
            problems += result.problems
            loaded |= result.loaded
    return problems + list(too_heavy(site, loaded))


def main() -> None:
    """Print every problem; exit 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build/html")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    problems = check_site(options.site, options.jobs)
    print(*problems, sep="\n")
    sys.exit(f"{len(problems)} problems" if problems else 0)


if __name__ == "__main__":
    main()
