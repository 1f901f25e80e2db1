"""groundup.data.loader: torch's loader, batch for batch, is the judge."""

import multiprocessing
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import data as theirs

from groundup import data as ours
from tests.data.nested import assert_same

BOTH = ours, theirs


class Noisy:
    """Items with random numbers of all three kinds, nested."""

    def __len__(self):
        return 11

    def __getitem__(self, index):
        noise = torch.rand(2), random.random(), np.random.rand()
        return {"index": index, "noise": noise, "name": f"item {index}"}


def check_same(make, epochs: int = 2, own: bool = False) -> None:
    """The batches of several epochs, and the generator after them."""
    found = []
    for library in BOTH:
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        options = {}
        if own:
            options["generator"] = torch.Generator().manual_seed(8)
        loader = make(library, **options)
        batches = [list(loader) for _ in range(epochs)]
        state = options.get("generator", torch.default_generator).get_state()
        found.append([batches, state, torch.rand(1)])
    assert_same(*found)


@pytest.mark.earns("torch.utils.data.DataLoader")
@settings(deadline=None)
@given(
    batch_size=st.none() | st.integers(1, 12),
    shuffle=st.booleans(),
    own=st.booleans(),
)
def test_batches_are_torchs_bit_for_bit(batch_size, shuffle, own):
    check_same(
        lambda library, **options: library.DataLoader(
            Noisy(), batch_size, shuffle, **options
        ),
        own=own,
    )


@pytest.mark.earns("torch.utils.data.DataLoader")
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_batches_of_workers_are_torchs_bit_for_bit(persistent, own):
    check_same(
        lambda library, **options: library.DataLoader(
            Noisy(),
            2,
            shuffle=True,
            num_workers=2,
            persistent_workers=persistent,
            **options,
        ),
        own=own,
    )


def lines(library):
    """A stream that deals its lines out to the workers, unevenly."""

    class Lines(library.IterableDataset):
        def __iter__(self):
            info = library.get_worker_info()
            mine = range(11) if info is None else range(4 * info.id + 3)
            return ((i, torch.rand(1)) for i in mine)

        def __len__(self):
            return 11

    return Lines()


@pytest.mark.parametrize("options", [{}, {"drop_last": True}])
def test_streams_are_torchs(options):
    def make(library, **more):
        return library.DataLoader(lines(library), 4, **options, **more)

    check_same(make)
    assert len(make(ours)) == len(make(theirs))
    check_same(lambda lib, **more: lib.DataLoader(lines(lib), None, **more))


@pytest.mark.earns("torch.utils.data.get_worker_info")
@pytest.mark.parametrize("persistent", [False, True])
def test_streams_in_workers_are_torchs(persistent):
    def make(library, **options):
        return library.DataLoader(
            lines(library),
            2,
            num_workers=3,
            persistent_workers=persistent,
            **options,
        )

    check_same(make)
    for library in BOTH:
        assert library.get_worker_info() is None


@pytest.mark.earns("torch.utils.data.get_worker_info")
def test_worker_init_fn_sees_the_worker():
    found = []
    for library in BOTH:

        def start(worker, library=library):
            info = library.get_worker_info()
            assert info.id == worker and info.seed == torch.initial_seed()
            info.dataset[worker] = [info.id, info.num_workers, info.seed]

        torch.manual_seed(3)
        loader = library.DataLoader(
            [0, 0], None, num_workers=2, worker_init_fn=start
        )
        found.append(list(loader))
    assert_same(*found)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_of_torchs_is_recognised(workers):
    assert list(ours.DataLoader(lines(theirs), None, num_workers=workers))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_sampler": [[3, 1], [2], []][:2]},
        {"sampler": [4, 2, 0], "batch_size": 2},
        {"sampler": "ab", "batch_size": None},
        {"batch_size": 4, "drop_last": True},
        {"batch_size": 4, "collate_fn": str},
        {"batch_size": None, "collate_fn": str},
        {"batch_size": 2, "pin_memory": True},
    ],
)
@pytest.mark.filterwarnings("ignore:'pin_memory'")
def test_options_do_what_torchs_do(options):
    keyed = {"a": 1.5, "b": 2.5}
    dataset = keyed if options.get("sampler") == "ab" else range(9)
    check_same(lambda lib, **more: lib.DataLoader(dataset, **options, **more))
    assert len(ours.DataLoader(dataset, **options)) == len(
        theirs.DataLoader(dataset, **options)
    )


def test_two_epochs_at_once_do_not_disturb_each_other():
    loader = ours.DataLoader(range(6), 2)
    pairs = list(zip(loader, loader, strict=True))
    for first, second in pairs:
        assert_same(first, second)
    assert len(pairs) == 3


def test_the_next_batch_is_loaded_while_this_one_is_used():
    loaded = [multiprocessing.Event() for _ in range(4)]

    class Telling:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            loaded[index].set()
            return index

    batches = ours.DataLoader(Telling(), num_workers=1, prefetch_factor=1)
    for batch, following in zip(batches, loaded[1:], strict=False):
        assert following.wait(60), f"{batch} is used, and nobody loads"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sampler": [1], "shuffle": True}, "sampler or shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_size=2"),
        ({"batch_sampler": [[1]], "drop_last": True}, "drop_last=True"),
        ({"batch_size": None, "drop_last": True}, "no last batch"),
        ({"batch_size": 0}, "batch_size, got 0"),
        ({"num_workers": -1}, "got -1"),
        ({"timeout": -1}, "and -1"),
        ({"prefetch_factor": 2}, "prefetch_factor: needs num_workers"),
        ({"persistent_workers": True}, "persistent_workers: needs"),
        ({"multiprocessing_context": "fork"}, "context: needs"),
        ({"num_workers": 1, "multiprocessing_context": "x"}, "'x'"),
        ({"num_workers": 1, "prefetch_factor": -1}, "1 or more, got -1"),
    ],
)
def test_what_torch_refuses_is_refused(options, match):
    with pytest.raises((ValueError, TypeError)):
        theirs.DataLoader(range(3), **options)
    with pytest.raises((ValueError, TypeError), match=match):
        ours.DataLoader(range(3), **options)


@pytest.mark.parametrize(
    "options",
    [{"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}],
)
def test_a_stream_has_its_own_order(options):
    for library in BOTH:

        class Stream(library.IterableDataset):
            def __iter__(self):
                return iter(())

        with pytest.raises(ValueError):
            library.DataLoader(Stream(), **options)


def test_a_timeout_without_workers_is_refused():
    with pytest.raises(ValueError, match="timeout: needs num_workers"):
        ours.DataLoader(range(3), timeout=1)


def test_what_the_samplers_were_made_of_is_fixed():
    for library in BOTH:
        loader = library.DataLoader(range(3))
        with pytest.raises(ValueError, match="batch_size"):
            loader.batch_size = 2


def test_what_is_set_afterwards_has_its_effect():
    for library in BOTH:
        loader = library.DataLoader(range(4), 2)
        loader.collate_fn = tuple
        assert list(loader) == [(0, 1), (2, 3)]


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="in_order"):
        ours.DataLoader(range(3), in_order=False)
