"""Alpha dropout as functions: torch's bits, over its own samples."""

import pytest
import torch
import torch.nn.functional as F

from groundup.nn import functional
from tests.nn.functional.test_dropping import check

NAMES = ["alpha_dropout", "feature_alpha_dropout"]


@pytest.mark.earns("torch.nn.functional.alpha_dropout")
def test_alpha_dropout_is_torchs_on_its_samples():
    check("alpha_dropout", 19)


@pytest.mark.earns("torch.nn.functional.feature_alpha_dropout")
def test_feature_alpha_dropout_is_torchs_on_its_samples():
    check("feature_alpha_dropout", 7, "with_train")
    check("feature_alpha_dropout", 10, "without_train")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_in_place_the_input_itself_changes(name, p):
    x, found = torch.randn(4, 3, 2), []
    for home in (functional, F):
        torch.manual_seed(1)
        given = x.clone()
        y = getattr(home, name)(given, p, True, True)
        assert y.data_ptr() == given.data_ptr()
        found.append(given)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_chance_is_refused(name):
    for home in (functional, F):
        for training in (True, False):
            with pytest.raises(ValueError, match="-0.5"):
                getattr(home, name)(torch.ones(2, 2), -0.5, training)


@pytest.mark.parametrize("name", NAMES)
def test_mean_and_variance_stay(name):
    torch.manual_seed(0)
    x = torch.randn(2000, 50)
    y = getattr(functional, name)(x, 0.4, training=True)
    assert abs(y.mean().item()) < 0.02 and abs(y.var().item() - 1) < 0.03
