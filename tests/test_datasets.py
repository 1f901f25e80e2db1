"""groundup.datasets: IDX by properties, downloads from a server of our own."""

import gzip
import hashlib
import io
import math
import socketserver
import struct
import subprocess
import sys
import tarfile
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundup import datasets
from groundup.datasets import (
    CIFAR10,
    FILES,
    SOURCES,
    Source,
    cache_folder,
    cifar10,
    fashion_mnist,
    find_bytes,
    mnist,
    read_idx,
    read_rows,
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
        threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        ).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "my cache"))
    monkeypatch.delenv("GROUNDUP_MIRROR", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before a retry
    return tmp_path / "my cache" / "toys"


def source(folders=(), mirrors=(), **sizes):
    digest = hashlib.sha256(SOUND).hexdigest()
    install = "get toys {cache}"
    checksums = (digest,) * len(FILES)
    return Source("toys", folders, mirrors, install, checksums, **sizes)


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


def test_a_file_of_the_wrong_length_is_not_read_to_its_end(cache, mirror):
    """Three megabytes of gzip may unpack to three gigabytes."""
    bomb = gzip.compress(bytes(50_000_000))
    sizes = {"sizes": (len(SOUND),) * 4}
    put(cache, bytes(50_000_000), suffix="")
    put(mirror.folder / "bomb", bomb)
    put(mirror.folder / "plain", bytes(50_000_000))
    put(mirror.folder / "sound", gzip.compress(SOUND))
    installed = put(cache.parent / "installed", bomb)
    names = ("bomb", "plain", "sound")
    mirrors = tuple(f"{mirror.address}{name}/" for name in names)
    tracemalloc.start()
    found = find_bytes(source((installed,), mirrors, **sizes), FILE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == SOUND
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://a b/",
        "http://" + "a" * 70 + ".invalid/",
        "http://*./",
        "http:///",
        "http://\udc80/",
        "nonsense://127.0.0.1/",
        "file:///nowhere/",
        "://",
    ],
)
def test_an_address_that_no_library_understands_is_passed_over(
    cache, mirror, address
):
    put(mirror.folder, gzip.compress(SOUND))
    assert find_bytes(source(mirrors=(address, mirror.address)), FILE) == SOUND


@pytest.fixture
def speaker():
    """A server of sockets: ``server.speak(socket)`` answers a request."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(2**16)
            try:
                self.server.speak(self.request)
            except OSError:
                pass  # the client has gone

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        server.over = threading.Event()
        server.address = f"http://127.0.0.1:{server.server_address[1]}/"
        threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        ).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 999999999999999999999 no\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip",
        b"HTTP/1.1 302 go\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 go\r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 503 busy\r\n\r\n",
    ],
)
def test_a_mirror_that_talks_nonsense_is_passed_over(
    cache, mirror, speaker, answer
):
    speaker.speak = lambda socket: socket.sendall(answer)
    put(mirror.folder, gzip.compress(SOUND))
    mirrors = (speaker.address, mirror.address)
    assert find_bytes(source(mirrors=mirrors), FILE) == SOUND


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(head=st.binary(max_size=60), status=st.booleans())
def test_a_mirror_may_say_anything(cache, mirror, speaker, head, status):
    first = b"HTTP/1.1 200 OK\r\n" if status else b""
    speaker.speak = lambda socket: socket.sendall(first + head)
    put(mirror.folder, gzip.compress(SOUND))
    mirrors = (speaker.address, mirror.address)
    (cache / FILE).unlink(missing_ok=True)
    assert find_bytes(source(mirrors=mirrors), FILE) == SOUND


def silence(server, socket):
    server.over.wait()


def dripping(start, drop):
    def speak(server, socket):
        socket.sendall(start)
        while not server.over.wait(0.02):
            socket.sendall(drop)

    return speak


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "speak",
    [
        silence,
        dripping(OK, b"X"),
        dripping(OK, b"X: y\r\n"),
        dripping(OK + b"\r\n", b"x"),
        dripping(OK + b"\r\n" + b"x" * 5_000, b""),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["silent", "header", "headers", "body", "stalled", "chunks"],
)
def test_a_mirror_without_end_is_left(cache, speaker, speak, monkeypatch):
    """The test is that it ends."""
    monkeypatch.setattr(datasets, "PATIENCE", 0.2)
    speaker.speak = partial(speak, speaker)
    with pytest.raises(FileNotFoundError, match="found no sound"):
        find_bytes(source(mirrors=(speaker.address,)), FILE)


def test_what_was_slow_is_said(cache, speaker, monkeypatch):
    monkeypatch.setattr(datasets, "PATIENCE", 0.1)
    speaker.speak = partial(silence, speaker)
    with pytest.raises(FileNotFoundError, match="too slow: 0 bytes"):
        find_bytes(source(mirrors=(speaker.address,)), FILE)


chunks = st.lists(st.tuples(st.floats(0, 50), st.integers(0, 10**6)))


@given(chunks)
def test_credit_bounds_each_silence_and_the_whole(steps):
    """However bytes come: no silence beyond the patience, and an end."""
    now = received = 0.0
    credit = datasets._Credit(now)
    for pause, n_bytes in steps:
        now += pause
        if now > credit.end:
            break
        received += n_bytes
        credit.pay(n_bytes, now)
        assert credit.end <= now + datasets.PATIENCE
        whole = datasets.PATIENCE + received / datasets.SLOWEST
        assert now <= whole + 1e-6 and credit.end <= whole + 1e-6


@given(st.floats(1.0, 10.0), st.integers(1, 200))
def test_a_steady_line_above_the_slowest_is_never_left(speed, seconds):
    credit = datasets._Credit(0.0)
    for second in range(1, seconds + 1):
        assert second <= credit.end
        credit.pay(math.ceil(speed * datasets.SLOWEST), second)


def a_file_stands_there(cache, monkeypatch):
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_bytes(b"")  # GROUNDUP_DATA names a file


def a_folder_stands_there(cache, monkeypatch):
    (cache / FILE).mkdir(parents=True)


def full(*args, **kwargs):
    raise OSError(28, "No space left on device")


def the_disk_is_full(cache, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full)


def it_may_not_be_renamed(cache, monkeypatch):
    monkeypatch.setattr(Path, "replace", full)


def it_may_not_be_made(cache, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", full)


@pytest.mark.parametrize(
    "trouble",
    [
        a_file_stands_there,
        a_folder_stands_there,
        the_disk_is_full,
        it_may_not_be_renamed,
        it_may_not_be_made,
    ],
)
def test_a_download_that_cannot_be_kept_is_given_with_a_warning(
    cache, mirror, monkeypatch, trouble
):
    put(mirror.folder, gzip.compress(SOUND))
    trouble(cache, monkeypatch)
    with pytest.warns(UserWarning, match="GROUNDUP_DATA"):
        data = find_bytes(source(mirrors=(mirror.address,)), FILE)
    assert data == SOUND
    if cache.is_dir():
        assert {path.name for path in cache.iterdir()} <= {FILE}


def test_eight_threads_at_once(cache, mirror):
    put(mirror.folder, gzip.compress(SOUND))
    toys = source(mirrors=(mirror.address,))
    start = threading.Barrier(8)

    def load(_):
        start.wait()
        return find_bytes(toys, FILE)

    for _ in range(10):
        (cache / FILE).unlink(missing_ok=True)
        with warnings.catch_warnings(), ThreadPoolExecutor(8) as threads:
            warnings.simplefilter("error")
            assert [*threads.map(load, range(8))] == [SOUND] * 8
        assert [path.name for path in cache.iterdir()] == [FILE]


def test_a_download_has_the_rights_that_other_new_files_have(cache, mirror):
    """A cache may be shared: a temporary file is its owner's alone."""
    put(mirror.folder, gzip.compress(SOUND))
    find_bytes(source(mirrors=(mirror.address,)), FILE)
    (cache / "new").write_bytes(b"")
    modes = [(cache / name).stat().st_mode for name in (FILE, "new")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("file", [FILE, f"{FILE}.gz"])
@pytest.mark.parametrize("kind", ["folder", "home", "address", "address/"])
def test_a_mirror_of_ones_own(cache, mirror, monkeypatch, kind, file):
    data = gzip.compress(SOUND) if file.endswith(".gz") else SOUND
    put(mirror.folder / "toys", data, suffix=file.removeprefix(FILE))
    monkeypatch.setenv("HOME", str(mirror.folder.parent))
    places = {
        "folder": str(mirror.folder),
        "home": f"~/{mirror.folder.name}",
        "address": mirror.address.rstrip("/"),
        "address/": mirror.address,
    }
    monkeypatch.setenv("GROUNDUP_MIRROR", places[kind])
    assert find_bytes(source(mirrors=("http://127.0.0.1:9/",)), FILE) == SOUND
    assert (cache / FILE).exists() == (kind in ("address", "address/"))


def test_a_mirror_of_ones_own_is_believed_no_more_than_others(
    cache, mirror, monkeypatch
):
    put(mirror.folder / "own" / "toys", SOUND[:-1], suffix="")
    put(mirror.folder, gzip.compress(SOUND))
    monkeypatch.setenv("GROUNDUP_MIRROR", str(mirror.folder / "own"))
    assert find_bytes(source(mirrors=(mirror.address,)), FILE) == SOUND


def test_a_home_in_the_variable_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GROUNDUP_DATA", "~/data")
    assert cache_folder() == tmp_path / "data"


def test_every_data_set_has_two_sources_and_one_is_encrypted():
    for each in SOURCES.values():
        assert len({mirror.split("/")[2] for mirror in each.mirrors}) >= 2
        assert any(mirror.startswith("https://") for mirror in each.mirrors)


def test_a_mirror_that_does_not_have_the_file_is_asked_once(cache, mirror):
    put(mirror.folder, gzip.compress(SOUND))
    mirrors = f"{mirror.address}empty/", mirror.address
    assert find_bytes(source(mirrors=mirrors), FILE) == SOUND
    assert mirror.requests == [f"/empty/{FILE}.gz", f"/{FILE}.gz"]


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


def test_a_file_that_does_not_exist_is_refused_with_those_that_do(cache):
    with pytest.raises(ValueError, match=f"no file 'labels'.*{FILE}"):
        find_bytes(source(), "labels")


def test_without_the_variable_the_platforms_cache_is_used(monkeypatch):
    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    import pooch

    assert cache_folder() == pooch.os_cache("groundup")


def test_every_file_has_a_checksum_of_its_own():
    digests = [digest for each in SOURCES.values() for digest in each.sha256]
    assert len(set(digests)) == len(digests)
    for each in SOURCES.values():
        assert len(each.files) == len(each.sizes) == len(each.sha256)
    assert {len(bytes.fromhex(digest)) for digest in digests} == {32}


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
@pytest.mark.parametrize("train, n", [(True, 60000), (False, 10000)])
def test_images_and_labels(load, train, n):
    images, labels = load(train=train)
    assert (images.shape, images.dtype) == ((n, 28, 28), torch.uint8)
    assert (labels.shape, labels.dtype) == ((n,), torch.int64)


@pytest.fixture
def archive(cache, mirror, monkeypatch):
    """A CIFAR-10 of two images a part, on a mirror; its labels by part."""
    packed, labels = io.BytesIO(), {}
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for number, part in enumerate(parts):
            labels[part] = [number, 9 - number]
            rows = [
                bytes([k]) + bytes([k, 100, 200]) * 1024 for k in labels[part]
            ]
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{part}.bin")
            info.size = 2 * 3073
            tar.addfile(info, io.BytesIO(b"".join(rows)))
    data = packed.getvalue()
    (mirror.folder / CIFAR10.files[0]).write_bytes(data)
    toy = replace(
        CIFAR10,
        mirrors=(mirror.address,),
        sha256=(hashlib.sha256(data).hexdigest(),),
        sizes=(len(data),),
    )
    monkeypatch.setattr("groundup.datasets.CIFAR10", toy)
    return labels


def test_cifar10_is_read_from_its_archive_as_it_is_packed(
    archive, cache, mirror
):
    images, labels = cifar10()
    assert (images.shape, images.dtype) == ((10, 3, 32, 32), torch.uint8)
    expected = [k for part in [*archive][:5] for k in archive[part]]
    assert (labels.tolist(), labels.dtype) == (expected, torch.int64)
    test_images, test_labels = cifar10(train=False)
    assert test_labels.tolist() == archive["test_batch"]
    whole = test_images[1].flatten()
    assert whole[:6].tolist() == [test_labels[1], 100, 200] * 2
    kept = cache.parent / "cifar10" / CIFAR10.files[0]
    assert kept.read_bytes() == (mirror.folder / CIFAR10.files[0]).read_bytes()
    assert len(mirror.requests) == 1


def test_a_damaged_archive_is_refused(archive, mirror):
    path = mirror.folder / CIFAR10.files[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(FileNotFoundError, match="no sound cifar-10-binary"):
        cifar10()


@pytest.mark.parametrize("n_bytes", [0, 3072, 2 * 3073 + 1])
def test_rows_of_another_length_are_refused(n_bytes):
    with pytest.raises(ValueError, match=f"3073 bytes, got {n_bytes}"):
        read_rows(bytes(n_bytes))


def test_a_row_is_a_label_and_three_planes():
    red, green, blue = (torch.arange(1024) % k for k in (5, 7, 11))
    row = torch.cat([torch.tensor([6]), red, green, blue]).to(torch.uint8)
    images, labels = read_rows(bytes(row.tolist()))
    assert labels.tolist() == [6]
    for plane, expected in zip(images[0], (red, green, blue)):
        assert torch.equal(plane, expected.view(32, 32).to(torch.uint8))


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
