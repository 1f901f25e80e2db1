import pickle

import pytest
import torch

from groundup import nn


@pytest.mark.earns("torch.nn.Parameter")
def test_a_parameter_is_torchs_in_all_but_name():
    data = torch.randn(2, 3)
    ours, theirs = nn.Parameter(data), torch.nn.Parameter(data)
    assert isinstance(ours, torch.nn.Parameter)
    assert ours.data_ptr() == data.data_ptr() and ours.requires_grad
    assert type(ours + 1) is type(theirs + 1) is torch.Tensor
    assert repr(ours) == repr(theirs)
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter().shape == torch.nn.Parameter().shape
    (ours * 2).sum().backward()
    assert ours.grad.eq(2).all()
    with pytest.raises(RuntimeError):
        nn.Parameter(torch.arange(3))


def test_our_modules_take_torchs_parameters_and_the_reverse():
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.weight, theirs.weight = theirs.weight, ours.weight
    assert "weight" in dict(ours.named_parameters())
    assert "weight" in dict(theirs.named_parameters())
    torch.optim.SGD(ours.parameters(), lr=0.1)


@pytest.mark.earns("torch.nn.Parameter")
@pytest.mark.parametrize("kind", [nn.Parameter, torch.nn.Parameter])
def test_what_is_pinned_to_a_parameter_goes_with_its_pickle(kind):
    param = kind(torch.ones(2), requires_grad=False)
    param.decays, param.note = False, torch.zeros(1)
    read = pickle.loads(pickle.dumps(param))
    assert type(read) is kind and not read.requires_grad
    assert read.decays is False and read.note.eq(0).all()
    assert pickle.loads(pickle.dumps(kind(torch.ones(2)))).is_leaf
    assert vars(pickle.loads(pickle.dumps(kind(torch.ones(1))))) == {}
