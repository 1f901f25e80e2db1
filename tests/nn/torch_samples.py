"""Torch's own official samples of its modules, as pytest parameters."""

import pytest
import torch
from torch.testing._internal.common_modules import module_db


def samples(name: str, dtype: torch.dtype = torch.float64) -> list:
    """Constructor and forward inputs of `torch.nn.NAME`, one a parameter."""
    (info,) = [i for i in module_db if i.module_cls.__name__ == name]
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=True
    )
    assert inputs, f"torch has no samples of {name}"
    return [
        pytest.param(sample, id=f"{name}-{i}-{sample.desc or 'default'}")
        for i, sample in enumerate(inputs)
        if sample.forward_input is not None
    ]


def samples_of(*names: str) -> list:
    """Name and sample of several modules, in single and double precision."""
    return [
        pytest.param(name, *sample.values, id=sample.id)
        for name in names
        for dtype in (torch.float32, torch.float64)
        for sample in samples(name, dtype)
    ]


def assert_same_module(ours, theirs, sample, rtol=1e-5, atol=1e-6) -> None:
    """Equal outputs, input gradients and parameter gradients, and dtypes."""
    made = sample.constructor_input
    given = sample.forward_input
    dtype = next(iter([*given.args, *given.kwargs.values()])).dtype
    torch.manual_seed(0)
    module = ours(*made.args, **made.kwargs).to(dtype)
    torch.manual_seed(0)
    judge = theirs(*made.args, **made.kwargs).to(dtype)
    assert list(module.state_dict()) == list(judge.state_dict())
    for name, tensor in judge.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], tensor)
    results = [run(m, sample.forward_input) for m in (module, judge)]
    torch.testing.assert_close(*results, rtol=rtol, atol=atol)


def leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone().requires_grad_(tensor.is_floating_point())


def run(module, given) -> list[torch.Tensor]:
    args = [leaf(tensor) for tensor in given.args]
    kwargs = {name: leaf(tensor) for name, tensor in given.kwargs.items()}
    output = module(*args, **kwargs)
    output, *more = output if isinstance(output, tuple) else (output,)
    weights = torch.arange(output.numel()).view_as(output).to(output)
    (output * weights).sum().backward()
    inputs = [a.grad for a in [*args, *kwargs.values()] if a.requires_grad]
    return [
        output.detach(),
        *more,
        *inputs,
        *(p.grad for p in module.parameters()),
    ]
