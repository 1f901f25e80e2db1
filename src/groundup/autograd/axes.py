# Extracted from book/2_backward/5_autograd.py; edit it there.
"""Steps that work along axes: products, reductions, changes of shape."""

import torch
from torch import Tensor

from groundup.autograd.rules import Step


def unbroadcast(grad: Tensor, shape: torch.Size) -> Tensor:
    """A gradient summed over the axes that broadcasting from shape added."""
    if grad.shape == shape:
        return grad
    extra = grad.dim() - len(shape)
    pairs = list(zip(shape, grad.shape[max(extra, 0) :], strict=False))
    if extra < 0 or any(size not in (1, found) for size, found in pairs):
        found = tuple(grad.shape)
        raise RuntimeError(
            f"a gradient of shape {found} for a value of {tuple(shape)}"
        )
    ones = [extra + i for i, size in enumerate(shape) if size == 1]
    axes = [*range(extra), *ones]
    return grad.sum(axes).reshape(shape)


def matmul_rule(a: Tensor, b: Tensor) -> Step:
    """a @ b: (..., n, k), (..., k, m) -> (..., n, m); also of vectors."""
    row, column = a.dim() == 1, b.dim() == 1
    left = a.unsqueeze(0) if row else a
    right = b.unsqueeze(1) if column else b

    def matrix(grad: Tensor) -> Tensor:
        grad = grad.unsqueeze(-1) if column else grad
        return grad.unsqueeze(-2) if row else grad

    def rule_b(grad: Tensor) -> Tensor:
        grad = left.mT @ matrix(grad)
        return grad.squeeze(-1) if column else grad

    return a @ b, lambda grad: matrix(grad) @ right.mT, rule_b


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
    return value, lambda grad: grad.reshape(ones).expand(shape)


def mean_rule(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Step:
    """The mean over some axes, or over all."""
    shape, ones = x.shape, kept(x.shape, dim)
    value = x.mean(dim, keepdim=keepdim)
    share = value.numel() / max(x.numel(), 1)
    return value, lambda grad: (grad * share).reshape(ones).expand(shape)


def amax_rule(x: Tensor, dim: Dim = (), keepdim: bool = False) -> Step:
    """The maximum over some axes, or over all; ties share the gradient."""
    ones = kept(x.shape, dim)
    y = x.amax(() if dim is None else dim, keepdim=keepdim)

    def rule(grad: Tensor) -> Tensor:
        won = x == y.reshape(ones)
        shares = unbroadcast(won.to(grad.dtype), torch.Size(ones))
        return won * (grad.reshape(ones) / shares)

    return y, rule


def reshape_rule(x: Tensor, shape: tuple[int, ...]) -> Step:
    """The same elements in another shape."""
    before = x.shape
    return x.reshape(shape), lambda grad: grad.reshape(before)


def transpose_rule(x: Tensor, dim0: int, dim1: int) -> Step:
    """Two axes exchanged."""
    return x.transpose(dim0, dim1), lambda grad: grad.transpose(dim0, dim1)


def permute_rule(x: Tensor, dims: tuple[int, ...]) -> Step:
    """The axes in another order."""
    dims = tuple(d % len(dims) for d in dims)
    back = sorted(range(len(dims)), key=dims.__getitem__)
    return x.permute(dims), lambda grad: grad.permute(back)


def expand_rule(x: Tensor, shape: tuple[int, ...]) -> Step:
    """Axes of size 1 repeated."""
    return x.expand(shape), lambda grad: grad


def cat_rule(*tensors: Tensor, dim: int = 0) -> Step:
    """Tensors joined along an axis that exists."""
    sizes = [x.shape[dim] for x in tensors]
    rules = [
        lambda grad, i=i: grad.split(sizes, dim)[i] for i in range(len(sizes))
    ]
    return torch.cat(tensors, dim), *rules


def index_rule(x: Tensor, index: object) -> Step:
    """x[index], for any index that a tensor takes."""
    shape = x.shape

    def rule(grad: Tensor) -> Tensor:
        places = torch.arange(shape.numel()).reshape(shape)[index].flatten()
        zeros = grad.new_zeros(shape.numel())
        return zeros.index_add(0, places, grad.flatten()).reshape(shape)

    return x[index], rule


def gather_rule(x: Tensor, dim: int, index: Tensor) -> Step:
    """Elements picked along one axis: value[i][j] = x[i][index[i][j]]."""
    shape = x.shape

    def rule(grad: Tensor) -> Tensor:
        return grad.new_zeros(shape).scatter_add(dim, index, grad)

    return x.gather(dim, index), rule
