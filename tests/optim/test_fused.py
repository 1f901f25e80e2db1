import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.optim import SGD, Adagrad, Adam, AdamW
from groundup.optim.adagrad import adagrad_step
from groundup.optim.adam import adam_step
from groundup.optim.fused import (
    fits_kernel,
    has_kernel,
    lie_alike,
    wants_kernel,
)
from groundup.optim.sgd import sgd_step
from groundup.optim.steps import add_l2
from tests.optim.torch_samples import configurations

rates = st.floats(1e-4, 1.0)
shares = st.floats(0.0, 0.99)
decays = st.sampled_from([0.0, 0.1])
dtypes = st.sampled_from([torch.float32, torch.float64])
shapes = st.sampled_from([(1,), (3,), (17, 5), (2, 3, 4, 4), (70_000,), ()])
quick = settings(max_examples=40, deadline=None, derandomize=True)


def numbers(shape, dtype, *, n=4):
    """A parameter, a gradient, and non-negative tensors for the state."""
    torch.manual_seed(0)
    made = [torch.randn(shape, dtype=dtype) for _ in range(n)]
    return made[:2] + [x.abs() for x in made[2:]]


def assert_same(ours, theirs, dtype):
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-10}[dtype]
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.earns("torch._fused_sgd_")
@quick
@given(
    shapes, dtypes, rates, st.floats(0.1, 0.99), shares, decays, st.booleans()
)
def test_sgd_equals_torchs_kernel(
    shape, dtype, lr, momentum, dampening, decay, nesterov
):
    param, grad, buffer = numbers(shape, dtype, n=3)
    dampening = 0.0 if nesterov else dampening
    ours, state = param.clone(), {"momentum_buffer": buffer.clone()}
    sgd_step(
        ours,
        add_l2(grad, ours, decay),
        state,
        lr,
        momentum,
        dampening,
        nesterov,
    )
    torch._fused_sgd_(
        [param],
        [grad],
        [buffer],
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=decay,
        nesterov=nesterov,
        maximize=False,
        is_first_step=False,
    )
    assert_same([ours, state["momentum_buffer"]], [param, buffer], dtype)


@pytest.mark.earns("torch._fused_adagrad_")
@quick
@given(shapes, dtypes, rates, shares, decays, st.integers(1, 1000))
def test_adagrad_equals_torchs_kernel(shape, dtype, lr, lr_decay, decay, t):
    param, grad, total = numbers(shape, dtype, n=3)
    ours = param.clone()
    state = {"step": torch.tensor(t - 1.0), "sum": total.clone()}
    adagrad_step(ours, add_l2(grad, ours, decay), state, lr, lr_decay, 1e-8)
    torch._fused_adagrad_(
        [param],
        [grad],
        [total],
        [torch.tensor(float(t))],
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=decay,
        eps=1e-8,
        maximize=False,
    )
    assert_same([ours, state["sum"]], [param, total], dtype)


def compare_with_adams_kernel(
    kernel, decoupled, shape, dtype, lr, beta1, beta2, decay, t, amsgrad
):
    param, grad, mean, square, largest = numbers(shape, dtype, n=5)
    names = "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
    moments = [mean, square] + [largest] * amsgrad
    state = {"step": torch.tensor(t - 1.0)}
    state |= {k: v.clone() for k, v in zip(names, moments, strict=False)}
    ours = param.clone()
    if decoupled:
        ours.mul_(1 - lr * decay)
    l2 = grad if decoupled else add_l2(grad, ours, decay)
    adam_step(ours, l2, state, lr, (beta1, beta2), 1e-8)
    kernel(
        [param],
        [grad],
        [mean],
        [square],
        [largest] * amsgrad,
        [torch.tensor(float(t))],
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=decay,
        eps=1e-8,
        amsgrad=amsgrad,
        maximize=False,
    )
    changed = [state[name] for name in names[: len(moments)]]
    assert_same([ours, *changed], [param, *moments], dtype)


adam_cases = given(
    st.tuples(
        shapes,
        dtypes,
        rates,
        shares,
        shares,
        decays,
        st.integers(1, 1000),
        st.booleans(),
    )
)


@pytest.mark.earns("torch._fused_adam_")
@quick
@adam_cases
def test_adam_equals_torchs_kernel(case):
    compare_with_adams_kernel(torch._fused_adam_, False, *case)


@pytest.mark.earns("torch._fused_adamw_")
@quick
@adam_cases
def test_adamw_equals_torchs_kernel(case):
    compare_with_adams_kernel(torch._fused_adamw_, True, *case)


KINDS = [
    (SGD, {"momentum": 0.9}),
    (Adagrad, {}),
    (Adam, {}),
    (AdamW, {"amsgrad": True}),
]


def path(kind, options, params, fused, give):
    optimizer = kind(params, lr=0.1, fused=fused, **options)
    for step in range(3):
        torch.manual_seed(step)
        for param in params:
            param.grad = give(param)
        optimizer.step()
    return optimizer


def random_like(param):
    return torch.empty_like(param).copy_(torch.randn(param.shape))


@pytest.mark.parametrize("kind, options", KINDS)
@pytest.mark.parametrize(
    "give",
    [
        random_like,
        lambda param: torch.randn(param.shape),  # contiguous, the param is not
        lambda param: torch.randn(4, 1, 1, 1).expand(param.shape),
        lambda param: torch.randn(*param.shape, 2)[..., 0],
    ],
    ids=["alike", "other order", "expanded", "strided"],
)
@pytest.mark.parametrize(
    "memory", [torch.channels_last, torch.contiguous_format]
)
def test_layouts_do_not_change_the_path(kind, options, give, memory):
    ends = []
    for fused in (None, True, False):
        torch.manual_seed(9)
        param = torch.randn(4, 3, 5, 5).to(memory_format=memory)
        path(kind, options, [param], fused, give)
        ends.append(param)
    torch.testing.assert_close(ends[0], ends[2])
    torch.testing.assert_close(ends[1], ends[2])


@pytest.mark.parametrize("kind, options", KINDS)
def test_a_model_whose_layout_changes_between_steps(kind, options):
    ends = []
    for fused in (None, False):
        torch.manual_seed(9)
        param = torch.nn.Parameter(torch.randn(4, 3, 5, 5))
        optimizer = path(kind, options, [param], fused, random_like)
        param.data = param.data.to(memory_format=torch.channels_last)
        param.grad = random_like(param)
        optimizer.step()
        ends.append(param.detach())
    torch.testing.assert_close(*ends)


@pytest.mark.parametrize("kind, options", KINDS)
def test_types_are_mixed_in_one_group(kind, options):
    ends = []
    for fused in (None, False):
        torch.manual_seed(9)
        dtypes = torch.float32, torch.float64, torch.complex64, torch.float32
        params = [torch.randn(5).to(dtype) for dtype in dtypes]
        give = lambda p: torch.randn(5).to(p.dtype)
        path(kind, options, params, fused, give)
        ends.append(params)
    torch.testing.assert_close(*ends)


@pytest.mark.parametrize("kind, options", KINDS)
def test_the_kernel_is_what_runs(kind, options, monkeypatch):
    name = f"_fused_{kind.__name__.lower()}_"
    kernel, calls = getattr(torch, name), []

    def spy(params, *arguments, **keywords):
        calls.append(len(params))
        return kernel(params, *arguments, **keywords)

    monkeypatch.setattr(torch, name, spy)
    for choice, expected in [
        ({}, 3), ({"fused": True}, 3), ({"foreach": True}, 3),
        ({"fused": False}, 0), ({"foreach": False}, 0),
    ]:  # fmt: skip
        calls.clear()
        params = [torch.ones(3) for _ in range(2)]
        optimizer = kind(params, **options, **choice)
        for _ in range(3):
            for param in params:
                param.grad = torch.ones(3)
            optimizer.step()
        first = kind is SGD and expected  # it has no buffer yet
        assert calls == [2] * (expected - bool(first)), choice


def test_fused_refuses_what_it_cannot_do():
    param = torch.ones(2, dtype=torch.complex64)
    param.grad = param.clone()
    with pytest.raises(RuntimeError, match="floating point Tensors, got"):
        Adam([param], fused=True).step()


def test_what_lies_alike():
    x = torch.zeros(2, 3, 4, 5)
    last = x.to(memory_format=torch.channels_last)
    assert lie_alike(x, [x.clone()]) and lie_alike(last, [last.clone()])
    assert not lie_alike(x, [last]) and not lie_alike(x[:, ::2], [x[:, ::2]])
    assert not lie_alike(x, [x.double()])


@pytest.mark.parametrize(
    "fused, foreach, differentiable, wanted",
    [
        (None, None, False, True),
        (None, True, False, True),
        (None, False, False, False),
        (False, None, False, False),
        (True, False, False, True),
        (None, None, True, False),
    ],
)
def test_who_wants_a_kernel(fused, foreach, differentiable, wanted):
    options = {"fused": fused, "foreach": foreach}
    options["differentiable"] = differentiable
    assert wants_kernel(options) is wanted
    assert wants_kernel({"lr": 1.0}) is False


def test_what_fits_a_kernel():
    param, other = torch.ones(3), torch.ones(3, dtype=torch.complex64)
    for x in (param, other):
        x.grad = torch.ones_like(x)
    count = torch.tensor(0.0, dtype=torch.float64)
    assert fits_kernel(param, {"step": count, "mean": param}, {"fused": None})
    assert not fits_kernel(param, {"mean": count}, {"fused": None})
    assert not fits_kernel(param, {}, {"fused": False})
    assert not fits_kernel(other, {}, {"fused": None})


def end(kind, options, dtype):
    """Where twenty steps lead; the numbers given fit into bfloat16."""
    torch.manual_seed(0)
    params = [torch.randn(shape).bfloat16().to(dtype) for shape in (1000, 17)]
    optimizer = kind(params, **options)
    for _ in range(20):
        for param in params:
            param.grad = torch.randn(param.shape).bfloat16().to(dtype)
        optimizer.step()
    return torch.cat(params).float()


@pytest.mark.parametrize(
    "kind, options",
    [
        pytest.param(kind, options, id=f"{kind.__name__}{options}")
        for kind in (SGD, Adagrad, Adam, AdamW)
        for options in configurations(kind.__name__)
    ],
)
def test_bfloat16_drifts_no_further_than_torchs(kind, options):
    theirs = getattr(torch.optim, kind.__name__)
    judge = end(theirs, options, torch.float32)
    drift = (end(theirs, options, torch.bfloat16) - judge).norm()
    own = (end(kind, options, torch.bfloat16) - judge).norm()
    assert own <= 1.1 * drift


@pytest.mark.parametrize("kind, options", KINDS)
def test_a_subclass_with_a_step_of_its_own_is_not_stepped_by_the_kernel(
    kind, options
):
    class Sign(kind):
        def update(self, param, grad, state, group):
            super().update(param, grad, state, group)
            param.fill_(7.0)

    param = torch.ones(3)
    optimizer = Sign([param], **options)
    for _ in range(3):
        param.grad = torch.ones(3)
        optimizer.step()
    assert param.tolist() == [7.0] * 3


def test_a_kernel_counts_that_is_as_new_as_the_step():
    class Renamed(Adam):
        pass

    class Stepped(Adam):
        def update(self, param, grad, state, group):
            pass

    class Both(Stepped):
        def fused_update(self, params, states, group):
            pass

    found = [has_kernel(kind) for kind in (Adam, Renamed, Stepped, Both)]
    assert found == [True, True, False, True]


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_the_exception_for_16_bits_on_cpus_is_still_needed(half):
    """pytorch issue 191763; if this fails, `SGD.fits` may be shortened."""
    param, grad, buffer = (torch.ones(100, dtype=half) for _ in range(3))
    options = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0}
    options |= {"weight_decay": 0.0, "nesterov": False, "maximize": False}
    lists = [[each] for each in (param, grad, buffer)]
    torch._fused_sgd_(*lists, **options, is_first_step=False)
    assert param.eq(1).any()
