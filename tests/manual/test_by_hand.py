import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from groundup.manual import ByHand
from groundup.nn.functional.loss import cross_entropy
from groundup.training import Accumulate, Learner

x = torch.randn(14, 6, generator=torch.Generator().manual_seed(0))
y = torch.arange(14) % 3
batches = list(zip(x.split(5), y.split(5), strict=True))


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))


def learner(model, loss, backward, *callbacks):
    return Learner(
        model,
        batches,
        batches,
        optim=torch.optim.SGD,
        lr=0.5,
        loss=loss,
        backward=backward,
        defaults=callbacks,
    )


def test_gradients_and_loss_are_autograds():
    net = network()
    loss = cross_entropy(net(x), y)
    params = list(net.parameters())
    expected = torch.autograd.grad(loss, params)
    model = ByHand(net)
    own = model.loss(model(x), y)
    model.backward(own)
    assert not own.requires_grad
    assert_close(own, loss.detach())
    assert_close([param.grad for param in params], list(expected))


def test_a_learner_arrives_where_autograd_does():
    net, model = network(), ByHand(network())
    theirs = learner(net, cross_entropy, torch.Tensor.backward)
    ours = learner(model, model.loss, model.backward)
    for learn in (ours, theirs):
        learn.fit(3)
    assert_close(model.net.state_dict(), net.state_dict())
    assert ours.results == pytest.approx(theirs.results)


def test_a_loss_that_a_callback_changed_is_refused():
    model = ByHand(network())
    learn = learner(model, model.loss, model.backward, Accumulate(2))
    with pytest.raises(ValueError, match="did a callback change it"):
        learn.fit(1)


@pytest.mark.parametrize("layer", [nn.Linear(2, 2, bias=False), nn.MSELoss()])
def test_other_layers_are_refused(layer):
    with pytest.raises(TypeError, match="no gradient by hand for"):
        ByHand(nn.Sequential(layer))
