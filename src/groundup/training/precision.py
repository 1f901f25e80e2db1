# Extracted from book/4_convnets/12_precision.py; edit it there.
"""Mixed precision: low types where they pay, and gradients kept in range."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from groundup.data.collate import map_batch
from groundup.training.callback import Callback, CancelBatch, Run

_LOW = frozenset(
    """addbmm addmm _addmm_activation baddbmm bmm conv1d conv2d conv3d
    conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d linear matmul
    mm _native_multi_head_attention prelu rmatmul scaled_dot_product_attention
    """.split()
)
_WIDE = frozenset(
    """avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits cdist
    cosine_embedding_loss cross_entropy ctc_loss hinge_embedding_loss
    huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss
    multilabel_margin_loss nll_loss nll_loss2d poisson_nll_loss prod quantile
    nanquantile reflection_pad1d smooth_l1_loss soft_margin_loss trace
    triplet_margin_loss""".split()
)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Floats on the CPU in another type, in lists and tuples too."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.dtype != torch.float64
        return value.to(dtype) if fits and value.is_cpu else value
    if isinstance(value, list | tuple):
        return type(value)(_cast(each, dtype) for each in value)
    return value


_INNERMOST: ContextVar[Any] = ContextVar("_INNERMOST", default=None)


class autocast(TorchFunctionMode):
    """A region in which products run in a low type, and losses in float32.

    On the CPU, as torch's of that name does; also a decorator. Weights are
    cast at each use: there is no cache, whatever `cache_enabled` says.
    """

    def __init__(
        self,
        device_type: str,
        dtype: torch.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        super().__init__()
        if not isinstance(device_type, str):
            raise ValueError(f"device_type is a str, got {type(device_type)}")
        if device_type != "cpu":
            raise RuntimeError(f"autocast is for the cpu, got {device_type!r}")
        self.fast_dtype = torch.bfloat16 if dtype is None else dtype
        known = self.fast_dtype in (torch.bfloat16, torch.float16)
        if enabled and not known:
            wrong = f"no low type is {self.fast_dtype}: autocast is off"
            warnings.warn(wrong, stacklevel=2)
        self.enabled = enabled and known
        self.outer: list[Any] = []

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name.startswith("__") and name.endswith("__"):
            name = name[2:-2]  # x @ y
        acts = self.enabled and _INNERMOST.get() is self and "out" not in kwargs
        if acts and (name in _LOW or name in _WIDE):
            dtype = self.fast_dtype if name in _LOW else torch.float32
            args = _cast(args, dtype)
            kwargs = {key: _cast(each, dtype) for key, each in kwargs.items()}
        return func(*args, **kwargs)

    def __enter__(self) -> "autocast":
        self.outer.append(_INNERMOST.get())
        _INNERMOST.set(self)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _INNERMOST.set(self.outer.pop())

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside


def _unscale(optimizer: Any, scale: Tensor) -> Tensor | None:
    """Divide all gradients; 1 if one is not finite, 0 if not, None of none."""
    inverse, flags = scale.double().reciprocal().float(), []
    for group in optimizer.param_groups:
        for grad in (p.grad for p in group["params"] if p.grad is not None):
            if grad.dtype == torch.float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            flags.append((~grad.isfinite()).any().to(scale.device))
            grad.mul_(inverse.to(grad.device))
    return torch.stack(flags).any().float() if flags else None


class GradScaler:
    """A factor on the loss, as large as its gradients bear; as torch's."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and device == "cuda" and not torch.cuda.is_available():
            wrong = "GradScaler for cuda, but there is none: it is disabled"
            warnings.warn(wrong, stacklevel=2)
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled, self._init_scale = enabled, init_scale
        self._growth_factor, self._backoff_factor = (
            growth_factor,
            backoff_factor,
        )
        self._growth_interval, self._init_growth_tracker = growth_interval, 0
        self._scale: Tensor | None = None  # made where the loss is
        self._growth_tracker: Tensor | None = None
        self._found: dict[int, tuple[str, Tensor | None]] = {}

    def scale(self, outputs: Any) -> Any:
        """Tensors, also in lists, tuples and iterables, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(outputs.device, non_blocking=True)
        if isinstance(outputs, list | tuple):
            return type(outputs)(map(self.scale, outputs))
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _start(self, device: torch.device) -> None:
        tracker, on = self._init_growth_tracker, {"device": device}
        self._scale = torch.tensor(self._init_scale, dtype=torch.float32, **on)
        self._growth_tracker = torch.tensor(tracker, dtype=torch.int32, **on)

    def _started(self, name: str) -> Tensor:
        """The factor, if there is one yet."""
        if self._scale is None:
            wrong = f"Attempted {name} but _scale is None.  "
            raise AssertionError(f"{wrong}Call scale(loss) earlier.")
        return self._scale

    def unscale_(self, optimizer: Any) -> None:
        """Divide an optimizer's gradients by the factor, and look at them."""
        if not self._enabled:
            return
        scale = self._started("unscale_")
        stage, _ = self._found.get(id(optimizer), ("ready", None))
        if stage == "unscaled":
            already = "unscale_() has already been called on this optimizer"
            raise RuntimeError(f"{already} since the last update().")
        if stage == "stepped":
            raise RuntimeError("unscale_() is being called after step().")
        self._found[id(optimizer)] = "unscaled", _unscale(optimizer, scale)

    def found_inf(self, optimizer: Any) -> bool:
        """Whether its unscaled gradients have a number that is not finite."""
        found = self._found.get(id(optimizer), ("ready", None))[1]
        return found is not None and bool(found.item())

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Step, unscaling first if need be, unless a gradient is infinite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("a closure cannot be scaled: pass none")
        self._started("step")
        if self._found.get(id(optimizer), ("ready", None))[0] == "stepped":
            already = "step() has already been called since the last update()."
            raise RuntimeError(already)
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        found = self._found[id(optimizer)][1]
        if found is None:
            none = "No inf checks were recorded for this optimizer."
            raise AssertionError(none)
        skips = self.found_inf(optimizer)
        result = None if skips else optimizer.step(*args, **kwargs)
        self._found[id(optimizer)] = "stepped", found
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Change the factor by what was found, or set it."""
        if not self._enabled:
            return
        scale = self._started("update")
        if new_scale is not None:
            scale.fill_(new_scale)
        else:
            found = [f for _, f in self._found.values() if f is not None]
            if not found:
                none = "No inf checks were recorded prior to update."
                raise AssertionError(none)
            self._adjust(torch.stack(found).any())
        self._found = {}

    def _adjust(self, found: Tensor) -> None:
        scale, tracker = self._scale, self._growth_tracker
        after = (tracker + 1).where(~found, 0)
        grows = after == self._growth_interval
        larger = (scale.double() * self._growth_factor).float()
        larger = larger.where(larger.isfinite(), scale)
        smaller = (scale.double() * self._backoff_factor).float()
        scale.copy_(smaller.where(found, larger.where(grows, scale)))
        tracker.copy_(after.where(~grows, 0))

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor."""
        if not self._enabled:
            return 1.0
        scale = self._scale
        return self._init_scale if scale is None else scale.item()

    def get_growth_factor(self) -> float:
        """What the factor grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Let it grow by another."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What it is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Multiply it by another."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps it grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Let it grow after another number of steps."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """All its numbers; nothing, if it is disabled."""
        if not self._enabled:
            return {}
        tracker = self._growth_tracker
        count = self._init_growth_tracker if tracker is None else tracker.item()
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": count,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("the state is empty: of a disabled GradScaler?")
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_scale = state_dict["scale"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._start(self._scale.device)


def _widened(value: Any) -> Any:
    is_tensor = isinstance(value, Tensor)
    low = is_tensor and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if low else value


class MixedPrecision(Callback):
    """Runs the model in a low type; for float16 with a scaled loss.

    For learners whose `train_step` is the usual one. A step whose gradients
    are not finite is left out: `skipped` counts them.
    """

    order = 55  # after accumulation, before clipping
    shapes_step = True

    def __init__(
        self,
        dtype: torch.dtype = torch.bfloat16,
        scaler: GradScaler | None = None,
        device_type: str = "cpu",
    ):
        self.dtype, self.device_type, self.skipped = dtype, device_type, 0
        scales = {"device": device_type, "enabled": dtype == torch.float16}
        self.scaler = GradScaler(**scales) if scaler is None else scaler
        self.region: autocast | None = None

    def before_batch(self, run: Run) -> None:
        """Enter the region."""
        self.region = autocast(self.device_type, self.dtype)
        self.region.__enter__()

    def after_predict(self, run: Run) -> None:
        """Leave it, with scores in float32."""
        self._leave()
        run.prediction = map_batch(_widened, run.prediction)

    def _leave(self) -> None:
        region, self.region = self.region, None
        if region is not None:
            region.__exit__(None, None, None)

    def after_cancel_batch(self, run: Run) -> None:
        """Leave the region if the model did not get to its end."""
        self._leave()

    def after_loss(self, run: Run) -> None:
        """Scale what is derived; `before_step` puts the loss back."""
        if run.training:
            self.loss, run.loss = run.loss, self.scaler.scale(run.loss)
            self.scaled = run.loss

    def before_step(self, run: Run) -> None:
        """Divide the gradients, and leave the step out if one is infinite."""
        run.loss = self.loss if run.loss is self.scaled else run.loss
        self.scaler.unscale_(run.optimizer)
        if self.scaler.found_inf(run.optimizer):
            self.skipped += 1
            run.optimizer.zero_grad()
            self.scaler.update()
            raise CancelBatch

    def after_step(self, run: Run) -> None:
        """Change the factor."""
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The factor's state, and what was left out."""
        return {"scaler": self.scaler.state_dict(), "skipped": self.skipped}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.skipped = state_dict["skipped"]
        self.scaler.load_state_dict(state_dict["scaler"])
