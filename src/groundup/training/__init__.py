# Extracted from book/; edit the chapters.
"""The public names of groundup.training."""

from groundup.training.annealing import Anneal as Anneal
from groundup.training.annealing import progress_of as progress_of
from groundup.training.callback import EVENTS as EVENTS
from groundup.training.callback import LEVELS as LEVELS
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
from groundup.training.file import DIGEST as DIGEST
from groundup.training.file import ZEROS as ZEROS
from groundup.training.file import read_checkpoint as read_checkpoint
from groundup.training.file import write_checkpoint as write_checkpoint
from groundup.training.file import write_file as write_file
from groundup.training.learner import Learner as Learner
from groundup.training.lr_finder import LRFinder as LRFinder
from groundup.training.lr_finder import find_lr as find_lr
from groundup.training.metrics import Accuracy as Accuracy
from groundup.training.metrics import Mean as Mean
from groundup.training.metrics import Metric as Metric
from groundup.training.metrics import Whole as Whole
from groundup.training.metrics import as_metric as as_metric
from groundup.training.metrics import floats as floats
from groundup.training.metrics import weighted_mean as weighted_mean
from groundup.training.progress import Bars as Bars
from groundup.training.progress import Lines as Lines
from groundup.training.progress import Progress as Progress
from groundup.training.progress import default_callbacks as default_callbacks
from groundup.training.progress import has_bars as has_bars
from groundup.training.recorder import Recorder as Recorder
from groundup.training.scheduler import Scheduler as Scheduler
from groundup.training.state import CheckpointError as CheckpointError
from groundup.training.state import all_random_states as all_random_states
from groundup.training.state import batches_after as batches_after
from groundup.training.state import load_run_state as load_run_state
from groundup.training.state import put_together as put_together
from groundup.training.state import run_state as run_state
from groundup.training.state import (
    set_all_random_states as set_all_random_states,
)
from groundup.training.state import take_apart as take_apart
