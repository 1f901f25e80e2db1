# Extracted from book/; edit the chapters.
"""The public names of groundup.vision."""

from groundup.vision.fast import FastResNet as FastResNet
from groundup.vision.fast import LowPrecision as LowPrecision
from groundup.vision.fast import Recipe as Recipe
from groundup.vision.fast import fast_learner as fast_learner
from groundup.vision.fast import kernels_and_rest as kernels_and_rest
from groundup.vision.resnet import BasicBlock as BasicBlock
from groundup.vision.resnet import Bottleneck as Bottleneck
from groundup.vision.resnet import ResNet as ResNet
from groundup.vision.resnet import resnet18 as resnet18
from groundup.vision.resnet import resnet34 as resnet34
from groundup.vision.resnet import resnet50 as resnet50
