import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from groundup.testing import assert_close
from groundup.training import Accuracy, EpochMetric, Mean
from groundup.training.metrics import as_metric, weighted_mean

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def see(metric, prediction, target, sizes):
    metric.reset()
    parts = prediction.split(sizes), target.split(sizes)
    for each in zip(*parts, strict=True):
        metric.update(*each)
    return metric.compute()


@settings(deadline=None)
@given(sizes)
def test_means_over_unequal_batches_are_means_over_examples(sizes):
    torch.manual_seed(sum(sizes))
    scores, labels = torch.randn(sum(sizes), 3), torch.arange(sum(sizes)) % 3
    expected = F.cross_entropy(scores, labels).item()
    assert_close(see(Mean(F.cross_entropy), scores, labels, sizes), expected)
    right = (scores.argmax(1) == labels).double().mean().item()
    assert_close(see(Accuracy(), scores, labels, sizes), right, rtol=1e-9)


def test_accuracy_counts_labels_along_further_axes():
    scores, labels = torch.randn(5, 3, 4, 2), torch.randint(3, (5, 4, 2))
    expected = (scores.argmax(1) == labels).double().mean().item()
    assert_close(see(Accuracy(), scores, labels, [2, 3]), expected)


def test_an_epoch_metric_sees_all_of_the_epoch_at_once():
    def correlation(a, b):
        return torch.corrcoef(torch.stack([a, b]))[0, 1]

    a = torch.arange(6.0)
    b = a + torch.tensor([0, 5, 0, -5, 0, 5])
    found = see(EpochMetric(correlation), a, b, [1, 3, 2])
    assert_close(found, correlation(a, b).item())


def test_nothing_seen_is_not_a_number():
    for metric in (Mean(F.mse_loss), Accuracy(), EpochMetric(F.mse_loss)):
        metric.reset()
        assert math.isnan(metric.compute())


def test_an_epoch_forgets_the_one_before():
    metric, one, zero = Accuracy(), torch.eye(2)[:1], torch.eye(2)[1:]
    label = torch.zeros(1, dtype=torch.int64)
    assert see(metric, one, label, [1]) == 1
    assert see(metric, zero, label, [1]) == 0


def test_no_precision_is_lost_over_many_batches():
    values = [torch.tensor(0.1)] * 100_000
    exact = torch.tensor(0.1).double().item()
    assert weighted_mean(values, [64] * 100_000) == pytest.approx(
        exact, rel=1e-12
    )


def test_metrics_hold_no_graph():
    metric = Mean(F.mse_loss)
    a = torch.ones(3, requires_grad=True)
    metric.update(a, torch.zeros(3))
    assert not metric.values[0].requires_grad


def test_a_function_becomes_a_mean_with_its_name():
    assert as_metric(F.mse_loss).name == "mse_loss"
    metric = Accuracy("top one")
    assert as_metric(metric) is metric and metric.name == "top one"
