import pytest
import torch
from torch.optim._muon import _zeropower_via_newtonschulz

from groundup.optim import Muon, muon
from groundup.optim.muon import (
    add_product,
    multiplies_bfloat16,
    newton_schulz,
)
from tests.optim.torch_samples import (
    assert_same_trajectory,
    bad_inputs,
    samples,
)


@pytest.mark.earns("torch.optim.Muon")
@pytest.mark.parametrize("options, dtype", samples("Muon"))
def test_muon_takes_torchs_path(options, dtype):
    assert_same_trajectory(Muon, torch.optim.Muon, options, dtype, True)


@pytest.mark.parametrize("rule", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_takes_torchs_path_with_its_other_options(rule, nesterov):
    options = {"adjust_lr_fn": rule, "nesterov": nesterov, "eps": 1e-3}
    dtype = torch.float32
    assert_same_trajectory(Muon, torch.optim.Muon, options, dtype, True)


@pytest.mark.parametrize("error", bad_inputs("Muon"))
def test_muon_refuses_what_torch_refuses(error, refuses):
    refuses(Muon, error)


def test_muon_refuses_complex_matrices():
    param = torch.ones(2, 2, dtype=torch.complex64).requires_grad_()
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match="does not support complex"):
        Muon([param]).step()


@pytest.mark.parametrize("shape", [(8, 8), (3, 17), (17, 3), (1, 5), (5, 1)])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_newton_schulz_equals_torchs(shape, steps):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    coefficients = 3.4445, -4.7750, 2.0315
    expected = _zeropower_via_newtonschulz(matrix, coefficients, steps, 1e-7)
    actual = newton_schulz(matrix, coefficients, steps, 1e-7)
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-3)


def test_singular_values_go_near_one_and_directions_stay():
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(20, 10), full_matrices=False)
    matrix = u * torch.logspace(-1.5, 0, 10) @ v
    found = u.T @ newton_schulz(matrix).float() @ v.T
    values = found.diagonal()
    assert values.min() > 0.6 and values.max() < 1.3
    assert (found - values.diag()).abs().max() < 0.1


def test_a_matrix_of_zeros_stays():
    assert newton_schulz(torch.zeros(3, 4)).eq(0).all()


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        newton_schulz(torch.zeros(2, 3, 4))


@pytest.mark.earns("torch.addmm")
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 4, 5), (16, 2, 7), (2, 0, 3)])
@pytest.mark.parametrize("beta, alpha", [(1, 1), (3.4, -4.7), (0.5, 0)])
def test_add_product_equals_addmm(dtype, sizes, beta, alpha):
    torch.manual_seed(0)
    n, k, m = sizes
    given = torch.randn(n, m), torch.randn(n, k), torch.randn(k, m)
    given = [x.to(dtype) for x in given]
    expected = torch.addmm(*given, beta=beta, alpha=alpha)
    torch.testing.assert_close(
        add_product(*given, beta=beta, alpha=alpha), expected
    )


def test_both_ways_to_multiply_give_the_same_directions(monkeypatch):
    torch.manual_seed(0)
    matrix, found = torch.randn(24, 40), []
    for fast in (True, False):
        monkeypatch.setattr(muon, "multiplies_bfloat16", lambda kind, f=fast: f)
        found.append(newton_schulz(matrix))
    torch.testing.assert_close(*found, rtol=2e-2, atol=1e-3)


def test_only_known_units_are_asked_for_products_of_bfloat16(monkeypatch):
    assert multiplies_bfloat16("cuda") and not multiplies_bfloat16("meta")
    for known in ({"amx_bf16": True}, {"amx_bf16": False}, {}):
        ask = lambda known=known: known
        monkeypatch.setattr(torch.cpu, "get_capabilities", ask, raising=False)
        multiplies_bfloat16.cache_clear()
        assert multiplies_bfloat16("cpu") is bool(known.get("amx_bf16"))
    multiplies_bfloat16.cache_clear()
