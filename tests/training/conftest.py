"""One thread, and processes that need not import torch again."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Batches of eight rows are too small to be worth two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """Makes processes by forking one that has imported what takes long."""
    context = multiprocessing.get_context("forkserver")
    # the first two are imported when an optimizer and a bar are made
    context.set_forkserver_preload(
        ["torch._dynamo", "fastprogress.fastprogress", "groundup.training"]
    )
    return context
