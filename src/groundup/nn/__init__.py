# Extracted from book/; edit the chapters.
"""The public names of groundup.nn."""

from groundup.nn import functional as functional
from groundup.nn import init as init
from groundup.nn import utils as utils
from groundup.nn.activation import ReLU as ReLU
from groundup.nn.container import ModuleList as ModuleList
from groundup.nn.container import Sequential as Sequential
from groundup.nn.conv import Conv2d as Conv2d
from groundup.nn.flatten import Flatten as Flatten
from groundup.nn.grad import conv2d_input as conv2d_input
from groundup.nn.grad import conv2d_weight as conv2d_weight
from groundup.nn.instance_norm import InstanceNorm1d as InstanceNorm1d
from groundup.nn.instance_norm import InstanceNorm2d as InstanceNorm2d
from groundup.nn.linear import Linear as Linear
from groundup.nn.loss import BCEWithLogitsLoss as BCEWithLogitsLoss
from groundup.nn.loss import CrossEntropyLoss as CrossEntropyLoss
from groundup.nn.loss import L1Loss as L1Loss
from groundup.nn.loss import MSELoss as MSELoss
from groundup.nn.loss import NLLLoss as NLLLoss
from groundup.nn.loss import SmoothL1Loss as SmoothL1Loss
from groundup.nn.module import Handle as Handle
from groundup.nn.module import Module as Module
from groundup.nn.norm import BatchNorm1d as BatchNorm1d
from groundup.nn.norm import BatchNorm2d as BatchNorm2d
from groundup.nn.normalization import GroupNorm as GroupNorm
from groundup.nn.normalization import LayerNorm as LayerNorm
from groundup.nn.normalization import RMSNorm as RMSNorm
from groundup.nn.parameter import Parameter as Parameter
from groundup.nn.pool import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from groundup.nn.pool import AvgPool2d as AvgPool2d
from groundup.nn.pool import MaxPool2d as MaxPool2d
