"""The files of a built site: broken links, and what each page weighs."""

import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

FIRST_VIEW, NEXT_PAGE = 350_000, 75_000  # bytes, text files by gzip
PACKED = {".woff2", ".png", ".jpg", ".webp", ".gif"}


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
