import copy
import gc
import pickle
import weakref

import pytest
import torch

from groundup import nn
from tests.nn.conftest import Scale


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.double(),
        lambda m: m.to(torch.bfloat16),
        lambda m: m.half().float(),
        lambda m: m.to("meta", torch.float64),
        lambda m: m.to(torch.ones(1, dtype=torch.float64)),
        lambda m: m.to(device="cpu", dtype=torch.float16),
    ],
)
def test_conversions_equal_torchs(both, convert):
    described = []
    for module in both:
        module(torch.randn(4, 3)).sum().backward()
        parameters = list(module.parameters())
        assert convert(module) is module
        same = [a is b for a, b in zip(parameters, module.parameters())]
        tensors = {
            **dict(module.named_parameters()),
            **dict(module.named_buffers()),
        }
        described.append(
            {
                k: (t.dtype, t.device, t.requires_grad)
                for k, t in tensors.items()
            }
        )
        if not next(module.parameters()).is_meta:
            assert all(same), "an optimiser's references stay good"
            assert all(p.grad.dtype == p.dtype for p in module.parameters())
    assert described[0] == described[1]


def test_conversion_to_an_integer_type_is_refused(both):
    for module in both:
        with pytest.raises(TypeError):
            module.to(torch.int64)


@pytest.mark.earns("torch.nn.Module")
def test_modes_and_gradients_equal_torchs(both):
    for module in both:
        assert module.training and module.inner.training
        assert module.eval() is module and not module.inner.training
        module.train()
        assert module.inner.training
        with pytest.raises(ValueError):
            module.train("yes")
        module.requires_grad_(False)
        assert not any(p.requires_grad for p in module.parameters())
        module.requires_grad_()
        module(torch.ones(3)).sum().backward()
        module.zero_grad(set_to_none=False)
        assert all(p.grad.eq(0).all() for p in module.parameters())
        module.zero_grad()
        assert all(p.grad is None for p in module.parameters())


@pytest.mark.earns("torch.nn.Module")
def test_lookups_equal_torchs(both):
    for module in both:
        assert module.get_submodule("inner") is module.inner
        assert module.get_submodule("") is module
        assert module.get_parameter("inner.weight") is module.inner.weight
        assert module.get_buffer("mean") is module.mean
        for lookup in ("get_submodule", "get_parameter", "get_buffer"):
            with pytest.raises(AttributeError):
                getattr(module, lookup)("inner.absent")


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda m: setattr(m, "weight", torch.ones(3)), TypeError),
        (lambda m: setattr(m, "inner", torch.ones(3)), TypeError),
        (lambda m: m.register_parameter("a.b", None), KeyError),
        (lambda m: m.register_parameter("", None), KeyError),
        (lambda m: m.register_parameter("forward", None), KeyError),
        (lambda m: m.register_parameter("p", torch.ones(1)), TypeError),
        (lambda m: m.register_buffer("weight", torch.ones(3)), KeyError),
        (lambda m: m.register_buffer("b", [1.0]), TypeError),
        (lambda m: m.register_module("m", torch.ones(1)), TypeError),
        (lambda m: m.absent, AttributeError),
    ],
)
def test_mistakes_raise_what_torch_raises(both, act, error):
    for module in both:
        with pytest.raises(error):
            act(module)
        assert "weight" in dict(module.named_parameters())


def test_parameters_may_be_set_deleted_and_set_again(both):
    for module in both:
        module.bias = (
            nn.Parameter if module is both[0] else torch.nn.Parameter
        )(torch.ones(3))
        assert "bias" in dict(module.named_parameters())
        module.bias = None
        del module.weight
        assert list(dict(module.named_parameters())) == [
            "inner.weight",
            "inner.bias",
        ]


def test_a_buffer_stays_one_when_it_is_assigned(both):
    for module in both:
        module.mean = torch.ones(3)
        assert module.state_dict()["mean"].eq(1).all()
        module.mean = None
        assert "mean" not in module.state_dict()


@pytest.mark.earns("torch.nn.Module")
def test_forward_hooks_see_and_replace_as_torchs_do(both):
    seen = []
    for module in both:
        log = []
        module.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
        module.register_forward_hook(lambda m, args, out: out + 1)
        module.register_forward_hook(
            lambda m, args, kwargs, out: log.append((args, kwargs, out)),
            with_kwargs=True,
        )
        first = module.register_forward_hook(
            lambda m, a, o: log.append("first"), prepend=True
        )
        module(torch.ones(3), shift=5.0)
        first.remove()
        first.remove()
        module(torch.ones(3))
        seen.append(log)
    for log in seen:
        assert log.pop(0) == "first" and len(log) == 2
    torch.testing.assert_close(*seen)


def test_a_hook_lasts_as_long_as_its_block_and_without_its_handle():
    layer, calls = nn.ReLU(), []
    with layer.register_forward_hook(lambda *_: calls.append(1)):
        layer(torch.ones(1))
    layer(torch.ones(1))
    for _ in range(3):
        layer.register_forward_hook(lambda *_: calls.append(2))
        gc.collect()
    layer(torch.ones(1))
    assert calls == [1, 2, 2, 2]


@pytest.mark.earns("torch.nn.Module", "torch.nn.Parameter")
@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_equal_and_apart(clone):
    module = Scale().eval()
    module.twin = module.inner
    other = clone(module)
    torch.testing.assert_close(other.state_dict(), module.state_dict())
    assert other.twin is other.inner is not module.inner
    assert isinstance(other.weight, nn.Parameter) and not other.training
    with torch.no_grad():
        other.weight += 1
    assert not torch.equal(other.weight, module.weight)


@pytest.mark.earns("torch.nn.Module")
def test_modules_print_as_torchs():
    def build(library):
        inner = library.Sequential(library.Linear(2, 2), library.ReLU())
        return library.Sequential(inner, library.ModuleList([inner]))

    assert repr(build(nn)) == repr(build(torch.nn))


@pytest.mark.earns("torch.nn.Module")
def test_apply_visits_the_children_first(both):
    order = []
    for module in both:
        seen = []
        module.apply(lambda m, seen=seen: seen.append(m))
        order.append([m is module for m in seen])
    assert order[0] == order[1] == [False, True]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_a_module_is_freed_without_the_collector():
    module = Scale()
    gone = weakref.ref(module)
    gc.disable()
    del module
    gc.enable()
    assert gone() is None


LISTINGS = [
    ("named_parameters", {}),
    ("named_parameters", {"prefix": "p", "recurse": False}),
    ("named_parameters", {"remove_duplicate": False}),
    ("named_buffers", {}),
    ("named_buffers", {"prefix": "p"}),
    ("named_children", {}),
    ("named_modules", {}),
    ("named_modules", {"remove_duplicate": False}),
    ("parameters", {}),
    ("buffers", {}),
    ("children", {}),
    ("modules", {}),
]


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.parametrize(("listing", "kwargs"), LISTINGS)
def test_listings_equal_torchs(both, listing, kwargs):
    found = []
    for module in both:
        module.twin = module.inner  # shared
        listed = getattr(module, listing)(**kwargs)
        found.append([i[0] if isinstance(i, tuple) else i for i in listed])
    names = [[i for i in one if isinstance(i, str)] for one in found]
    assert names[0] == names[1] and len(found[0]) == len(found[1]) > 0


@pytest.mark.earns("torch.nn.Module")
def test_state_dicts_go_both_ways(both):
    ours, theirs = both
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        ours.weight += 1
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.weight, ours.weight)
    with torch.no_grad():
        theirs.inner.bias += 1
    keys = ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(theirs.inner.bias, ours.inner.bias)
    assert keys == ([], [])


@pytest.mark.earns("torch.nn.Module")
def test_loading_is_strict_and_all_or_nothing(both):
    ours, _ = both
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    given = {k: v + 1 for k, v in before.items()}
    given["inner.weight"] = torch.ones(5, 3)
    del given["mean"]
    given["extra"] = torch.ones(1)
    with pytest.raises(RuntimeError) as error:
        ours.load_state_dict(given)
    for words in ("(5, 3)", "(2, 3)", '"mean"', '"extra"', "inner.weight"):
        assert words in str(error.value)
    torch.testing.assert_close(ours.state_dict(), before)
    given["inner.weight"] = torch.ones(2, 3)
    keys = ours.load_state_dict(given, strict=False)
    assert keys == (["mean"], ["extra"])
    assert ours.inner.weight.eq(1).all() and ours.mean.eq(before["mean"]).all()


def test_assign_keeps_the_given_tensors():
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    state = nn.Linear(3, 2).state_dict()
    layer.load_state_dict(state, assign=True)
    assert layer.weight.data_ptr() == state["weight"].data_ptr()
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad


def test_a_state_dict_shares_memory_unless_it_keeps_variables():
    layer = nn.Linear(3, 2)
    assert layer.state_dict()["weight"].data_ptr() == layer.weight.data_ptr()
    assert not layer.state_dict()["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert "p.weight" in layer.state_dict(prefix="p.")


class Mixed(nn.Module):
    """Layers of torch's among ours, one of them with buffers."""

    def __init__(self):
        self.ours = nn.Linear(3, 4)
        self.theirs = torch.nn.Sequential(
            torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)
        )

    def forward(self, x):
        return self.theirs(self.ours(x))


class TorchMixed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ours = torch.nn.Linear(3, 4)
        self.theirs = torch.nn.Sequential(
            torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)
        )

    forward = Mixed.forward


@pytest.fixture
def mixed():
    made = []
    for kind in (Mixed, TorchMixed):
        torch.manual_seed(0)
        made.append(kind())
    return made


@pytest.mark.parametrize(("listing", "kwargs"), LISTINGS)
def test_torchs_layers_are_listed_as_in_a_module_of_torchs(
    mixed, listing, kwargs
):
    found = []
    for module in mixed:
        listed = list(getattr(module, listing)(**kwargs))
        found.append([i[0] if isinstance(i, tuple) else i for i in listed])
    names = [[i for i in one if isinstance(i, str)] for one in found]
    assert names[0] == names[1] and len(found[0]) == len(found[1])


def test_torchs_layers_are_saved_loaded_and_looked_up(mixed):
    ours, theirs = mixed
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs(torch.randn(5, 3))  # moves the running mean
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(dict(theirs.state_dict()), ours.state_dict())
    own = ours.theirs[1]
    assert ours.get_submodule("theirs.1") is own
    assert ours.get_parameter("theirs.1.weight") is own.weight
    assert ours.get_buffer("theirs.1.running_mean") is own.running_mean
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    given = {k: v + 1 for k, v in before.items()} | {
        "theirs.1.weight": torch.ones(9)
    }
    with pytest.raises(RuntimeError, match=r"theirs.1.weight.*\(9,\).*\(4,\)"):
        ours.load_state_dict(given)
    torch.testing.assert_close(ours.state_dict(), before)


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.double(),
        lambda m: m.to("meta"),
        lambda m: m.to("cpu", torch.float16, True),
        lambda m: m.to(memory_format=torch.channels_last),
    ],
)
def test_torchs_layers_are_moved(mixed, convert):
    described = [
        {k: (v.dtype, v.device) for k, v in convert(m).state_dict().items()}
        for m in mixed
    ]
    assert described[0] == described[1]


def test_torchs_layers_are_switched_trained_and_hooked(mixed):
    for module in mixed:
        module.eval()
        assert not module.theirs[1].training
        module.train().requires_grad_(False)
        assert not any(p.requires_grad for p in module.theirs.parameters())
        module.requires_grad_()
        seen, visited = [], []
        module.apply(lambda m: visited.append(type(m).__name__))
        assert visited[:4] == ["Linear", "Linear", "BatchNorm1d", "Sequential"]
        for each in module.modules():
            each.register_forward_hook(lambda m, *_: seen.append(m))
        module(torch.randn(5, 3)).sum().backward()
        assert len(seen) == 5
        assert all(p.grad is not None for p in module.parameters())
        module.zero_grad()
        assert all(p.grad is None for p in module.theirs.parameters())


def test_torchs_layers_may_be_registered_replaced_and_removed(mixed):
    for module in mixed:
        module.register_module("late", torch.nn.Linear(1, 1))
        assert "late.weight" in module.state_dict()
        with pytest.raises(TypeError, match="late"):
            module.late = torch.ones(1)
        del module.late
        assert "late.weight" not in module.state_dict()
    assert repr(mixed[0]).replace("Mixed", "") == repr(mixed[1]).replace(
        "TorchMixed", ""
    )


def test_a_torch_layer_moves_itself():
    """An LSTM keeps its weights in one block, which only it can make again."""
    moved = []

    class Watched(torch.nn.LSTM):
        def flatten_parameters(self):
            moved.append(1)

    module = nn.Module()
    module.rnn = Watched(2, 2)
    moved.clear()
    module.double()
    module.to(torch.float32)
    assert len(moved) == 2 and module.rnn.weight_hh_l0.dtype == torch.float32


class Extra(torch.nn.Module):
    """A module of torch's that saves more than tensors."""

    state = "new"

    def get_extra_state(self):
        return {"word": self.state}

    def set_extra_state(self, state):
        self.state = state["word"]


def test_what_torchs_layers_save_beside_tensors_is_loaded():
    first, second = nn.Module(), nn.Module()
    first.extra, second.extra = Extra(), Extra()
    first.extra.state = "old"
    second.load_state_dict(first.state_dict())
    assert second.extra.state == "old"


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.parametrize(
    "act",
    [
        lambda m: setattr(m, "bias", torch.ones(3)),  # None, by register
        lambda m: setattr(m, "mean", 0.0),
        lambda m: setattr(m, "mean", [0.0]),
        lambda m: (setattr(m, "weight", None), setattr(m, "weight", 1.0)),
        lambda m: (setattr(m, "inner", None), setattr(m, "inner", 1.0)),
        lambda m: (setattr(m, "mean", None), setattr(m, "mean", 1.0)),
    ],
)
def test_what_has_a_kind_keeps_it_as_torchs_does(both, act):
    for module in both:
        with pytest.raises(TypeError, match="bias|mean|weight|inner"):
            act(module)


@pytest.mark.earns("torch.nn.Module")
def test_an_absent_name_takes_what_belongs_there(both):
    kinds = nn, torch.nn
    for module, library in zip(both, kinds):
        module.bias = library.Parameter(torch.ones(3))
        module.bias = None
        module.register_parameter("bias", library.Parameter(torch.ones(3)))
        module.inner = None
        module.inner = library.Linear(3, 2)
        module.mean = None
        module.mean = torch.ones(3)
        with pytest.raises(KeyError):
            module.plain = None
            module.register_parameter("plain", None)
    assert list(both[0].state_dict()) == list(both[1].state_dict())


def test_a_layer_without_bias_refuses_a_plain_tensor():
    for library in (nn, torch.nn):
        layer = library.Linear(2, 2, bias=False)
        with pytest.raises(TypeError, match="bias"):
            layer.bias = torch.ones(2)
        layer.bias = library.Parameter(torch.ones(2))
        assert list(layer.state_dict()) == ["weight", "bias"]


@pytest.mark.earns("torch.nn.Module")
def test_a_deleted_buffer_is_forgotten(both):
    for module in both:
        del module.mean, module.scratch, module.inner
        assert [name for name, _ in module.named_buffers()] == ["count"]
        module.mean = 1.0  # the name is free
        module.register_buffer("scratch", torch.ones(2))
        assert list(module.state_dict()) == ["weight", "count", "scratch"]
        with pytest.raises(AttributeError):
            del module.absent


def test_a_parameter_in_the_place_of_a_buffer_is_a_parameter(both):
    for module, library in zip(both, (nn, torch.nn)):
        module.mean = library.Parameter(torch.zeros(3))
        assert "mean" in dict(module.named_parameters())
        assert "mean" not in dict(module.named_buffers())
    assert list(both[0].state_dict()).count("mean") == 1


@pytest.mark.parametrize("wrong", [1.0, "word", None])
def test_a_value_that_is_no_tensor_is_refused_before_anything_changes(
    both, wrong
):
    ours, _ = both
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    given = {k: v + 1 for k, v in before.items()} | {"inner.bias": wrong}
    for module in both:
        with pytest.raises(RuntimeError, match="inner.bias"):
            module.load_state_dict(given)
    torch.testing.assert_close(ours.state_dict(), before)


@pytest.mark.parametrize(
    ("given", "assign"),
    [
        (torch.ones(2, device="meta"), False),
        (torch.ones(2, dtype=torch.int64), True),
        (torch.ones(2).to_sparse(), False),
    ],
    ids=["without numbers", "without gradient", "stored otherwise"],
)
def test_a_tensor_that_cannot_be_loaded_changes_nothing(both, given, assign):
    ours, _ = both
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    state = {k: v + 1 for k, v in before.items()} | {"inner.bias": given}
    with pytest.raises(RuntimeError, match="inner.bias"):
        ours.load_state_dict(state, assign=assign)
    torch.testing.assert_close(ours.state_dict(), before)


def test_tensors_are_loaded_in_the_order_of_the_module():
    """Of two values for one shared parameter the last one stays."""
    for seed in range(5):
        tied = nn.Module()
        for name in "abcdefgh":
            setattr(tied, name, nn.Linear(1, 1, bias=False))
        for name in "bcdefgh":
            getattr(tied, name).weight = tied.a.weight
        state = {
            f"{name}.weight": torch.full((1, 1), float(i + seed))
            for i, name in enumerate("hgfedcba")
        }
        tied.load_state_dict(state)
        assert tied.a.weight.item() == seed


@pytest.mark.parametrize("held", [nn.Parameter, torch.nn.Parameter])
@pytest.mark.parametrize("given", [nn.Parameter, torch.nn.Parameter])
def test_assign_takes_parameters_of_either_kind(held, given):
    layer = nn.Linear(2, 2, bias=False)
    layer.weight = held(layer.weight.detach(), requires_grad=False)
    weight = given(torch.ones(2, 2))
    layer.load_state_dict({"weight": weight}, assign=True)
    assert layer.weight is weight and not weight.requires_grad
    layer.load_state_dict({"weight": torch.zeros(2, 2)}, assign=True)
    assert isinstance(layer.weight, torch.nn.Parameter)
    assert not layer.weight.requires_grad and layer.weight.sum() == 0


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.filterwarnings("ignore:Complex modules", "ignore:Casting")
@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.to(torch.complex128),
        lambda m: m.to("cpu", torch.complex64, True),
        lambda m: m.to(torch.device("cpu"), non_blocking=True),
        lambda m: m.to(None, torch.float64, False),
        lambda m: m.double(),
        lambda m: m.half(),
        lambda m: m.cpu(),
    ],
)
def test_complex_modules_are_moved_as_torchs(convert):
    described = []
    for library in (nn, torch.nn):
        layer = library.Linear(2, 2, dtype=torch.complex64)
        layer.register_buffer("n", torch.tensor(0))
        layer.register_buffer("real", torch.ones(1))
        layer = convert(layer)
        described.append({k: v.dtype for k, v in layer.state_dict().items()})
    assert described[0] == described[1]


@pytest.mark.earns("torch.nn.Module")
def test_gradients_are_set_to_zero_where_they_lie(both):
    for module in both:
        module(torch.ones(3)).sum().backward()
        module.inner.bias.grad = None
        grads = [p.grad for p in module.parameters()]
        (held,) = torch.autograd.grad(
            module(torch.ones(3)).square().sum(),
            module.inner.weight,
            create_graph=True,
        )
        held = held * 1  # it has a history, and is no view
        module.inner.weight.grad = held
        module.zero_grad(set_to_none=False)
        assert module.inner.bias.grad is None
        assert module.weight.grad is grads[0] and grads[0].eq(0).all()
        assert module.inner.weight.grad is held and held.grad_fn is None
        assert held.eq(0).all() and not held.requires_grad


def test_a_child_may_have_a_mode_of_its_own():
    class Frozen(nn.Module):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(), nn.ReLU()).train()
    assert net.training and net[1].training and not net[0].training


def test_a_shared_parameter_stays_shared_on_its_way_to_meta():
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    tied.to("meta")
    assert tied[1].weight is tied[0].weight and tied[0].weight.is_meta
