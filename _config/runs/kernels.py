"""The kernels that chapters run in: each fresh, alone, and without network."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from _config.chapters.files import ROOT
from _config.runs.scratch import marked
from _config.runs.store import KERNEL, KERNEL_SETTINGS

FLOODED = 77  # the exit status of a kernel that stops a flood of output
FONTS = ROOT / "_build" / "matplotlib"  # matplotlib's list of them
NOWHERE = "http://127.0.0.1:9"  # a chapter may not use the network
WRITABLE = (  # beside a chapter's own folder: devices and caches
    "/dev",
    "$GROUNDUP_DATA",
    "$XDG_CACHE_HOME",
    "~/.cache",
    "~/Library/Caches",
)


def environment(src: Path, folder: Path, jobs: int) -> dict[str, str]:
    """What a chapter sees of the machine: no network, no GPU, no settings."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    FONTS.mkdir(parents=True, exist_ok=True)
    writable = [
        os.path.realpath(os.path.expandvars(os.path.expanduser(path)))
        for path in WRITABLE
        if path[0] != "$" or path[1:] in os.environ
    ]
    inherited = marked(folder, src)
    inherited.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would heed it
    inherited.pop("PYTHONOPTIMIZE", None)  # asserts are the chapters' checks
    return inherited | {
        **{name: NOWHERE for name in proxies},
        **{name.upper(): NOWHERE for name in proxies},
        "no_proxy": "",
        "NO_PROXY": "",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "",
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLCONFIGDIR": str(FONTS),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(KERNEL / "matplotlibrc"),
        "COLUMNS": "80",
        "CHAPTER_FLOODED": str(FLOODED),
        "CHAPTER_MAY_WRITE": os.pathsep.join(
            [str(folder), str(FONTS), *writable]
        ),
    }


@asynccontextmanager
async def kernel(
    folder: Path, src: Path, jobs: int
) -> AsyncIterator[AsyncKernelManager]:
    """A fresh kernel of this Python in a folder, gone afterwards."""
    (folder / "work").mkdir()
    manager = AsyncKernelManager(
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        transport="ipc",
        ip=str(folder / "k"),
        connection_file=str(folder / "kernel.json"),
    )
    with open(folder / "log", "wb") as log:
        try:
            await manager.start_kernel(
                cwd=str(folder / "work"),
                env=environment(src, folder, jobs),
                extra_arguments=[f"--config={KERNEL_SETTINGS[1]}"],
                stdout=DEVNULL,
                stderr=log,
            )
            yield manager
        finally:
            await manager.shutdown_kernel(now=True)
