"""Residual networks: torchvision's names, shapes and numbers are the judge."""

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup import nn
from groundup.vision import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
)
from tests.vision import reference

HERE = Path(__file__).parent
LAYERS = {
    "resnet18": (resnet18, reference.Basic, (2, 2, 2, 2)),
    "resnet34": (resnet34, reference.Basic, (3, 4, 6, 3)),
    "resnet50": (resnet50, reference.Deep, (3, 4, 6, 3)),
}
small = partial(ResNet, stem="small", in_channels=1, width=4, num_classes=10)


def both(name, seed=0, **options):
    """Ours and the reference, from the same seed."""
    ours, block, layers = LAYERS[name]
    torch.manual_seed(seed)
    made = ours(**options)
    torch.manual_seed(seed)
    return made, reference.ResNet(block, layers, **options)


def disturb(model, seed=1):
    """Averages and scales that are not those of the start."""
    torch.manual_seed(seed)
    for name, each in model.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            each.normal_(0, 0.1)
        if name.endswith("running_var") or ("weight" in name and each.ndim < 2):
            each.uniform_(0.5, 1.5)


@pytest.mark.parametrize("name", LAYERS)
def test_the_state_has_torchvisions_names_and_shapes_in_its_order(name):
    lines = (HERE / f"{name}.txt").read_text().splitlines()
    shown = [
        f"{key} {'x'.join(map(str, each.shape)) or '-'}"
        for key, each in LAYERS[name][0]().state_dict().items()
    ]
    assert shown == lines
    assert (
        len(lines) == {"resnet18": 122, "resnet34": 218, "resnet50": 320}[name]
    )


@pytest.mark.parametrize("name", LAYERS)
def test_states_load_strictly_both_ways_and_outputs_agree(name):
    ours, theirs = both(name, num_classes=7)
    x = torch.randn(2, 3, 64, 48)
    disturb(theirs)
    ours.load_state_dict(theirs.state_dict())
    for mode in (False, True):
        ours.train(mode), theirs.train(mode)
        assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    disturb(ours, 2)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)


def test_a_state_with_a_name_too_many_or_too_few_is_refused():
    state = resnet18(num_classes=3).state_dict()
    other = resnet18(num_classes=3)
    with pytest.raises(RuntimeError, match="layer2.0.bn1.weight"):
        less = {k: v for k, v in state.items() if k != "layer2.0.bn1.weight"}
        other.load_state_dict(less)
    with pytest.raises(RuntimeError, match="layer9"):
        other.load_state_dict({**state, "layer9.weight": torch.zeros(1)})


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("zero", [False, True])
def test_a_seed_draws_torchvisions_weights(name, zero):
    ours, theirs = both(name, num_classes=7, zero_init_residual=zero)
    state = dict(theirs.state_dict())
    assert_close(dict(ours.state_dict()), state, rtol=0, atol=0)


OPTIONS = [
    {"replace_stride_with_dilation": (False, False, True)},
    {"replace_stride_with_dilation": (False, True, True)},
    {"groups": 32, "width_per_group": 4},
    {"width_per_group": 128},
    {"norm_layer": "group"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_are_torchvisions(options):
    ours, theirs = options, options
    if "norm_layer" in options:
        ours = {"norm_layer": lambda n: torch.nn.GroupNorm(4, n)}
        theirs = ours
    torch.manual_seed(0)
    layers = 1, 2, 2, 2
    model = ResNet(Bottleneck, layers, 5, **ours)
    judge = reference.ResNet(reference.Deep, layers, 5, **theirs)
    judge.load_state_dict(model.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    assert_close(model(x), judge(x), rtol=1e-5, atol=1e-5)


def test_gradients_are_torchvisions():
    ours, theirs = both("resnet18", num_classes=5)
    ours, theirs = ours.double(), theirs.double()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for model in (ours, theirs):
        model(x).square().sum().backward()
    expected = dict(theirs.named_parameters())
    for name, param in ours.named_parameters():
        assert_close(
            param.grad, expected[name].grad, msg=lambda m: f"{name}: {m}"
        )


def test_the_stride_is_that_of_the_three_by_three():
    block = resnet50(num_classes=2).layer2[0]
    strides = [getattr(block, f"conv{i}").stride for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]
    assert block.downsample[0].stride == (2, 2)


def kinds(model, *types):
    return [module for module in model.modules() if isinstance(module, types)]


@pytest.mark.parametrize(
    "name, n", [("resnet18", 20), ("resnet34", 36), ("resnet50", 53)]
)
def test_every_convolution_has_its_norm(name, n):
    model = LAYERS[name][0](num_classes=2)
    convs, norms = kinds(model, nn.Conv2d), kinds(model, nn.BatchNorm2d)
    assert len(convs) == len(norms) == n
    widths = [conv.out_channels for conv in convs]
    assert [norm.num_features for norm in norms] == widths


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_every_norm_is_of_the_kind_asked_for_and_takes_part(block):
    made = []

    class Counted(nn.BatchNorm2d):
        calls = 0

        def __init__(self, n):
            super().__init__(n)
            made.append(self)

        def forward(self, input):
            self.calls += 1
            return super().forward(input)

    model = small(block, (1, 2), norm_layer=Counted)
    model(torch.randn(2, 1, 8, 8))
    assert len(kinds(model, nn.BatchNorm2d)) == len(made)
    assert [norm.calls for norm in made] == [1] * len(made)
    assert len(made) == len(kinds(model, nn.Conv2d))


def test_residuals_that_begin_as_nothing_leave_the_input():
    for block in (BasicBlock, Bottleneck):
        model = small(block, (2, 1), zero_init_residual=True)
        x = torch.rand(2, 4 * block.expansion, 6, 6)
        assert_close(model.layer1[1](x), x, rtol=0, atol=0)


@settings(deadline=None, max_examples=30)
@given(
    layers=st.lists(st.integers(1, 3), min_size=1, max_size=5),
    block=st.sampled_from([BasicBlock, Bottleneck]),
    stem=st.sampled_from(["imagenet", "small"]),
    channels=st.integers(1, 4),
    size=st.integers(7, 40),
    training=st.booleans(),
)
def test_any_number_of_stages_takes_any_picture(
    layers, block, stem, channels, size, training
):
    model = (
        ResNet(
            block,
            layers,
            3,
            stem=stem,
            in_channels=channels,
            width=2 * 32,
            width_per_group=2,
        )
        if block is Bottleneck
        else ResNet(block, layers, 3, stem=stem, in_channels=channels, width=2)
    )
    model.train(training)
    x = torch.randn(2, channels, size, size + 1)
    assert model(x).shape == (2, 3)
    depth = sum(layers) * (3 if block is Bottleneck else 2) + 2
    downs = sum(
        1 for each in kinds(model, block) if each.downsample is not None
    )
    convs = len(kinds(model, nn.Conv2d)) - downs
    assert convs + 1 == depth
    assert len(kinds(model, nn.BatchNorm2d)) == convs + downs


def test_the_small_stem_keeps_every_pixel():
    model = small(BasicBlock, (1,))
    x = torch.randn(2, 1, 28, 28)
    assert model.maxpool(model.conv1(x)).shape == (2, 4, 28, 28)
    model = ResNet(BasicBlock, (1,), in_channels=1, width=4)
    assert model.maxpool(model.conv1(x)).shape == (2, 4, 7, 7)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: small(BasicBlock, (1,), stem="large"), "'large'"),
        (lambda: small(BasicBlock, ()), r"\(\)"),
        (lambda: small(BasicBlock, (1, 0)), r"\(1, 0\)"),
        (
            lambda: small(
                BasicBlock, (1, 1), replace_stride_with_dilation=(True, True)
            ),
            "2 stages need 1 .*True, True",
        ),
        (lambda: small(BasicBlock, (1,), groups=2), r"got \(2, 64, 1"),
        (lambda: small(BasicBlock, (1,), width_per_group=32), r"got \(1, 32"),
        (lambda: small(Bottleneck, (1,), width_per_group=8), "planes=4"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_copy_is_independent_and_scores_alike():
    model = small(BasicBlock, (1, 1)).eval()
    x = torch.randn(2, 1, 8, 8)
    other, before = copy.deepcopy(model), model(x)
    assert_close(other(x), before, rtol=0, atol=0)
    with torch.no_grad():
        other.fc.bias += 1
    assert_close(model(x), before, rtol=0, atol=0)
