# Extracted from book/2_backward/9_engine.py; edit it there.
"""The switch that turns recording off."""

import warnings
from collections.abc import Callable, Generator
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps
from inspect import isclass, isgeneratorfunction
from typing import Self

_recording = ContextVar("recording", default=True)


def is_grad_enabled() -> bool:
    """True if steps are being recorded."""
    return _recording.get()


class no_grad(ContextDecorator):  # torch's name
    """Record nothing inside; a block, or a decorator with or without ()."""

    def __new__(cls, function: Callable | None = None) -> "Self | Callable":
        """The switch, or a function with it."""
        made = super().__new__(cls)
        return made if function is None else made(function)

    def __enter__(self) -> Self:
        self.before = [*vars(self).get("before", ()), _recording.get()]
        _recording.set(False)
        return self

    def __exit__(self, *error: object) -> None:
        *self.before, last = self.before
        _recording.set(last)

    def _recreate_cm(self) -> Self:
        return type(self)()

    def __call__(self, function: Callable) -> Callable:
        """The function, with recording off while it runs."""
        if isclass(function):
            message = "decorating a class is deprecated: decorate its __init__"
            warnings.warn(message, FutureWarning, stacklevel=2)
        if isgeneratorfunction(function):
            return _switched_generator(function)
        return super().__call__(function)


def _switched_generator(function: Callable) -> Callable:
    @wraps(function)
    def generator(*args: object, **options: object) -> Generator:
        steps = function(*args, **options)
        go_on, given = steps.send, (None,)
        while True:
            try:
                with no_grad():
                    item = go_on(*given)
            except StopIteration as end:
                return end.value
            try:
                go_on, given = steps.send, ((yield item),)
            except GeneratorExit:
                with no_grad():
                    steps.close()
                raise
            except BaseException as error:
                go_on, given = steps.throw, (error,)

    return generator
