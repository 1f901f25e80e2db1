import pytest
import torch

from groundup.optim import RMSprop
from tests.optim.torch_samples import (
    assert_same_trajectory,
    bad_inputs,
    samples,
)


@pytest.mark.earns("torch.optim.RMSprop")
@pytest.mark.parametrize("options, dtype", samples("RMSprop"))
def test_rmsprop_takes_torchs_path(options, dtype):
    assert_same_trajectory(RMSprop, torch.optim.RMSprop, options, dtype)


@pytest.mark.parametrize("error", bad_inputs("RMSprop"))
def test_rmsprop_refuses_what_torch_refuses(error, refuses):
    refuses(RMSprop, error)
