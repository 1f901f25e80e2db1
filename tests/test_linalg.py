"""Tests of groundup.linalg: torch is the judge, over its own samples."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup import linalg
from tests.nn.samples import check_samples

every_dtype = pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.int8],
    ids=str,
)


@every_dtype
@pytest.mark.earns("torch.mm")
def test_broadcast_matmul_is_mm(dtype):
    check_samples(linalg.broadcast_matmul, "mm", dtype, share=0.02)


@every_dtype
@pytest.mark.earns("torch.bmm")
def test_broadcast_matmul_is_bmm(dtype):
    check_samples(linalg.broadcast_matmul, "bmm", dtype, share=0.02)


@every_dtype
@pytest.mark.earns("torch.matmul", "torch.Tensor.__matmul__")
def test_matmul_is_torchs(dtype):
    check_samples(linalg.matmul, "matmul", dtype, share=0.02)


@every_dtype
@pytest.mark.earns("torch.broadcast_to")
def test_broadcast_to_is_torchs(dtype):
    check_samples(linalg.broadcast_to, "broadcast_to", dtype, share=0.02)


@every_dtype
@pytest.mark.earns("torch.einsum")
def test_einsum_is_torchs(dtype):
    def ours(operands: list[torch.Tensor], equation: str) -> torch.Tensor:
        return linalg.einsum(equation, *operands)

    check_samples(ours, "einsum", dtype, share=0.02)


@pytest.mark.earns("torch.broadcast_shapes")
def test_broadcast_shapes_is_torchs():
    (op,) = (op for op in op_db if op.name == "broadcast_shapes")
    for sample in op.sample_inputs("cpu", torch.float32):
        shapes = sample.input, *sample.args
        assert linalg.broadcast_shapes(*shapes) == op.op(*shapes)
    assert linalg.broadcast_shapes() == torch.broadcast_shapes()


shapes = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=3)


@given(shapes)
def test_broadcast_shapes_agree_or_both_refuse(shapes):
    try:
        expected = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        with pytest.raises(ValueError, match="do not broadcast"):
            linalg.broadcast_shapes(*shapes)
    else:
        assert linalg.broadcast_shapes(*shapes) == expected


@pytest.mark.parametrize(
    "a, b", [((3,), (4,)), ((2, 3), (3, 2)), ((-1,), (1,))]
)
def test_broadcast_shapes_names_the_shapes(a, b):
    with pytest.raises(ValueError) as error:
        linalg.broadcast_shapes(a, b)
    assert str(a) in str(error.value) and str(b) in str(error.value)


def test_broadcast_to_copies_nothing():
    x = torch.arange(3.0).unsqueeze(1)
    view = linalg.broadcast_to(x, (2, 3, 4))
    assert view.data_ptr() == x.data_ptr()
    assert view.stride() == (0, 1, 0)


def test_broadcast_to_starts_where_its_input_does():
    x = torch.arange(10.0)[4:5]
    assert_close(linalg.broadcast_to(x, (3,)), torch.full((3,), 4.0))


@pytest.mark.parametrize("size", [(2,), (2, 2), (), (3, 1)])
def test_broadcast_to_refuses_to_shrink_or_reshape(size):
    with pytest.raises(ValueError, match=r"\(1, 3\) does not broadcast to"):
        linalg.broadcast_to(torch.zeros(1, 3), size)


@pytest.mark.parametrize("product", [linalg.matmul, linalg.broadcast_matmul])
@pytest.mark.parametrize(
    "a, b", [((2, 3), (4, 5)), ((2, 1), (3, 4)), ((5, 2, 3), (5, 2, 3))]
)
def test_products_refuse_inner_sizes_that_differ(product, a, b):
    with pytest.raises(ValueError) as error:
        product(torch.zeros(a), torch.zeros(b))
    assert str(a) in str(error.value) and str(b) in str(error.value)


def test_matmul_refuses_scalars():
    with pytest.raises(ValueError, match=r"\(\) by \(3,\)"):
        linalg.matmul(torch.tensor(1.0), torch.zeros(3))


def test_matmul_refuses_batches_that_differ():
    with pytest.raises(ValueError, match="do not broadcast"):
        linalg.matmul(torch.zeros(2, 3, 4), torch.zeros(5, 4, 3))


@pytest.mark.parametrize(
    "a, b",
    [
        ((3, 1, 4, 5), (2, 5, 6)),
        ((4, 5), (2, 3, 5, 6)),
        ((5,), (2, 3, 5, 6)),
        ((2, 0, 5), (5, 6)),
        ((0, 4, 5), (0, 5, 6)),
    ],
)
def test_every_product_is_the_definition(a, b):
    a, b = (
        torch.randn(a, dtype=torch.float64),
        torch.randn(b, dtype=torch.float64),
    )
    assert_close(linalg.matmul(a, b), a @ b)
    if a.ndim > 1:
        assert_close(linalg.broadcast_matmul(a, b), a @ b)


def test_matmul_takes_strided_factors():
    a, b = torch.randn(6, 8)[::2, ::2], torch.randn(3, 4).T
    assert_close(linalg.matmul(a, b), a @ b)


@pytest.mark.parametrize(
    "equation, shapes",
    [
        ("ik,kj", [(2, 3), (3, 4)]),
        ("ik,kj->", [(2, 3), (3, 4)]),
        ("bi,bj->ij", [(5, 2), (5, 3)]),
        ("ij,ij->i", [(2, 3), (2, 3)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("i,i,i->", [(1,), (3,), (3,)]),
        ("bA,Ac", [(2, 3), (3, 4)]),
        ("ii", [(3, 3)]),
        ("iii->i", [(3, 3, 3)]),
        ("ijij->ji", [(2, 3, 2, 3)]),
        ("...ij->...ji", [(2, 3, 4)]),
        ("...ij->ij", [(2, 3, 4)]),
        ("i...j,j->...", [(2, 3, 4, 5), (5,)]),
        ("...,...", [(3,), (2, 1)]),
        ("ij->...ij", [(2, 3)]),
        ("->", [()]),
        (",ij->ji", [(), (2, 3)]),
        ("i j, j k", [(2, 3), (3, 4)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
        ("ab,bc,cd,da", [(2, 3), (3, 4), (4, 5), (5, 2)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
        ("i,j->ij", [(0,), (3,)]),
    ],
)
def test_einsum_equations(equation, shapes):
    operands = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    expected = torch.einsum(equation, *operands)
    assert_close(linalg.einsum(equation, *operands), expected)


@st.composite
def equations(draw) -> tuple[str, list[tuple[int, ...]]]:
    """An equation over a few letters, with sizes that fit."""
    sizes = {letter: draw(st.integers(1, 3)) for letter in "abcD"}
    terms = draw(st.lists(st.text("abcD", max_size=4), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    output = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
    arrow = draw(st.booleans())
    equation = ",".join(terms) + ("->" + "".join(output)) * arrow
    return equation, [tuple(sizes[letter] for letter in term) for term in terms]


@given(equations())
def test_einsum_agrees_on_any_equation(case):
    equation, shapes = case
    generator = torch.Generator().manual_seed(0)
    operands = [
        torch.randn(shape, dtype=torch.float64, generator=generator)
        for shape in shapes
    ]
    expected = torch.einsum(equation, *operands)
    assert_close(linalg.einsum(equation, *operands), expected)


@pytest.mark.parametrize(
    "equation, shapes, message",
    [
        ("i,i", [(3,)], "2 terms for 1 tensors"),
        ("ij", [(3,)], "'ij' does not fit a tensor of 1 axes"),
        ("", [(3,)], "'' does not fit a tensor of 1 axes"),
        ("i...j", [(3,)], "'i...j' does not fit"),
        ("i.j", [(2, 3)], "more than letters"),
        ("i...j...", [(2, 3, 4)], "more than letters"),
        ("i1->i", [(2, 3)], "more than letters"),
        ("i->j", [(3,)], "output 'j'"),
        ("i->ii", [(3,)], "output 'i'"),
        ("i->i->i", [(3,)], "more than letters"),
        ("ii->i", [(1, 3)], "sizes 1 and 3"),
        ("ij,jk", [(2, 3), (4, 5)], "axis 'j' has sizes 3 and 4"),
    ],
)
def test_einsum_refuses_what_torch_refuses(equation, shapes, message):
    operands = [torch.zeros(shape) for shape in shapes]
    with pytest.raises(RuntimeError):
        torch.einsum(equation, *operands)
    with pytest.raises(ValueError, match=message):
        linalg.einsum(equation, *operands)


def test_einsum_never_holds_all_products():
    """A matrix product of 300 ** 3 = 27 million terms fits in a megabyte."""
    a = torch.randn(300, 300)
    with torch.profiler.profile(profile_memory=True) as profile:
        linalg.einsum("ik,kj->ij", a, a)
    largest = max(
        abs(event.self_cpu_memory_usage) for event in profile.events()
    )
    assert largest < 4 * math.prod(a.shape) * 3


def test_einsum_takes_its_operands_as_a_list():
    a, b = torch.randn(2, 3), torch.randn(3, 4)
    assert_close(linalg.einsum("ik,kj", [a, b]), a @ b)
    assert_close(linalg.einsum("ij->ji", (a,)), a.T)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_added_in_single(dtype):
    a = torch.full((1, 4), 300.0, dtype=dtype)
    b = torch.tensor([[300.0], [-300.0], [300.0], [-299.0]], dtype=dtype)
    found = linalg.broadcast_matmul(a, b)
    assert found.dtype == dtype
    assert_close(found, torch.mm(a, b))
    tenths = torch.full((1, 4096), 0.1, dtype=dtype)
    found = linalg.broadcast_matmul(tenths, tenths.T)
    expected = (tenths.double() ** 2).sum()[None, None].to(dtype)
    assert_close(found, expected)
