# Extracted from book/; edit the chapters.
"""The public names of groundup.nn.functional."""

from groundup.nn.functional.activation import rectify as rectify
from groundup.nn.functional.activation import relu as relu
from groundup.nn.functional.adaptive import (
    adaptive_avg_pool1d as adaptive_avg_pool1d,
)
from groundup.nn.functional.adaptive import (
    adaptive_max_pool1d as adaptive_max_pool1d,
)
from groundup.nn.functional.adaptive import (
    adaptive_max_pool2d as adaptive_max_pool2d,
)
from groundup.nn.functional.affine import linear as linear
from groundup.nn.functional.alpha_dropping import LOWEST as LOWEST
from groundup.nn.functional.alpha_dropping import alpha_dropout as alpha_dropout
from groundup.nn.functional.alpha_dropping import (
    feature_alpha_dropout as feature_alpha_dropout,
)
from groundup.nn.functional.binary import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from groundup.nn.functional.binary import logsigmoid as logsigmoid
from groundup.nn.functional.channel_dropping import dropout1d as dropout1d
from groundup.nn.functional.channel_dropping import dropout2d as dropout2d
from groundup.nn.functional.channel_dropping import dropout3d as dropout3d
from groundup.nn.functional.convolution import conv2d as conv2d
from groundup.nn.functional.dropping import dropout as dropout
from groundup.nn.functional.folding import fold as fold
from groundup.nn.functional.folding import unfold as unfold
from groundup.nn.functional.loss import cross_entropy as cross_entropy
from groundup.nn.functional.loss import nll_loss as nll_loss
from groundup.nn.functional.norm import batch_norm as batch_norm
from groundup.nn.functional.normalization import group_norm as group_norm
from groundup.nn.functional.normalization import instance_norm as instance_norm
from groundup.nn.functional.normalization import layer_norm as layer_norm
from groundup.nn.functional.normalization import rms_norm as rms_norm
from groundup.nn.functional.padding import pad as pad
from groundup.nn.functional.pooling import (
    adaptive_avg_pool2d as adaptive_avg_pool2d,
)
from groundup.nn.functional.pooling import avg_pool2d as avg_pool2d
from groundup.nn.functional.pooling import max_pool2d as max_pool2d
from groundup.nn.functional.probability import log_softmax as log_softmax
from groundup.nn.functional.probability import logsumexp as logsumexp
from groundup.nn.functional.probability import softmax as softmax
from groundup.nn.functional.regression import l1_loss as l1_loss
from groundup.nn.functional.regression import mse_loss as mse_loss
from groundup.nn.functional.regression import smooth_l1_loss as smooth_l1_loss
from groundup.nn.functional.sequence import avg_pool1d as avg_pool1d
from groundup.nn.functional.sequence import conv1d as conv1d
from groundup.nn.functional.sequence import max_pool1d as max_pool1d
from groundup.nn.functional.sequence import single as single
from groundup.nn.functional.shuffling import pixel_shuffle as pixel_shuffle
from groundup.nn.functional.shuffling import pixel_unshuffle as pixel_unshuffle
from groundup.nn.functional.transposed import (
    conv_transpose1d as conv_transpose1d,
)
from groundup.nn.functional.transposed import (
    conv_transpose2d as conv_transpose2d,
)
