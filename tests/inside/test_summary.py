import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from groundup import nn
from groundup.inside.summary import summarize


def network(kind=nn, bias=True):
    return kind.Sequential(
        kind.Linear(6, 5, bias=bias),
        kind.ReLU(),
        kind.Sequential(kind.Linear(5, 5, bias=bias), kind.ReLU()),
        kind.Linear(5, 3, bias=bias),
    )


class Scale(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.weight


class Twice(nn.Module):
    """Calls one module twice, another never; shares a parameter."""

    def __init__(self):
        self.used = nn.Linear(4, 4)
        self.idle = nn.Linear(4, 9)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.used.weight

    def forward(self, x):
        return self.tied(self.used(self.used(x)))


@pytest.mark.parametrize("kind", [nn, torch.nn])
@pytest.mark.parametrize("shape", [(7, 6), (6,), (2, 3, 6)])
def test_multiply_adds_are_half_of_torchs_operations(kind, shape):
    net, x = network(kind), torch.ones(shape)
    with FlopCounterMode(display=False) as counter:
        net(x)
    operations = counter.get_total_flops()
    if len(shape) == 1:  # the counter does not know addmv
        operations = 2 * (6 * 5 + 5 * 5 + 5 * 3)
    assert 2 * summarize(net, x).multiply_adds == operations


@pytest.mark.parametrize("kind", [nn, torch.nn])
def test_shapes_and_parameters_are_those_of_the_modules(kind):
    net = network(kind)
    rows = {row.name: row for row in summarize(net, torch.ones(7, 6))}
    assert list(rows) == ["", "0", "1", "2", "2.0", "2.1", "3"]
    assert rows["2.0"].shape == (7, 5) and rows[""].shape == (7, 3)
    assert rows["2.0"].n_params == 30 and rows["2"].n_params == 0


def test_torchinfo_agrees_where_there_is_no_bias():
    torchinfo = pytest.importorskip("torchinfo")
    theirs = torchinfo.summary(
        network(torch.nn, bias=False), input_size=(7, 6), verbose=0
    )
    ours = summarize(network(bias=False), torch.ones(7, 6))
    assert ours.n_params == theirs.total_params
    assert ours.multiply_adds == theirs.total_mult_adds
    shapes = [tuple(layer.output_size) for layer in theirs.summary_list]
    assert [row.shape for row in ours] == shapes


def test_calls_add_up_and_shared_parameters_count_once():
    table = summarize(Twice(), torch.ones(5, 4))
    rows = {row.name: row for row in table}
    assert rows["used"].multiply_adds == 2 * 5 * 16
    assert rows["idle"].shape is None and rows["idle"].multiply_adds == 0
    assert rows["tied"].n_params == 4
    assert table.n_params == sum(p.numel() for p in Twice().parameters())


def test_a_module_without_a_rule_is_unknown_until_it_gets_one():
    net = nn.Sequential(nn.Linear(6, 3), Scale())
    table = summarize(net, torch.ones(7, 6))
    assert table[2].multiply_adds is None
    assert "?" in repr(table) and f">= {7 * 18}" in repr(table)
    rules = {Scale: lambda module, output: output.numel()}
    table = summarize(net, torch.ones(7, 6), rules=rules)
    assert table.multiply_adds == 147 and ">=" not in repr(table)


def test_a_rule_holds_for_subclasses():
    class Mine(nn.Linear):
        pass

    assert summarize(Mine(6, 3), torch.ones(7, 6)).multiply_adds == 7 * 18


def test_nothing_is_left_behind():
    net = network().train()
    net[2].eval()
    before = [module.training for module in net.modules()]
    seen = []
    net[0].register_forward_hook(
        lambda m, a, o: seen.append((m.training, o.requires_grad))
    )
    summarize(net, torch.ones(7, 6))
    with pytest.raises(RuntimeError, match="expected 6 features"):
        summarize(net, torch.ones(7, 5))
    assert [module.training for module in net.modules()] == before
    assert seen == [(False, False)]
    assert not any(m._hooks for m in list(net.modules())[2:])
    assert all(p.grad is None for p in net.parameters())


TABLE = """\
module             output    parameters  multiply-adds
Sequential         (700, 3)
  (0): Sequential  (700, 3)
    (0): Linear    (700, 3)          21         12,600
  (1): Scale       (700, 3)           3              ?
  (2): ReLU        (700, 3)
total                                24      >= 12,600
"""


def test_the_table_is_indented_and_as_wide_as_its_widest_cells():
    net = nn.Sequential(nn.Sequential(nn.Linear(6, 3)), Scale(), nn.ReLU())
    lines = repr(summarize(net, torch.ones(700, 6))).splitlines()
    assert [line.rstrip() for line in lines] == TABLE.splitlines()
    assert len({len(line) for line in lines}) == 1


def test_a_module_that_was_not_called_or_returns_no_tensor_has_no_shape():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    lines = repr(summarize(Twice(), torch.ones(5, 4))).splitlines()
    assert lines[3].split() == ["(idle):", "Linear", "-", "45"]
    assert summarize(Pair(), torch.ones(5, 4))[0].shape is None
