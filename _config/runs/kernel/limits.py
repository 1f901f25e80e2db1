"""What a chapter may not do: flood its output, write outside its folder.

Runs in its kernel, before the chapter.  Python's audit events stop a write
with a line of the chapter; on Linux the system itself (Landlock) also stops
C code and other programs.  The folders are in ``CHAPTER_MAY_WRITE``.
"""

import ctypes
import json
import os
import struct
import sys
from collections import Counter
from contextlib import suppress

from ipykernel.iostream import IOPubThread

LIMIT = 1_000_000  # bytes a cell may put out
MAY_WRITE = os.environ["CHAPTER_MAY_WRITE"].split(os.pathsep)
PROCESS = os.getpid()


def cap(send=IOPubThread.send_multipart) -> None:
    """Count all that is sent, however it was put out, for each cell."""
    sent = Counter()

    def counted(thread: IOPubThread, parts: list, *args, **options) -> None:
        if os.getpid() == PROCESS:  # a fork sends its output through here
            at = parts.index(b"<IDS|MSG>")
            cell = json.loads(bytes(parts[at + 3])).get("msg_id")
            sent[cell] += sum(map(len, parts[at + 5 :]))
            if sent[cell] > LIMIT:
                os._exit(int(os.environ["CHAPTER_FLOODED"]))
        send(thread, parts, *args, **options)

    IOPubThread.send_multipart = counted


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGED = {  # event -> which of its arguments are paths that it changes
    "os.chmod": [0], "os.chown": [0], "os.link": [1], "os.mkdir": [0],
    "os.remove": [0], "os.rename": [0, 1], "os.rmdir": [0], "os.symlink": [1],
    "os.truncate": [0], "os.utime": [0], "shutil.rmtree": [0],
    "sqlite3.connect": [0],
}  # fmt: skip


def guard(event: str, args: tuple) -> None:
    """Refuse a change of a path outside the chapter's folder."""
    if event == "open":
        places = [0] if args[2] & WRITING else []
    else:
        places = CHANGED.get(event, ())
    for path in (args[place] for place in places):
        if isinstance(path, str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(path))
            if not any(f"{path}/".startswith(f"{root}/") for root in MAY_WRITE):
                message = "a chapter writes in its own folder alone"
                raise PermissionError(1, message, path)


def landlock() -> None:
    """Ask Linux to refuse the same to whatever this process starts or calls."""
    libc = ctypes.CDLL(None)
    linux = sys.platform.startswith("linux")
    if not linux or libc.syscall(444, None, 0, 1) < 3:  # its version
        return
    writes = sum(1 << bit for bit in (1, *range(4, 15)))
    rules = libc.syscall(444, struct.pack("Q", writes), 8, 0)
    for root in MAY_WRITE:
        with suppress(OSError):
            folder = os.open(root, os.O_PATH)
            rule = struct.pack("=Qi", writes, folder)
            libc.syscall(445, rules, 1, rule, 0)
            os.close(folder)
    libc.prctl(38, 1, 0, 0, 0)  # without it only root may hold itself
    libc.syscall(446, rules, 0)
    os.close(rules)


cap()
landlock()
sys.addaudithook(guard)
