"""The kernels that chapters run in: each fresh, alone, and without network."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from _config.runs.scratch import marked, scratch
from _config.runs.store import KERNEL, SETTINGS

NOWHERE = "http://127.0.0.1:9"  # a chapter may not use the network
CACHES = ("~/.cache", "~/.config/matplotlib", "~/.matplotlib", "~/Library/Caches")


def environment(src: Path, folder: Path, jobs: int) -> dict[str, str]:
    """What a chapter sees of the machine: no network, no GPU, no settings."""
    paths = [str(src.resolve()), os.environ.get("PYTHONPATH", "")]
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    mine = marked(folder)
    caches = [os.environ.get(name) for name in ("GROUNDUP_DATA", "XDG_CACHE_HOME", "MPLCONFIGDIR")]
    writable = [folder, "/dev", *map(os.path.expanduser, CACHES), *filter(None, caches)]
    return {
        **mine,
        **{name: NOWHERE for name in proxies},
        **{name.upper(): NOWHERE for name in proxies},
        "no_proxy": "",
        "NO_PROXY": "",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "",
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(KERNEL / "matplotlibrc"),
        "COLUMNS": "80",
        "CHAPTER_MAY_WRITE": os.pathsep.join(map(os.path.realpath, writable)),
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
                extra_arguments=[f"--config={SETTINGS[1]}"],
                stdout=DEVNULL,
                stderr=log,
            )
            yield manager
        finally:
            await manager.shutdown_kernel(now=True)
