"""Windows as layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

from groundup import nn


@pytest.mark.earns("torch.nn.Unfold", "torch.nn.Fold")
def test_unfold_and_fold_equal_torch_on_the_samples_of_the_function():
    (op,) = (op for op in op_db if op.name == "nn.functional.unfold")
    count = 0
    for sample in op.sample_inputs("cpu", torch.float64):
        ours = nn.Unfold(*sample.args, **sample.kwargs)
        theirs = torch.nn.Unfold(*sample.args, **sample.kwargs)
        assert repr(ours) == repr(theirs)
        columns = theirs(sample.input)
        assert_close(ours(sample.input), columns)
        size = sample.input.shape[-2:]
        back = [
            k.Fold(size, *sample.args, **sample.kwargs) for k in (nn, torch.nn)
        ]
        assert repr(back[0]) == repr(back[1])
        assert_close(back[0](columns), back[1](columns))
        count += 1
    assert count >= 100


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}], ids=str)
def test_folding_and_unfolding_differentiate_as_torchs(options):
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    grads = []
    for kinds in (nn, torch.nn):
        apart, back = kinds.Unfold(3, **options), kinds.Fold(8, 3, **options)
        (back(apart(x)) * x.detach()).sum().backward()
        grads.append(x.grad)
        x.grad = None
        assert not [*apart.state_dict(), *back.state_dict()]
    assert_close(*grads)
