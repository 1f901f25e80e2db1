# Extracted from book/; edit the chapters.
"""The public names of groundup.nn."""

from groundup.nn import functional as functional
from groundup.nn import init as init
from groundup.nn import tree as tree
from groundup.nn.activation import ReLU as ReLU
from groundup.nn.container import ModuleList as ModuleList
from groundup.nn.container import Sequential as Sequential
from groundup.nn.linear import Linear as Linear
from groundup.nn.loss import BCEWithLogitsLoss as BCEWithLogitsLoss
from groundup.nn.loss import CrossEntropyLoss as CrossEntropyLoss
from groundup.nn.loss import L1Loss as L1Loss
from groundup.nn.loss import MSELoss as MSELoss
from groundup.nn.loss import NLLLoss as NLLLoss
from groundup.nn.loss import SmoothL1Loss as SmoothL1Loss
from groundup.nn.loss import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from groundup.nn.loss import cross_entropy as cross_entropy
from groundup.nn.loss import l1_loss as l1_loss
from groundup.nn.loss import mse_loss as mse_loss
from groundup.nn.loss import nll_loss as nll_loss
from groundup.nn.loss import smooth_l1_loss as smooth_l1_loss
from groundup.nn.module import Handle as Handle
from groundup.nn.module import Module as Module
from groundup.nn.module import show_tree as show_tree
from groundup.nn.parameter import Parameter as Parameter
from groundup.nn.probability import log_softmax as log_softmax
from groundup.nn.probability import logsigmoid as logsigmoid
from groundup.nn.probability import logsumexp as logsumexp
from groundup.nn.probability import softmax as softmax
