import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup import nn
from groundup.inside.hooks import (
    Handles,
    leaf_modules,
    watch_gradients,
    watch_outputs,
)
from groundup.testing import assert_equal
from tests.inside.hook_logs import assert_same_log, is_clean, model

forward_hooks = st.lists(
    st.tuples(
        st.sampled_from(["pre", "post"]),
        st.booleans(),  # prepend
        st.booleans(),  # with_kwargs
        st.sampled_from([None, 0.5, 3.0]),  # replace by a multiple
        st.booleans(),  # removed before the call
    ),
    max_size=5,
)


def run_forward(linear, hooks):
    log = []

    def make(i, kind, with_kwargs, factor):
        def pre(module, args, *kwargs):
            log.append((i, args[0].clone(), *kwargs))
            if factor is not None:
                args = (args[0] * factor,)
                return (args, *kwargs) if with_kwargs else args

        def post(module, args, *rest):
            log.append((i, args[0].clone(), rest[-1].clone()))
            return None if factor is None else rest[-1] * factor

        return pre if kind == "pre" else post

    handles = []
    for i, (kind, prepend, with_kwargs, factor, _) in enumerate(hooks):
        register = {
            "pre": linear.register_forward_pre_hook,
            "post": linear.register_forward_hook,
        }[kind]
        hook = make(i, kind, with_kwargs, factor)
        handles.append(register(hook, prepend=prepend, with_kwargs=with_kwargs))
    for handle, (*_, removed) in zip(handles, hooks, strict=True):
        if removed:
            handle.remove()
    log.append(("end", linear(torch.ones(2, 3))))
    return log


@pytest.mark.earns("torch.nn.Module.register_forward_hook")
@pytest.mark.earns("torch.nn.Module.register_forward_pre_hook")
@settings(max_examples=40, deadline=None)
@given(forward_hooks)
def test_forward_hooks_see_and_replace_what_torchs_do(hooks):
    logs = []
    for kind in (nn.Linear, torch.nn.Linear):
        torch.manual_seed(0)
        logs.append(run_forward(kind(3, 2), hooks))
    assert_same_log(*logs)


@pytest.mark.earns("torch.nn.Module.register_forward_hook")
@pytest.mark.earns("torch.nn.Module.register_forward_pre_hook")
@pytest.mark.parametrize("kind", ["pre", "post"])
def test_an_error_in_a_forward_hook_reaches_the_caller(kind):
    for linear in (nn.Linear(3, 2), torch.nn.Linear(3, 2)):
        name = "forward_hook" if kind == "post" else "forward_pre_hook"
        with getattr(linear, f"register_{name}")(lambda *_: 1 / 0):
            with pytest.raises(ZeroDivisionError):
                linear(torch.ones(2, 3))
        assert linear(torch.ones(2, 3)).shape == (2, 2)


def test_watchers_see_outputs_and_gradients_by_name():
    net, outputs, grads = model(), {}, {}
    with (
        watch_outputs(leaf_modules(net), outputs.__setitem__),
        watch_gradients(leaf_modules(net), grads.__setitem__),
    ):
        result = net(torch.ones(5, 3))
        result.sum().backward()
    assert list(outputs) == ["0", "1", "2"] and list(grads) == ["2", "1", "0"]
    assert_equal(outputs["2"], result.detach())
    assert_equal(grads["2"], torch.ones(5, 2))
    assert not outputs["2"].requires_grad
    assert is_clean(net)


@pytest.mark.parametrize("watch", [watch_outputs, watch_gradients])
def test_hooks_come_off_when_the_body_raises(watch):
    net, seen = model(), []
    with pytest.raises(ZeroDivisionError):
        with watch(leaf_modules(net), lambda name, x: seen.append(name)):
            net(torch.ones(5, 3)).sum().backward()
            1 / 0
    assert is_clean(net) and len(seen) == 3
    net(torch.ones(5, 3)).sum().backward()
    assert len(seen) == 3


@pytest.mark.parametrize("watch", [watch_outputs, watch_gradients])
def test_hooks_come_off_when_one_cannot_be_put_on(watch):
    net = model()
    with pytest.raises(AttributeError):
        watch({**leaf_modules(net), "wrong": "no module"}, print)
    assert is_clean(net)


def test_hooks_come_off_when_the_hook_raises():
    net = model()
    with pytest.raises(ZeroDivisionError):
        with watch_outputs(leaf_modules(net), lambda name, x: 1 / 0):
            net(torch.ones(5, 3))
    assert is_clean(net)


def test_removing_twice_does_nothing():
    net = model()
    handles = watch_outputs(leaf_modules(net), print)
    handles.remove()
    handles.remove()
    assert is_clean(net) and isinstance(handles, Handles)


def test_an_output_that_is_no_tensor_is_named():
    class Pair(nn.Module):
        def forward(self, x):
            return [x, x]

    with watch_outputs({"pair": (pair := Pair())}, print):
        with pytest.raises(TypeError, match="pair returns a list"):
            pair(torch.ones(2))
    with watch_gradients({"pair": pair}, print):
        with pytest.raises(TypeError, match="pair returns a list"):
            pair(torch.ones(2))


def test_of_a_tuple_the_gradient_of_the_first_is_watched():
    class Pair(nn.Module):
        def forward(self, x):
            return x * 2, x * 3

    x, seen = torch.ones(4, requires_grad=True), {}
    pair = Pair()
    with watch_gradients({"pair": pair}, seen.__setitem__):
        first, second = pair(x)
        (5 * first + second).sum().backward()
    assert_equal(seen["pair"], torch.full((4,), 5.0))
    assert_equal(x.grad, torch.full((4,), 13.0))


def test_watching_changes_no_gradient():
    grads = []
    for watched in (False, True):
        net = model()
        modules = leaf_modules(net) if watched else {}
        with watch_gradients(modules, lambda name, grad: grad):
            net(torch.ones(5, 3)).sum().backward()
        grads.append([p.grad for p in net.parameters()])
    for a, b in zip(*grads, strict=True):
        assert_equal(a, b)
