"""groundup.data.options: what torch refuses is refused, and more clearly."""

import pytest
from torch.utils import data as theirs

from groundup import data as ours

BOTH = ours, theirs


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


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="in_order"):
        ours.DataLoader(range(3), in_order=False)
