"""groundup.scores, judged by torch and scikit-learn."""

import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing._internal.common_methods_invocations import op_db

from groundup.scores import (
    accuracy,
    confusion_matrix,
    mean_absolute_error,
    mean_squared_error,
)

PAIRS = [(mean_absolute_error, F.l1_loss), (mean_squared_error, F.mse_loss)]
DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def samples(theirs, dtype):
    """Torch's own samples that take the mean, which is the default."""
    (op,) = (op for op in op_db if op.name.endswith(f".{theirs.__name__}"))
    found = op.sample_inputs("cpu", dtype, requires_grad=True)
    means = [s for s in found if s.kwargs.get("reduction", "mean") == "mean"]
    assert len(means) >= 4
    return means


@pytest.mark.earns(
    "torch.nn.functional.l1_loss", "torch.nn.functional.mse_loss"
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_mean_error_matches_torch(ours, theirs, dtype):
    for sample in samples(theirs, dtype):
        inputs = sample.input, *sample.args
        torch.testing.assert_close(ours(*inputs), theirs(*inputs))


@pytest.mark.earns(
    "torch.nn.functional.l1_loss", "torch.nn.functional.mse_loss"
)
@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_gradients_of_mean_error_match_torch(ours, theirs):
    for sample in samples(theirs, torch.float64):
        inputs = sample.input, sample.args[0].detach().requires_grad_()
        for a, b in zip(
            torch.autograd.grad(ours(*inputs), inputs),
            torch.autograd.grad(theirs(*inputs), inputs),
            strict=True,
        ):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("ours, theirs", PAIRS)
@given(
    shape=st.lists(st.integers(1, 4), max_size=4),
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_mean_error_of_any_shape_matches_torch(
    ours, theirs, shape, seed, scale
):
    generator = torch.Generator().manual_seed(seed)
    input, target = scale * torch.randn(2, *shape, generator=generator)
    torch.testing.assert_close(ours(input, target), theirs(input, target))


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_mean_error_refuses_what_torch_warns_of(ours, theirs):
    column, row = torch.ones(3, 1), torch.ones(3)
    with pytest.warns(UserWarning, match="target size"):
        theirs(column, row)
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(3,\)"):
        ours(column, row)


def test_mean_squared_error_takes_no_root():
    assert mean_squared_error(torch.full((4,), 3.0), torch.zeros(4)) == 9


labels = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20
)


@given(labels)
def test_accuracy_matches_sklearn(pairs):
    predicted, target = torch.tensor(pairs).T
    expected = sklearn.metrics.accuracy_score(target, predicted)
    assert accuracy(predicted, target).item() == pytest.approx(expected)


@given(labels)
def test_confusion_matrix_matches_sklearn(pairs):
    predicted, target = torch.tensor(pairs).T
    expected = sklearn.metrics.confusion_matrix(
        target, predicted, labels=range(4)
    )
    counts = confusion_matrix(predicted, target, 4)
    assert counts.tolist() == expected.tolist()


def test_accuracy_of_truth_values():
    answer = torch.tensor([True, False, True, True])
    assert accuracy(answer, torch.tensor([True, True, True, True])) == 0.75


@pytest.mark.parametrize("metric", [accuracy, mean_absolute_error])
def test_a_column_is_no_row(metric):
    with pytest.raises(ValueError, match=r"\(4, 1\) and \(4,\)"):
        metric(torch.ones(4, 1), torch.ones(4))


@pytest.mark.parametrize("wrong", [-1, 3])
def test_confusion_matrix_refuses_labels_outside(wrong):
    good, bad = torch.tensor([0, 1]), torch.tensor([1, wrong])
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="n_classes is 3"):
            confusion_matrix(*pair, 3)
