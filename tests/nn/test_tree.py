import pytest
import torch

from groundup import nn

LISTINGS = [
    ("named_parameters", {}),
    ("named_parameters", {"prefix": "p", "recurse": False}),
    ("named_parameters", {"remove_duplicate": False}),
    ("named_buffers", {}),
    ("named_buffers", {"prefix": "p"}),
    ("named_children", {}),
    ("named_modules", {}),
    ("named_modules", {"remove_duplicate": False}),
    ("parameters", {}),
    ("buffers", {}),
    ("children", {}),
    ("modules", {}),
]


@pytest.mark.earns("torch.nn.Module")
@pytest.mark.parametrize(("listing", "kwargs"), LISTINGS)
def test_listings_equal_torchs(both, listing, kwargs):
    found = []
    for module in both:
        module.twin = module.inner  # shared
        listed = getattr(module, listing)(**kwargs)
        found.append([i[0] if isinstance(i, tuple) else i for i in listed])
    names = [[i for i in one if isinstance(i, str)] for one in found]
    assert names[0] == names[1] and len(found[0]) == len(found[1]) > 0


@pytest.mark.earns("torch.nn.Module")
def test_state_dicts_go_both_ways(both):
    ours, theirs = both
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        ours.weight += 1
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.weight, ours.weight)
    with torch.no_grad():
        theirs.inner.bias += 1
    keys = ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(theirs.inner.bias, ours.inner.bias)
    assert keys == ([], [])


@pytest.mark.earns("torch.nn.Module")
def test_loading_is_strict_and_all_or_nothing(both):
    ours, _ = both
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    given = {k: v + 1 for k, v in before.items()}
    given["inner.weight"] = torch.ones(5, 3)
    del given["mean"]
    given["extra"] = torch.ones(1)
    with pytest.raises(RuntimeError) as error:
        ours.load_state_dict(given)
    for words in ("(5, 3)", "(2, 3)", '"mean"', '"extra"', "inner.weight"):
        assert words in str(error.value)
    torch.testing.assert_close(ours.state_dict(), before)
    given["inner.weight"] = torch.ones(2, 3)
    keys = ours.load_state_dict(given, strict=False)
    assert keys == (["mean"], ["extra"])
    assert ours.inner.weight.eq(1).all() and ours.mean.eq(before["mean"]).all()


def test_assign_keeps_the_given_tensors():
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    state = nn.Linear(3, 2).state_dict()
    layer.load_state_dict(state, assign=True)
    assert layer.weight.data_ptr() == state["weight"].data_ptr()
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad


def test_a_state_dict_shares_memory_unless_it_keeps_variables():
    layer = nn.Linear(3, 2)
    assert layer.state_dict()["weight"].data_ptr() == layer.weight.data_ptr()
    assert not layer.state_dict()["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert "p.weight" in layer.state_dict(prefix="p.")
