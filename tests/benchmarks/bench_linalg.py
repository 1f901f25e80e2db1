"""groundup.linalg beside torch: small products, and large ones."""

import torch

from _config.runs.benchmarks import Pair, benchmark
from groundup import linalg


def pair(ours, theirs, *shapes: tuple[int, ...]) -> Pair:
    """Both functions on the same tensors of the given shapes."""
    tensors = [torch.randn(shape) for shape in shapes]
    return lambda: ours(*tensors), lambda: theirs(*tensors)


@benchmark(
    "torch.matmul", "torch.Tensor.__matmul__", label="(5, 784) by (784, 10)"
)
def small_matmul() -> Pair:
    """The product of the chapter: a few microseconds, so our Python counts."""
    return pair(linalg.matmul, torch.matmul, (5, 784), (784, 10))


@benchmark("torch.matmul", label="(512, 512) by (512, 512)", at_most=1.1)
def large_matmul() -> Pair:
    """A product that lasts long enough to hide the call."""
    return pair(linalg.matmul, torch.matmul, (512, 512), (512, 512))


@benchmark(
    "torch.matmul", label="(8, 8, 64, 64) by (8, 8, 64, 64)", at_most=1.2
)
def batched_matmul() -> Pair:
    """Sixty-four products, as in attention."""
    shape = (8, 8, 64, 64)
    return pair(linalg.matmul, torch.matmul, shape, shape)


@benchmark("torch.mm", label="by definition, (64, 64) by (64, 64)")
def definition() -> Pair:
    """What broadcasting costs beside BLAS."""
    return pair(linalg.broadcast_matmul, torch.mm, (64, 64), (64, 64))


@benchmark("torch.bmm", label="by definition, 8 of (32, 32) by (32, 32)")
def batched_definition() -> Pair:
    """The same for a batch."""
    shape = (8, 32, 32)
    return pair(linalg.broadcast_matmul, torch.bmm, shape, shape)


def pair_of_einsums(equation: str, *shapes: tuple[int, ...]) -> Pair:
    """Our einsum and torch's on one equation."""
    return pair(
        lambda *tensors: linalg.einsum(equation, *tensors),
        lambda *tensors: torch.einsum(equation, *tensors),
        *shapes,
    )


@benchmark("torch.einsum", label="ik,kj->ij, (5, 784) by (784, 10)")
def small_einsum() -> Pair:
    """The chapter's product; the parsing is remembered, the rest is Python."""
    return pair_of_einsums("ik,kj->ij", (5, 784), (784, 10))


@benchmark(
    "torch.einsum", label="bhqd,bhkd->bhqk, (8, 8, 128, 64)", at_most=1.2
)
def attention_einsum() -> Pair:
    """Attention scores of a small transformer."""
    shape = (8, 8, 128, 64)
    return pair_of_einsums("bhqd,bhkd->bhqk", shape, shape)


@benchmark("torch.broadcast_shapes", label="(5, 1, 784), (10, 1)")
def shapes() -> Pair:
    """Bookkeeping alone."""
    shapes = (5, 1, 784), (10, 1)
    return (
        lambda: linalg.broadcast_shapes(*shapes),
        lambda: torch.broadcast_shapes(*shapes),
    )


@benchmark("torch.broadcast_to", label="(784, 1) to (784, 10)")
def view() -> Pair:
    """A view with a stride of 0."""
    column = torch.randn(784, 1)
    return (
        lambda: linalg.broadcast_to(column, (784, 10)),
        lambda: torch.broadcast_to(column, (784, 10)),
    )
