# Extracted from book/2_backward/9_engine.py; edit it there.
"""Steps that work along axes: products, reductions, changes of shape."""

from copy import deepcopy

import torch
from torch import Tensor

from groundup.autograd.broadcasting import unbroadcast
from groundup.autograd.rules import Rule, Step


def matmul_rule(a: Tensor, b: Tensor) -> Step:
    """a @ b: (..., n, k), (..., k, m) -> (..., n, m); also of vectors."""
    row, column = a.dim() == 1, b.dim() == 1

    def matrix(grad: Tensor) -> Tensor:
        grad = grad.unsqueeze(-1) if column else grad
        return grad.unsqueeze(-2) if row else grad

    def by_a(grad: Tensor, b: Tensor) -> Tensor:
        right = b.unsqueeze(1) if column else b
        return matrix(grad) @ right.mT

    def by_b(grad: Tensor, a: Tensor) -> Tensor:
        left = a.unsqueeze(0) if row else a
        grad = left.mT @ matrix(grad)
        return grad.squeeze(-1) if column else grad

    return a @ b, Rule(by_a, b), Rule(by_b, a)


Dim = int | tuple[int, ...] | None


def kept(shape: torch.Size, dim: Dim) -> list[int]:
    """The shape that a reduction over dim has with keepdim=True."""
    dims = range(len(shape)) if dim is None or dim == () else dim
    dims = (dims,) if isinstance(dims, int) else dims
    reduced = {d % max(len(shape), 1) for d in dims}
    return [1 if d in reduced else size for d, size in enumerate(shape)]


def sum_rule(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Step:
    """The sum over some axes, or over all."""
    shape, ones = x.shape, kept(x.shape, dim)
    value = x.sum(dim, keepdim=keepdim)
    return value, Rule(lambda grad: grad.reshape(ones).expand(shape))


def mean_rule(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Step:
    """The mean over some axes, or over all."""
    shape, ones = x.shape, kept(x.shape, dim)
    value = x.mean(dim, keepdim=keepdim)
    share = value.numel() / max(x.numel(), 1)
    return value, Rule(lambda grad: (grad * share).reshape(ones).expand(shape))


def amax_rule(x: Tensor, dim: Dim = (), keepdim: bool = False) -> Step:
    """The maximum over some axes, or over all; ties share the gradient."""
    ones = kept(x.shape, dim)
    y = x.amax(() if dim is None else dim, keepdim=keepdim)

    def rule(grad: Tensor, x: Tensor, y: Tensor) -> Tensor:
        won = x == y.reshape(ones)
        shares = unbroadcast(won.to(grad.dtype), torch.Size(ones))
        return torch.where(won, grad.reshape(ones) / shares, 0)

    return y, Rule(rule, x, y)


def reshape_rule(x: Tensor, *shape: int | tuple[int, ...]) -> Step:
    """The same elements in another shape."""
    before = x.shape
    return x.reshape(*shape), Rule(lambda grad: grad.reshape(before))


def expand_rule(x: Tensor, *sizes: int | tuple[int, ...]) -> Step:
    """Axes of size 1 repeated, without a copy."""
    return x.expand(*sizes), Rule(lambda grad: grad)


def transpose_rule(x: Tensor, dim0: int, dim1: int) -> Step:
    """Two axes exchanged."""
    value = x.transpose(dim0, dim1)
    return value, Rule(lambda grad: grad.transpose(dim0, dim1))


def permute_rule(x: Tensor, *dims: int | tuple[int, ...]) -> Step:
    """The axes in another order."""
    listed = dims[0] if dims and not isinstance(dims[0], int) else dims
    order = [d % x.dim() for d in listed]
    back = sorted(range(x.dim()), key=order.__getitem__)
    return x.permute(order), Rule(lambda grad: grad.permute(back))


def cat_rule(*tensors: Tensor, dim: int = 0) -> Step:
    """Tensors joined along an axis that exists."""
    value, shapes = torch.cat(tensors, dim), [x.shape for x in tensors]
    sizes = [0 if shape == (0,) else shape[dim] for shape in shapes]

    def rule(i: int) -> Rule:
        return Rule(lambda grad: grad.split(sizes, dim)[i].reshape(shapes[i]))

    return value, *map(rule, range(len(sizes)))


def _fixed(index: object) -> object:
    """An index of which nobody else holds a part, tensors apart."""
    if isinstance(index, tuple):
        return tuple(_fixed(each) for each in index)
    return index if isinstance(index, Tensor) else deepcopy(index)


def index_rule(x: Tensor, index: object) -> Step:
    """x[index], for any index that a tensor takes."""
    shape, index = x.shape, _fixed(index)

    def rule(grad: Tensor, index: object) -> Tensor:
        places = torch.arange(shape.numel()).reshape(shape)[index].flatten()
        zeros = grad.new_zeros(shape.numel())
        return zeros.index_add(0, places, grad.flatten()).reshape(shape)

    return x[index], Rule(rule, index)


def gather_rule(x: Tensor, dim: int, index: Tensor) -> Step:
    """Elements picked along one axis: value[i][j] = x[i][index[i][j]]."""
    shape = x.shape

    def rule(grad: Tensor, index: Tensor) -> Tensor:
        return grad.new_zeros(shape).scatter_add(dim, index, grad)

    return x.gather(dim, index), Rule(rule, index)
