import pytest
import torch

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples


@pytest.mark.earns("torch.nn.Linear")
@pytest.mark.parametrize(
    "sample",
    [s for d in (torch.float32, torch.float64) for s in samples("Linear", d)],
)
def test_linear_equals_torch_on_its_own_samples(sample):
    assert_same_module(nn.Linear, torch.nn.Linear, sample)


@pytest.mark.parametrize(
    "input",
    [
        torch.randn(0, 3),
        torch.randn(2, 5, 4, 3),
        torch.randn(3, 7).T,
        torch.randn(6, 6)[::2, ::2],
        torch.randn(1, 3).expand(8, 3),
    ],
    ids=["empty batch", "4-d", "transposed", "strided", "expanded"],
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_linear_takes_any_layout_and_dtype(input, bias, dtype):
    layer = nn.Linear(3, 2, bias=bias, dtype=dtype)
    judge = torch.nn.Linear(3, 2, bias=bias, dtype=dtype)
    judge.load_state_dict(layer.state_dict())
    tolerance = 1e-12 if dtype == torch.float64 else 2e-2
    torch.testing.assert_close(
        layer(input.to(dtype)),
        judge(input.to(dtype)),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("shape", [(4, 2), (2,), (5, 4, 4), ()])
def test_a_wrong_width_shows_both_shapes(shape):
    with pytest.raises(RuntimeError) as error:
        nn.Linear(3, 2)(torch.ones(shape))
    assert str(shape) in str(error.value) and "(2, 3)" in str(error.value)


def test_linear_takes_torchs_keywords():
    layer = nn.Linear(
        in_features=3,
        out_features=2,
        bias=False,
        device="meta",
        dtype=torch.float16,
    )
    assert layer.weight.is_meta and layer.weight.dtype == torch.float16
    assert layer.bias is None
    assert nn.Linear(1, 1)(input=torch.ones(1)).shape == (1,)


def test_linear_prints_as_torchs():
    for bias in (True, False):
        ours, theirs = nn.Linear(3, 2, bias), torch.nn.Linear(3, 2, bias)
        assert repr(ours) == repr(theirs)


def test_reset_parameters_draws_what_torch_draws():
    ours, theirs = nn.Linear(30, 20), torch.nn.Linear(30, 20)
    for layer in (ours, theirs):
        torch.manual_seed(7)
        layer.reset_parameters()
    torch.testing.assert_close(
        ours.state_dict(), dict(theirs.state_dict()), rtol=0, atol=0
    )


def test_a_layer_without_inputs_is_its_bias():
    with pytest.warns(UserWarning, match="nothing to fill"):
        layer = nn.Linear(0, 2)
    assert torch.equal(layer(torch.ones(3, 0)), torch.zeros(3, 2))
