# Extracted from book/4_convnets/6_resnet.py; edit it there.
"""Residual networks (He et al., 2015), under torchvision's names."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.linear import Linear
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.nn.pool import AdaptiveAvgPool2d, MaxPool2d

Norm = Callable[[int], Module]


def _conv3x3(
    inplanes: int, planes: int, stride: int = 1, **options: Any
) -> Conv2d:
    """Three by three, without the bias that a norm would take away."""
    edge = options.get("dilation", 1)
    return Conv2d(inplanes, planes, 3, stride, edge, bias=False, **options)


def _conv1x1(inplanes: int, planes: int, stride: int = 1) -> Conv2d:
    return Conv2d(inplanes, planes, 1, stride, bias=False)


class BasicBlock(Module):
    """Adds what two convolutions find: (n, inplanes, h, w) -> (n, planes, ...).

    `downsample` brings the input to the same shape, where it has another.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ):
        norm_layer = norm_layer or BatchNorm2d
        if (groups, base_width, dilation) != (1, 64, 1):
            given = f"got {groups}, {base_width} and {dilation}"
            wanted = "groups=1, base_width=64 and dilation=1"
            raise ValueError(f"BasicBlock has {wanted} only, {given}")
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample, self.stride = downsample, stride

    def residual(self, x: Tensor) -> Tensor:
        """What is added to the input."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))

    def forward(self, x: Tensor) -> Tensor:
        """The input and the residual, summed and cut at zero."""
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(self.residual(x) + identity)


class Bottleneck(Module):
    """A residual of 1x1, 3x3, 1x1: (n, inplanes, h, w) -> (n, 4 planes, ...).

    The stride is that of the 3x3: torchvision's, not the paper's.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ):
        norm_layer = norm_layer or BatchNorm2d
        width, wide = planes * base_width // 64 * groups, 4 * planes
        spread = {"groups": groups, "dilation": dilation}
        if not width:
            given = f"planes={planes} and base_width={base_width}"
            raise ValueError(f"{given} leave no channel for the 3x3")
        self.conv1 = _conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = _conv3x3(width, width, stride, **spread)
        self.bn2 = norm_layer(width)
        self.conv3 = _conv1x1(width, wide)
        self.bn3 = norm_layer(wide)
        self.relu = ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def residual(self, x: Tensor) -> Tensor:
        """What is added to the input."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))

    def forward(self, x: Tensor) -> Tensor:
        """The input and the residual, summed and cut at zero."""
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(self.residual(x) + identity)


class ResNet(Module):
    """Stages of blocks: images (n, in_channels, h, w) -> (n, num_classes).

    torchvision's to the keyword and the state, and three of our own: the stem
    is "imagenet" or, for pictures of some 30 pixels, "small"; `width` is that
    of the first stage. There may be more stages than four, or fewer.
    """

    def __init__(
        self,
        block: type[Module],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        *,
        stem: str = "imagenet",
        in_channels: int = 3,
        width: int = 64,
    ):
        self.groups, self.base_width = groups, width_per_group
        self.norm_layer = norm_layer or BatchNorm2d
        self.inplanes, self.dilation = width, 1
        self._make_stem(stem, in_channels)
        self._make_stages(block, layers, replace_stride_with_dilation)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(self.inplanes, num_classes)
        self._draw(zero_init_residual)

    def _make_stem(self, stem: str, channels: int) -> None:
        if stem not in ("imagenet", "small"):
            raise ValueError(f"stem {stem!r}: not imagenet or small")
        small = stem == "small"
        size, stride, edge = (3, 1, 1) if small else (7, 2, 3)
        window = {"stride": stride, "padding": edge, "bias": False}
        self.conv1 = Conv2d(channels, self.inplanes, size, **window)
        self.bn1 = self.norm_layer(self.inplanes)
        self.relu = ReLU(inplace=True)
        self.maxpool = Sequential() if small else MaxPool2d(3, 2, 1)

    def _make_stages(
        self,
        block: type[Module],
        layers: Sequence[int],
        dilate: Sequence[bool] | None,
    ) -> None:
        """`layer1`, `layer2`, ...: each of twice the channels of the last."""
        n, planes = len(layers), self.inplanes
        if not n or min(layers) < 1:
            raise ValueError(
                f"expected stages of a block or more, got {layers}"
            )
        dilate = (False,) * (n - 1) if dilate is None else dilate
        if len(dilate) != n - 1:
            wanted = f"{n - 1} values of replace_stride_with_dilation"
            raise ValueError(f"{n} stages need {wanted}, got {dilate}")
        self.stages = tuple(f"layer{i}" for i in range(1, n + 1))
        strides = 1, *[2] * (n - 1)
        plan = zip(self.stages, layers, strides, (False, *dilate), strict=True)
        for name, *options in plan:
            made = self._make_layer(block, planes, *options)
            self.register_module(name, made)
            planes *= 2

    def _make_layer(
        self,
        block: type[Module],
        planes: int,
        n_blocks: int,
        stride: int,
        dilate: bool,
    ) -> Sequential:
        """A stage: its first block has the stride, or the others see wider."""
        before, wide = self.dilation, planes * block.expansion
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        downsample, norm = None, self.norm_layer
        if stride != 1 or self.inplanes != wide:
            narrow = _conv1x1(self.inplanes, wide, stride)
            downsample = Sequential(narrow, norm(wide))
        own = self.groups, self.base_width
        first = stride, downsample, *own, before, norm
        others = 1, None, *own, self.dilation, norm
        made = Sequential(block(self.inplanes, planes, *first))
        self.inplanes = wide
        return made.extend(
            block(wide, planes, *others) for _ in range(1, n_blocks)
        )

    def _draw(self, zero_init_residual: bool) -> None:
        """By what a kernel sends; with the flag each block begins as nothing."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, 0, "fan_out", "relu")
            if zero_init_residual and isinstance(module, BasicBlock):
                init.zeros_(module.bn2.weight)
            if zero_init_residual and isinstance(module, Bottleneck):
                init.zeros_(module.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(**options: Any) -> ResNet:
    """Eighteen layers with weights: 11.7 million numbers of ImageNet's size."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options: Any) -> ResNet:
    """Thirty-four layers with weights."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options: Any) -> ResNet:
    """Fifty layers with weights, in bottlenecks."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)
