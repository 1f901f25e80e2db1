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


@pytest.mark.earns("torch.nn.Sequential")
@pytest.mark.parametrize(
    "change",
    [
        lambda net, lib: net + lib.Sequential(lib.ReLU(), lib.Linear(2, 2)),
        lambda net, lib: net.__iadd__(lib.Sequential(lib.ReLU())),
        lambda net, lib: net * 3,
        lambda net, lib: 2 * net,
        lambda net, lib: net.__imul__(2),
        lambda net, lib: net.pop(slice(1, 3)),
        lambda net, lib: net.insert(-1, lib.ReLU()),
        lambda net, lib: net.insert(3, lib.ReLU()),
    ],
)
def test_sequentials_add_and_multiply_as_torchs(change):
    ours, theirs = pair("Sequential")
    made, judge = change(ours, nn), change(theirs, torch.nn)
    assert repr(made) == repr(judge) and repr(ours) == repr(theirs)
    assert list(made.state_dict()) == list(judge.state_dict())
    assert (made is ours) == (judge is theirs)
    shared = [len(list(net.parameters())) for net in (made, judge)]
    assert shared[0] == shared[1]


@pytest.mark.earns("torch.nn.Sequential")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda net: net.__add__([net[0]]), ValueError),
        (lambda net: net.__iadd__([net[0]]), ValueError),
        (lambda net: net * 0, ValueError),
        (lambda net: net * 1.5, TypeError),
        (lambda net: net.insert(4, net[0]), IndexError),
        (lambda net: net.insert(-5, net[0]), IndexError),
    ],
)
def test_sequentials_refuse_what_torchs_refuse(change, error):
    for net in pair("Sequential"):
        before = repr(net)
        with pytest.raises(error):
            change(net)
        assert repr(net) == before


def test_names_stay_when_a_module_is_put_between_them():
    net = nn.Sequential({"first": nn.Linear(2, 2), "last": nn.Linear(2, 2)})
    first, last = net
    net.insert(1, nn.ReLU()).insert(0, nn.ReLU())
    assert net.first is first is net[1] and net.last is last is net[-1]
    kinds = [type(module).__name__ for module in net]
    assert kinds == ["ReLU", "Linear", "ReLU", "Linear"]
    assert list(net.state_dict())[::2] == ["first.weight", "last.weight"]


def test_what_cannot_be_put_in_leaves_the_container_as_it_was():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = repr(net)
    with pytest.raises(TypeError):
        net.insert(0, len)
    assert repr(net) == before
    named = nn.Sequential({"1": nn.ReLU()})
    with pytest.raises(KeyError, match="taken"):
        named.append(nn.Linear(1, 1))
    assert len(named) == 1 and isinstance(named[0], nn.ReLU)


def test_containers_hold_layers_of_torchs():
    net = nn.Sequential(torch.nn.Linear(2, 3), nn.Linear(3, 1))
    net.append(torch.nn.ReLU())
    assert net(torch.ones(2)).shape == (1,) and len(net) == 3
    assert len(list(net.parameters())) == 4
    held = nn.ModuleList([torch.nn.ReLU(), nn.ReLU()])
    held.insert(1, torch.nn.Linear(1, 1))
    assert list(held.state_dict()) == ["1.weight", "1.bias"]
