import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup import nn
from groundup.inside.backward_hooks import (
    register_full_backward_hook,
    register_full_backward_pre_hook,
)
from groundup.testing import assert_equal
from tests.inside.hook_logs import assert_same_log, model


def test_an_output_that_is_no_tensor_is_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return [x, x]

    pair = Pair()
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
