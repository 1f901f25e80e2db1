# Extracted from book/; edit the chapters.
"""The public names of groundup.training."""

from groundup.training.annealing import Anneal as Anneal
from groundup.training.annealing import progress_of as progress_of
from groundup.training.callback import Callback as Callback
from groundup.training.callback import Cancel as Cancel
from groundup.training.callback import CancelBatch as CancelBatch
from groundup.training.callback import CancelEpoch as CancelEpoch
from groundup.training.callback import CancelFit as CancelFit
from groundup.training.callback import CancelTraining as CancelTraining
from groundup.training.callback import CancelValidation as CancelValidation
from groundup.training.callback import Run as Run
from groundup.training.callbacks import Accumulate as Accumulate
from groundup.training.callbacks import ClipGradient as ClipGradient
from groundup.training.callbacks import Device as Device
from groundup.training.callbacks import EarlyStopping as EarlyStopping
from groundup.training.callbacks import FiniteLoss as FiniteLoss
from groundup.training.checkpoint import Checkpoint as Checkpoint
from groundup.training.learner import Learner as Learner
from groundup.training.learner import default_callbacks as default_callbacks
from groundup.training.lr_finder import LRFinder as LRFinder
from groundup.training.lr_finder import find_lr as find_lr
from groundup.training.metrics import Accuracy as Accuracy
from groundup.training.metrics import EpochMetric as EpochMetric
from groundup.training.metrics import Mean as Mean
from groundup.training.metrics import Metric as Metric
from groundup.training.progress import Progress as Progress
from groundup.training.recorder import Recorder as Recorder
from groundup.training.saving import CheckpointError as CheckpointError
from groundup.training.saving import read_checkpoint as read_checkpoint
from groundup.training.saving import write_checkpoint as write_checkpoint
from groundup.training.scheduler import Scheduler as Scheduler
