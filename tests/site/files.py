"""The files of a built site: broken links, and what each page weighs."""

import gzip
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

FIRST_VIEW, NEXT_PAGE = 350_000, 75_000  # bytes, text files by gzip
PACKED = {".woff2", ".png", ".jpg", ".webp", ".gif"}


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


def page_names(site: Path, moved: bool = False) -> list[str]:
    """The pages of a site, without the templates among its static files; with
    ``moved``, also those that only lead on to others."""
    pages = [
        page
        for page in site.rglob("*.html")
        if moved or 'http-equiv="refresh"' not in page.read_text("utf-8")
    ]
    names = [page.relative_to(site).as_posix() for page in pages]
    return sorted(name for name in names if not name.startswith("_static/"))


def broken_links(site: Path) -> Iterator[str]:
    """Links and anchors inside the site that lead nowhere."""
    links = {site / name: Links(site / name) for name in page_names(site, True)}
    for page, found in links.items():
        name = page.relative_to(site).as_posix()
        for target in dict.fromkeys(found.targets):
            url = urlsplit(urljoin(f"http://site/{name}", target))
            if url.netloc != "site":
                continue
            file = site / unquote(url.path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file():
                yield f"{name}: broken link: {target}"
            elif (
                file in links
                and unquote(url.fragment) not in links[file].anchors
            ):
                yield f"{name}: no such anchor: {target}"


@cache
def weight(file: Path) -> int:
    """The bytes that a server sends for a file."""
    data = file.read_bytes()
    return len(data) if file.suffix in PACKED else len(gzip.compress(data))


def too_heavy(site: Path, page: str, files: set[str]) -> Iterator[str]:
    """What is over the limits, given the files of the site that a page loads.

    ``_static`` is what pages share: of the next page it is in the cache.
    """
    if page == "search.html":  # it alone loads the index of the whole book
        return
    sizes = {
        file: weight(site / file) for file in files if (site / file).is_file()
    }
    own = {
        file: size
        for file, size in sizes.items()
        if not file.startswith("_static/")
    }
    limits = ("first view", sizes, FIRST_VIEW), ("next page", own, NEXT_PAGE)
    for view, loaded, limit in limits:
        if (size := sum(loaded.values())) > limit:
            most = heaviest(loaded)
            yield f"{view}: {most}: {size:,} bytes, at most {limit:,}"


def heaviest(sizes: dict[str, int]) -> str:
    return max(sizes, key=sizes.__getitem__)
