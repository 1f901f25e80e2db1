# Extracted from book/2_backward/9_engine.py; edit it there.
"""The record of a computation, and the way back through it."""

from collections.abc import Callable, Iterable, Iterator, Set
from heapq import heappop, heappush
from itertools import count
from typing import Any

import torch
from torch import Tensor

from groundup.autograd.broadcasting import unbroadcast

_FREED = (
    "backward a second time: the saved values are freed after the first; "
    "pass retain_graph=True to it to keep them"
)
_CHANGED = (
    "a value that backward needs was changed in place after it was used; "
    "make the change on a copy, or after backward"
)
_births = count()
Target = Any  # a Node, or a leaf in its place: both have shape and dtype


def _tensors(saved: object) -> Iterator[Tensor]:
    if isinstance(saved, Tensor):
        yield saved
    elif isinstance(saved, tuple | list):
        for item in saved:
            yield from _tensors(item)


class Node:
    """A recorded step: where its gradients go, and how they are computed."""

    def __init__(
        self,
        value: Tensor,
        targets: list[Target | None],
        rule: Callable[[Tensor, list[bool]], Iterable[Tensor | None]],
        saved: object,
    ):
        self.number = next(_births)
        self.shape, self.dtype = value.shape, value.dtype
        self.targets, self.rule = targets, rule
        self.saved = [(tensor, tensor._version) for tensor in _tensors(saved)]

    def backward(
        self, grad: Tensor, leading: Set[Target] | None
    ) -> Iterator[tuple[Target, Tensor]]:
        """Each target that leads to what is asked for, with its gradient."""
        if self.rule is None:
            raise RuntimeError(_FREED)
        if any(tensor._version != version for tensor, version in self.saved):
            raise RuntimeError(_CHANGED)
        asked = [
            each is not None and (leading is None or each in leading)
            for each in self.targets
        ]
        pieces = zip(self.targets, asked, self.rule(grad, asked), strict=True)
        for target, is_asked, piece in pieces:
            if is_asked and piece is not None:
                fitting = unbroadcast(piece, target.shape)
                yield target, fitting.to(target.dtype)

    def free(self) -> None:
        """Forget the saved values: a second way through here is an error."""
        if self.saved:
            self.rule = self.saved = None


def nodes_that_lead(root: Target, wanted: Set[Target]) -> set[Target]:
    """What lies between root and the wanted, both included."""
    found, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            waiting += [each for each in node.targets if each is not None]
    leading = set(wanted)
    for node in sorted(found, key=lambda node: node.number):
        if any(target in leading for target in node.targets):
            leading.add(node)
    return leading


def propagate(
    root: Target,
    grad: Tensor,
    keep: Set[Target] = frozenset(),
    retain_graph: bool = False,
) -> dict[Target, Tensor]:
    """The gradients of all leaves, or of the leaves and nodes in keep."""
    leading = nodes_that_lead(root, keep) if keep else None
    waiting: dict[Target, Tensor] = {}
    newest: list[tuple[int, Node]] = []

    def arrive(target: Target, grad: Tensor) -> None:
        if target in waiting:
            waiting[target] = waiting[target] + grad
        else:
            waiting[target] = grad
            if isinstance(target, Node):
                heappush(newest, (-target.number, target))

    arrive(root, grad)
    while newest:
        _, node = heappop(newest)
        grad = waiting[node] if node in keep else waiting.pop(node)
        for target, piece in node.backward(grad, leading):
            arrive(target, piece)
        if not retain_graph:
            node.free()
    return waiting


def first_grad(output: Any, grad: Tensor | None = None) -> Tensor:
    """The gradient to start from: grad, or 1 if the output is one number."""
    if not output.requires_grad:
        raise RuntimeError("nothing that requires a gradient led to this value")
    shape = tuple(output.shape)
    if grad is None:
        if output.data.numel() != 1:
            raise RuntimeError(
                f"a gradient of shape {shape} is needed to start from: "
                "it is 1 only for a single number"
            )
        return torch.ones_like(output.data)
    if grad.shape != output.shape:
        raise RuntimeError(
            f"expected a gradient of shape {shape}, got {tuple(grad.shape)}"
        )
    return grad
