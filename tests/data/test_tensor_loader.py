"""groundup.data.tensor_loader: the batches of a DataLoader over a TensorDataset."""

import itertools
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import data as theirs

from groundup.data import TensorLoader
from tests.data.nested import assert_same


@settings(deadline=None)
@given(
    n=st.integers(1, 30),
    batch_size=st.integers(1, 9),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    own=st.booleans(),
)
def test_batches_are_torchs_bit_for_bit(n, batch_size, shuffle, drop_last, own):
    tensors = torch.rand(n, 2, 3), torch.arange(n)
    found = []
    for make in (
        lambda **options: TensorLoader(*tensors, **options),
        lambda **options: theirs.DataLoader(
            theirs.TensorDataset(*tensors), **options
        ),
    ):
        torch.manual_seed(4)
        generator = torch.Generator().manual_seed(5) if own else None
        loader = make(
            batch_size=batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            generator=generator,
        )
        epochs = [list(loader), list(loader)]
        state = (generator or torch.default_generator).get_state()
        found.append([*epochs, len(loader), state])
    assert_same(*found)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_is_a_copy(shuffle):
    x = torch.ones(4)
    (batch,) = next(iter(TensorLoader(x, batch_size=2, shuffle=shuffle)))
    batch += 1
    assert x.sum() == 4


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("seen", [0, 1, 3, 5])
def test_an_epoch_goes_on_where_it_was_left(shuffle, own, seen):
    def make():
        generator = torch.Generator().manual_seed(5) if own else None
        return TensorLoader(
            torch.arange(19), batch_size=4, shuffle=shuffle, generator=generator
        )

    torch.manual_seed(1)
    loader = make()
    list(loader)
    batches = iter(loader)
    list(itertools.islice(batches, seen))
    torch.rand(3)  # the model's, which must not matter
    state, rng = json.dumps(loader.state_dict()), torch.get_rng_state()
    expected = [*batches, *loader, torch.rand(2)]

    torch.manual_seed(99)
    resumed = make()
    resumed.load_state_dict(json.loads(state))
    torch.set_rng_state(rng)
    assert_same([*resumed, *resumed, torch.rand(2)], expected)


def test_bad_tensors_and_options_are_refused():
    with pytest.raises(ValueError, match="0: 2, 1: 3"):
        TensorLoader(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match=r"one device, got \['cpu', 'meta'\]"):
        TensorLoader(torch.ones(2), torch.ones(2, device="meta"))
    with pytest.raises(ValueError, match="batch_size, got 0"):
        TensorLoader(torch.ones(2), batch_size=0)


def test_batches_lie_where_the_tensors_lie():
    x = torch.ones(6, 2, device="meta")
    (batch,) = next(iter(TensorLoader(x, batch_size=4, shuffle=True)))
    assert batch.device.type == "meta" and batch.shape == (4, 2)


def test_the_work_is_linear_in_the_rows():
    """A constant number of calls to torch a batch, however many rows."""
    from torch.overrides import TorchFunctionMode

    class Count(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.calls += 1
            return function(*args, **kwargs or {})

    def calls(n_batches):
        loader = TensorLoader(
            torch.ones(64 * n_batches), batch_size=64, shuffle=True
        )
        with Count() as count:
            list(loader)
        return count.calls

    assert calls(41) - calls(21) == calls(21) - calls(1) == 20
