# Extracted from book/; edit the chapters.
"""The public names of groundup.vision."""

from groundup.vision.fast import FastResNet as FastResNet
from groundup.vision.resnet import BasicBlock as BasicBlock
from groundup.vision.resnet import Bottleneck as Bottleneck
from groundup.vision.resnet import ResNet as ResNet
from groundup.vision.resnet import resnet18 as resnet18
from groundup.vision.resnet import resnet34 as resnet34
from groundup.vision.resnet import resnet50 as resnet50
