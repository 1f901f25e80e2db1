"""Muon for kernels is Muon on their rows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.optim import KernelMuon, Muon

sizes = st.integers(1, 4)


@given(
    st.tuples(sizes, sizes, sizes, sizes),
    st.sampled_from([None, "original", "match_rms_adamw"]),
    st.booleans(),
    st.booleans(),
)
def test_kernels_step_as_the_matrices_of_their_rows(
    shape, rule, nesterov, last
):
    torch.manual_seed(0)
    layout = torch.channels_last if last else torch.contiguous_format
    kernel = torch.randn(shape).to(memory_format=layout).requires_grad_()
    matrix = kernel.detach().reshape(len(kernel), -1).clone().requires_grad_()
    options = {"lr": 0.1, "adjust_lr_fn": rule, "nesterov": nesterov}
    ours, judge = KernelMuon([kernel], **options), Muon([matrix], **options)
    for _ in range(3):
        grad = torch.randn(matrix.shape)
        kernel.grad, matrix.grad = grad.view(shape), grad
        ours.step()
        judge.step()
    assert torch.equal(kernel.reshape(matrix.shape), matrix)
    assert kernel.is_contiguous(memory_format=layout)


def test_matrices_step_as_by_muon_and_vectors_are_refused():
    KernelMuon([torch.ones(2, 3, requires_grad=True)])
    with pytest.raises((ValueError, IndexError)):
        KernelMuon([torch.ones(3, requires_grad=True)])
    with pytest.raises(ValueError, match="not supported"):
        KernelMuon([torch.ones(2, 2, 1, 1)], adjust_lr_fn="none")
