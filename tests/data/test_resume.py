"""groundup.data.resume: random states, and loaders that go on in the middle."""

import itertools
import json
import random

import numpy as np
import pytest
import torch

from groundup.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorLoader,
    WeightedRandomSampler,
    random_state,
    set_random_state,
)
from tests.data.nested import assert_same


def draw():
    return [
        torch.rand(2),
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
    ]


class Noisy:
    """Items with random numbers of all three kinds."""

    def __len__(self):
        return 14

    def __getitem__(self, index):
        return index, torch.rand(1), random.random(), np.random.rand()


class NoisyStream(IterableDataset):
    def __iter__(self):
        return (Noisy()[i] for i in range(7))


def test_random_states_survive_json():
    draw()
    state = json.loads(json.dumps(random_state()))
    first = draw()
    set_random_state(state)
    assert_same(draw(), first)


def check_resumes(make, seen: int, before: int = 0) -> None:
    """Leave an epoch after `seen` batches; another loader must go on alike."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    loader = make()
    for _ in range(before):
        list(loader)
    batches = iter(loader)
    list(itertools.islice(batches, seen))
    draw()  # the model's
    state, rng = json.dumps(loader.state_dict()), random_state()
    expected = [*batches, *loader, draw()]
    torch.manual_seed(99)
    resumed = make()
    resumed.load_state_dict(json.loads(state))
    assert resumed.state_dict() == json.loads(state)
    set_random_state(rng)
    assert_same([*resumed, *resumed, draw()], expected)


def generator():
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"shuffle": True, "batch_size": 4},
        lambda: {"shuffle": True, "batch_size": 4, "generator": generator()},
        lambda: {"shuffle": True, "batch_size": None},
        lambda: {"sampler": RandomSampler(Noisy(), generator=generator())},
        lambda: {
            "sampler": RandomSampler(
                Noisy(), True, num_samples=70, generator=generator()
            ),
            "batch_size": 10,
        },
        lambda: {
            "sampler": SubsetRandomSampler(range(9), generator=generator())
        },
        lambda: {"sampler": WeightedRandomSampler([1.0, 2.0, 3.0], 8)},
        lambda: {"batch_sampler": [[1, 2], [0], [3, 4], [5]]},
    ],
)
@pytest.mark.parametrize("seen", [0, 2, 4])
def test_one_process_goes_on(options, seen):
    check_resumes(lambda: DataLoader(Noisy(), **options()), seen, before=1)


@pytest.mark.parametrize("seen", [0, 1, 3, 4])
def test_workers_go_on_with_their_random_numbers(seen):
    check_resumes(
        lambda: DataLoader(Noisy(), 4, shuffle=True, num_workers=2), seen
    )


@pytest.mark.parametrize("seen", [0, 3])
def test_persistent_workers_go_on(seen):
    check_resumes(
        lambda: DataLoader(
            Noisy(), 4, shuffle=True, num_workers=2, persistent_workers=True
        ),
        seen,
        before=1,
    )


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seen", [0, 3])
def test_a_stream_goes_on(workers, seen):
    check_resumes(
        lambda: DataLoader(NoisyStream(), 2, num_workers=workers), seen
    )


def test_between_epochs_the_next_one_is_saved():
    check_resumes(lambda: DataLoader(range(9), 4, shuffle=True), 0, before=2)
    loader = DataLoader(range(9), 4, shuffle=True, generator=generator())
    list(loader)
    state = loader.state_dict()
    assert state["position"] == 0
    resumed = DataLoader(range(9), 4, shuffle=True, generator=generator())
    resumed.load_state_dict(state)
    assert_same(list(resumed), list(loader))


def test_nothing_is_loaded_for_what_was_seen():
    asked = []

    class Asked(Noisy):
        def __getitem__(self, index):
            asked.append(index)
            return index

    loader = DataLoader(Asked(), 2)
    batches = iter(loader)
    list(itertools.islice(batches, 5))
    state = loader.state_dict()
    asked.clear()
    resumed = DataLoader(Asked(), 2)
    resumed.load_state_dict(state)
    list(resumed)
    assert asked == [10, 11, 12, 13]


def test_an_epoch_left_early_is_over():
    loader = DataLoader(range(9), 2)
    for _ in loader:
        assert loader.state_dict()["position"] == 1
        break
    assert loader.state_dict()["position"] == 0
    assert len(list(loader)) == 5


def test_a_state_of_another_loader_is_refused():
    state = DataLoader(range(9), 2).state_dict()
    with pytest.raises(ValueError, match="of 5 batches, this has 3"):
        DataLoader(range(9), 3).load_state_dict(state)
    with pytest.raises(ValueError, match="expected the keys"):
        TensorLoader(torch.ones(9)).load_state_dict({"position": 3})


def test_another_number_of_workers_is_told():
    loader = DataLoader(range(9), 2)
    batches = iter(loader)
    next(batches)
    resumed = DataLoader(range(9), 2, num_workers=1)
    with pytest.warns(UserWarning, match="0 workers, resumed with 1"):
        resumed.load_state_dict(loader.state_dict())
    assert_same(list(resumed), list(batches))
