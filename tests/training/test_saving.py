import errno
import json
import math
import os

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.training import (
    CheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from groundup.training.saving import (
    put_together,
    take_apart,
    write_file,
)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.integers() | st.text(), inner, max_size=3),
    ),
)


@settings(deadline=None)
@given(trees)
def test_trees_come_back_with_their_types(tree):
    text = json.dumps(take_apart(tree, {}))
    back = put_together(json.loads(text), {})
    assert repr(back) == repr(tree)


def test_tensors_are_named_by_their_place_and_copied():
    weight = torch.randn(2, 3).T
    tensors = {}
    tree = {"model": {"w": weight}, 0: [weight]}
    told = take_apart(tree, tensors)
    assert list(tensors) == ["state.model.w", "state.0.0"]
    weight.zero_()
    assert put_together(told, tensors)["model"]["w"].abs().sum() > 0


def test_numbers_that_are_not_finite_come_back():
    tree = json.loads(json.dumps(take_apart([math.nan, -math.inf], {})))
    nan, inf = put_together(tree, {})
    assert math.isnan(nan) and inf == -math.inf


def test_what_cannot_be_saved_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"state\.a\.1 is of type set"):
        take_apart({"a": [1, {2}]}, {})


state = {
    "model": {"w": torch.arange(6.0).view(2, 3), "b": torch.tensor(True)},
    "lr": 0.1,
    "half": torch.ones(3, dtype=torch.bfloat16),
}


def test_a_state_comes_back(tmp_path):
    write_checkpoint(tmp_path / "a.safetensors", state)
    back = read_checkpoint(tmp_path / "a.safetensors")
    assert back["lr"] == 0.1 and back["model"].keys() == {"w", "b"}
    assert torch.equal(back["model"]["w"], state["model"]["w"])
    assert back["half"].dtype == torch.bfloat16


def test_equal_states_are_equal_files_with_equal_digests(tmp_path):
    paths = tmp_path / "a", tmp_path / "b"
    digests = [write_checkpoint(path, state) for path in paths]
    assert digests[0] == digests[1]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert write_checkpoint(paths[0], {**state, "lr": 0.2}) != digests[0]


def test_other_programs_can_read_the_tensors(tmp_path):
    write_checkpoint(tmp_path / "a", state)
    tensors = safetensors.torch.load_file(tmp_path / "a")
    assert torch.equal(tensors["state.model.w"], state["model"]["w"])


def test_every_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "a"
    write_checkpoint(path, state)
    whole = path.read_bytes()
    for i in range(len(whole)):
        damaged = bytearray(whole)
        damaged[i] ^= 1 << i % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            read_checkpoint(path)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_short_file_is_refused(tmp_path, size):
    path = tmp_path / "a"
    write_checkpoint(path, state)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path)


def test_weights_alone_are_told_from_a_damaged_checkpoint(tmp_path):
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / "a")
    with pytest.raises(CheckpointError, match="no checkpoint.*no SHA-256$"):
        read_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    write_file(path, b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"new and longer")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_the_name_comes_after_the_bytes_are_on_the_disk(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def told(*args, name=name, real=real):
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, told)
    write_file(tmp_path / "a", b"data")
    assert calls == ["fsync", "replace", "fsync"]
