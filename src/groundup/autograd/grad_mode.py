# Extracted from book/2_backward/5_autograd.py; edit it there.
"""The switch that turns recording off."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_recording = ContextVar("recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside; as a block or, with brackets, a decorator."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def is_grad_enabled() -> bool:
    """True if steps are being recorded."""
    return _recording.get()
