# Extracted from book/3_training/11_learner.py; edit it there.
"""How far a training run is, for people to watch."""

import sys
import time
from collections.abc import Sequence

from groundup.training.callback import Callback, Run
from groundup.training.metrics import length
from groundup.training.recorder import Recorder


class Lines:
    """A table in plain text, a line at a time: for files and pipes."""

    def __init__(self, n_epochs: int, done: int):
        self.widths: list[int] = []

    def row(self, cells: Sequence[str]) -> None:
        """Write a line; the first one fixes the widths."""
        self.widths = self.widths or [max(8, len(cell)) for cell in cells]
        pairs = zip(cells, self.widths, strict=True)
        line = "  ".join(cell.rjust(width) for cell, width in pairs)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def begin(self, n_batches: int | None) -> None:
        """A pass through a loader begins."""

    def advance(self, n_batches: int) -> None:
        """So many batches of the pass are done."""

    def end(self, n_epochs: int) -> None:
        """So many epochs are done."""

    def close(self) -> None:
        """Nothing follows."""


class Bars:
    """Two bars and a table, in a terminal or in a notebook."""

    def __init__(self, n_epochs: int, done: int):
        # not at the top: it takes ten times as long to import as this library
        from fastprogress.fastprogress import master_bar, progress_bar

        self.make_bar, self.bar = progress_bar, None
        self.master = master_bar(range(n_epochs))
        self.master.update(0)
        if done:
            self.master.update(done)

    def row(self, cells: Sequence[str]) -> None:
        """Add a row to the table."""
        self.master.write(list(cells), table=True)

    def close(self) -> None:
        """Leave the table alone on the page."""
        self.master.main_bar.on_iter_end()

    def begin(self, n_batches: int | None) -> None:
        """A new lower bar."""
        total = "noinfer" if n_batches is None else n_batches
        self.bar = self.make_bar(range(0), total=total, parent=self.master)
        self.bar.update(0)

    def advance(self, n_batches: int) -> None:
        """Move the lower bar; it redraws five times a second at most."""
        if self.bar is not None:
            self.bar.update(n_batches)

    def end(self, n_epochs: int) -> None:
        """Move the upper bar."""
        self.bar = None
        self.master.update(n_epochs)


def is_watched() -> bool:
    """Whether somebody looks: a terminal, or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


class Progress(Callback, default=True):
    """Shows a fit: bars where somebody watches, and a table of the epochs."""

    order = 10

    def __init__(self):
        self.view: Lines | Bars | None = None

    def before_fit(self, run: Run) -> None:
        """Choose a view and open it."""
        kind = Bars if is_watched() else Lines
        n_epochs = run.stop_epoch - run.start_epoch
        self.view = kind(n_epochs, run.epoch - run.start_epoch)
        self.titled = False

    def after_fit(self, run: Run) -> None:
        """Close the view, if it was opened."""
        if self.view is not None:
            self.view.close()
        self.view = None

    after_cancel_fit = after_fit

    def before_training(self, run: Run) -> None:
        """Open a bar for the batches."""
        if self.view is not None:
            n = run.n_batches if run.training else length(run.loader)
            self.view.begin(n)

    before_validation = before_training

    def after_batch(self, run: Run) -> None:
        """Move the bar."""
        if self.view is not None:
            self.view.advance(run.batch_idx + 1)

    after_cancel_batch = after_batch

    def before_epoch(self, run: Run) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def after_epoch(self, run: Run) -> None:
        """Add the recorder's newest row to the table."""
        row = dict(run[Recorder].rows[-1])
        row["time"] = time.perf_counter() - self.started
        if not self.titled:
            self.view.row(list(row))
            self.titled = True
        self.view.row([_text(value) for value in row.values()])
        self.view.end(run.epoch + 1 - run.start_epoch)


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"
