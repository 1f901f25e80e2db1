# %% [markdown] module="optim.optimizer" starred=true
r"""
# The frame of an optimiser

This chapter finishes what `Descent` of {doc}`/1_pixels/3_network` began: the
class that holds the parameters for every optimiser of the library. You may go
on without it.

{doc}`/3_training/3_optim`, which is about the steps themselves, asks three
things of it: a subclass fills in `update`, the step of one parameter;
parameters may stand in groups that have rates of their own; and all of it can
be saved.

`Descent` had one line about gradient descent. **What are the other lines of
an optimiser, those that stay when the step changes?**

| word | meaning |
| --- | --- |
| option | a number of the step, such as the learning rate `lr` |
| group | parameters that share their options |
| state | what an optimiser remembers of one parameter from step to step |
| kernel | one call into compiled code, here for the step of many parameters |
"""

# %% Imports tags=["hide-input"]
import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## Groups

The head of a network that is trained anew wants a higher rate than its body,
and many people decay weights but not biases. So parameters stand in *groups*. A
group is a dictionary with its parameters and its options; what it leaves out
comes from the defaults.
"""


# %% What an optimizer holds tags=["export"]
"""What all optimizers share: groups, state, saving, and the loop."""


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
        self.param_groups.append({**self.defaults, **param_group})


# %%
body, head = torch.ones(2), torch.ones(2)
groups = [{"params": [body], "lr": 0.1}, {"params": [head]}]
Optimizer(groups, {"lr": 0.5}).param_groups

# %% [markdown]
r"""
## A step

A parameter's state begins when it is stepped for the first time: `start` says
with what, and `update` changes parameter and state in place. Two options mean
the same to all who offer them: `maximize` goes up instead of down, and
`differentiable` lets gradients flow through the step itself, as learning to
learn needs it; autograd then has to find the old state as it was.
"""


# %% The step of one parameter tags=["export"]
class Optimizer(Optimizer):
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


# %% [markdown]
r"""
And so through all groups. A *closure*, if one is given, computes the loss and
its gradients again first; some optimisers call it several times, so torch's
`step` takes one everywhere.
"""


# %% The step of all tags=["export"]
class Optimizer(Optimizer):
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
        """Step the parameters of a group, one after the other."""
        for param in params:
            self.update_one(param, group)


# %% [markdown]
r"""
Gradient descent is one line now. The loss is half the square of each number, so
a gradient is the parameter itself, and a step leaves $1 - \eta$ of it.
"""


# %%
class Descent(Optimizer):
    def update(self, param, grad, state, group):
        param -= group["lr"] * grad


optimizer = Descent(groups, {"lr": 0.5})
for _ in range(2):
    body.grad, head.grad = body.clone(), head.clone()
    optimizer.step()
assert_close(body, torch.full((2,), 0.9**2))
assert_close(head, torch.full((2,), 0.5**2))
body, head

# %% [markdown]
r"""
Two groups, two rates, one `step`.

## What is refused

An optimiser takes what it is given and steps it in silence, so whatever would
go wrong later is refused at once, in torch's words. Parameters may come with
names, as `named_parameters()` gives them, but not some with and some without.
"""


# %% A group's parameters as a list tags=["export", "internal"] module="optim.groups"
"""Groups of parameters: listed, and refused where a step would go wrong."""


def listed(group: dict) -> dict[str, list]:
    """A group's parameters as a list, and their names if they have any."""
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, "
            "but the order of a set changes between runs: use a list"
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    names = [pair[0] for pair in params if isinstance(pair, tuple)]
    if names and len(names) < len(params):
        raise ValueError(
            "all optimizer params should be with/without names. "
            "Some param names are missing"
        )
    if names:
        return {"params": [param for _, param in params], "param_names": names}
    return {"params": params}


# %%
torch.manual_seed(0)
net = Sequential({"body": Linear(2, 2), "head": Linear(2, 1, bias=False)})
listed({"params": net.named_parameters()})["param_names"]

# %% [markdown]
r"""
A parameter in two groups is refused. One that stands twice in the same group is
stepped twice; torch warns of that and goes on, and so do we.
"""


# %% Parameters that are refused tags=["export", "internal", "hide-input"] module="optim.groups"
def require_params(group: dict, others: list[dict]) -> None:
    """Raise for what cannot be optimized, or is optimized already."""
    for param in group["params"]:
        if not isinstance(param, Tensor):
            kind = type(param).__name__
            message = f"optimizer can only optimize Tensors, got {kind}"
            raise TypeError(message)
        if not (group.get("differentiable") or param.is_leaf):
            raise ValueError("can't optimize a non-leaf Tensor")
    unique = set(group["params"])
    if len(unique) < len(group["params"]):
        message = (
            "optimizer contains a parameter group with duplicate parameters"
        )
        warnings.warn(message, stacklevel=5)
    named = "param_names" in group
    for other in others:
        if named != ("param_names" in other):
            raise ValueError(
                "all optimizer param groups should be with/without names. "
                "cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if unique & set(other["params"]):
            raise ValueError(
                "some parameters appear in more than one parameter group"
            )


# %% Options that are refused tags=["export", "internal"] module="optim.groups"
def require_nonnegative(group: dict, *names: str) -> None:
    """Raise ValueError for a named option that is negative or not a number."""
    words = {"lr": "learning rate", "eps": "epsilon value"}
    for name in names:
        if isinstance(group[name], Tensor) and group[name].numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not group[name] >= 0:
            what = words.get(name, f"{name} value")
            raise ValueError(f"Invalid {what}: {group[name]}")


def require_betas(group: dict) -> None:
    """Raise ValueError for a beta that is not in [0, 1)."""
    for i, beta in enumerate(group["betas"]):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element")
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


# %%
def refusal(call: Callable, *args: Any) -> str:
    """What a call that has to fail says."""
    try:
        call(*args)
    except (RuntimeError, TypeError, ValueError) as error:
        return str(error)
    raise AssertionError("nothing was refused")


twice = {"params": [body]}
assert "more than one" in refusal(require_params, twice, [twice])
[
    refusal(require_nonnegative, {"eps": float("nan")}, "eps"),
    refusal(require_betas, {"betas": (0.9, 1.0)}),
]

# %% [markdown]
r"""
Note how the comparison is written: `not x >= 0` refuses a nan as well, which `x
< 0` would let pass.

Torch has two ways to step many parameters at once, of which the second is ours,
further below; they exclude each other.
"""


# %% Options that exclude each other tags=["export", "internal"] module="optim.groups"
def require_fusable(group: dict) -> None:
    """Raise RuntimeError where `fused=True` cannot be kept."""
    if group.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if group.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    for param in group["params"]:
        if not param.is_floating_point():
            raise RuntimeError(
                "`fused=True` requires all the params to be floating point "
                f"Tensors, got {param.dtype}"
            )


# %% [markdown]
r"""
Then adding a group, again: now it is checked before it is added, so a group
that is refused leaves the optimiser as it was. A subclass extends `check` by
what it knows about its own options.
"""


# %% Groups that are checked tags=["export"]
class Optimizer(Optimizer):
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Step these parameters too; options left out are the defaults."""
        if not isinstance(param_group, dict):
            kind = type(param_group).__name__
            raise TypeError(f"param_group must be a dict, but got {kind}")
        group = {**self.defaults, **param_group, **listed(param_group)}
        require_params(group, self.param_groups)
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for options that make no sense; to be extended."""
        names = [name for name in ("lr", "weight_decay") if name in group]
        require_nonnegative(group, *names)
        for name in names:
            if isinstance(group[name], Tensor) and group[name].requires_grad:
                raise ValueError(f"no gradient reaches {name}: detach it")
        if group.get("fused"):
            require_fusable(group)


# %%
optimizer = Optimizer(groups, {"lr": 0.5})
said = refusal(optimizer.add_param_group, {"params": [body]})
assert_equal(len(optimizer.param_groups), 2)
said, refusal(Optimizer, groups, {"lr": -1.0})

# %% [markdown]
r"""
And two services. Gradients are dropped, or set to zero in place, so that whoever
holds one sees it. And when it is printed, there is a line for each option.
"""


# %% Zeros, and a line for each option tags=["export"]
class Optimizer(Optimizer):
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


# %%
optimizer = Optimizer(net.named_parameters(), {"lr": 0.5})
net(torch.ones(3, 2)).sum().backward()
held = net.head.weight.grad
optimizer.zero_grad(set_to_none=False)
assert_equal(held, torch.zeros(1, 2))
optimizer

# %% [markdown]
r"""
## Many parameters in one call

Written as five operations on tensors, a step reads and writes every number five
times over, and for large models the memory is what one waits for. A *fused*
kernel reads each number once, does all arithmetic on it in registers and writes
it back, for a list of parameters in one call. Torch has such kernels, in C++
and CUDA, and does not use them unless asked. An optimiser of ours asks
whenever it may; which kernels there are is the business of later chapters.

They walk through memory without looking at strides, so all tensors of a step
must lie alike. Where they do not, ours takes the readable step. An option of
torch's, `fused`, shows that there is a kernel: None uses it where it can, False
never, and True insists.
"""


# %% What a kernel may step tags=["export", "internal"] module="optim.fused"
"""Which parameters may be stepped by a fused kernel."""


def wants_kernel(group: dict) -> bool:
    """Whether the options leave the step to a fused kernel, if there is one."""
    if "fused" not in group or group.get("differentiable"):
        return False
    if group["fused"] is None:
        return group.get("foreach") is not False
    return bool(group["fused"])


def lie_alike(param: Tensor, others: Iterable[Tensor]) -> bool:
    """Whether a walk through memory meets the elements in the same order."""
    dense = param.is_contiguous() or (
        param.ndim == 4
        and param.is_contiguous(memory_format=torch.channels_last)
    )
    kind = param.stride(), param.dtype, param.device
    return dense and all(
        (other.stride(), other.dtype, other.device) == kind for other in others
    )


# %%
image = torch.zeros(2, 3, 4, 5)
last = image.to(memory_format=torch.channels_last)
strided = image[:, :, ::2]
assert not lie_alike(strided, [strided])
[lie_alike(x, [y]) for x, y in ((image, image), (image, last), (last, last))]

# %% [markdown]
r"""
The parameter itself has to be of a kind that kernels know. And a class that
changes the step of its base, and not the kernel, would be stepped by the base's
kernel in silence. So a kernel counts only if its class is at least as far down
as the class of the step.
"""


# %% Parameters that fit tags=["export", "internal"] module="optim.fused"
def fits_kernel(param: Tensor, state: dict, group: dict) -> bool:
    """Whether a kernel is wanted, and can step this parameter."""
    known = param.device.type in ("cpu", "cuda")
    if not (wants_kernel(group) and known and param.is_floating_point()):
        return False
    others = [value for key, value in state.items() if key != "step"]
    return lie_alike(param, [param.grad, *others])


@cache
def has_kernel(kind: type) -> bool:
    """Whether a class's `fused_update` is as new as its `update`."""
    kernel, step = (
        next(base for base in kind.__mro__ if name in vars(base))
        for name in ("fused_update", "update")
    )
    return issubclass(kernel, step)


# %% [markdown]
r"""
A group is then stepped in few calls: all parameters that fit, of one type and on
one device, in one call of `fused_update`, and the rest one by one.
"""


# %% Many parameters in one call tags=["export"]
class Optimizer(Optimizer):
    def fits(self, param: Tensor, state: dict, group: dict) -> bool:
        """Whether `fused_update` can step this parameter."""
        kernel = "fused" in self.defaults and has_kernel(type(self))
        return kernel and fits_kernel(param, state, group)

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """Step parameters of one type on one device, all in one call."""
        raise NotImplementedError

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


# %%
class Counted(Optimizer):
    def update(self, param, grad, state, group):
        calls.append("one")

    def fused_update(self, params, states, group):
        calls.append(len(params))


class Renewed(Counted):  # a step of its own, and its base's kernel
    def update(self, param, grad, state, group):
        calls.append("mine")


calls = []
params = [torch.ones(2), torch.ones(3), torch.ones(2).double(), last]
for param in params:
    param.grad = torch.ones(param.shape, dtype=param.dtype)
Counted(params, {"fused": None}).step()
Renewed(params[:2], {"fused": None}).step()
calls

# %% [markdown]
r"""
Two vectors in single precision in one call, one in double precision, and an
image whose gradient lies in another order than itself. Then the class with a
step of its own.

## Saved and loaded

What an optimiser remembers of a parameter is one or two tensors like it, and
often a count of its steps. Torch counts in tensors, so ours does.
"""


# %% What is remembered tags=["export", "internal"] module="optim.steps"
"""What the steps of optimizers share: how a state begins, and small sums."""


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


# %% [markdown]
r"""
In a state dict parameters are numbers, in the order of the groups, since a
tensor cannot be told from another in a file.
"""


# %% A state dict tags=["export"]
class Optimizer(Optimizer):
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


# %%
body, head = torch.ones(2), torch.ones(2)
groups = [{"params": [body], "lr": 0.1}, {"params": [head]}]
optimizer = Optimizer(groups, {"lr": 0.5})
optimizer.state[head] = new_state(head, {}, "mean")
saved = optimizer.state_dict()
saved

# %% [markdown]
r"""
The body has not been stepped, so there is nothing to remember of it.

Loading is all or nothing, and it copies: each tensor takes the type, the device
and the layout of its parameter. Options that an old file does not know stay as
they are.
"""


# %% State dicts that are refused tags=["export", "internal", "hide-input"] module="optim.groups"
def require_sizes(saved: list[dict], own: list[dict]) -> None:
    """Raise ValueError for saved groups of other sizes than one's own."""
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


# %% [markdown]
r"""
A value of any other shape than the parameter's is refused, unless it is a
number.
"""


# %% A value that is loaded tags=["export", "internal"] module="optim.steps"
def loaded(param: Tensor, key: str, value: Any, group: dict) -> Any:
    """A saved value of a parameter's state: a copy, stored like it."""
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


# %% Loading tags=["export"] earns="torch.optim.Optimizer"
class Optimizer(Optimizer):
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


# %% [markdown]
r"""
The frame is complete. An optimiser that remembers: it steps along the mean of
all gradients so far. After two steps its state goes to another one, whose
parameters are double.
"""


# %%
class Averaged(Optimizer):
    def start(self, param, group):
        return new_state(param, group, "mean")

    def update(self, param, grad, state, group):
        state["step"] += 1
        state["mean"] += (grad - state["mean"]) / state["step"]
        param -= group["lr"] * state["mean"]


optimizer = Averaged(groups, {"lr": 0.5})
for number in (1.0, 2.0):
    head.grad = torch.full((2,), number)
    optimizer.step()
doubles = [torch.ones(2).double(), torch.ones(2).double()]
other = Averaged([{"params": [param]} for param in doubles], {"lr": 1.0})
other.load_state_dict(optimizer.state_dict())
assert_equal([group["lr"] for group in other.param_groups], [0.1, 0.5])
other.state[doubles[1]]

# %% [markdown]
r"""
The mean has become double, as its parameter is; the count stays what it was.

Three small functions are left that the steps of several optimisers use: the
gradient of the L2 penalty; a complex number as a pair of real ones, which is
how torch steps it; and a root in one tensor.
"""


# %% Sums that steps share tags=["export", "internal"] module="optim.steps"
def add_l2(grad: Tensor, param: Tensor, weight_decay: float) -> Tensor:
    """The gradient of the loss plus weight_decay / 2 * |param|^2."""
    return grad.add(param, alpha=weight_decay) if weight_decay else grad


def real_views(*tensors: Tensor) -> list[Tensor]:
    """The same memory as real numbers: complex (*) -> (*, 2)."""
    return [torch.view_as_real(x) if x.is_complex() else x for x in tensors]


def root_plus(square: Tensor, eps: float) -> Tensor:
    """sqrt(square) + eps, in one new tensor unless autograd needs two."""
    root = square.sqrt()
    return root + eps if root.requires_grad else root.add_(eps)


# %%
add_l2(torch.ones(2), torch.tensor([0.0, 2.0]), 0.1), root_plus(body, 0.5)

# %% [markdown]
r"""
## Several as one

Some training runs need two optimisers: one for the matrices of a network and
another for the rest, or one for each of two networks that work against each
other. Whoever trains then has to step both, drop the gradients of both, change
the rates of both and save both. It is simpler to make *one* of them: its groups
are theirs, in one list, and what is written into a group arrives where it
belongs. So a training loop, a schedule or a checkpoint sees one optimiser.
Torch's own fit in as well.
"""


# %% Several optimizers as one tags=["export"] module="optim.several"
"""Several optimizers that are used as one."""


class CombinedOptimizer:
    """Several optimizers as one, each with parameters of its own."""

    def __init__(self, *optimizers: Any):
        if not optimizers:
            raise ValueError("no optimizers to combine")
        self.optimizers = optimizers
        params = [set(_parameters(each)) for each in optimizers]
        if len(set().union(*params)) < sum(map(len, params)):
            raise ValueError("a parameter appears in more than one optimizer")

    @property
    def param_groups(self) -> list[dict]:
        """The groups of all, the first optimizer's first."""
        return list(chain(*(each.param_groups for each in self.optimizers)))

    @property
    def state(self) -> dict[Tensor, dict]:
        """What each remembers of its parameters."""
        return dict(chain(*(each.state.items() for each in self.optimizers)))


def _parameters(optimizer: Any) -> Iterator[Tensor]:
    return chain(*(group["params"] for group in optimizer.param_groups))


# %%
matrix, bias = torch.ones(3, 2), torch.ones(3)
both = CombinedOptimizer(
    Averaged([matrix], {"lr": 0.1}), Averaged([bias], {"lr": 1.0})
)
for group in both.param_groups:
    group["lr"] /= 2
assert_equal(both.optimizers[1].param_groups[0]["lr"], 0.5)
refusal(CombinedOptimizer, both, Averaged([bias], {"lr": 1.0}))

# %% [markdown]
r"""
A step is a step of each, after one call of the closure. The options that all of
them have are what a schedule may ask for.
"""


# %% A step of several tags=["export"] module="optim.several"
class CombinedOptimizer(CombinedOptimizer):
    @property
    def defaults(self) -> dict[str, Any]:
        """The options that all of them have, as the first has them."""
        first, *others = (each.defaults for each in self.optimizers)
        shared = set(first).intersection(*others)
        return {name: first[name] for name in first if name in shared}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or fill them with zeros."""
        for each in self.optimizers:
            each.zero_grad(set_to_none)

    def step(self, closure: Callable | None = None) -> Any:
        """Step each, once; the closure's loss if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for each in self.optimizers:
            each.step()
        return loss


# %% Several saved and loaded tags=["export"] module="optim.several"
class CombinedOptimizer(CombinedOptimizer):
    def state_dict(self) -> dict[str, Any]:
        """Their state dicts, in order; memory shared."""
        return {"optimizers": [each.state_dict() for each in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load each, or none if one of them refuses."""
        saved = state_dict["optimizers"]
        if len(saved) != len(self.optimizers):
            raise ValueError(
                f"saved from {len(saved)} optimizers, loaded into "
                f"{len(self.optimizers)}"
            )
        before = [each.state_dict() for each in self.optimizers]
        try:
            for each, its in zip(self.optimizers, saved, strict=True):
                each.load_state_dict(its)
        except BaseException:
            for each, its in zip(self.optimizers, before, strict=True):
                each.load_state_dict(its)
            raise

    def __repr__(self) -> str:
        inside = ",\n".join(map(repr, self.optimizers))
        return f"{type(self).__name__}(\n{inside}\n)"


# %%
both, twin = (
    CombinedOptimizer(
        Averaged([matrix], {"lr": lr}), Averaged([bias], {"lr": 1})
    )
    for lr in (0.1, 9.0)
)
matrix.grad, bias.grad = torch.ones(3, 2), torch.ones(3)
both.step()
assert_close(matrix, torch.full((3, 2), 0.9))
assert_close(bias, torch.zeros(3))
twin.load_state_dict(both.state_dict())
[group["lr"] for group in twin.param_groups], list(twin.state[matrix])

# %% [markdown]
r"""
## Parts of a model

Who trains a model whose body is trained already wants a small rate for the body
and a large one for its new head. A `splitter` takes the model and returns its
parts, and each becomes a group. A parameter that it forgets would never be
trained, so it is named.
"""


# %% Parts of a model tags=["export", "internal"] module="optim.parts"
"""An optimizer of a model, or of its parts with a rate each."""


def parameter_groups(
    model: Any, splitter: Callable[[Any], Iterable], lr: float | Sequence[float]
) -> list[dict[str, Any]]:
    """A group for each part of the model, with the part's learning rate."""
    parts = [list(part) for part in splitter(model)]
    rates = list(lr) if isinstance(lr, Sequence) else [lr] * len(parts)
    if len(rates) != len(parts):
        raise ValueError(f"{len(rates)} rates for {len(parts)} parts: {rates}")
    held = {id(param) for part in parts for param in part}
    named = model.named_parameters()
    left = [name for name, param in named if id(param) not in held]
    if left:
        raise ValueError(f"the splitter leaves out {left}")
    pairs = zip(parts, rates, strict=True)
    return [{"params": part, "lr": rate} for part, rate in pairs]


# %% tags=["export", "internal"] module="optim.parts"
def make_optimizer(
    model: Any, optim: Callable, lr: Any, splitter: Callable | None
) -> Any:
    """An optimizer of all parameters, or of a group for each part."""
    if not callable(optim):
        name = type(optim).__name__
        raise TypeError(f"optim makes an optimizer: {name}, not {name}(...)")
    if splitter is not None:
        groups = parameter_groups(model, splitter, lr)
        return optim(groups, groups[-1]["lr"])
    if isinstance(lr, Sequence):
        raise ValueError(f"{len(lr)} rates need a splitter, which says of what")
    return optim(model.parameters(), lr)


# %%
def both_parts(layer: Linear) -> list[list[Tensor]]:
    return [[layer.weight], [layer.bias]]


groups = parameter_groups(Linear(2, 3), both_parts, [0.1, 1.0])
assert_equal([group["lr"] for group in groups], [0.1, 1.0])
refusal(parameter_groups, Linear(2, 3), lambda each: [[each.weight]], 0.1)

# %% [markdown]
r"""
## What we built

* `Optimizer` (`optim.optimizer`): groups, state, steps and closures; state
  dicts that go to torch and back; one kernel call for all parameters that lie
  alike, the readable step for the rest. `optim.groups` refuses what would go
  wrong, `optim.fused` knows what a kernel may step, `optim.steps` how a state
  begins.
* `CombinedOptimizer` (`optim.several`): several optimizers as one, with their
  groups and their state.

## Questions

:::{dropdown} Why is a group a dictionary, and not an object with attributes?
The options differ from optimiser to optimiser, and others read and write them
by name: a schedule sets `group["lr"]` and need not know whose it is.
:::

:::{dropdown} Why does a state dict number the parameters instead of naming them?
An optimiser is given tensors, and most have no names there. The order of the
groups is all that it can count on, so it has to be the same when it is loaded.
:::

:::{dropdown} Why is the state copied when it is loaded, but shared when it is saved?
What is saved is written to a file at once, and copying it first would double
the memory. What is loaded goes on living in somebody else's hands: two
optimisers that step one buffer would both go wrong.
:::

:::{dropdown} Why may a fused kernel not be handed a gradient whose memory is in another order?
It walks through memory from the first number to the last, in all tensors at
once. In another order it would step a parameter by some other parameter's
gradient, and no error would say so.
:::

:::{dropdown} What would go wrong if a group were added first and checked afterwards?
Whoever catches the error holds an optimiser with a group that it must not have,
and it would be stepped.
:::

## Exercises

**1.** Decay the weights of a network, but not its biases: make the two groups
from `named_parameters()` and show that a step with zero gradients shrinks only
the weights.
"""


# %% tags=["solution"]
class Decayed(Optimizer):
    def update(self, param, grad, state, group):
        param *= 1 - group["lr"] * group["weight_decay"]
        param -= group["lr"] * grad


small = Sequential(Linear(2, 3), Linear(3, 1))
kinds = {True: [], False: []}
for name, param in small.named_parameters():
    kinds[name.endswith("bias")].append((name, param))
decayed = Decayed(
    [{"params": kinds[True], "weight_decay": 0.0}, {"params": kinds[False]}],
    {"lr": 0.5, "weight_decay": 0.2},
)
before = copy.deepcopy(small.state_dict())
for param in small.parameters():
    param.grad = torch.zeros_like(param)
decayed.step()
for name, value in small.state_dict().items():
    share = 1.0 if name.endswith("bias") else 0.9
    assert_close(value, share * before[name])

# %% [markdown]
r"""
**2.** Freeze the body of a network for three steps, then thaw it. What does an
optimiser do with a parameter that has no gradient, and when does its state
begin?
"""

# %% tags=["solution"]
small = Sequential({"body": Linear(2, 2), "head": Linear(2, 1)})
averaged = Averaged(small.parameters(), {"lr": 0.1})
small.body.requires_grad_(False)
for step in range(5):
    if step == 3:
        small.body.requires_grad_(True)
    averaged.zero_grad()
    (small(torch.ones(4, 2)) ** 2).sum().backward()
    averaged.step()
# it leaves it alone: the state begins with the first gradient
counts = [averaged.state[p]["step"].item() for p in small.parameters()]
assert_equal(counts, [2.0, 2.0, 5.0, 5.0])

# %% [markdown]
r"""
**3.** Save a run of `Averaged` after four of seven steps, load it into another
optimiser with another rate, and show that the seven steps end at the same
numbers to the last bit.
"""


# %% tags=["solution"]
def steps_of(optimizer: Optimizer, param: Tensor, steps: range) -> Tensor:
    for step in steps:
        param.grad = param * (step + 1)
        optimizer.step()
    return param


whole, part = torch.ones(3), torch.ones(3)
end = steps_of(Averaged([whole], {"lr": 0.1}), whole, range(7))
first = Averaged([part], {"lr": 0.1})
steps_of(first, part, range(4))
second = Averaged([part], {"lr": 7.0})
second.load_state_dict(first.state_dict())
assert_equal(steps_of(second, part, range(4, 7)), end)

# %% [markdown]
r"""
With a frame for any step, the inside of a network and what holds its parameters
are complete. Part 3 builds the training around them, and in its third chapter
the steps.
"""
