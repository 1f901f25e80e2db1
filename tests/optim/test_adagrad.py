import pytest
import torch

from groundup.optim import Adagrad
from tests.optim.torch_samples import (
    assert_same_trajectory,
    bad_inputs,
    samples,
)


@pytest.mark.earns("torch.optim.Adagrad")
@pytest.mark.parametrize("options, dtype", samples("Adagrad"))
def test_adagrad_takes_torchs_path(options, dtype):
    assert_same_trajectory(Adagrad, torch.optim.Adagrad, options, dtype)


@pytest.mark.parametrize("options, dtype", samples("Adagrad", {"fused": False}))
def test_the_readable_adagrad_takes_torchs_path(options, dtype):
    assert_same_trajectory(Adagrad, torch.optim.Adagrad, options, dtype)


@pytest.mark.parametrize("error", bad_inputs("Adagrad"))
def test_adagrad_refuses_what_torch_refuses(error, refuses):
    refuses(Adagrad, error)
