# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Layers that drop whole channels, or keep the variance."""

from torch import Tensor

from groundup.nn.dropout import DropoutBase
from groundup.nn.functional.alpha_dropping import (
    alpha_dropout,
    feature_alpha_dropout,
)
from groundup.nn.functional.channel_dropping import (
    dropout1d,
    dropout2d,
    dropout3d,
)


class Dropout1d(DropoutBase):
    """Channels of sequences are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, l) or (c, l)."""
        return dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(DropoutBase):
    """Channels of images are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, h, w)."""
        return dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(DropoutBase):
    """Channels of volumes are left out while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, d, h, w)."""
        return dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(DropoutBase):
    """Numbers fall to SELU's lowest value while training."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(DropoutBase):
    """Channels fall to SELU's lowest value while training."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...)."""
        return feature_alpha_dropout(input, self.p, self.training)
