"""Dropout of channels as functions: torch's bits."""

import pytest
import torch
import torch.nn.functional as F

from groundup.nn import functional
from tests.nn.functional.test_dropping import check


@pytest.mark.earns("torch.nn.functional.dropout2d")
def test_dropout2d_is_torchs_on_its_samples():
    check("dropout2d", 13)


@pytest.mark.earns("torch.nn.functional.dropout3d")
def test_dropout3d_is_torchs_on_its_samples():
    check("dropout3d", 13)


@pytest.mark.earns("torch.nn.functional.dropout1d")
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3), (0, 2, 2)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
def test_dropout1d_has_torchs_bits(shape, p, training, inplace):
    x, found = torch.randn(shape), []
    for home in (functional, F):
        torch.manual_seed(2)
        given = x.clone()
        y = home.dropout1d(given, p, training, inplace)
        found.append((y, given, torch.get_rng_state()))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape and torch.equal(one, other)


@pytest.mark.parametrize("name", ["dropout2d", "dropout3d"])
def test_in_place_the_input_itself_changes(name):
    x, found = torch.randn(4, 3, 2, 2, 2)[..., : 2 - (name == "dropout2d")], []
    x = x.squeeze(-1)
    for home in (functional, F):
        torch.manual_seed(1)
        given = x.clone()
        y = getattr(home, name)(given, 0.4, inplace=True)
        assert y.data_ptr() == given.data_ptr()
        found.append(given)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d"])
def test_what_is_no_chance_is_refused(name):
    shape = (2, 2, 2, 2)[: 3 if name == "dropout1d" else 4]
    for home in (functional, F):
        with pytest.raises(ValueError, match="2.0"):
            getattr(home, name)(torch.ones(shape), 2.0)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 2, 3, 4, 5)])
def test_where_torch_warns_of_a_shape_so_do_we(shape):
    for home in (functional, F):
        with pytest.warns(UserWarning):
            home.dropout2d(torch.ones(shape))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4)])
def test_a_shape_that_is_none_is_refused(shape):
    for home in (functional, F):
        with pytest.raises(RuntimeError):
            home.dropout1d(torch.ones(shape))
    with (
        pytest.warns(UserWarning),
        pytest.raises(RuntimeError, match=r"\(3,\)"),
    ):
        functional.dropout2d(torch.ones(3))
