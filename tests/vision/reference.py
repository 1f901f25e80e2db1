"""torchvision 0.28's residual networks, written with torch.nn alone.

torchvision is not a dependency. This definition was compared with it: same
names, same weights from a seed, same outputs to the bit.
"""

from functools import partial

import torch
from torch import nn


class Block(nn.Module):
    def __init__(
        self, inputs, planes, stride, downsample, groups, base, dilation, norm
    ):
        super().__init__()
        conv = partial(nn.Conv2d, bias=False)
        spread = {"padding": dilation, "groups": groups, "dilation": dilation}
        if self.expansion == 1:
            self.conv1 = conv(inputs, planes, 3, stride, padding=1)
            self.bn1 = norm(planes)
            self.conv2 = conv(planes, planes, 3, padding=1)
            self.bn2 = norm(planes)
        else:
            width = int(planes * (base / 64.0)) * groups
            self.conv1, self.bn1 = conv(inputs, width, 1), norm(width)
            self.conv2 = conv(width, width, 3, stride, **spread)
            self.bn2 = norm(width)
            self.conv3 = conv(width, planes * 4, 1)
            self.bn3 = norm(planes * 4)
        self.downsample = downsample

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.expansion == 4:
            y = self.bn3(self.conv3(torch.relu(y)))
        y += x if self.downsample is None else self.downsample(x)
        return torch.relu(y)


class Basic(Block):
    expansion = 1


class Deep(Block):
    expansion = 4


class ResNet(nn.Module):
    def __init__(
        self,
        block,
        layers,
        num_classes=1000,
        zero_init_residual=False,
        groups=1,
        width_per_group=64,
        replace_stride_with_dilation=(False, False, False),
        norm_layer=nn.BatchNorm2d,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm_layer(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, dilation = 64, 1
        dilate = False, *replace_stride_with_dilation
        for i, (n_blocks, spread) in enumerate(zip(layers, dilate)):
            planes, stride, before = 64 * 2**i, 2 if i else 1, dilation
            if spread:
                dilation, stride = dilation * stride, 1
            wide, down = planes * block.expansion, None
            if stride != 1 or inputs != wide:
                narrow = nn.Conv2d(inputs, wide, 1, stride, bias=False)
                down = nn.Sequential(narrow, norm_layer(wide))
            made = []
            for place in range(n_blocks):
                first = place == 0
                options = (stride, down) if first else (1, None)
                held = before if first else dilation
                more = *options, groups, width_per_group, held, norm_layer
                made.append(block(inputs, planes, *more))
                inputs = wide
            setattr(self, f"layer{i + 1}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, 0, "fan_out", "relu")
        for module in self.modules():
            if zero_init_residual and isinstance(module, Block):
                last = "bn2" if block.expansion == 1 else "bn3"
                nn.init.zeros_(getattr(module, last).weight)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))
