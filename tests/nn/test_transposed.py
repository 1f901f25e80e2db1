"""Transposed layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples_of

NAMES = "ConvTranspose1d", "ConvTranspose2d"


@pytest.mark.earns("torch.nn.ConvTranspose1d", "torch.nn.ConvTranspose2d")
@pytest.mark.parametrize("name, sample", samples_of(*NAMES))
def test_transposed_layers_equal_torch_on_its_own_samples(name, sample):
    assert_same_module(getattr(nn, name), getattr(torch.nn, name), sample)


OPTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": 3, "output_padding": 1, "groups": 2, "bias": False},
    {"stride": 2, "dilation": 3, "output_padding": 2},
    {"stride": 2, "output_padding": 1},
    {"output_padding": 1, "stride": 2, "bias": False},
]


@pytest.mark.parametrize("n_axes", [1, 2])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_layer_prints_starts_and_calculates_as_torchs(n_axes, options):
    name, layers = NAMES[n_axes - 1], []
    for kinds in (nn, torch.nn):
        torch.manual_seed(3)
        layers.append(getattr(kinds, name)(4, 6, 3, **options))
    ours, theirs = layers
    assert repr(ours) == repr(theirs)
    assert_close(ours.state_dict(), dict(theirs.state_dict()), rtol=0, atol=0)
    theirs.load_state_dict(ours.state_dict())
    for shape in ((2, 4, *(5, 4)[:n_axes]), (4, *(5, 4)[:n_axes])):
        x = torch.randn(shape)
        assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("size", range(6, 12))
def test_the_size_of_the_output_may_be_named(size):
    options = {"stride": 2, "padding": 1}
    ours = nn.ConvTranspose2d(2, 3, 3, **options)
    theirs = torch.nn.ConvTranspose2d(2, 3, 3, **options)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 2, 5, 5)
    for wanted in ((size, size), (1, 3, size, size)):
        try:
            expected = theirs(x, output_size=wanted)
        except ValueError:
            with pytest.raises(ValueError, match=r"from \[9, 9\] to \[10, 10"):
                ours(x, output_size=wanted)
        else:
            assert_close(ours(x, output_size=wanted), expected)
    with pytest.raises(ValueError, match=r"\(1, 2, 5, 5\)"):
        ours(x, output_size=(9, 9, 9))


@pytest.mark.parametrize(
    "options",
    [{"groups": 3}, {"padding_mode": "reflect"}, {"padding_mode": "mirror"}],
    ids=str,
)
def test_what_cannot_work_is_refused_when_made(options):
    for kind in (torch.nn.ConvTranspose2d, nn.ConvTranspose2d):
        with pytest.raises(ValueError):
            kind(4, 3, 3, **options)
