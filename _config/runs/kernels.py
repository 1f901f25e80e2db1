"""The kernels that chapters run in: each fresh, alone, and without network."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from _config.runs.store import KERNEL, SETTINGS

FLOOD = 1_000_000  # characters a cell may put out
OUTPUTS = ("stream", "display_data", "execute_result", "error")
NOWHERE = "http://127.0.0.1:9"  # a chapter may not use the network


class Client(NotebookClient):
    """A client that stops a cell that floods its output."""

    received = 0

    def process_message(self, msg: dict, cell: dict, cell_index: int) -> object:
        if msg["msg_type"] in OUTPUTS:
            self.received += len(str(msg["content"]))
            if self.received > FLOOD:
                self.task_poll_for_reply.cancel()
                return None
        return super().process_message(msg, cell, cell_index)


def environment(src: Path, folder: Path, jobs: int) -> dict[str, str]:
    """What a chapter sees of the machine: no network, no GPU, no settings."""
    paths = [str(src.resolve()), os.environ.get("PYTHONPATH", "")]
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return {
        **os.environ,
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
    }


@asynccontextmanager
async def kernel(src: Path, jobs: int) -> AsyncIterator[AsyncKernelManager]:
    """A fresh kernel of this Python in an empty folder, gone afterwards."""
    # sockets have short names: their paths are limited to a hundred characters
    with tempfile.TemporaryDirectory(prefix="book-") as name:
        folder = Path(name)
        (folder / "work").mkdir()
        manager = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport="ipc",
            ip=str(folder / "k"),
            connection_file=str(folder / "kernel.json"),
        )
        try:
            await manager.start_kernel(
                cwd=str(folder / "work"),
                env=environment(src, folder, jobs),
                extra_arguments=[f"--config={SETTINGS[1]}"],
            )
            yield manager
        finally:
            group = getattr(manager.provisioner, "pgid", None)
            await manager.shutdown_kernel(now=True)
            with suppress(ProcessLookupError, PermissionError, TypeError):
                os.killpg(group, signal.SIGKILL)  # and what it has started
