# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""What all optimizers share: groups, state, saving, and the loop."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from groundup.optim.fused import fits_kernel, has_kernel
from groundup.optim.groups import (
    listed,
    require_fusable,
    require_nonnegative,
    require_params,
    require_sizes,
)
from groundup.optim.steps import loaded


class Optimizer:
    """Steps parameters against their gradients; fill in `start` and `update`.

    A parameter without a gradient stays as it is, and so does its state. An
    optimizer whose options include `fused` fills in `fused_update` as well.
    """

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable "
                f"of Tensors or dicts, but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state: dict[Tensor, dict] = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Step these parameters too; options left out are the defaults."""
        if not isinstance(param_group, dict):
            kind = type(param_group).__name__
            raise TypeError(f"param_group must be a dict, but got {kind}")
        group = {**self.defaults, **param_group, **listed(param_group)}
        require_params(group, self.param_groups)
        self.check(group)
        self.param_groups.append(group)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        return {}

    def started(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The state of a parameter, begun if it is empty."""
        state = self.state[param]
        if not state:
            state.update(self.start(param, group))
        return state

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Step one parameter: change it and its state in place."""
        raise NotImplementedError

    def update_one(self, param: Tensor, group: dict) -> None:
        """Step one parameter by `update`, up or down, for autograd or not."""
        state = self.started(param, group)
        if group.get("differentiable"):  # keep what autograd has seen
            state.update({k: v.clone() for k, v in state.items()})
        grad = -param.grad if group.get("maximize") else param.grad
        self.update(param, grad, state, group)

    def step(self, closure: Callable | None = None) -> Any:
        """Step every parameter; the closure's loss if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            for group in self.param_groups:
                params = [p for p in group["params"] if p.grad is not None]
                if any(p.grad.layout != torch.strided for p in params):
                    name = type(self).__name__
                    raise RuntimeError(
                        f"{name} does not support sparse gradients"
                    )
                self.update_group(params, group)
        return loss

    def update_group(self, params: list[Tensor], group: dict) -> None:
        """Step by kernel what the kernel takes, the rest one by one."""
        rest, kinds = [], defaultdict(list)
        for param in params:
            fits = self.fits(param, self.started(param, group), group)
            alike = kinds[param.dtype, param.device] if fits else rest
            alike.append(param)
        for alike in kinds.values():
            states = [self.state[param] for param in alike]
            self.fused_update(alike, states, group)
        for param in rest:
            self.update_one(param, group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for options that make no sense; to be extended."""
        names = [name for name in ("lr", "weight_decay") if name in group]
        require_nonnegative(group, *names)
        for name in names:
            if isinstance(group[name], Tensor) and group[name].requires_grad:
                raise ValueError(f"no gradient reaches {name}: detach it")
        if group.get("fused"):
            require_fusable(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients, or fill them with zeros in place."""
        for param in chain(*(group["params"] for group in self.param_groups)):
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                if param.grad.requires_grad:
                    param.grad.detach_()
                param.grad.zero_()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            for key in sorted(group.keys() - {"params"}):
                lines.append(f"    {key}: {group[key]}")
        return "\n".join([*lines, ")"])

    def fits(self, param: Tensor, state: dict, group: dict) -> bool:
        """Whether `fused_update` can step this parameter."""
        kernel = "fused" in self.defaults and has_kernel(type(self))
        return kernel and fits_kernel(param, state, group)

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """Step parameters of one type on one device, all in one call."""
        raise NotImplementedError

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
        require_sizes(groups, self.param_groups)
        new_groups, state = [], defaultdict(dict)
        for own, saved in zip(self.param_groups, groups, strict=True):
            group = {**own, **copy.deepcopy(saved), "params": own["params"]}
            self.check(group)
            new_groups.append(group)
            for param, number in zip(
                own["params"], saved["params"], strict=True
            ):
                for key, value in state_dict["state"].get(number, {}).items():
                    state[param][key] = loaded(param, key, value, group)
        self.param_groups, self.state = new_groups, state
