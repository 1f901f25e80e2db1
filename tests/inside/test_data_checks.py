import math

import pytest
import torch

from groundup.inside.data_checks import (
    check_labels,
    check_leak,
    check_overlap,
    check_scale,
    check_shuffled,
)

seeds = pytest.mark.parametrize("seed", range(5))


def blobs(seed, n=600, n_classes=4):
    """Classes around points of their own: (n, 8), (n,)"""
    torch.manual_seed(seed)
    y = torch.randint(n_classes, (n,))
    return torch.randn(n_classes, 8)[y] + torch.randn(n, 8), y


@seeds
@pytest.mark.parametrize("size", [16, 50, 600])
def test_shuffled_batches_pass_and_sorted_ones_do_not(seed, size):
    _, y = blobs(seed)
    assert check_shuffled(y.split(size)) is None
    if size < 600:
        found = check_shuffled(y.sort().values.split(size))
        assert "unevenly spread" in found
        degrees = (math.ceil(600 / size) - 1) * 3
        assert found.endswith(f"about {degrees}")


@seeds
def test_batches_may_be_uneven_and_classes_rare_or_absent(seed):
    torch.manual_seed(seed)
    y = torch.tensor([0, 2, 5]).repeat_interleave(torch.tensor([400, 50, 9]))
    shuffled = y[torch.randperm(len(y))]
    assert check_shuffled(shuffled.split(37)) is None
    assert check_shuffled(y.split(37)) is not None


@seeds
@pytest.mark.parametrize("shape", [(8,), (2, 4)])
def test_labels_that_were_shuffled_are_found(seed, shape):
    x, y = blobs(seed)
    x = x.view(-1, *shape)
    assert check_labels(x, y) is None
    found = check_labels(x, y[torch.randperm(len(y))])
    assert "do labels belong to inputs?" in found


@seeds
def test_labels_are_judged_in_any_order_and_in_bytes(seed):
    x, y = blobs(seed)
    order = y.argsort()
    pixels = (x * 20 + 128).clamp(0, 255).byte()
    assert check_labels(pixels[order], y[order]) is None


def own(x, valid):
    return (x - x.mean(0)) / x.std(0), (valid - x.mean(0)) / x.std(0)


def joint(x, valid):
    both = torch.cat([x, valid])
    return x - both.mean(0), valid - both.mean(0)


def separate(x, valid):
    return x - x.mean(0), valid - valid.mean(0)


def by_validation(x, valid):
    """A leak that is no statistic: a feature chosen by the validation set."""
    return x[:, valid.var(0).argsort()], valid[:, valid.var(0).argsort()]


@seeds
@pytest.mark.parametrize(
    "prepare, leaks",
    [(own, False), (joint, True), (separate, True), (by_validation, True)],
)
def test_every_way_to_see_the_validation_set_is_a_leak(seed, prepare, leaks):
    x, _ = blobs(seed)
    x[:, 3] *= 5
    found = check_leak(prepare, x[:400], x[400:])
    assert (found is not None) == leaks


@seeds
def test_rows_in_both_sets_are_counted(seed):
    x, _ = blobs(seed)
    assert check_overlap(x[:400], x[400:]) is None
    assert "200 of 200" in check_overlap(x[:400], x[:200])
    assert "20 of 200" in check_overlap(x[:400], x[380:580])
    assert check_overlap(x[:400], x[380:580], allowed=0.1) is None


@seeds
@pytest.mark.parametrize("change", [lambda v: v / 255, lambda v: v + 1])
def test_another_scale_is_found(seed, change):
    x, _ = blobs(seed)
    assert check_scale(x[:400], x[400:]) is None
    assert "±" in check_scale(x[:400], change(x[400:]))


def test_inputs_of_one_value_have_a_scale_too():
    ones = torch.ones(5, 3)
    assert check_scale(ones, ones) is None
    assert check_scale(ones, 2 * ones) is not None


@seeds
@pytest.mark.parametrize("shuffled", [False, True])
def test_labels_are_judged_where_means_do_not_differ(seed, shuffled):
    torch.manual_seed(seed)
    y = torch.randint(2, (400,))
    angle = 2 * math.pi * torch.rand(400)
    ring = torch.stack([angle.cos(), angle.sin()], 1) * (1 + y)[:, None]
    y = y[torch.randperm(400)] if shuffled else y
    assert (check_labels(ring, y) is not None) == shuffled


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shuffled", [False, True])
def test_labels_are_judged_where_a_class_is_rare(seed, shuffled):
    torch.manual_seed(seed)
    y = (torch.rand(600) < 0.05).long()
    x = torch.randn(600, 8) + 2 * y[:, None]
    y = y[torch.randperm(600)] if shuffled else y
    assert (check_labels(x, y) is not None) == shuffled


@seeds
def test_rows_that_repeat_by_nature_are_no_overlap(seed):
    torch.manual_seed(seed)
    bits = torch.randint(2, (600, 4))
    assert check_overlap(bits[:400], bits[400:]) is None


@seeds
@pytest.mark.parametrize("n", [4, 8, 16])
def test_a_small_set_may_lie_further_off(seed, n):
    torch.manual_seed(seed)
    x = torch.randn(200, 1)
    assert check_scale(x[n:], x[:n]) is None
    assert check_scale(x[n:], x[:n] + 20) is not None
