"""What makes training harder, and leaves validation as it is."""

import ast
import hashlib
import json
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from _config.chapters.files import BOOK
from groundup.data.augment import random_crop, random_flip
from groundup.data.tensor_loader import TensorLoader
from groundup.nn.container import Sequential
from groundup.nn.flatten import Flatten
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.linear import Linear
from groundup.optim.sgd import SGD
from groundup.training.callback import Callback
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy
from groundup.training.regularize import (
    Augment,
    CutMix,
    MixUp,
    cutmix,
    mixup,
    shares,
)
from tests.training.small_run import assert_resumes_exactly

MIXES = [mixup, cutmix]
mixes = pytest.mark.parametrize("mix", MIXES)
N, K = 12, 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(seed: int = 0, n: int = N):
    images = torch.rand(n, 2, 6, 5, generator=seeded(seed))
    labels = torch.randint(K, (n,), generator=seeded(seed))
    return images, labels


class Watch(Callback):
    """Keeps what reached the model, and a hash of it."""

    order = 100

    def __init__(self):
        self.seen = {True: [], False: []}

    def after_predict(self, run):
        data = run.input.numpy().tobytes(), run.target.numpy().tobytes()
        key = hashlib.sha256(b"".join(data)).hexdigest()
        self.seen[run.training].append((key, run.input, run.target))

    def hashes(self, training: bool) -> list[str]:
        return [key for key, *_ in self.seen[training]]


def learner(*callbacks, n_epochs: int = 2):
    torch.manual_seed(0)
    images, labels = drawn()
    watch = Watch()
    learn = Learner(
        Sequential(Flatten(), Linear(60, K)),
        TensorLoader(images, labels, batch_size=N),
        TensorLoader(*drawn(9), batch_size=N),
        optim=SGD,
        lr=0.1,
        metrics=[Accuracy()],
        defaults=[*callbacks, watch],
    )
    learn.fit(n_epochs)
    return learn, watch


CALLBACKS = {
    "augment": lambda: Augment(partial(random_crop, padding=2), random_flip),
    "mixup": lambda: MixUp(num_classes=K),
    "cutmix": lambda: CutMix(num_classes=K),
}
callbacks = pytest.mark.parametrize("name", CALLBACKS)


@callbacks
def test_validation_is_never_changed_and_training_is(name):
    """The hash of the first validation batch is that of the data."""
    _, plain = learner()
    _, watch = learner(CALLBACKS[name]())
    assert watch.hashes(False) == plain.hashes(False)
    assert len(set(watch.hashes(True))) == 2
    assert not set(watch.hashes(True)) & set(plain.hashes(True))


@callbacks
def test_predictions_are_of_the_images_as_they_are(name):
    learn, _ = learner(CALLBACKS[name]())
    loader = TensorLoader(*drawn(9), batch_size=N)
    expected = learn.model.eval()(drawn(9)[0])
    assert torch.equal(learn.predict(loader), expected)


def test_transforms_follow_each_other_and_labels_stay():
    double = lambda images, generator: 2 * images
    less = lambda images, generator: images - 1
    _, watch = learner(Augment(double, less))
    images, labels = drawn()
    _, input, target = watch.seen[True][0]
    assert torch.equal(input, 2 * images - 1)
    assert torch.equal(target, labels)


@callbacks
@pytest.mark.parametrize("seed", [None, 3])
def test_a_killed_run_goes_on_with_the_same_draws(name, seed, tmp_path):
    made = {
        "augment": lambda: Augment(noisy, seed=seed),
        "mixup": lambda: MixUp(num_classes=3, seed=seed),
        "cutmix": lambda: FlatCutMix(num_classes=3, seed=seed),
    }
    assert_resumes_exactly(made[name], tmp_path)


def noisy(rows, generator):
    return rows + torch.randn(rows.shape, generator=generator)


class FlatCutMix(CutMix):
    """For rows in place of images."""

    @staticmethod
    def mix(input, target, **options):
        rows, target = cutmix(input[:, None, :, None], target, **options)
        return rows[:, 0, :, 0], target


def test_a_seed_makes_the_draws_their_own():
    def hashes(seed):
        return learner(Augment(random_flip, seed=seed))[1].hashes(True)

    assert hashes(1) == hashes(1) != hashes(2)


@given(
    seed=st.integers(0, 99),
    alpha=st.floats(0.1, 5),
    smoothing=st.floats(0, 1),
    n=st.integers(1, 8),
)
def test_two_weighted_losses_are_the_loss_of_weighted_targets(
    seed, alpha, smoothing, n
):
    """λ CE(a) + (1 - λ) CE(b) = CE(λ a + (1 - λ) b)."""
    scores = torch.randn(n, K, generator=seeded(seed)).double()
    a, b = torch.randint(K, (2, n), generator=seeded(seed))
    share = shares(n, alpha, seeded(seed)).double()
    one_hot = torch.eye(K).double()
    soft = share[:, None] * one_hot[a] + (1 - share[:, None]) * one_hot[b]
    options = {"reduction": "none", "label_smoothing": smoothing}
    first, second = (cross_entropy(scores, y, **options) for y in (a, b))
    both = (share * first + (1 - share) * second).mean()
    loss = cross_entropy(scores, soft, label_smoothing=smoothing)
    assert_close(loss, both)


@mixes
@given(seed=st.integers(0, 99), alpha=st.floats(0.1, 5), n=st.integers(1, 9))
def test_targets_say_what_is_in_the_image(mix, seed, alpha, n):
    """Image i is all i: the mixed one's mean is the targets'."""
    values = torch.arange(n, dtype=torch.float64)
    images = values.view(n, 1, 1, 1).expand(n, 2, 6, 5)
    targets = torch.eye(n).double()
    mixed, soft = mix(images, targets, alpha, generator=seeded(seed))
    assert_close(soft.sum(1), torch.ones(n).double())
    assert_close(mixed.mean((1, 2, 3)), soft @ values)
    if mix is mixup:
        assert_close(mixed, mixed[:, :1, :1, :1].expand_as(mixed))
    else:
        assert (mixed[:, :1] == mixed).all()
        assert all(len(image.unique()) <= 2 for image in mixed)


@mixes
def test_each_image_has_a_share_of_its_own(mix):
    images, labels = torch.rand(500, 1, 16, 16), torch.arange(500)
    _, soft = mix(images, torch.eye(500)[labels], generator=seeded(0))
    assert len(soft.diagonal().unique()) > 30


@mixes
def test_generators_decide_alone_and_inputs_stay(mix):
    images, labels = drawn()
    targets = torch.eye(K)[labels]
    before = images.clone(), targets.clone(), torch.get_rng_state()
    one, same = (mix(images, targets, generator=seeded(1)) for _ in "12")
    assert all(map(torch.equal, one, same))
    after = images, targets, torch.get_rng_state()
    assert all(map(torch.equal, before, after))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_their_distribution(alpha):
    drawn = shares(20_000, alpha, seeded(0))
    judge = torch.distributions.Beta(alpha, alpha)
    assert_close(drawn.mean(), judge.mean, atol=0.01, rtol=0)
    assert_close(drawn.var(), judge.variance, atol=0.003, rtol=0)
    quarter = judge.sample((20_000,)).quantile(0.25)
    assert_close(drawn.quantile(0.25), quarter, atol=0.02, rtol=0)


@mixes
@pytest.mark.parametrize(
    ("targets", "alpha", "told"),
    [
        (torch.zeros(N, dtype=torch.int64), 1.0, r"int64 of \(12,\)"),
        (torch.zeros(N - 1, K), 1.0, "12 images and 11 targets"),
        (torch.zeros(N, K), 0.0, "0.0"),
    ],
)
def test_what_cannot_be_mixed_is_refused(mix, targets, alpha, told):
    with pytest.raises(ValueError, match=told):
        mix(drawn()[0], targets, alpha)


def test_mixed_targets_train_and_labels_validate():
    learn, watch = learner(MixUp(num_classes=K))
    assert watch.seen[True][0][2].shape == (N, K)
    assert watch.seen[False][0][2].shape == (N,)
    assert 0 <= learn.results["accuracy"] <= 1


def test_mixing_comes_after_augmentation():
    augment, mix = Augment(random_flip), MixUp(num_classes=K)
    learn, _ = learner(mix, augment)
    learn.fit(1)
    kinds = [type(each) for each in learn.active]
    assert kinds.index(Augment) < kinds.index(MixUp)


def test_what_was_found_in_the_chapter_is_what_its_record_holds():
    (path,) = BOOK.glob("4_convnets/*_remedies.py")
    kept = json.loads(path.with_suffix(".remedies.json").read_text())
    (found,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == "FOUND"
    )
    measured = {
        name: tuple(
            round(100 * kept[part][f"{name} - plain"], 1)
            for part in ("mean", "deviation")
        )
        for name in found
    }
    assert found == measured
