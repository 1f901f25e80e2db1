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
