import pytest
import torch

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples


@pytest.mark.earns("torch.nn.ReLU")
@pytest.mark.parametrize("sample", samples("ReLU"))
def test_relu_equals_torch_on_its_own_samples(sample):
    assert_same_module(nn.ReLU, torch.nn.ReLU, sample)


def test_inplace_changes_its_input():
    x = torch.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x) is x and x.tolist() == [0.0, 2.0]
    assert repr(nn.ReLU(inplace=True)) == repr(torch.nn.ReLU(inplace=True))
