"""Live preview: save a chapter, see its page.

``python -m _config.site.serve [CHAPTER] [--port PORT] [--root DIR]``

Saving extracts the library, runs the saved chapter if its code changed, and
renders what changed.  Other chapters that the change reaches keep their old
outputs until the next ``nox -s build``.  With CHAPTER, only that one is built.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import uvicorn
from sphinx.cmd.build import build_main
from sphinx_autobuild.filter import IgnoreFilter
from sphinx_autobuild.middleware import JavascriptInjectorMiddleware
from sphinx_autobuild.server import RebuildServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

import _config.site.sphinx_ext  # noqa: F401  a rebuild is a fork: import once
from _config.chapters.parse import ROOT, chapter_paths
from _config.library.extraction import extract
from _config.runs.execution import execute

THEME = ROOT / "_config/site/theme"


def rebuild(root: Path, only: str, changed_paths: Sequence[Path]) -> None:
    """Bring the library, the saved chapters and the pages up to date."""
    start = time.monotonic()
    book, src, build = root / "book", root / "src", root / "_build"
    saved = [str(path) for path in chapter_paths(book) if path in changed_paths]
    refused = ""
    try:
        extract(book, src)
        if saved:
            execute(saved, book, src, build / "store")
    except ExceptionGroup as group:  # the page still shows what was saved
        refused = "\n".join(map(str, group.exceptions))
        print(refused, file=sys.stderr)
    options = [
        "-q",
        "-c",
        ROOT,
        "-D",
        f"groundup_root={root}",
        "-D",
        "groundup_draft=1",
    ]
    options += ["-D", f"groundup_only={only}", book, build / "html"]
    try:
        build_main([str(each) for each in options])
    except SystemExit as error:  # what is wrong with the book
        if str(error) not in refused:
            print(error, file=sys.stderr)
    print(f"rebuilt in {time.monotonic() - start:.1f} s", flush=True)


def main() -> None:
    """Build, then serve and rebuild until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", nargs="?", default="")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="holds book and src"
    )
    options = parser.parse_args()
    root = options.root.resolve()
    book, html = root / "book", root / "_build/html"
    build = partial(rebuild, root, options.chapter)
    with ProcessPoolExecutor(1) as pool:  # as the watcher does
        pool.submit(
            build, changed_paths=[book / f"{options.chapter}.py"]
        ).result()
    generated = [book / "api", book / "ledger.md"]
    watcher = RebuildServer(
        [book, THEME], IgnoreFilter(generated, [r"/\."]), build
    )
    host = f"127.0.0.1:{options.port}"
    app = Starlette(
        routes=[
            WebSocketRoute("/websocket-reload", watcher),
            Mount("/", app=StaticFiles(directory=html, html=True)),
        ],
        middleware=[Middleware(JavascriptInjectorMiddleware, ws_url=host)],
        lifespan=watcher.lifespan,
    )
    print(f"http://{host}", flush=True)
    uvicorn.run(app, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
