"""Extraction grows with the book, and no faster: ratios in one run."""

import os
from pathlib import Path

from _config.library.extraction import library

CELL = '''
# %% [markdown]
r"""
Words about number {n}, $x$ and what follows from it.
"""

# %% tags=["export"]
@dataclass
class Thing{n}:
    """Thing number {n}: (n, d) -> (n, d)."""

    size: int = {n}

    def twice(self, x: Tensor) -> Tensor:
        """Twice the input."""
        return helper(x) + self.size * x


# %% tags=["export"]
class Thing{n}(Thing{n}):
    def thrice(self, x: Tensor) -> Tensor:
        """Three times the input."""
        return self.twice(x) + x


# %%
made = Thing{n}().thrice(torch.ones(3, {n}))
'''


def write_book(folder: Path, chapters: int) -> Path:
    for number in range(1, chapters + 1):
        head = (
            f'# %% [markdown] module="part.m{number}"\nr"""\n# One\n"""\n'
            '# %% tags=["export"]\n"""It."""\n'
            "from dataclasses import dataclass\nimport torch\n"
            "from torch import Tensor\n"
        )
        helper = f"helper{number}"
        cells = "".join(CELL.format(n=100 * number + i) for i in range(25))
        text = f'{head}\n# %% tags=["export"]\ndef {helper}(x: Tensor) -> '
        text += f'Tensor:\n    """It."""\n    return x\n{cells}'
        path = folder / f"1_p/{number}_c.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("helper(x)", f"{helper}(x)"))
    return folder


def cpu_seconds(book: Path) -> float:
    """What an extraction takes, here and in ruff; the best of three."""

    def once() -> float:
        before = os.times()
        library(book)
        return sum(os.times()[:4]) - sum(before[:4])

    return min(once() for _ in range(3))


def test_four_times_the_book_takes_about_four_times_as_long(tmp_path):
    times = [
        cpu_seconds(write_book(tmp_path / str(n), 5 * n)) for n in (1, 2, 4)
    ]
    assert times[1] < 3 * times[0], times
    assert times[2] < 6 * times[0], times
