"""groundup.datasets: IDX by properties, downloads from a server of our own."""

import gzip
import hashlib
import math
import struct
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.datasets import (
    FILES,
    SOURCES,
    Source,
    cache_folder,
    fashion_mnist,
    find_bytes,
    mnist,
    read_idx,
)

FILE = FILES[0]
SOUND = b"the canonical bytes" * 100


@st.composite
def idx_files(draw):
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    size = math.prod(shape)
    values = draw(st.binary(min_size=size, max_size=size))
    header = bytes([0, 0, 8, len(shape)])
    return header + struct.pack(f">{len(shape)}I", *shape) + values, shape


@given(idx_files())
def test_reading_gives_back_what_was_written(written):
    data, shape = written
    tensor = read_idx(data)
    assert (tensor.dtype, list(tensor.shape)) == (torch.uint8, shape)
    assert bytes(tensor.flatten().tolist()) == data[4 + 4 * len(shape) :]


@given(idx_files(), st.data())
def test_a_file_cut_short_is_refused(written, draw):
    data, _ = written
    length = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(ValueError, match="IDX"):
        read_idx(data[:length])


@given(idx_files(), st.binary(min_size=1, max_size=5))
def test_a_file_too_long_is_refused(written, more):
    data, _ = written
    with pytest.raises(
        ValueError, match=f"{len(data)} bytes.*{len(data + more)}"
    ):
        read_idx(data + more)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08\x00", b"\0\0\x0d\x01"])
def test_a_wrong_magic_number_is_shown(data):
    with pytest.raises(ValueError, match="not an IDX file of bytes") as error:
        read_idx(data)
    assert (data.hex(" ") or "nothing") in str(error.value)


def test_the_tensor_owns_its_memory():
    data = bytearray(b"\0\0\x08\x01\0\0\0\x02ab")
    tensor = read_idx(data)
    data[8:] = b"xy"
    assert bytes(tensor.tolist()) == b"ab"


class Mirror(SimpleHTTPRequestHandler):
    """Serves a folder; drops the first ``server.drops`` requests."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if len(self.server.requests) > self.server.drops:
            super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = partial(Mirror, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests, server.drops, server.folder = [], 0, folder
        server.address = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "my cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before a retry
    return tmp_path / "my cache" / "toys"


def source(folders=(), mirrors=()):
    digest = hashlib.sha256(SOUND).hexdigest()
    install = "get toys {cache}"
    return Source("toys", folders, mirrors, install, (digest,) * len(FILES))


def put(folder, data, suffix=".gz"):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{FILE}{suffix}").write_bytes(data)
    return str(folder)


def test_the_cache_comes_first(cache, mirror):
    put(cache, SOUND, suffix="")
    assert find_bytes(source(mirrors=(mirror.address,)), FILE) == SOUND
    assert mirror.requests == []


def test_an_installed_file_counts_by_its_decompressed_bytes(cache, tmp_path):
    packed = gzip.compress(SOUND, compresslevel=1, mtime=12345)
    installed = put(tmp_path / "installed", packed)
    assert find_bytes(source(folders=(installed,)), FILE) == SOUND


def test_a_download_is_kept_whole(cache, mirror):
    put(mirror.folder, gzip.compress(SOUND))
    toys = source(mirrors=(mirror.address,))
    assert find_bytes(toys, FILE) == SOUND
    assert [path.name for path in cache.iterdir()] == [FILE]
    assert find_bytes(toys, FILE) == SOUND
    assert mirror.requests == [f"/{FILE}.gz"]


def test_a_dropped_line_is_tried_again(cache, mirror):
    put(mirror.folder, gzip.compress(SOUND))
    mirror.drops = 2
    assert find_bytes(source(mirrors=(mirror.address,)), FILE) == SOUND
    assert len(mirror.requests) == 3


def test_a_damaged_cache_is_fetched_anew(cache, mirror):
    put(cache, SOUND[:-1], suffix="")
    put(mirror.folder, gzip.compress(SOUND))
    assert find_bytes(source(mirrors=(mirror.address,)), FILE) == SOUND
    assert (cache / FILE).read_bytes() == SOUND


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"another data set"),
        gzip.compress(SOUND)[:-9],
        gzip.compress(SOUND)[:20] + b"\xff\xff" + gzip.compress(SOUND)[22:],
        b"<html>not found</html>",
    ],
    ids=["other bytes", "truncated", "corrupt", "no gzip"],
)
def test_the_next_mirror_mends_a_bad_one(cache, mirror, packed):
    put(mirror.folder / "bad", packed)
    put(mirror.folder, gzip.compress(SOUND))
    mirrors = f"{mirror.address}bad/", mirror.address
    assert find_bytes(source(mirrors=mirrors), FILE) == SOUND
    assert [request.count("bad") for request in mirror.requests] == [1, 0]


def test_what_is_nowhere_names_each_place_and_the_line_to_run(
    cache, mirror, tmp_path
):
    put(cache, b"damaged", suffix="")
    folder = str(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError) as error:
        find_bytes(source((folder,), (mirror.address,)), FILE)
    first, *places, last = str(error.value).splitlines()
    assert first == f"toys: found no sound {FILE}"
    assert [place.split(": ")[0].strip() for place in places] == [
        str(cache / FILE),
        f"{folder}/{FILE}.gz",
        f"{mirror.address}{FILE}.gz",
    ]
    assert hashlib.sha256(b"damaged").hexdigest() in places[0]
    assert "404" in places[2]
    assert last.strip() == f"to get it: get toys '{cache}'"
    assert (cache / FILE).read_bytes() == b"damaged"


def test_without_the_variable_the_platforms_cache_is_used(monkeypatch):
    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    import pooch

    assert cache_folder() == pooch.os_cache("groundup")


def test_every_file_has_a_checksum_of_its_own():
    digests = [digest for each in SOURCES.values() for digest in each.sha256]
    assert len(set(digests)) == len(digests) == len(SOURCES) * len(FILES)
    assert {len(bytes.fromhex(digest)) for digest in digests} == {32}


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
@pytest.mark.parametrize("train, n", [(True, 60000), (False, 10000)])
def test_images_and_labels(load, train, n):
    images, labels = load(train=train)
    assert (images.shape, images.dtype) == ((n, 28, 28), torch.uint8)
    assert (labels.shape, labels.dtype) == ((n,), torch.int64)


def test_counts_of_each_digit():
    (_, train), (_, test) = mnist(), mnist(train=False)
    assert train.bincount()[[3, 7]].tolist() == [6131, 6265]
    assert test.bincount()[[3, 7]].tolist() == [1010, 1028]
    assert fashion_mnist()[1].bincount().tolist() == [6000] * 10


def test_importing_is_cheap():
    code = (
        "import sys, groundup.datasets; groundup.training.Learner; "
        "slow = {'pooch', 'requests', 'matplotlib', 'fastprogress'}; "
        "print(slow & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "set()\n"
