from collections import OrderedDict

import pytest
import torch

from groundup import nn


def pair(kind):
    """The same network of ours and of torch's, with the same weights."""
    nets = []
    for library in (nn, torch.nn):
        torch.manual_seed(0)
        layers = [library.Linear(4, 3), library.ReLU(), library.Linear(3, 2)]
        sequential = kind == "Sequential"
        nets.append(
            library.Sequential(*layers)
            if sequential
            else library.ModuleList(layers)
        )
    return nets


@pytest.mark.earns("torch.nn.Sequential")
def test_sequential_equals_torchs():
    ours, theirs = pair("Sequential")
    x = torch.randn(5, 4)
    results = []
    for net in (ours, theirs):
        given = x.clone().requires_grad_()
        output = net(given)
        output.square().sum().backward()
        results.append(
            [output, given.grad, *(p.grad for p in net.parameters())]
        )
    torch.testing.assert_close(*results)


@pytest.mark.earns("torch.nn.Sequential", "torch.nn.ModuleList")
@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
@pytest.mark.parametrize(
    "change",
    [
        lambda net, lib: net.append(lib.Linear(2, 2)),
        lambda net, lib: net.extend([lib.ReLU(), lib.Linear(2, 2)]),
        lambda net, lib: net.insert(0, lib.Linear(4, 4)),
        lambda net, lib: net.insert(1, lib.Linear(3, 3)),
        lambda net, lib: net.__setitem__(-1, lib.Linear(3, 7)),
        lambda net, lib: net.__delitem__(1),
        lambda net, lib: net.__delitem__(slice(0, 2)),
        lambda net, lib: net.pop(0),
        lambda net, lib: net.pop(-1),
    ],
)
def test_containers_change_as_torchs_do(kind, change):
    ours, theirs = pair(kind)
    change(ours, nn)
    change(theirs, torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert len(ours) == len(theirs)


@pytest.mark.earns("torch.nn.ModuleList")
def test_a_module_list_reads_like_a_list():
    ours, theirs = pair("ModuleList")
    for net in (ours, theirs):
        assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear"]
        assert net[-1] is net[2] and len(net[:2]) == 2
        assert type(net[:2]) is type(net)
    ours += [nn.ReLU()]
    theirs += [torch.nn.ReLU()]
    assert repr(ours) == repr(theirs)
    with pytest.raises(NotImplementedError):
        ours(torch.ones(1, 4))


def test_a_sequential_of_names_keeps_them():
    def named(library):
        layers = OrderedDict(a=library.Linear(2, 2), b=library.ReLU())
        return library.Sequential(layers)

    ours, theirs = named(nn), named(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs) and repr(ours[:1]) == repr(theirs[:1])
    assert ours.a is ours[0]


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError):
        nn.Sequential(nn.ReLU())[1]


def test_what_is_not_a_module_is_refused():
    with pytest.raises(TypeError, match="function"):
        nn.Sequential(nn.ReLU(), lambda x: x)


def test_equal_children_print_as_torchs():
    def deep(library):
        return library.ModuleList([library.Linear(2, 2) for _ in range(3)])

    assert repr(deep(nn)) == repr(deep(torch.nn))
