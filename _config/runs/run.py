"""Run one chapter in a kernel of its own; its outputs, or what is wrong."""

import asyncio
import logging
import math
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from platform import machine, system

from nbclient.exceptions import (
    CellTimeoutError,
    DeadKernelError,
)

from _config.chapters.files import ChapterError, shown
from _config.chapters.parse import Cell, Chapter
from _config.runs import store
from _config.runs.kernels import FLOOD, Client, kernel
from _config.runs.notebook import notebook

CELL_LIMIT, CHAPTER_LIMIT = 60, 600  # seconds
FRAME = re.compile(r"Cell In\[(\d+)\], line (\d+)")
ANSI = re.compile(r"\x1b\[[\d;]*m")
INSTALLED = re.compile(
    r"[~/][^\s\"'(\x1b]*/(?:site-packages|lib/python3\.\d+)/"
)


async def run(
    chapter: Chapter,
    src: Path,
    jobs: int = 1,
    limit: float = CELL_LIMIT,
    watch: Callable[[int], None] = lambda done: None,
) -> store.Entry:
    """Execute a chapter's code cells in order; ``watch`` counts them."""
    key, start, seconds = store.key(chapter, src), time.monotonic(), []
    book = notebook(chapter, src=src)
    limits = [cell.metadata.get("limit", limit) for cell in chapter.code]
    ends = start + CHAPTER_LIMIT + sum(more for more in limits if more > limit)
    async with kernel(src, jobs) as manager:
        client = Client(
            book,
            manager,
            coalesce_streams=True,
            allow_errors=True,
            log=silent(),
        )
        await client.async_start_new_kernel_client()
        try:
            for cell, wait in zip(chapter.code, limits, strict=True):
                began = time.monotonic()
                client.timeout = max(1, math.ceil(min(wait, ends - began)))
                client.received = 0
                await run_cell(client, chapter, cell)
                seconds.append(round(time.monotonic() - began, 3))
                watch(len(seconds))
        finally:
            client.kc.stop_channels()
    nodes = [node for node in book.cells if node.cell_type == "code"]
    outputs = [[clean(one, src) for one in node.outputs] for node in nodes]
    check_figures(chapter, outputs)
    if store.key(chapter, src) != key:
        message = "the library changed while this chapter ran: run it again"
        raise ChapterError(chapter.path, 1, message)
    receipt = {
        "seconds": round(time.monotonic() - start, 1),
        "cells": seconds,
        "versions": store.versions(),
        "platform": f"{system()} {machine()}, {os.cpu_count()} cores",
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    return store.Entry(key, outputs, receipt)


async def run_cell(client: Client, chapter: Chapter, cell: Cell) -> None:
    """Execute one cell; a ChapterError with its line if it fails."""
    index = chapter.cells.index(cell)
    node = client.nb.cells[index]
    try:
        await client.async_execute_cell(node, index)
        error = raised(node)
        if (error is not None) == ("raises-exception" in cell.tags):
            return
        message = "tagged raises-exception, but raises nothing"
        traceback = []
        if error is not None:
            message = f"{error.ename}: {error.evalue}"
            traceback = error.traceback
    except CellTimeoutError:
        message = f"ran longer than its limit, {client.timeout:g} s"
        traceback = await interrupted(client, node)
    except DeadKernelError:
        if asyncio.current_task().cancelling():  # nbclient hides a Ctrl-C
            raise asyncio.CancelledError from None
        flooded = client.received > FLOOD
        message = "put out more than 1 MB" if flooded else "its kernel died"
        traceback = []
    raise traced(chapter, cell, message, traceback) from None


async def interrupted(client: Client, node: dict) -> list[str]:
    """The traceback of a cell that hangs, if it can still be interrupted."""
    await client.km.interrupt_kernel()
    for _ in range(50):
        await asyncio.sleep(0.1)  # the client still collects its output
        if error := raised(node):
            return error.traceback
    return []


def raised(node: dict) -> dict | None:
    """The error among a cell's outputs."""
    return next((one for one in node.outputs if "ename" in one), None)


def traced(
    chapter: Chapter, cell: Cell, message: str, traceback: list[str]
) -> ChapterError:
    """The error at the cell's statement, its frames in the file's lines."""
    executed = [one for one in chapter.code if one.source]
    lines = []

    def place(frame: re.Match) -> str:
        first = executed[int(frame[1]) - 1].first_line
        lines.append(first + int(frame[2]) - 1)
        return f"{shown(chapter.path)}:{lines[-1]}"

    text = FRAME.sub(place, ANSI.sub("", "\n".join(traceback)))
    at = lines[0] if lines else cell.line
    return ChapterError(chapter.path, at, f"{message}\n{text}".rstrip())


def check_figures(chapter: Chapter, outputs: list[list[dict]]) -> None:
    """Refuse figures that say nothing to those who cannot see them."""
    silent = [
        cell.line
        for cell, cell_outputs in zip(chapter.code, outputs, strict=True)
        if not cell.metadata.get("alt")
        and any(
            kind.startswith("image/")
            for output in cell_outputs
            for kind in output.get("data", ())
        )
    ]
    if silent:
        message = 'draws a figure: say what it shows in words, alt="..."'
        if others := ", ".join(map(str, silent[1:])):
            message += f" (and so do lines {others})"
        raise ChapterError(chapter.path, silent[0], message)


def clean(output: dict, src: Path) -> dict:
    """An output without the places of the machine that it was made on."""
    root = f"{src.resolve()}/"
    short = root.replace(str(Path.home()), "~", 1)  # as IPython writes it

    def tidy(text: str) -> str:
        text = text.replace(root, "src/").replace(short, "src/")
        text = re.sub(r"[^\s\"'(\x1b]*/ipykernel_\d+/\d+\.py", "cell", text)
        return INSTALLED.sub("", text)

    output = dict(output)
    if output["output_type"] == "stream":
        output["text"] = tidy(output["text"])
    elif output["output_type"] == "error":
        output["traceback"] = [tidy(line) for line in output["traceback"]]
    return output


def silent() -> logging.Logger:
    """nbclient logs what this module reports itself."""
    log = logging.getLogger("book.nbclient")
    log.setLevel(logging.CRITICAL + 1)
    return log
