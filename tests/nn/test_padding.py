"""Frames as layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close
from torch.testing._internal.common_modules import module_db

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples_of

NAMES = [
    f"{kind}Pad{n}d"
    for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular")
    for n in (1, 2)
]


@pytest.mark.earns(
    "torch.nn.ConstantPad1d",
    "torch.nn.ConstantPad2d",
    "torch.nn.ZeroPad1d",
    "torch.nn.ZeroPad2d",
    "torch.nn.ReflectionPad1d",
    "torch.nn.ReflectionPad2d",
    "torch.nn.ReplicationPad1d",
    "torch.nn.ReplicationPad2d",
    "torch.nn.CircularPad1d",
    "torch.nn.CircularPad2d",
)
@pytest.mark.parametrize("name, sample", samples_of(*NAMES))
def test_frames_equal_torch_on_its_own_samples(name, sample):
    assert_same_module(getattr(nn, name), getattr(torch.nn, name), sample)


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_prints_and_calculates_as_torchs(name):
    n_axes, value = int(name[-2]), (0.5,) if "Constant" in name else ()
    for padding in (2, (1, 2) * n_axes, [1, 0] * n_axes):
        layers = [getattr(k, name)(padding, *value) for k in (nn, torch.nn)]
        ours, theirs = layers
        assert repr(ours) == repr(theirs)
        for lead in ((), (2,)):
            x = torch.randn(*lead, 3, *(5, 4)[:n_axes])
            assert_close(ours(x), theirs(x))
        assert not list(ours.state_dict())


@pytest.mark.parametrize("name", ["CircularPad1d", "CircularPad2d"])
def test_what_torch_refuses_is_refused(name):
    (info,) = (i for i in module_db if i.module_cls.__name__ == name)
    errors = info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False,
        training=False,
    )  # fmt: skip
    assert errors
    for each in errors:
        made = each.module_error_input.constructor_input
        given = each.module_error_input.forward_input
        layer = getattr(nn, name)(*made.args, **made.kwargs)
        with pytest.raises(each.error_type, match="axes, got a shape"):
            layer(*given.args, **given.kwargs)
