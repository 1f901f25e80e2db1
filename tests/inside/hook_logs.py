"""Comparing what two sets of hooks have seen."""

import torch

from groundup import nn
from groundup.testing import assert_close, assert_equal


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def is_clean(net):
    return not any(m._hooks or m._pre_hooks for m in net.modules())


def assert_same_log(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, real in zip(ours, theirs, strict=True):
        assert len(mine) == len(real)
        for a, b in zip(mine, real, strict=True):
            if isinstance(a, torch.Tensor) and a.is_floating_point():
                assert_close(a, b, rtol=1e-12, atol=1e-12)
            else:
                assert_equal(a, b)
