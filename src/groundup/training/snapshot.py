# Extracted from book/3_training/5_annealing.py; edit it there.
"""All that the next steps of a run depend on, taken and put back."""

import copy
from collections.abc import Mapping
from typing import Any

import torch

from groundup.data.resume import random_state, set_random_state
from groundup.training.callback import Callback, Run


def all_random_states(run: Run) -> dict[str, Any]:
    """The random states of Python, NumPy, torch, GPUs and the loaders."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    own = [each.get_state() for each in _generators(run)]
    return {"cpu": random_state(), "gpus": gpus, "loaders": own}


def set_all_random_states(run: Run, state: Mapping[str, Any]) -> None:
    """Put the states of `all_random_states` back."""
    set_random_state(state["cpu"])
    if state["gpus"]:
        torch.cuda.set_rng_state_all(state["gpus"])
    for each, its in zip(_generators(run), state["loaders"], strict=True):
        each.set_state(its)


def _generators(run: Run) -> list[torch.Generator]:
    """The loaders' and their samplers' own generators, each once."""
    parts = [run.train, run.valid]  # of any make: attributes are asked for
    for part in parts:
        inner = [getattr(part, n, None) for n in ("sampler", "batch_sampler")]
        parts += [e for e in inner if not any(e is p for p in (None, *parts))]
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(each): each for each in found if each is not None}.values())


def run_state(run: Run) -> dict[str, Any]:
    """Everything that the next steps of a run depend on, but its place."""
    params = run.model.named_parameters()
    grads = {name: p.grad for name, p in params if p.grad is not None}
    return {
        "model": dict(run.model.state_dict()),
        "optimizer": run.optimizer.state_dict(),
        "gradients": grads,
        "callbacks": [[name, c.state_dict()] for name, c in _with_state(run)],
        "step": run.step,
        "results": dict(run.results),
    }


def _with_state(run: Run) -> list[tuple[str, Callback]]:
    """The callbacks that have something to save, with their classes' names."""
    return [
        (type(callback).__name__, callback)
        for callback in run.active
        if type(callback).state_dict is not Callback.state_dict
    ]


def load_run_state(run: Run, state: Mapping[str, Any]) -> None:
    """Put a run into the state of `run_state`."""
    saved = [name for name, _ in state["callbacks"]]
    present = [name for name, _ in _with_state(run)]
    if saved != present:
        raise ValueError(
            f"saved with the callbacks {saved}, put back with {present}"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    for name, param in run.model.named_parameters():
        grad = state["gradients"].get(name)
        param.grad = None if grad is None else grad.to(param.device)
    pairs = zip(_with_state(run), state["callbacks"], strict=True)
    for (_, callback), (_, its) in pairs:
        callback.load_state_dict(copy.deepcopy(its))  # which it may change
    run.step, run.results = state["step"], dict(state["results"])
