# Extracted from book/; edit the chapters.
"""The public names of groundup.optim.lr_scheduler."""

from groundup.optim.lr_scheduler.base import LRScheduler as LRScheduler
from groundup.optim.lr_scheduler.cycle import (
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from groundup.optim.lr_scheduler.cycle import CyclicLR as CyclicLR
from groundup.optim.lr_scheduler.factor import ConstantLR as ConstantLR
from groundup.optim.lr_scheduler.factor import (
    CosineAnnealingLR as CosineAnnealingLR,
)
from groundup.optim.lr_scheduler.factor import ExponentialLR as ExponentialLR
from groundup.optim.lr_scheduler.factor import LinearLR as LinearLR
from groundup.optim.lr_scheduler.factor import MultiStepLR as MultiStepLR
from groundup.optim.lr_scheduler.factor import PolynomialLR as PolynomialLR
from groundup.optim.lr_scheduler.factor import StepLR as StepLR
from groundup.optim.lr_scheduler.function import LambdaLR as LambdaLR
from groundup.optim.lr_scheduler.function import (
    MultiplicativeLR as MultiplicativeLR,
)
from groundup.optim.lr_scheduler.one_cycle import OneCycleLR as OneCycleLR
from groundup.optim.lr_scheduler.plateau import (
    ReduceLROnPlateau as ReduceLROnPlateau,
)
from groundup.optim.lr_scheduler.several import (
    ChainedScheduler as ChainedScheduler,
)
from groundup.optim.lr_scheduler.several import SequentialLR as SequentialLR
