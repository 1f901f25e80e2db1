# Extracted from book/2_backward/6_linear.py; edit it there.
"""Parameters: the tensors that training changes."""

import torch
from torch import Tensor


class Parameter(torch.Tensor):
    """A tensor that training changes; any shape, found by its module."""

    _is_param = True  # so that isinstance(ours, torch.nn.Parameter) holds
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(
        cls, data: Tensor | None = None, requires_grad: bool = True
    ) -> "Parameter":
        data = torch.empty(0) if data is None else data
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __repr__(self) -> str:
        data = self.detach().requires_grad_(self.requires_grad)
        return f"Parameter containing:\n{data!r}"

    def __deepcopy__(self, memo: dict) -> "Parameter":
        if id(self) not in memo:
            data = self.detach().clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> tuple:
        made_of = type(self), self.detach(), self.requires_grad, vars(self)
        return _rebuild, made_of


def _rebuild(
    kind: type, data: Tensor, requires_grad: bool, attributes: dict
) -> Parameter:
    param = kind(data, requires_grad)
    vars(param).update(attributes)
    return param
