import copy
import io

import pytest
import torch

from groundup.optim import SGD, Adam
from groundup.optim.saving import new_counter, new_state, wants_kernel
from tests.optim.kinds import (
    ALL,
    assert_equal_states,
    parameter,
    run,
)


@pytest.mark.parametrize("kind", ALL)
def test_resuming_from_a_saved_state_changes_nothing(kind):
    whole, first, second = ([parameter(4, 3)] for _ in range(3))
    run(kind(whole, lr=0.1), whole, 7)
    before = kind(first, lr=0.1)
    run(before, first, 4)
    second[0].data.copy_(first[0].data)
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after = kind(second, lr=0.7)
    after.load_state_dict(torch.load(file))
    run(after, second, 3, first=4)
    assert torch.equal(second[0], whole[0])


@pytest.mark.parametrize("kind", ALL)
def test_loading_shares_no_memory(kind):
    params, others = [parameter(4, 3)], [parameter(4, 3)]
    source, copied = kind(params), kind(others)
    run(source, params, 2)
    copied.load_state_dict(source.state_dict())
    kept = copy.deepcopy(copied.state_dict())
    run(source, params, 2)
    assert_equal_states(copied.state_dict(), kept)


def test_state_takes_the_type_and_the_layout_of_its_parameter():
    image = parameter(2, 3, 4, 4)
    source = Adam([image])
    run(source, [image], 1)
    moved = image.detach().double().to(memory_format=torch.channels_last)
    target = Adam([moved.requires_grad_()])
    target.load_state_dict(source.state_dict())
    state = target.state[moved]
    assert state["exp_avg"].dtype is torch.float64
    assert state["exp_avg"].stride() == moved.stride()
    assert state["step"].dtype is torch.float32 and state["step"] == 1
    expected = source.state[image]["exp_avg"].double()
    torch.testing.assert_close(state["exp_avg"], expected, check_stride=False)


def test_a_step_count_from_old_torch_is_a_number():
    param = parameter(2)
    optimizer = Adam([param])
    saved = optimizer.state_dict()
    zeros = torch.zeros(2)
    saved["state"][0] = {"step": 3, "exp_avg": zeros, "exp_avg_sq": zeros}
    optimizer.load_state_dict(saved)
    assert torch.equal(optimizer.state[param]["step"], torch.tensor(3.0))


def test_what_an_old_state_dict_lacks_stays_as_it_is():
    optimizer = SGD([("weight", parameter(2))], lr=0.3, maximize=True)
    saved = optimizer.state_dict()
    saved["param_groups"] = [{"lr": 0.7, "params": [0]}]
    optimizer.load_state_dict(saved)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["maximize"]) == (0.7, True)
    assert group["param_names"] == ["weight"]


@pytest.mark.parametrize(
    "saved, message",
    [
        ([[2], [3]], "different number of parameter groups: 2, .* has 1"),
        ([[2, 3]], r"doesn't match the size .* \[2\], the optimizer of \[1\]"),
        ([[3]], r"exp_avg has the shape \(3,\), its parameter \(2,\)"),
    ],
)
def test_what_does_not_fit_is_not_loaded_at_all(saved, message):
    params = [[parameter(size) for size in sizes] for sizes in saved]
    source = Adam([{"params": group, "lr": 0.5} for group in params])
    run(source, [p for group in params for p in group], 1)
    own = parameter(2)
    optimizer = Adam([own])
    run(optimizer, [own], 2)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(source.state_dict())
    assert_equal_states(optimizer.state_dict(), before)


@pytest.mark.parametrize(
    "fused, foreach, differentiable, wanted",
    [
        (None, None, False, True),
        (None, True, False, True),
        (None, False, False, False),
        (False, None, False, False),
        (True, False, False, True),
        (None, None, True, False),
    ],
)
def test_who_wants_a_kernel(fused, foreach, differentiable, wanted):
    options = {"fused": fused, "foreach": foreach}
    options["differentiable"] = differentiable
    assert wants_kernel(options) is wanted
    assert wants_kernel({"lr": 1.0}) is False


def test_steps_are_counted_where_the_step_happens():
    param = torch.empty(2, device="meta")
    kernel = {"fused": None, "foreach": None, "differentiable": False}
    assert new_counter(param, kernel).device.type == "meta"
    assert new_counter(param, {"capturable": True}).device.type == "meta"
    count = new_counter(param, kernel | {"fused": False})
    assert (count.device.type, count.dtype, count) == ("cpu", torch.float32, 0)


def test_a_new_state_is_a_count_and_zeros_like_the_parameter():
    param = torch.ones(2, 3).double().T
    state = new_state(param, {}, "mean")
    assert list(state) == ["step", "mean"] and state["step"] == 0
    assert torch.equal(state["mean"], torch.zeros(3, 2).double())
    assert state["mean"].stride() == param.stride()
