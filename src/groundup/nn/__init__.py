# Extracted from book/; edit the chapters.
"""The public names of groundup.nn."""

from groundup.nn import functional as functional
from groundup.nn import init as init
from groundup.nn import utils as utils
from groundup.nn.activation import ReLU as ReLU
from groundup.nn.adaptive import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from groundup.nn.adaptive import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from groundup.nn.adaptive import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from groundup.nn.channel_dropout import AlphaDropout as AlphaDropout
from groundup.nn.channel_dropout import Dropout1d as Dropout1d
from groundup.nn.channel_dropout import Dropout2d as Dropout2d
from groundup.nn.channel_dropout import Dropout3d as Dropout3d
from groundup.nn.channel_dropout import (
    FeatureAlphaDropout as FeatureAlphaDropout,
)
from groundup.nn.container import ModuleList as ModuleList
from groundup.nn.container import Sequential as Sequential
from groundup.nn.conv import EDGES as EDGES
from groundup.nn.conv import Conv2d as Conv2d
from groundup.nn.dropout import Dropout as Dropout
from groundup.nn.dropout import DropoutBase as DropoutBase
from groundup.nn.flatten import Flatten as Flatten
from groundup.nn.folding import Fold as Fold
from groundup.nn.folding import Unfold as Unfold
from groundup.nn.general_relu import GeneralReLU as GeneralReLU
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
from groundup.nn.padding import CircularPad1d as CircularPad1d
from groundup.nn.padding import CircularPad2d as CircularPad2d
from groundup.nn.padding import ConstantPad1d as ConstantPad1d
from groundup.nn.padding import ConstantPad2d as ConstantPad2d
from groundup.nn.padding import ReflectionPad1d as ReflectionPad1d
from groundup.nn.padding import ReflectionPad2d as ReflectionPad2d
from groundup.nn.padding import ReplicationPad1d as ReplicationPad1d
from groundup.nn.padding import ReplicationPad2d as ReplicationPad2d
from groundup.nn.padding import ZeroPad1d as ZeroPad1d
from groundup.nn.padding import ZeroPad2d as ZeroPad2d
from groundup.nn.parameter import Parameter as Parameter
from groundup.nn.pool import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from groundup.nn.pool import AvgPool2d as AvgPool2d
from groundup.nn.pool import MaxPool2d as MaxPool2d
from groundup.nn.sequence import AvgPool1d as AvgPool1d
from groundup.nn.sequence import Conv1d as Conv1d
from groundup.nn.sequence import MaxPool1d as MaxPool1d
from groundup.nn.shuffle import PixelShuffle as PixelShuffle
from groundup.nn.shuffle import PixelUnshuffle as PixelUnshuffle
from groundup.nn.standardize import Standardize as Standardize
from groundup.nn.transposed import ConvTranspose1d as ConvTranspose1d
from groundup.nn.transposed import ConvTranspose2d as ConvTranspose2d
