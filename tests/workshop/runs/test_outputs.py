"""Outputs as the page shows them."""

import os
from pathlib import Path
from time import process_time

import pytest

from _config.chapters.parse import parse
from _config.runs.outputs import Tidy, merged_streams


@pytest.fixture
def tidy(tmp_path):
    """For a chapter of two cells."""
    text = "# %%\nx = 1\n\n# %%\nf()\n"
    cells = parse(text, tmp_path / "1_x.py", "1_a/1_x").code
    return Tidy(cells, tmp_path / "src", tmp_path / "work")


def stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def test_outputs_do_not_name_the_machine(tidy, tmp_path):
    frame = f"File {tmp_path}/src/lib/one.py:3 and {os.__file__}:7"
    assert tidy.output(stream(frame)) == stream(
        "File src/lib/one.py:3 and os.py:7"
    )
    data = {"text/plain": f"'{tmp_path}/work/a.txt'", "image/svg+xml": "/a/b"}
    shown = tidy.output({"output_type": "display_data", "data": data})
    assert shown["data"] == {"text/plain": "'a.txt'", "image/svg+xml": "/a/b"}
    warning = "/tmp/ipykernel_3/12.py:2: careful"
    assert tidy.text(warning) == "cell:2: careful"
    assert tidy.text(f"({Path.home()}/a) ~/b") == f"({Path.home()}/a) ~/b"
    assert tidy.places == {"lib/one.py"}


def test_a_stream_ends_as_a_terminal_shows_it(tidy):
    outputs = [stream("1\r"), stream("e", "stderr"), stream("2\r\n3\r3\n4\r")]
    assert merged_streams(outputs) == [
        stream("1\r2\r\n3\r3\n4\r"),
        stream("e", "stderr"),
    ]
    assert tidy.output(merged_streams(outputs)[0])["text"] == "2\r\n3\n4\r"
    assert merged_streams(outputs[1:]) == outputs[1:]


@pytest.mark.parametrize(
    "part", ["a", "/a", "~/", "a\r", "/ipykernel_1", "/b c/"]
)
def test_the_time_for_a_long_line_grows_with_its_length(tidy, part):
    def seconds(length: int) -> float:
        output = stream(part * (length // len(part)))
        start = process_time()
        tidy.output(output)
        return process_time() - start

    once = max(seconds(5_000), 0.001)
    assert seconds(50_000) < 40 * once  # a square would be a hundred
    seconds(1_000_000)


def test_a_traceback_keeps_the_chapters_frames_and_the_message(tidy, tmp_path):
    own = "Cell In[2], line 1, in f()\n----> 1 f()\n"
    frames = [
        f"File {tmp_path}/src/lib/one.py:3, in g()",
        "File ~/.venv/lib/python3.11/site-packages/torch/a.py:1",
        "  File <frozen importlib>:2",
        f"File {tmp_path}/work/toy.py:1",
        "File <string>:1",
        own,
    ]
    parts = [
        "KeyError  Traceback (most recent call last)",
        *frames,
        "KeyError: 1",
    ]
    error = {"output_type": "error", "traceback": parts}
    kept = [parts[0], "File toy.py:1", "File <string>:1", own, parts[-1]]
    assert tidy.output(error)["traceback"] == kept
    assert tidy.places == {"1"}

    deep = {
        "output_type": "error",
        "traceback": [*[own] * 900, "RecursionError"],
    }
    shown = tidy.output(deep)["traceback"]
    assert shown == [*[own] * 4, "… 892 more …\n", *[own] * 4, "RecursionError"]
