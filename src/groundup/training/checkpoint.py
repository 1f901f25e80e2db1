# Extracted from book/3_training/10_checkpoint.py; edit it there.
"""Checkpoints from which a killed run goes on as if nothing had been."""

import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groundup.data.resume import Resumable
from groundup.training.callback import Callback, Run
from groundup.training.saving import (
    CheckpointError,
    batches_after,
    read_checkpoint,
    write_checkpoint,
)
from groundup.training.snapshot import (
    all_random_states,
    load_run_state,
    run_state,
    set_all_random_states,
)


class Checkpoint(Callback):
    """Saves a run in a folder of its own, and goes on where it was killed.

    Saves every so many batches, after each epoch's training, at the end, and
    when Ctrl-C or SIGTERM ask to stop; `keep` files stay. The resumed run ends
    bit for bit where the uninterrupted one does.
    """

    order = 100  # after all others

    def __init__(self, folder: str | Path, every: int = 1000, keep: int = 2):
        if min(every, keep) < 1:
            raise ValueError(f"expected 1 or more, got {every=} and {keep=}")
        self.folder, self.every, self.keep = Path(folder), every, keep
        self.n_epochs = 0  # of this fit, as it was asked for
        self.saved = 0  # batches of this epoch in the last checkpoint
        self.began: dict[str, Any] | None = None  # random states, at its start
        self.state: dict[str, Any] | None = None  # to go on from
        self.file: Path | None = None  # in which that state stands
        self.signal: int | None = None  # what asks to stop
        self.handlers: dict[int, Any] = {}  # of signals, before the fit

    def path(self, run: Run, batch: int, over: bool) -> Path:
        """The file of a place; the last of a fit carries the fit's number."""
        end = f"-fit-{run.fits:04}" if over else ""
        name = f"epoch-{run.epoch:06}-batch-{batch:08}{end}.safetensors"
        return self.folder / name

    def files(self) -> list[Path]:
        """The checkpoints in the folder, the newest last."""
        return sorted(self.folder.glob("epoch-*-batch-*.safetensors"))

    def state_of(self, run: Run, batch: int, trained: bool) -> dict[str, Any]:
        """A run's state, and its place: so many batches of the epoch."""
        resumable = isinstance(run.train, Resumable) and batch and not trained
        return {
            **run_state(run),
            "optimizer_class": type(run.optimizer).__name__,
            "fit": {"number": run.fits, "n_epochs": self.n_epochs},
            "epochs": [run.start_epoch, run.epoch, run.stop_epoch],
            "batch": batch,
            "trained": trained,
            "loader": run.train.state_dict() if resumable else None,
            "began": self.began,
            "now": all_random_states(run),
        }

    def save(
        self, run: Run, batch: int, trained: bool = False, over: bool = False
    ) -> None:
        """Write a checkpoint after so many batches of the epoch.

        If that fails, warn; if the fit is over, raise.
        """
        check_finite(run)
        state = self.state_of(run, batch, trained)
        try:
            write_checkpoint(self.path(run, batch, over), state)
        except OSError as error:
            if over:
                raise
            text = f"no checkpoint in {run.place}: {error}; training goes on"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        for old in self.files()[: -self.keep]:
            if "-fit-" not in old.name:
                old.unlink()
        self.saved = batch

    def after_batch(self, run: Run) -> None:
        """Save if it is time, and leave if a signal asks for it."""
        done = run.batch_idx + 1
        new = done - self.saved
        enough = self.every if self.signal is None else 1
        if run.training and new >= enough:
            self.save(run, done)
        if self.signal is not None:
            self._leave()

    def after_training(self, run: Run) -> None:
        """Save before the validation: an epoch's training is done."""
        self.save(run, run.batch_idx + 1, trained=True)

    def after_fit(self, run: Run) -> None:
        """Save the result, and handle signals as before."""
        try:
            if self.began is not None:
                self.save(run, 0, over=True)
        finally:
            self.after_cancel_fit(run)
        if self.signal is not None:
            self._leave()

    def before_fit(self, run: Run) -> None:
        """Find out where to begin; signals wait for the end of a batch."""
        self._find(run)
        self.signal = None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._asked)

    def _find(self, run: Run) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob("*.tmp"):
            torn.unlink()
        self.n_epochs, self.began = run.stop_epoch - run.start_epoch, None
        self.state, path = None, self._newest(run.fits)
        if path is not None:
            self.file, state = path, self.read(path)
            with _of_this_run(path):
                self._begin_at(run, state)
            if run.epoch >= run.stop_epoch:
                text = f"{path}: fit {run.fits} was over, nothing is trained"
                warnings.warn(text, RuntimeWarning, stacklevel=2)

    def _newest(self, fit: int) -> Path | None:
        """The newest file of a fit, the last one's if it is over."""
        over = sorted(self.folder.glob(f"epoch-*-fit-{fit:04}.safetensors"))
        if over:
            return over[-1]
        *_, last = self.files() or [None]
        if last is None:
            return None
        with _of_this_run(last):
            number = self.read(last)["fit"]["number"]
            if number > fit:
                raise LookupError(f"fit {number}, and no end of fit {fit}")
        return last if number == fit else None

    def read(self, path: Path) -> dict[str, Any]:
        """A checkpoint; damaged, it is refused, not passed over."""
        others = [each for each in self.files() if each < path]
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            offer = f"; to go on from {others[-1]}, delete it" if others else ""
            raise CheckpointError(f"{error}{offer}") from None

    def _begin_at(self, run: Run, state: Mapping[str, Any]) -> None:
        check_place(state)
        old, new = state["optimizer_class"], type(run.optimizer).__name__
        if old != new:
            raise ValueError(
                f"saved with the optimizer {old}, put back in {new}"
            )
        load_run_state(run, state)
        set_all_random_states(run, state["now"])
        run.start_epoch, run.epoch, stop = state["epochs"]
        same = state["fit"]["n_epochs"] == self.n_epochs
        run.stop_epoch = stop if same else run.start_epoch + self.n_epochs
        self.state = state

    def before_epoch(self, run: Run) -> None:
        """Begin the epoch, or go on in the middle of it."""
        state, self.state, self.saved = self.state, None, 0
        if state is None or state["batch"] == 0:
            self.began = all_random_states(run)
            return
        with _of_this_run(self.file):
            self._go_on(run, state)

    def _go_on(self, run: Run, state: Mapping[str, Any]) -> None:
        load_run_state(run, state)
        set_all_random_states(run, state["now"])
        n, self.began = state["batch"], state["began"]
        self.saved, run.first_batch, run.batch_idx = n, n, n - 1
        if state["trained"]:
            run.loader = ()
        elif isinstance(run.train, Resumable):
            run.train.load_state_dict(state["loader"])
            run.loader = iter(run.train)  # here, where its errors are told
        else:
            run.loader = batches_after(n, run, self.began, state["now"])

    def _asked(self, number: int, frame: Any) -> None:
        if self.signal is not None:
            self._leave()
        self.signal = number

    def _leave(self) -> None:
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)

    def after_cancel_fit(self, run: Run) -> None:
        """Handle signals as before."""
        while self.handlers:
            signal.signal(*self.handlers.popitem())


def check_finite(run: Run) -> None:
    """Raise FloatingPointError if a weight is not a finite number."""
    for name, param in run.model.named_parameters():
        if not param.detach().isfinite().all():
            raise FloatingPointError(
                f"{name} is not finite in {run.place}: nothing is saved, the "
                "checkpoint before is from before that"
            )


def check_place(state: Mapping[str, Any]) -> None:
    """Raise ValueError unless a state's numbers are a place in a fit."""
    start, now, stop = state["epochs"]
    numbers = state["step"], state["batch"], start, now, stop
    end = start + state["fit"]["n_epochs"]
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if not whole or not start <= now <= stop <= end:
        raise ValueError(f"no place in a fit that ends at {end}: {numbers}")


@contextmanager
def _of_this_run(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        text = f"{path} is not of this run: {type(error).__name__}: {error}"
        raise CheckpointError(text) from error
