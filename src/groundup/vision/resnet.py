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


def _conv3x3(
    inplanes: int, planes: int, stride: int = 1, **options: Any
) -> Conv2d:
    """Three by three, without the bias that a norm would take away."""
    edge = options.get("dilation", 1)
    return Conv2d(inplanes, planes, 3, stride, edge, bias=False, **options)


def _check_basic(*options: int) -> None:
    if options != (1, 64, 1):
        wanted = "groups=1, base_width=64 and dilation=1"
        raise ValueError(f"BasicBlock has {wanted} only, got {options}")


def _inner(planes: int, base_width: int) -> int:
    if planes * base_width < 64:
        given = f"planes={planes} and base_width={base_width}"
        raise ValueError(f"{given} leave no channel for the 3x3")
    return planes * base_width // 64


def _conv1x1(inplanes: int, planes: int, stride: int = 1) -> Conv2d:
    return Conv2d(inplanes, planes, 1, stride, bias=False)


class BasicBlock(Module):
    """Adds two kernels' answers: (n, inplanes, ...) -> (n, planes, ...)."""

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
        norm_layer: Callable[[int], Module] | None = None,
    ):
        _check_basic(groups, base_width, dilation)
        norm = norm_layer or BatchNorm2d
        self.conv1, self.bn1 = _conv3x3(inplanes, planes, stride), norm(planes)
        self.relu = ReLU(inplace=True)
        self.conv2, self.bn2 = _conv3x3(planes, planes), norm(planes)
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
        norm_layer: Callable[[int], Module] | None = None,
    ):
        width, wide = _inner(planes, base_width) * groups, 4 * planes
        norm = norm_layer or BatchNorm2d
        spread = {"groups": groups, "dilation": dilation}
        self.conv1, self.bn1 = _conv1x1(inplanes, width), norm(width)
        self.conv2 = _conv3x3(width, width, stride, **spread)
        self.bn2 = norm(width)
        self.conv3, self.bn3 = _conv1x1(width, wide), norm(wide)
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


def _stage(
    block: type[Module],
    planes: tuple[int, int],
    n_blocks: int,
    stride: int,
    dilation: tuple[int, int],
    **options: Any,
) -> Sequential:
    """Blocks in a row, of which the first has the stride."""
    inplanes, width = planes
    wide, downsample = width * block.expansion, None
    if stride != 1 or inplanes != wide:
        norm = options["norm_layer"]
        downsample = Sequential(_conv1x1(inplanes, wide, stride), norm(wide))
    first = {"stride": stride, "downsample": downsample}
    made = Sequential(
        block(inplanes, width, dilation=dilation[0], **first, **options)
    )
    return made.extend(
        block(wide, width, dilation=dilation[1], **options)
        for _ in range(1, n_blocks)
    )


def _check_stages(
    layers: Sequence[int], dilate: Sequence[bool] | None
) -> Sequence[bool]:
    """Which stages have a dilation for their stride: the first has none."""
    n = len(layers)
    if not n or min(layers) < 1:
        raise ValueError(f"expected stages of a block or more, got {layers}")
    dilate = (False,) * (n - 1) if dilate is None else dilate
    if len(dilate) != n - 1:
        wanted = f"{n - 1} values of replace_stride_with_dilation"
        raise ValueError(f"{n} stages need {wanted}, got {dilate}")
    return False, *dilate


def _stem(kind: str, channels: int, width: int) -> tuple[Conv2d, Module]:
    """The first kernels, and the pool behind them."""
    if kind not in ("imagenet", "small"):
        raise ValueError(f"stem {kind!r}: not imagenet or small")
    small = kind == "small"
    window = (3, 1, 1) if small else (7, 2, 3)
    kernels = Conv2d(channels, width, *window, bias=False)
    return kernels, Sequential() if small else MaxPool2d(3, 2, 1)


def _draw(model: Module, zero_init_residual: bool) -> None:
    """Kernels by what they send; with the flag blocks begin as nothing."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            init.kaiming_normal_(module.weight, 0, "fan_out", "relu")
        if zero_init_residual and isinstance(module, BasicBlock):
            init.zeros_(module.bn2.weight)
        if zero_init_residual and isinstance(module, Bottleneck):
            init.zeros_(module.bn3.weight)


class ResNet(Module):
    """Stages of blocks: images (n, in_channels, h, w) -> (n, num_classes).

    torchvision's, and three options more: the stem is "imagenet" or, for
    pictures of some 30 pixels, "small"; `width` is that of the first stage.
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
        norm_layer: Callable[[int], Module] | None = None,
        *,
        stem: str = "imagenet",
        in_channels: int = 3,
        width: int = 64,
    ):
        self.inplanes, norm = width, norm_layer or BatchNorm2d
        self.conv1, pool = _stem(stem, in_channels, width)
        self.bn1, self.relu, self.maxpool = norm(width), ReLU(True), pool
        own = dict(groups=groups, base_width=width_per_group, norm_layer=norm)
        self._make_stages(block, layers, replace_stride_with_dilation, **own)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(self.inplanes, num_classes)
        _draw(self, zero_init_residual)

    def _make_stages(
        self,
        block: type[Module],
        layers: Sequence[int],
        dilate: Sequence[bool] | None,
        **options: Any,
    ) -> None:
        """`layer1`, `layer2`, ...: each of twice the channels of the last."""
        self.stages = tuple(f"layer{i + 1}" for i in range(len(layers)))
        dilate = _check_stages(layers, dilate)
        planes, dilation = self.inplanes, 1
        for i, name in enumerate(self.stages):
            before, stride = dilation, 2 if i else 1
            if dilate[i]:
                dilation, stride = dilation * stride, 1
            shape = (self.inplanes, planes), layers[i], stride
            made = _stage(block, *shape, (before, dilation), **options)
            self.register_module(name, made)
            self.inplanes, planes = planes * block.expansion, 2 * planes

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(**options: Any) -> ResNet:
    """Eighteen layers with weights."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options: Any) -> ResNet:
    """Thirty-four layers with weights."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options: Any) -> ResNet:
    """Fifty layers with weights, in bottlenecks."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)
