# Extracted from book/; edit the chapters.
"""The public names of groundup.manual."""

from groundup.manual.by_hand import ByHand as ByHand
from groundup.manual.by_hand import CrossEntropyLayer as CrossEntropyLayer
from groundup.manual.gradients import (
    linear_bias_gradient as linear_bias_gradient,
)
from groundup.manual.gradients import (
    linear_input_gradient as linear_input_gradient,
)
from groundup.manual.gradients import (
    linear_weight_gradient as linear_weight_gradient,
)
from groundup.manual.gradients import mse_gradient as mse_gradient
from groundup.manual.gradients import numerical_gradient as numerical_gradient
from groundup.manual.gradients import relu_gradient as relu_gradient
from groundup.manual.layers import Layer as Layer
from groundup.manual.layers import LinearLayer as LinearLayer
from groundup.manual.layers import Model as Model
from groundup.manual.layers import MSELayer as MSELayer
from groundup.manual.layers import ReLULayer as ReLULayer
