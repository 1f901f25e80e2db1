import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup import nn
from groundup.inside.hooks import (
    Handles,
    leaf_modules,
    register_full_backward_hook,
    register_full_backward_pre_hook,
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
    with register_full_backward_pre_hook(pair, print):
        with pytest.raises(TypeError, match="got a list"):
            pair(torch.ones(2))


def mix(module, a, b, scale):
    """Tensors that do and do not need a gradient, and a number."""
    return module.inner(a * scale), a.sum(1) + b


class Mix(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(3, 2)

    forward = mix


class TorchMix(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)

    forward = mix


def pair():
    made = []
    for kind in (Mix, TorchMix):
        torch.manual_seed(0)
        made.append(kind().double())
    return made


def arguments(requires_grad=True):
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return a.requires_grad_(requires_grad), torch.arange(4), 2.0


def run_backward(net, pre, full, register_pre, register_full, needs, calls):
    log = []

    def pre_hook(i, factor):
        def hook(module, grad_output):
            log.append((f"pre {i}", *copied(grad_output)))
            if factor is not None:
                return multiplied(grad_output, factor)

        return hook

    def full_hook(i, factor):
        def hook(module, grad_input, grad_output):
            log.append((f"full {i}", *copied(grad_input), *copied(grad_output)))
            if factor is not None and needs:
                return multiplied(grad_input, factor)

        return hook

    for i, factor in enumerate(pre):
        register_pre(net, pre_hook(i, factor))
    for i, factor in enumerate(full):
        register_full(net, full_hook(i, factor))
    args = arguments(needs)
    total = 0
    for _ in range(calls):
        first, second = net(*args)
        total = total + (first**2).sum() + (second**2).sum()
    total.backward()
    grads = [p.grad for p in (args[0], *net.parameters())]
    return [*log, ("grads", *copied(grads))]


def multiplied(grads, factor):
    return tuple(
        g * factor if g is not None and g.is_floating_point() else g
        for g in grads
    )


def copied(tensors):
    return [None if t is None else t.clone() for t in tensors]


factors = st.lists(st.sampled_from([None, 0.5, -2.0]), max_size=3)


@pytest.mark.earns("torch.nn.Module.register_full_backward_hook")
@pytest.mark.earns("torch.nn.Module.register_full_backward_pre_hook")
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@settings(max_examples=40, deadline=None)
@given(pre=factors, full=factors, needs=st.booleans(), calls=st.integers(1, 2))
def test_backward_hooks_see_and_replace_what_torchs_do(pre, full, needs, calls):
    ours, theirs = pair()
    assert_same_log(
        run_backward(
            ours,
            pre,
            full,
            register_full_backward_pre_hook,
            register_full_backward_hook,
            needs,
            calls,
        ),
        run_backward(
            theirs,
            pre,
            full,
            TorchMix.register_full_backward_pre_hook,
            TorchMix.register_full_backward_hook,
            needs,
            calls,
        ),
    )


@pytest.mark.earns("torch.nn.Module.register_full_backward_hook")
@pytest.mark.earns("torch.nn.Module.register_full_backward_pre_hook")
def test_a_hook_that_returns_too_many_gradients_raises_as_torchs():
    def pre(module, grads):
        return (*grads, None)

    def full(module, into, out):
        return (*into, None)

    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    x = torch.ones(2, 3, requires_grad=True)
    for handle in (
        register_full_backward_pre_hook(ours, pre),
        theirs.register_full_backward_pre_hook(pre),
        register_full_backward_hook(ours, full),
        theirs.register_full_backward_hook(full),
    ):
        with handle, pytest.raises(RuntimeError):
            (ours(x) + theirs(x)).sum().backward()


@pytest.mark.earns("torch.nn.Module.register_full_backward_hook")
def test_second_derivatives_pass_through_a_backward_hook():
    results = []
    for kind, register in (
        (nn.Linear, register_full_backward_hook),
        (torch.nn.Linear, torch.nn.Module.register_full_backward_hook),
    ):
        torch.manual_seed(0)
        linear = kind(3, 2)
        x = torch.ones(2, 3, requires_grad=True)
        register(linear, lambda module, into, out: (into[0] * 2,))
        (grad,) = torch.autograd.grad(
            (linear(x) ** 3).sum(), x, create_graph=True
        )
        grad.square().sum().backward()
        results.append(x.grad)
    assert_equal(*results)


def test_backward_hooks_serve_torchs_modules():
    theirs, seen = torch.nn.Linear(3, 2), []
    x = torch.ones(2, 3, requires_grad=True)
    with register_full_backward_hook(
        theirs, lambda module, into, out: seen.append((into, out))
    ):
        theirs(x).sum().backward()
    ((into, out),) = seen
    assert_equal(into[0], x.grad)
    assert_equal(out[0], torch.ones(2, 2))


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


def test_a_forward_that_raises_does_not_confuse_a_backward_hook():
    net, seen = model(), []
    x = torch.ones(5, 3, requires_grad=True)
    with register_full_backward_hook(
        net, lambda module, into, out: seen.append((into, out))
    ):
        with pytest.raises(RuntimeError):
            net(torch.ones(5, 7, requires_grad=True))
        net(x).sum().backward()
    ((into, _out),) = seen
    assert_equal(into[0], x.grad)
