"""The checks of groundup.testing beside torch.testing's."""

import torch

from _config.runs.benchmarks import Pair, benchmark
from groundup.testing import assert_close


@benchmark("torch.testing.assert_close", label="1,000 values")
def close() -> Pair:
    """Two equal vectors in single precision."""
    a, b = torch.ones(1000), torch.ones(1000)
    return lambda: assert_close(a, b), lambda: torch.testing.assert_close(a, b)
