# Extracted from book/3_training/6_optim.py; edit it there.
"""State dicts of optimizers: out of one, and into another."""

import copy
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import Groups


def wants_kernel(group: dict) -> bool:
    """Whether the options leave the step to a fused kernel, if there is one."""
    if "fused" not in group or group["differentiable"]:
        return False
    chosen, foreach = group["fused"], group["foreach"]
    return bool(chosen) or (chosen is None and foreach is not False)


def new_counter(param: Tensor, group: dict) -> Tensor:
    """A count of steps, as torch keeps it: a float32 tensor of shape ().

    It lies on the CPU, where reading it is free, unless the step happens
    without Python: in a fused kernel or a captured graph.
    """
    there = wants_kernel(group) or group.get("capturable")
    device = param.device if there else "cpu"
    return torch.zeros((), dtype=torch.float32, device=device)


def new_state(param: Tensor, group: dict, *names: str) -> dict[str, Tensor]:
    """A count of steps, and zeros like the parameter under each name."""
    zeros = {name: torch.zeros_like(param) for name in names}
    return {"step": new_counter(param, group), **zeros}


class SavedGroups(Groups):
    """Groups that can be saved and loaded, from torch and to torch."""

    def state_dict(self) -> dict[str, Any]:
        """The options and the state, parameters as numbers; memory shared."""
        numbers: dict[Tensor, int] = {}
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(param, len(numbers))
        groups = [
            {**group, "params": [numbers[param] for param in group["params"]]}
            for group in self.param_groups
        ]
        state = {numbers[p]: held for p, held in self.state.items() if held}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy options and state in, all or nothing; torch's dicts fit too."""
        groups = state_dict["param_groups"]
        _refuse_sizes(groups, self.param_groups)
        new_groups, state = [], defaultdict(dict)
        for own, saved in zip(self.param_groups, groups, strict=True):
            group = {**own, **copy.deepcopy(saved), "params": own["params"]}
            self.check(group)
            new_groups.append(group)
            for param, number in zip(
                own["params"], saved["params"], strict=True
            ):
                for key, value in state_dict["state"].get(number, {}).items():
                    loaded = self.load_value(param, key, value, group)
                    state[param][key] = loaded
        self.param_groups, self.state = new_groups, state

    def load_value(
        self, param: Tensor, key: str, value: Any, group: dict
    ) -> Any:
        """A saved value for this parameter: a copy, stored like it."""
        if key == "step":
            return new_counter(param, group).copy_(torch.as_tensor(value))
        if not isinstance(value, Tensor):
            return copy.deepcopy(value)
        if value.shape == param.shape:
            return torch.empty_like(param, requires_grad=False).copy_(value)
        if value.ndim:
            shapes = f"{tuple(value.shape)}, its parameter {tuple(param.shape)}"
            raise ValueError(f"loaded {key} has the shape {shapes}")
        return value.clone()


def _refuse_sizes(saved: list[dict], own: list[dict]) -> None:
    sizes, saved_sizes = (
        [len(group["params"]) for group in groups] for groups in (own, saved)
    )
    if len(sizes) != len(saved_sizes):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved_sizes)}, the optimizer has {len(sizes)}"
        )
    if sizes != saved_sizes:
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match "
            f"the size of optimizer's group: it has groups of {saved_sizes}, "
            f"the optimizer of {sizes}"
        )
