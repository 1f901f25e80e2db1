# Extracted from book/3_training/13_inside.py; edit it there.
"""Statistics of a model's activations or gradients while it is trained."""

from collections.abc import Callable, Mapping

from torch import Tensor

from groundup.inside.hooks import Handles, leaf_modules, watch_outputs
from groundup.inside.statistics import Statistics
from groundup.nn.module import Module
from groundup.training.callback import Callback, Run


class Watch(Callback):
    """Keeps `statistics` of the training batches of every fit.

    `watch_outputs` watches activations, `watch_gradients` gradients. Without
    `modules`, those that hold no other are watched.
    """

    def __init__(
        self,
        statistics: Statistics,
        watch: Callable[..., Handles] = watch_outputs,
        modules: Mapping[str, Module] | None = None,
    ):
        self.statistics, self.watch, self.modules = statistics, watch, modules
        self.handles = Handles(())

    def before_fit(self, run: Run) -> None:
        """Put the hooks on."""

        def see(name: str, tensor: Tensor) -> None:
            if run.training:
                self.statistics.record(name, tensor)

        watched = self.modules
        watched = leaf_modules(run.model) if watched is None else watched
        self.handles = self.watch(watched, see)

    def after_fit(self, run: Run) -> None:
        """Take them off."""
        self.handles.remove()

    after_cancel_fit = after_fit
