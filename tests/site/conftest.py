"""A built site, served to a browser: `nox -s site`."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.site.checks import MODES, Watch

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The site's address on this machine while the block runs."""
    handler = partial(Quiet, directory=site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """The system's Chromium, which reaches this machine alone, so that a stray
    request fails at once."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("no Chromium: sudo apt-get install --yes chromium")
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    return browser_type_launch_args | {
        "executable_path": found,
        "args": ["--no-sandbox", offline],
    }


Visit = Callable[..., tuple[Page, Watch]]


@pytest.fixture
def visit(new_context: Callable[..., BrowserContext]) -> Visit:
    """Open a page in a mode; it comes with what its network shows."""

    def opened(
        address: str, name: str, mode: str = "light", **more: object
    ) -> tuple[Page, Watch]:
        page = new_context(**MODES[mode] | more).new_page()
        watch = Watch(page, address)
        page.goto(address + name, wait_until="load")
        return page, watch

    return opened
