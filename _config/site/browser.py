"""The built site in a browser: ``python -m _config.site.browser [--site DIR]``

Every page is opened on a desktop and a phone, light and dark, with its folds
open, and without JavaScript.  A line is printed for each problem as it is
found, with page, mode and element; any problem fails the run.  What is looked
at on the page itself is in browser.js, what needs no browser in site_files.py.
"""

import argparse
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from _config.chapters.files import ROOT
from _config.site.site_files import Problem, broken_links, page_names, too_heavy

LAYOUT = Path(__file__).with_name("browser.js").read_text("utf-8")
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MODES = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone light": {"viewport": PHONE, "color_scheme": "light"},
    "phone dark": {"viewport": PHONE, "color_scheme": "dark"},
    "no scripts": {"viewport": DESKTOP, "java_script_enabled": False},
    "search": {"viewport": DESKTOP},
}
OPEN = "folds => folds.forEach(fold => fold.open = true)"
# Axe looks for what covers each element: a minute for a chapter's thousands of
# code tokens and symbols, of which one of a colour is enough.
THIN = """() => {
  const seen = new Set(), spare = [];
  for (const it of document.querySelectorAll(".highlight span, .katex")) {
    const { color, backgroundColor, fontWeight } = getComputedStyle(it);
    const look = [it.className, color, backgroundColor, fontWeight].join();
    seen.has(look) ? spare.push(it) : seen.add(look);
  }
  for (const it of spare) it.replaceWith(it.textContent);
  document.body.normalize();
}"""
COLOURS = ["color-contrast", "link-in-text-block"]
GENERATED = {"404.html", "genindex.html", "py-modindex.html", "search.html"}
SEARCHED = 5  # pages that the search must find


class Visit:
    """One browser in which pages of a site are opened, one after the other."""

    def __init__(self, browser, address: str, report: Callable, loaded: dict):
        self.address, self.report, self.loaded = address, report, loaded
        self.contexts = {
            mode: browser.new_context(**options)
            for mode, options in MODES.items()
        }

    def check(self, page: str, search: bool) -> None:
        """All checks of one page."""
        checks = dict.fromkeys(list(MODES)[:4], self.check_mode)
        checks["no scripts"] = self.check_without_scripts
        if search:
            checks["search"] = self.check_search
        for mode, look in checks.items():
            note = partial(self.note, page, mode)
            try:
                look(page, mode, note)
            except Exception as error:  # as when a page never ends loading
                note("failed", "page", str(error).partition("\n")[0])

    def note(self, page: str, mode: str, *found: str) -> None:
        self.report(Problem(page, mode, *found))

    @contextmanager
    def open(self, page: str, mode: str) -> Iterator:
        """The loaded page; what its console and network show is noted."""
        note = partial(self.note, page, mode)
        files = self.loaded.setdefault(page.partition("?")[0], set())

        def request(url: str) -> None:
            if url.startswith(self.address):
                files.add(unquote(urlsplit(url).path).lstrip("/"))
            elif not url.startswith(("data:", "blob:")):
                note("request to another host", url)

        def console(kind: str, text: str) -> None:
            if kind == "error" and not text.startswith("Failed to load"):
                note("console error", text)

        def response(status: int, url: str) -> None:
            if status >= 400:
                note(f"error {status}", url)

        tab = self.contexts[mode].new_page()
        tab.on("request", lambda it: request(it.url))
        tab.on("response", lambda it: response(it.status, it.url))
        tab.on("pageerror", lambda it: note("script error", str(it)))
        tab.on("console", lambda it: console(it.type, it.text))
        try:
            tab.goto(self.address + page, wait_until="load")
            yield tab
        finally:
            tab.close()

    def check_mode(self, page: str, mode: str, note: Callable) -> None:
        """The layout, folds closed and open, and what axe finds; dark, only
        colours differ."""
        dark = mode.endswith("dark")
        with self.open(page, mode) as tab:
            tab.evaluate("document.fonts.ready.then(() => true)")
            tab.add_style_tag(content="* { transition: none !important }")
            found = [] if dark else tab.evaluate(LAYOUT)
            tab.locator("details").evaluate_all(OPEN)
            again = [] if dark else tab.evaluate(LAYOUT)
            for problem in found + [it for it in again if it not in found]:
                note(*problem)
            tab.evaluate(THIN)
            axe(tab, note, COLOURS if dark else None)
            if page == "index.html":
                for state, button in (
                    ("search", ".search-button__button"),
                    ("menu", ".primary-toggle"),
                ):
                    tab.locator(button).locator("visible=true").first.click()
                    tab.wait_for_timeout(400)
                    axe(tab, partial(self.note, page, f"{mode}, {state} open"))
                    tab.keyboard.press("Escape")

    def check_without_scripts(
        self, page: str, mode: str, note: Callable
    ) -> None:
        """Without JavaScript there are still text, colours and formulas."""
        with self.open(page, mode) as tab:

            def style(selector: str, name: str = "color") -> str | None:
                found = tab.locator(selector)
                read = f"it => getComputedStyle(it).{name}"
                return found.first.evaluate(read) if found.count() else None

            if not tab.locator("main").inner_text().strip():
                note("no text", "main")
            if style("body", "backgroundColor") == "rgba(0, 0, 0, 0)":
                note("no colours", "body")
            keyword = style(".highlight .k, .highlight .kn")
            if keyword and keyword == style(".highlight"):
                note("code is not highlighted", ".highlight")
            formula = style(".katex-html", "fontFamily")
            if formula and "KaTeX" not in formula:
                note("formula without its font", ".katex-html")
            if tab.locator(".math:not(:has(.katex))").count():
                note("formula not rendered", ".math")

    def check_search(self, page: str, mode: str, note: Callable) -> None:
        """The search finds a page by the longest word of its title."""
        with self.open(page, "no scripts") as tab:
            title = tab.locator("h1").first.inner_text().replace("#", " ")
        word = max(title.split(), key=len, default="")
        with self.open(f"search.html?q={word}", mode) as tab:
            tab.wait_for_selector(".search-summary:has-text('found')")
            if not tab.locator(f'#search-results a[href^="{page}"]').count():
                note("not found by", word)


def axe(tab, note: Callable, rules: list[str] | None = None) -> None:
    """Note what axe-core finds on the page now, by all or by these rules."""
    from axe_playwright_python.sync_playwright import Axe

    kinds = ["violations", "incomplete"]
    options = {"preload": False, "resultTypes": kinds}  # no CSS anew
    if rules:
        options["runOnly"] = rules
    found = Axe().run(tab, options=options).response
    for kind in kinds:
        for finding in found[kind]:
            for node in finding["nodes"]:
                if kind == "violations" or is_invisible(node):
                    rule, element = f"axe {finding['id']}", node["target"][0]
                    note(rule, str(element), finding["help"])


def is_invisible(node: dict) -> bool:
    """Whether text has its background's colour: to axe only a question."""
    data = (check["data"] for check in node["any"])
    reasons = [it.get("messageKey") for it in data if isinstance(it, dict)]
    return "equalRatio" in reasons


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(site: Path) -> Iterator[str]:
    """The site's address on this machine while the block runs."""
    handler = partial(Quiet, directory=site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def chromium() -> str:
    """The path of the system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    sys.exit("no Chromium found: sudo apt-get install --yes chromium")


def check_site(
    site: Path,
    only: list[str] | None = None,
    jobs: int = os.cpu_count() or 1,
    report: Callable[[Problem], None] = lambda problem: None,
) -> list[Problem]:
    """Every problem of a built site, reported as it is found."""
    from playwright.sync_api import sync_playwright

    problems: list[Problem] = []
    loaded: dict[str, set[str]] = {}
    pages = page_names(site)
    if not pages:
        sys.exit(f"{site}: no pages: run nox -s build first")
    if unknown := set(only or ()) - set(pages):
        sys.exit(f"{site}: no page {', '.join(sorted(unknown))}")
    titled = [page for page in pages if page not in GENERATED]
    searched = set(titled[:: max(1, len(titled) // SEARCHED)])
    queue = iter(only or pages)
    # Offline but for this machine, so that a stray request fails at once.
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    launch = {
        "executable_path": chromium(),
        "args": ["--no-sandbox", offline],
    }

    def note(problem: Problem) -> None:
        problems.append(problem)
        report(problem)

    def work(address: str) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch)
            visit = Visit(browser, address, note, loaded)
            for page in queue:
                start = time.monotonic()
                visit.check(page, page in searched)
                took = time.monotonic() - start
                print(f"{page}: {took:.1f} s", file=sys.stderr)

    with ExitStack() as stack:
        address = stack.enter_context(serve(site))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        workers = [pool.submit(work, address) for _ in range(jobs)]
        for problem in broken_links(site):
            note(problem)
        for worker in workers:
            worker.result()
    for problem in too_heavy(site, loaded) if not only else ():
        note(problem)  # what pages share shows only when all were opened
    return problems


def main() -> None:
    """Print every problem; exit 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="*", help="all, if none is named")
    parser.add_argument("--site", type=Path, default=ROOT / "_build/html")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    show = partial(print, flush=True)
    problems = check_site(options.site, options.page, options.jobs, show)
    sys.exit(f"{len(problems)} problems" if problems else 0)


if __name__ == "__main__":
    main()
