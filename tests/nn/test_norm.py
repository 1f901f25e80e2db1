"""Batch normalisation as layers: torch is the judge, on its own samples."""

import copy
import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import run, samples

DTYPES = [torch.float32, torch.float64]
kinds = pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])


def pair(name: str, *args, **kwargs):
    """Ours and torch's, made alike."""
    return [getattr(home, name)(*args, **kwargs) for home in (nn, torch.nn)]


def assert_same_state(ours, theirs) -> None:
    state, judge = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(judge)
    for name, tensor in judge.items():
        assert_close(state[name], tensor, rtol=1e-5, atol=1e-6)


def drawn(layers) -> None:
    """The same weights in both, none of them 0 or 1."""
    torch.manual_seed(1)
    ours, theirs = layers
    for param, other in zip(
        ours.parameters(), theirs.parameters(), strict=True
    ):
        values = torch.randn(param.shape).to(param.dtype)
        with torch.no_grad():
            param.copy_(values), other.copy_(values)


def check_samples(name: str, expected: int) -> None:
    """Outputs, gradients and states, in training twice and in evaluation."""
    for dtype in DTYPES:
        cases = samples(name, dtype)
        assert len(cases) == expected
        for case in cases:
            (sample,) = case.values
            made, given = sample.constructor_input, sample.forward_input
            layers = pair(name, *made.args, **made.kwargs)
            drawn(layers)
            layers = [layer.to(dtype) for layer in layers]
            assert_same_state(*layers)
            for training in (True, True, False, True):
                for layer in layers:
                    layer.train(training).zero_grad()
                assert_close(*[run(layer, given) for layer in layers])
                assert_same_state(*layers)


@pytest.mark.earns("torch.nn.BatchNorm1d")
def test_batch_norm_of_rows_is_torchs_on_its_samples():
    check_samples("BatchNorm1d", 8)


@pytest.mark.earns("torch.nn.BatchNorm2d")
def test_batch_norm_of_images_is_torchs_on_its_samples():
    check_samples("BatchNorm2d", 7)


def stacked(home, name: str, depth: int = 20, momentum: float | None = 0.1):
    return home.Sequential(
        *[getattr(home, name)(4, momentum=momentum) for _ in range(depth)]
    )


@kinds
@pytest.mark.parametrize("momentum", [0.1, None])
def test_twenty_stacked_layers_in_evaluation(name, momentum):
    """A running variance off by n / (n - 1) would be off by it twenty times."""
    models = [stacked(home, name, momentum=momentum) for home in (nn, torch.nn)]
    drawn(models)
    torch.manual_seed(0)
    shape = (3, 4) if name == "BatchNorm1d" else (2, 4, 2, 1)
    for _ in range(30):
        x = torch.randn(shape)
        assert_close(*[model(x) for model in models], rtol=1e-4, atol=1e-5)
    x = torch.randn(shape)
    evaluated = [model.eval()(x) for model in models]
    assert_close(*evaluated, rtol=1e-4, atol=1e-6)
    assert_same_state(*models)


@kinds
def test_constructors_and_forwards_have_torchs_parameters(name):
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    for method in ("__init__", "forward"):
        signatures = [
            [(p.name, p.default, p.kind) for p in each.parameters.values()]
            for each in (
                inspect.signature(getattr(kind, method))
                for kind in (ours, theirs)
            )
        ]
        assert signatures[0] == signatures[1]


@given(
    eps=st.floats(1e-6, 1.0),
    momentum=st.none() | st.floats(0, 1),
    affine=st.booleans(),
    tracked=st.booleans(),
    bias=st.booleans(),
    modes=st.lists(st.booleans(), max_size=6),
)
def test_any_settings_over_any_order_of_modes(
    eps, momentum, affine, tracked, bias, modes
):
    layers = pair("BatchNorm1d", 3, eps, momentum, affine, tracked, bias=bias)
    assert repr(layers[0]) == repr(layers[1])
    for seed, training in enumerate(modes):
        torch.manual_seed(seed)
        x = 2 + torch.randn(5, 3)
        outputs = [layer.train(training)(x) for layer in layers]
        assert_close(*outputs, rtol=1e-4, atol=1e-5)
        assert_same_state(*layers)


def trained(steps: int = 3):
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3)
    for _ in range(steps):
        layer(torch.randn(4, 3, 2, 2, requires_grad=True)).sum().backward()
    return layer


def test_the_averages_are_the_same_tensors_after_training():
    layer = nn.BatchNorm1d(3)
    held = dict(layer.named_buffers())
    state = layer.state_dict()
    for _ in range(3):
        layer(torch.randn(4, 3, requires_grad=True))
    for name, buffer in layer.named_buffers():
        assert buffer is held[name]
        assert buffer.data_ptr() == state[name].data_ptr()
        assert not buffer.requires_grad and buffer.grad_fn is None
    assert state["num_batches_tracked"].item() == 3


def test_a_copy_goes_its_own_way():
    layer = trained()
    twin = copy.deepcopy(layer)
    assert_same_state(twin, layer)
    before = layer.running_mean.clone()
    twin(1 + torch.randn(4, 3, 2, 2))
    assert torch.equal(layer.running_mean, before)
    assert not torch.equal(twin.running_mean, before)


def graph_of(tensor: torch.Tensor) -> int:
    """How many operations hang on a tensor."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)


@pytest.mark.parametrize("function", [True, False])
def test_memory_does_not_grow_over_a_hundred_steps(function):
    """Averages with a history would hold every batch that ever was."""
    layer, sizes = nn.BatchNorm1d(3), []
    for _ in range(100):
        x = torch.randn(4, 3, requires_grad=True)
        if function:
            y = nn.functional.batch_norm(
                x,
                layer.running_mean,
                layer.running_var,
                layer.weight,
                layer.bias,
                training=True,
            )
        else:
            y = layer(x)
        sizes.append((graph_of(y), graph_of(layer.running_mean)))
    assert set(sizes) == {sizes[0]}
    assert sizes[0][1] == 0


@kinds
def test_states_are_exchanged_with_torch_both_ways(name):
    for start, end in ((nn, torch.nn), (torch.nn, nn)):
        torch.manual_seed(0)
        shape = (6, 3) if name == "BatchNorm1d" else (6, 3, 2, 2)
        giver, taker = getattr(start, name)(3), getattr(end, name)(3)
        giver(5 + torch.randn(shape))
        taker.load_state_dict(giver.state_dict())
        x = torch.randn(shape)
        assert_close(giver.eval()(x), taker.eval()(x))


def test_resetting_forgets_the_batches():
    layers = pair("BatchNorm1d", 3)
    for layer in layers:
        layer(torch.randn(4, 3))
        with torch.no_grad():
            layer.weight.fill_(3.0)
        layer.reset_parameters()
    assert_same_state(*layers)
    assert layers[0].num_batches_tracked.item() == 0


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("BatchNorm1d", (4, 3, 2, 2), {}),
        ("BatchNorm1d", (3,), {}),
        ("BatchNorm2d", (4, 3), {}),
        ("BatchNorm2d", (3, 2, 2), {}),
        ("BatchNorm1d", (4, 4), {}),
        ("BatchNorm2d", (4, 4, 2, 2), {}),
        ("BatchNorm2d", (4, 4, 2, 2), {"track_running_stats": False}),
        ("BatchNorm1d", (1, 3), {}),
        ("BatchNorm2d", (1, 3, 1, 1), {}),
        ("BatchNorm1d", (4, 3), {"eps": 0.0}),
        ("BatchNorm1d", (4, 3), {"eps": -1.0}),
    ],
)
def test_what_torch_refuses_is_refused_alike_and_not_counted(
    name, shape, settings
):
    ours, theirs = pair(name, 3, **settings)
    x = torch.randn(shape)
    with pytest.raises((RuntimeError, ValueError)) as judge:
        theirs(x)
    with pytest.raises(judge.type) as found:
        ours(x)
    assert found.type is judge.type
    shown = str(tuple(shape)) if "eps" not in settings else str(ours.eps)
    assert shown in str(found.value)
    if "track_running_stats" not in settings:
        assert ours.num_batches_tracked.item() == 0


def test_the_mode_is_the_layers_own_not_that_of_gradients():
    """`eval` decides, not `no_grad`: one of the four published mistakes."""
    layer = nn.BatchNorm1d(3)
    x = 5 + torch.randn(8, 3)
    with torch.no_grad():
        assert layer(x).mean().abs() < 1e-5
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    assert layer(x).mean() > 1
    assert layer.num_batches_tracked.item() == 1


def test_tracking_may_be_switched_off_later():
    layers = pair("BatchNorm1d", 3)
    for layer in layers:
        layer.track_running_stats = False
    x = torch.randn(4, 3)
    assert_close(*[layer(x) for layer in layers])
    assert_same_state(*layers)
    assert_close(*[layer.eval()(x) for layer in layers])


def test_layers_are_made_and_moved_in_a_dtype():
    layer = nn.BatchNorm1d(3, dtype=torch.float64)
    kinds = {name: each.dtype for name, each in layer.state_dict().items()}
    assert kinds.pop("num_batches_tracked") == torch.int64
    assert set(kinds.values()) == {torch.float64}
    assert nn.BatchNorm2d(3, device="meta").running_var.is_meta
    layer.bfloat16()
    assert layer.running_mean.dtype == torch.bfloat16
    assert layer.num_batches_tracked.dtype == torch.int64


def test_the_layer_and_the_function_agree():
    torch.manual_seed(0)
    layer, x = nn.BatchNorm2d(3), 2 + torch.randn(4, 3, 5, 5)
    held = [torch.zeros(3), torch.ones(3)]
    for _ in range(3):
        y = nn.functional.batch_norm(x, *held, training=True)
        assert_close(layer(x), y)
    assert_close(held, [layer.running_mean, layer.running_var])
    assert_close(layer.eval()(x), nn.functional.batch_norm(x, *held))
