"""Tests of groundup.nn.init: torch is the judge, number by number."""

import inspect
import math
import warnings

import pytest
import torch
from torch.testing import assert_close

from groundup.nn import init
from groundup.nn.init.scaled import _calculate_fan_in_and_fan_out

shapes = pytest.mark.parametrize(
    "shape", [(5, 3), (3, 5), (4, 6, 3), (4, 2, 3, 3)]
)


def check_same_numbers(
    name: str, shape: tuple[int, ...], *args, **kwargs
) -> None:
    """The same state of the generator gives torch's numbers, in place."""
    for dtype in (torch.float32, torch.float64):
        generators = [torch.Generator().manual_seed(1) for _ in range(2)]
        tensor = torch.empty(shape, dtype=dtype, requires_grad=True)
        actual = getattr(init, name)(
            tensor, *args, generator=generators[0], **kwargs
        )
        expected = getattr(torch.nn.init, name)(
            torch.empty(shape, dtype=dtype),
            *args,
            generator=generators[1],
            **kwargs,
        )
        assert actual is tensor and tensor.is_leaf and tensor.requires_grad
        assert_close(actual.detach(), expected)
        assert torch.equal(*(generator.get_state() for generator in generators))


@shapes
@pytest.mark.earns("torch.nn.init.uniform_", "torch.nn.init.normal_")
def test_uniform_and_normal_are_torchs(shape):
    check_same_numbers("uniform_", shape, -2.0, b=3.0)
    check_same_numbers("uniform_", shape)
    check_same_numbers("normal_", shape, 1.0, std=3.0)
    check_same_numbers("normal_", shape)


@shapes
@pytest.mark.earns(
    "torch.nn.init.xavier_uniform_", "torch.nn.init.xavier_normal_"
)
def test_xavier_is_torchs(shape):
    for name in ("xavier_uniform_", "xavier_normal_"):
        check_same_numbers(name, shape)
        check_same_numbers(name, shape, gain=5 / 3)


@shapes
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.earns(
    "torch.nn.init.kaiming_uniform_", "torch.nn.init.kaiming_normal_"
)
def test_kaiming_is_torchs(shape, mode):
    for name in ("kaiming_uniform_", "kaiming_normal_"):
        check_same_numbers(name, shape, a=math.sqrt(5), mode=mode)
        check_same_numbers(name, shape, nonlinearity="relu", mode=mode)


@pytest.mark.parametrize(
    "bounds",
    [
        (-2.0, 2.0),
        (-0.5, 3.0),
        (0.5, 0.6),
        (2.0, 2.5),
        (5.0, 7.0),
        (-9.0, -8.0),
    ],
)
@pytest.mark.filterwarnings("ignore:.*2 std.*")
@pytest.mark.earns("torch.nn.init.trunc_normal_")
def test_trunc_normal_is_torchs(bounds):
    a, b = bounds
    check_same_numbers("trunc_normal_", (40, 30), 0.0, 1.0, a, b)
    tensor = init.trunc_normal_(torch.empty(1000), a=a, b=b)
    assert (a <= tensor).all() and (tensor <= b).all()


def test_trunc_normal_has_the_moments_of_a_cut_normal():
    torch.manual_seed(0)
    tensor = init.trunc_normal_(
        torch.empty(200_000), mean=1.0, std=2.0, a=-3.0, b=5.0
    )
    assert_close(tensor.mean(), torch.tensor(1.0), atol=0.02, rtol=0)
    assert_close(tensor.std(), torch.tensor(2 * 0.8796), atol=0.02, rtol=0)


@pytest.mark.earns(
    "torch.nn.init.constant_",
    "torch.nn.init.ones_",
    "torch.nn.init.zeros_",
    "torch.nn.init.eye_",
)
@pytest.mark.parametrize(
    "name, args",
    [("constant_", (0.3,)), ("ones_", ()), ("zeros_", ()), ("eye_", ())],
)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_constants_are_torchs(name, args, shape):
    tensor = torch.randn(shape, requires_grad=True)
    assert getattr(init, name)(tensor, *args) is tensor
    expected = getattr(torch.nn.init, name)(torch.randn(shape), *args)
    assert torch.equal(tensor, expected)


@pytest.mark.earns("torch.nn.init.dirac_")
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 3, 3), (6, 9, 4, 3), (6, 2, 1, 2, 3)])
def test_dirac_is_torchs(shape, groups):
    expected = torch.nn.init.dirac_(torch.randn(shape), groups)
    assert torch.equal(init.dirac_(torch.randn(shape), groups), expected)


@pytest.mark.earns("torch.nn.init.orthogonal_")
@pytest.mark.parametrize(
    "shape", [(1, 1), (7, 7), (40, 9), (9, 40), (6, 2, 3, 3), (0, 4)]
)
def test_orthogonal_is_torchs(shape):
    check_same_numbers("orthogonal_", shape)
    check_same_numbers("orthogonal_", shape, gain=2.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [3, 70_000])
def test_orthogonal_in_half_precision_sums_squares_in_single(dtype, n):
    torch.manual_seed(0)
    q = init.orthogonal_(torch.empty(n, 2, dtype=dtype))
    assert q.dtype == dtype
    assert_close(q.float().T @ q.float(), torch.eye(2), rtol=0, atol=0.02)


def test_orthogonal_stays_orthogonal_at_size():
    q = init.orthogonal_(torch.empty(300, 300))
    assert_close(q @ q.T, torch.eye(300), atol=3e-6, rtol=0)


@pytest.mark.earns("torch.nn.init.sparse_")
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 1.0])
def test_sparse_is_torchs(sparsity):
    torch.manual_seed(0)
    expected = torch.nn.init.sparse_(torch.empty(9, 7), sparsity, std=0.1)
    torch.manual_seed(0)
    assert torch.equal(
        init.sparse_(torch.empty(9, 7), sparsity, std=0.1), expected
    )


def test_sparse_takes_its_zeros_from_the_generator_too():
    drawn = [
        init.sparse_(
            torch.empty(9, 7), 0.5, generator=torch.Generator().manual_seed(0)
        )
        for _ in range(2)
    ]
    assert torch.equal(*drawn)


@pytest.mark.earns("torch.nn.init.calculate_gain")
@pytest.mark.parametrize(
    "nonlinearity, param",
    [
        (name, None)
        for name in (
            "linear",
            "sigmoid",
            "tanh",
            "relu",
            "leaky_relu",
            "selu",
            "conv1d",
            "conv2d",
            "conv3d",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
        )
    ]
    + [("leaky_relu", 0), ("leaky_relu", 0.2), ("relu", 7)],
)
def test_gains_are_torchs(nonlinearity, param):
    expected = torch.nn.init.calculate_gain(nonlinearity, param)
    assert init.calculate_gain(nonlinearity, param) == expected


@shapes
@pytest.mark.earns("torch.nn.init._calculate_fan_in_and_fan_out")
def test_fans_are_torchs(shape):
    expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert _calculate_fan_in_and_fan_out(torch.empty(shape)) == expected


@pytest.mark.parametrize(
    "name, shape, kwargs, message",
    [
        ("xavier_normal_", (3,), {}, r"\(3,\)"),
        ("kaiming_uniform_", (3,), {}, r"\(3,\)"),
        ("kaiming_normal_", (3, 4), {"mode": "fan"}, "'fan'"),
        ("kaiming_normal_", (3, 4), {"nonlinearity": "rleu"}, "'rleu'"),
        ("kaiming_normal_", (3, 4), {"a": "0.1"}, "'0.1'"),
        ("kaiming_normal_", (3, 4), {"a": True}, "True"),
        ("eye_", (3,), {}, r"\(3,\)"),
        ("dirac_", (3, 4), {}, r"\(3, 4\)"),
        ("dirac_", (3, 4, 5), {"groups": 2}, "by 2"),
        ("orthogonal_", (3,), {}, r"\(3,\)"),
        ("sparse_", (3,), {"sparsity": 0.5}, r"\(3,\)"),
    ],
)
def test_refuses_what_torch_refuses_and_says_why(name, shape, kwargs, message):
    with pytest.raises(ValueError):
        getattr(torch.nn.init, name)(torch.empty(shape), **kwargs)
    with pytest.raises(ValueError, match=message):
        getattr(init, name)(torch.empty(shape), **kwargs)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_kaiming_warns_that_an_empty_tensor_stays_empty(name):
    with pytest.warns(UserWarning, match="empty"):
        assert getattr(init, name)(torch.empty(0, 4)).shape == (0, 4)


def test_trunc_normal_warns_of_bounds_far_from_the_mean():
    with pytest.warns(UserWarning, match="2 std"):
        init.trunc_normal_(torch.empty(3), a=4.0, b=5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        init.trunc_normal_(torch.empty(3))


@pytest.mark.parametrize(
    "name", ["kaiming_uniform_", "trunc_normal_", "orthogonal_"]
)
def test_a_tensor_on_the_meta_device_stays_there(name):
    tensor = torch.empty(4, 3, device="meta")
    assert getattr(init, name)(tensor) is tensor


functions = [
    name
    for name in vars(torch.nn.init)
    if name.endswith("_") and not name.startswith("_")
]


@pytest.mark.parametrize("name", [*functions, "calculate_gain"])
def test_signatures_are_torchs(name):
    ours, theirs = (
        {
            parameter.name: parameter.default
            for parameter in inspect.signature(
                getattr(module, name)
            ).parameters.values()
        }
        for module in (init, torch.nn.init)
    )
    assert ours == theirs
