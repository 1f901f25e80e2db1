# Extracted from book/3_training/4_learner.py; edit it there.
"""What is in a batch: the model's input and a target."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def unpack(batch: Any) -> tuple[Any, Any]:
    """Input and target of a batch: a pair as it is, else all is input."""
    if not isinstance(batch, tuple | list):
        return batch, None
    if len(batch) > 2:
        raise ValueError(
            f"a batch of {len(batch)} parts: which go into the model? Override "
            "`unpack(batch)` of the learner and return input and target, as in "
            "`return batch[:2], batch[2]`"
        )
    return (batch[0], batch[1]) if len(batch) == 2 else (batch[0], None)


def predict(model: Callable, input: Any) -> Any:
    """The model's output; a tuple or a dictionary holds its arguments."""
    if isinstance(input, Tensor):
        return model(input)
    if isinstance(input, tuple | list):
        return model(*input)
    return model(**input) if isinstance(input, Mapping) else model(input)
