import math
from functools import partial

import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from groundup.nn.functional.loss import cross_entropy as ours
from groundup.testing import assert_close
from groundup.training import (
    F1,
    Accuracy,
    BinaryAccuracy,
    EpochMetric,
    Mean,
    Precision,
    Recall,
)
from groundup.training.metrics import (
    as_metric,
    by_name,
    counter,
    join,
    weighted_mean,
)

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


BY_CLASS = {
    Precision: sklearn.metrics.precision_score,
    Recall: sklearn.metrics.recall_score,
    F1: sklearn.metrics.f1_score,
}


@settings(deadline=None)
@given(sizes, st.integers(2, 5), st.booleans(), st.integers(0, 99))
def test_metrics_are_those_of_scikit_learn(sizes, k, ignore, seed):
    generator = torch.Generator().manual_seed(seed)
    n = sum(sizes)
    scores = torch.randn(n, k, generator=generator)
    labels = torch.randint(0, k, (n,), generator=generator)
    kept = torch.ones(n, dtype=torch.bool)
    if ignore:
        kept = torch.rand(n, generator=generator) < 0.7
        kept[0] = True
    told = labels.where(kept, -100)
    right, said = labels[kept], scores.argmax(1)[kept]
    expected = sklearn.metrics.accuracy_score(right, said)
    assert_close(see(Accuracy(), scores, told, sizes), expected)
    average = "binary" if k == 2 else "macro"
    for kind, theirs in BY_CLASS.items():
        metric = kind(k)
        found = see(metric, scores, told, sizes)
        expected = theirs(right, said, average=average, zero_division=0)
        assert_close(found, float(expected), rtol=1e-6, atol=1e-9)
        matrix = sklearn.metrics.confusion_matrix(right, said, labels=range(k))
        assert metric.matrix.tolist() == matrix.tolist()


@settings(deadline=None)
@given(sizes, st.sampled_from([(), (1,)]), st.booleans(), st.integers(0, 99))
def test_a_lone_score_says_yes_above_zero(sizes, column, floating, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(sum(sizes), generator=generator)
    labels = torch.randint(0, 2, scores.shape, generator=generator)
    expected = sklearn.metrics.accuracy_score(labels, scores > 0)
    labels = labels.float() if floating else labels
    shaped = scores.reshape(-1, *column)
    assert_close(see(Accuracy(), shaped, labels, sizes), expected)
    assert_close(see(BinaryAccuracy(), shaped, labels, sizes), expected)
    halves = BinaryAccuracy(threshold=0.5)
    assert_close(see(halves, shaped.sigmoid(), labels, sizes), expected)
    found = see(F1(2), shaped, labels, sizes)
    f1 = sklearn.metrics.f1_score(labels, scores > 0, zero_division=0)
    assert_close(found, float(f1), atol=1e-9)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [((3,), (3, 1)), ((3, 2), (3, 2)), ((3, 2), (2,)), ((), ())],
)
def test_shapes_that_do_not_fit_are_both_told(scores, labels):
    shapes = f"{(*scores,)} do not fit labels {(*labels,)}"
    with pytest.raises(ValueError) as told:
        Accuracy().update(torch.zeros(scores), torch.zeros(labels))
    assert shapes in str(told.value)


def test_several_yes_and_no_an_example_are_counted_each():
    metric = BinaryAccuracy()
    metric.update(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.ones(2, 2))
    assert metric.compute() == 0.75
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        metric.update(torch.ones(2, 3), torch.ones(3, 2))


losses = st.sampled_from([F.cross_entropy, ours, torch.nn.CrossEntropyLoss])


@settings(deadline=None)
@given(
    sizes, losses, st.sampled_from([-100, 1]), st.booleans(), st.integers(0, 9)
)
def test_a_loss_of_batches_is_the_loss_of_all(
    sizes, loss, ignored, weighted, seed
):
    generator = torch.Generator().manual_seed(seed)
    n = sum(sizes)
    scores = torch.randn(n, 3, 4, generator=generator)
    labels = torch.randint(0, 3, (n, 4), generator=generator)
    labels[torch.rand(n, 4, generator=generator) < 0.4] = ignored
    labels[0] = 0
    options = {"ignore_index": ignored}
    if weighted:
        options["weight"] = torch.rand(3, generator=generator) + 0.1
    isclass = isinstance(loss, type)
    function = loss(**options) if isclass else partial(loss, **options)
    count, metric = counter(function), Mean(function, "loss")
    for a, b in zip(scores.split(sizes), labels.split(sizes)):
        metric.add(function(a, b), count(b))
    expected = function(scores, labels).item()
    assert_close(metric.compute(), expected, rtol=1e-5)


def test_what_is_no_label_is_counted_by_elements_or_rows():
    x = torch.ones(3, 4)
    assert counter(F.mse_loss)(x) == 12
    assert counter(F.cross_entropy)(x) == 12  # probabilities
    assert counter(len)({"a": x, "b": 1}) == 3 == counter(len)((x, x))
    assert counter(len)(None) == 1


def test_a_weight_that_moves_is_asked_for_when_it_counts():
    loss = torch.nn.CrossEntropyLoss(torch.ones(2))
    count = counter(loss)
    loss.weight = torch.tensor([1.0, 5.0])
    assert count(torch.tensor([0, 1, 1])).item() == 11


def test_a_function_may_say_how_much_it_counts():
    metric = Mean(lambda a, b: (a.sum() / 2, 2), "half")
    metric.update(torch.ones(4), torch.ones(4))
    metric.update(torch.zeros(4), torch.zeros(4))
    assert metric.compute() == 1.0


def test_a_batch_that_counts_nothing_says_nothing():
    none = torch.full((3,), -100)
    metric = Accuracy()
    metric.update(torch.eye(3), none)
    assert math.isnan(metric.compute())
    metric.update(torch.eye(3), torch.arange(3))
    assert metric.compute() == 1.0


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(ValueError, match="name of its own.*accuracy.*accuracy"):
        by_name([Accuracy(), BinaryAccuracy()])
    assert list(by_name([Accuracy(), Accuracy("top")])) == ["accuracy", "top"]


def test_batches_are_joined_however_they_are_nested():
    x = torch.arange(4).view(2, 2)
    parts = [{"a": x, "b": (x, x)}] * 3
    joined = join(parts)
    assert joined["a"].shape == joined["b"][1].shape == (6, 2)
    with pytest.raises(TypeError, match="cannot join batches of NoneType"):
        join([None])
