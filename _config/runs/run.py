"""Run one chapter in a kernel of its own; its outputs, or what is wrong."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook, new_output

from _config.chapters.files import ChapterError, shown
from _config.chapters.parse import Cell, Chapter
from _config.runs import store
from _config.runs.kernels import FLOODED, kernel
from _config.runs.machine import versions
from _config.runs.outputs import ANSI, FRAME, Tidy, merged_streams, shortened
from _config.runs.scratch import scratch

CELL_LIMIT, CHAPTER_LIMIT = 60, 600  # seconds
QUIET = logging.getLogger("book.nbclient")  # it logs what is reported here
QUIET.setLevel(logging.CRITICAL + 1)


async def run_chapter(
    chapter: Chapter, src: Path, jobs: int = 1, limit: float = CELL_LIMIT
) -> store.Entry:
    """Execute a chapter's code cells in order."""
    key, start = store.key(chapter, src), time.monotonic()
    cells = store.executed(chapter)
    nodes = [new_code_cell(cell.source) for cell in cells]
    limits = [cell.metadata.get("limit", limit) for cell in cells]
    ends = start + CHAPTER_LIMIT + sum(more for more in limits if more > limit)
    with scratch() as folder:
        async with kernel(folder, src, jobs) as manager:
            client = NotebookClient(
                new_notebook(cells=nodes),
                manager,
                allow_errors=True,
                log=QUIET,
                on_cell_executed=note_reply,
            )
            try:
                await client.async_start_new_kernel_client()
            except RuntimeError as error:
                log = (folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{error}\n{log}") from None
            try:
                for number, wait in enumerate(limits):
                    left = ends - time.monotonic()
                    client.timeout = max(1, math.ceil(min(wait, left)))
                    await run_cell(client, chapter, cells, number)
            finally:
                client.kc.stop_channels()
        tidy = Tidy(cells, src, folder / "work")
        outputs = [
            [tidy.output(each) for each in merged_streams(node.outputs)]
            for node in nodes
        ]
    quotes = {
        each: store.text_digest(each, chapter, src) for each in tidy.places
    }
    if store.key(chapter, src) != key:
        message = "the library changed while this chapter ran: run it again"
        raise ChapterError(chapter.path, 1, message)
    seconds = round(time.monotonic() - start, 1)
    receipt = {"seconds": seconds, "versions": versions()}
    return store.Entry(key, outputs, receipt, quotes)


def note_reply(cell: dict, execute_reply: dict, **_: object) -> None:
    """Let a cell that failed say so, where IPython puts out no error.

    It prints the traceback of an exception group to stderr.
    """
    reply = execute_reply["content"]
    if reply["status"] == "error" and not raised(cell):
        printed = [one for one in cell.outputs if one.get("name") == "stderr"]
        error = new_output(
            "error", ename=reply["ename"], evalue=reply["evalue"]
        )
        error.traceback = ["".join(one.text for one in printed)]
        kept = [one for one in cell.outputs if one not in printed]
        cell.outputs = [*kept, error]


async def run_cell(
    client: NotebookClient, chapter: Chapter, cells: Sequence[Cell], number: int
) -> None:
    """Execute one cell; a ChapterError with its line if it fails."""
    cell, node = cells[number], client.nb.cells[number]
    try:
        await client.async_execute_cell(node, number)
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
        flooded = await client.km.provisioner.poll() == FLOODED
        message = "put out more than 1 MB" if flooded else "its kernel died"
        traceback = []
    raise traced(chapter, cells, cell, message, traceback) from None


async def interrupted(client: NotebookClient, node: dict) -> list[str]:
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
    chapter: Chapter,
    cells: Sequence[Cell],
    cell: Cell,
    message: str,
    traceback: list[str],
) -> ChapterError:
    """The error at the cell's statement, its frames in the file's lines."""
    lines = []

    def place(frame: re.Match) -> str:
        first = cells[int(frame[1]) - 1].first_line
        lines.append(first + int(frame[2]) - 1)
        return f"{shown(chapter.path)}:{lines[-1]}"

    text = "\n".join(shortened(traceback, most=40))
    text = FRAME.sub(place, ANSI.sub("", text))
    at = lines[0] if lines else cell.line
    return ChapterError(chapter.path, at, f"{message}\n{text}".rstrip())
