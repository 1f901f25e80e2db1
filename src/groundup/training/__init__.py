# Extracted from book/; edit the chapters.
"""The public names of groundup.training."""

from groundup.training.annealing import Anneal as Anneal
from groundup.training.annealing import progress_of as progress_of
from groundup.training.average import EMA as EMA
from groundup.training.average import AveragedModel as AveragedModel
from groundup.training.average import get_ema_avg_fn as get_ema_avg_fn
from groundup.training.average import (
    get_ema_multi_avg_fn as get_ema_multi_avg_fn,
)
from groundup.training.average import get_swa_avg_fn as get_swa_avg_fn
from groundup.training.average import (
    get_swa_multi_avg_fn as get_swa_multi_avg_fn,
)
from groundup.training.average import update_bn as update_bn
from groundup.training.callback import CANCELS as CANCELS
from groundup.training.callback import Callback as Callback
from groundup.training.callback import Cancel as Cancel
from groundup.training.callback import CancelBatch as CancelBatch
from groundup.training.callback import CancelEpoch as CancelEpoch
from groundup.training.callback import CancelFit as CancelFit
from groundup.training.callback import CancelTraining as CancelTraining
from groundup.training.callback import CancelValidation as CancelValidation
from groundup.training.callback import Run as Run
from groundup.training.callback import gravest as gravest
from groundup.training.callbacks import Accumulate as Accumulate
from groundup.training.callbacks import ClipGradient as ClipGradient
from groundup.training.callbacks import CSVLog as CSVLog
from groundup.training.callbacks import Device as Device
from groundup.training.callbacks import EarlyStopping as EarlyStopping
from groundup.training.callbacks import FiniteLoss as FiniteLoss
from groundup.training.callbacks import SaveBest as SaveBest
from groundup.training.checkpoint import Checkpoint as Checkpoint
from groundup.training.learner import Learner as Learner
from groundup.training.learner import default_callbacks as default_callbacks
from groundup.training.lr_finder import LRFinder as LRFinder
from groundup.training.lr_finder import find_lr as find_lr
from groundup.training.metrics import F1 as F1
from groundup.training.metrics import Accuracy as Accuracy
from groundup.training.metrics import BinaryAccuracy as BinaryAccuracy
from groundup.training.metrics import ClassMetric as ClassMetric
from groundup.training.metrics import EpochMetric as EpochMetric
from groundup.training.metrics import Mean as Mean
from groundup.training.metrics import Metric as Metric
from groundup.training.metrics import Precision as Precision
from groundup.training.metrics import Recall as Recall
from groundup.training.progress import Progress as Progress
from groundup.training.recorder import Recorder as Recorder
from groundup.training.regularize import Augment as Augment
from groundup.training.regularize import CutMix as CutMix
from groundup.training.regularize import MixUp as MixUp
from groundup.training.regularize import check_targets as check_targets
from groundup.training.regularize import cutmix as cutmix
from groundup.training.regularize import mixup as mixup
from groundup.training.saving import CheckpointError as CheckpointError
from groundup.training.saving import read_checkpoint as read_checkpoint
from groundup.training.saving import write_checkpoint as write_checkpoint
from groundup.training.scheduler import Scheduler as Scheduler
