"""groundup.data.alternating: each image mirrored in every second epoch."""

import ast
import itertools
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data import (
    AlternatingFlipLoader,
    TensorLoader,
    alternating_flip,
    flip_where,
)
from groundup.data.collate import to_device
from groundup.nn import Flatten, Linear, Sequential
from groundup.optim import SGD
from groundup.training import Learner
from tests.data.nested import assert_same


def marked(n: int) -> torch.Tensor:
    """Images that can be told from each other and from their mirrors."""
    index = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1)
    return torch.cat([index + 1, -index - 1], 3)


def table_of(loader, n_epochs: int) -> torch.Tensor:
    """Whether each image is mirrored, by epoch: (n_epochs, n)."""
    table = torch.zeros(n_epochs, len(loader.dataset), dtype=torch.int64)
    for epoch in range(n_epochs):
        for images, index in loader:
            side = images[:, 0, 0, 0] / (index + 1)
            assert set(side.tolist()) <= {1.0, -1.0}, "an index left its image"
            table[epoch, index] = (side < 0).long() + 1
    assert (table > 0).all(), "an image was not seen"
    return table == 2


@settings(max_examples=25)
@given(
    n=st.integers(1, 70),
    batch_size=st.integers(1, 20),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_each_image_is_mirrored_once_in_any_two_epochs(
    n, batch_size, shuffle, seed
):
    loader = AlternatingFlipLoader(
        marked(n),
        torch.arange(n),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
    )
    table = table_of(loader, 5)
    assert (table[:-1] ^ table[1:]).all()


@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    epoch=st.integers(0, 9),
    dtype=st.sampled_from([torch.uint8, torch.float16, torch.float32]),
)
def test_an_epoch_mirrors_what_it_should_and_leaves_the_rest(
    shape, epoch, dtype
):
    images = torch.randint(0, 100, shape).to(dtype)
    first = torch.rand(shape[0]) < 0.5
    found = alternating_flip(images, first, epoch)
    assert found.dtype == dtype and found.shape == images.shape
    for image, flipped, out in zip(images, first.tolist(), found):
        mirrored = flipped if epoch % 2 == 0 else not flipped
        assert torch.equal(out, image.flip(-1) if mirrored else image)


def test_the_coins_are_fair_and_each_seed_has_its_own():
    n = 20_000
    tables = [
        table_of(
            AlternatingFlipLoader(
                marked(n), torch.arange(n), batch_size=5000, seed=seed
            ),
            1,
        )[0].float()
        for seed in (0, 0, 1)
    ]
    assert torch.equal(tables[0], tables[1])
    assert all(abs(each.mean().item() - 0.5) < 0.015 for each in tables)
    assert abs((tables[0] == tables[2]).float().mean().item() - 0.5) < 0.015


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_those_of_the_plain_loader_but_for_the_sides(shuffle):
    n = 23
    others = torch.rand(n, 2), torch.arange(n)
    found = []
    for kind in (AlternatingFlipLoader, TensorLoader):
        loader = kind(
            marked(n),
            *others,
            batch_size=4,
            shuffle=shuffle,
            drop_last=True,
            generator=torch.Generator().manual_seed(3),
        )
        batches = [*loader, *loader]
        assert len(batches) == 2 * len(loader) == 10
        found.append([[b[0].abs().amax(3), *b[1:]] for b in batches])
    assert_same(*found)


@pytest.mark.parametrize("seen", [0, 1, 3, 5])
@pytest.mark.parametrize("epochs", [0, 1])
def test_a_resumed_epoch_has_the_side_that_it_was_at(seen, epochs):
    def make():
        generator = torch.Generator().manual_seed(5)
        options = {"batch_size": 4, "shuffle": True, "generator": generator}
        return AlternatingFlipLoader(marked(19), torch.arange(19), **options)

    loader = make()
    for _ in range(epochs):
        list(loader)
    batches = iter(loader)
    list(itertools.islice(batches, seen))
    state = json.dumps(loader.state_dict())
    expected = [*batches, *loader]

    resumed = make()
    resumed.load_state_dict(json.loads(state))
    assert_same([*resumed, *resumed], expected)


def test_an_epoch_that_was_left_counts():
    loader = AlternatingFlipLoader(marked(8), torch.arange(8), batch_size=4)
    early = next(iter(loader))
    again = next(iter(loader))
    assert torch.equal(early[0], again[0].flip(-1))


def test_a_plain_loaders_state_is_refused():
    plain = TensorLoader(marked(8), batch_size=4)
    loader = AlternatingFlipLoader(marked(8), batch_size=4)
    with pytest.raises(ValueError, match="epoch"):
        loader.load_state_dict(plain.state_dict())


def test_a_learner_trains_on_both_sides():
    seen = []

    class Watched(Learner):
        def unpack(self, batch):
            images, index = batch
            seen.append((images[:, 0, 0, 0] < 0, index))
            return images, index % 2

    n = 12
    loader = AlternatingFlipLoader(
        marked(n), torch.arange(n), batch_size=5, shuffle=True
    )
    model = Sequential(Flatten(), Linear(2, 2))
    learn = Watched(model, loader, optim=SGD, lr=0.0, defaults=())
    learn.fit(1)
    learn.fit(3)
    table = torch.zeros(4, n, dtype=torch.bool)
    for i, (flipped, index) in enumerate(seen):
        table[i // 3, index] = flipped
    assert (table[:-1] ^ table[1:]).all()


def test_it_works_where_the_images_are():
    loader = AlternatingFlipLoader(
        torch.empty(4, 1, 2, 2, device="meta"), batch_size=2
    )
    (batch,) = next(iter(loader))
    assert batch.is_meta and to_device(batch, "meta").shape == (2, 1, 2, 2)


@pytest.mark.parametrize(
    "images, flipped",
    [
        (torch.rand(3, 1, 2, 2), torch.tensor([True, False])),
        (torch.rand(3, 1, 2, 2), torch.tensor([1, 0, 1])),
        (torch.rand(3, 1, 2, 2), torch.tensor([[True], [False], [True]])),
        (torch.rand(3), torch.tensor([True, False, True])),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(images, flipped):
    with pytest.raises(ValueError) as caught:
        flip_where(images, flipped)
    for shape in (images.shape, flipped.shape):
        assert str((*shape,)) in str(caught.value)


def test_the_chapter_reasons_from_what_its_records_hold():
    home = Path(__file__).parents[2] / "book" / "4_convnets"
    tree = ast.parse((home / "7_paper.py").read_text("utf-8"))
    held = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("RANDOM", "ALTERNATING", "PILOT", "BEST")
    }
    flips, pilot = (
        json.loads((home / f"7_paper.{name}.json").read_text("utf-8"))
        for name in ("flips", "pilot")
    )
    for name in ("RANDOM", "ALTERNATING"):
        kept = [run[name.lower()] for run in flips["values"].values()]
        assert [round(200 * percent) for percent in kept] == [*held[name]]
    best = held["BEST"]
    for kind, lr in best.items():
        means = {r: pilot["mean"][f"{kind} {r}"] for r in (0.01, 0.03, 0.1)}
        assert max(means, key=means.get) == lr, kind
    gaps = [
        run[f"alternating {best['alternating']}"]
        - run[f"random {best['random']}"]
        for run in pilot["values"].values()
    ]
    assert [round(gap, 3) for gap in gaps] == [*held["PILOT"]]
    assert len(flips["values"]) == flips["seeds"]
