# Extracted from book/; edit the chapters.
"""The public names of groundup.training."""

from groundup.training.backward_hooks import (
    register_full_backward_hook as register_full_backward_hook,
)
from groundup.training.backward_hooks import (
    register_full_backward_pre_hook as register_full_backward_pre_hook,
)
from groundup.training.backward_hooks import watch_gradients as watch_gradients
from groundup.training.by_hand import ByHand as ByHand
from groundup.training.by_hand import CrossEntropy as CrossEntropy
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
from groundup.training.clip import clip_grad_norm_ as clip_grad_norm_
from groundup.training.clip import clip_grad_value_ as clip_grad_value_
from groundup.training.data_checks import check_labels as check_labels
from groundup.training.data_checks import check_leak as check_leak
from groundup.training.data_checks import check_overlap as check_overlap
from groundup.training.data_checks import check_scale as check_scale
from groundup.training.data_checks import check_shuffled as check_shuffled
from groundup.training.file import DIGEST as DIGEST
from groundup.training.file import ZEROS as ZEROS
from groundup.training.file import read_checkpoint as read_checkpoint
from groundup.training.file import write_checkpoint as write_checkpoint
from groundup.training.file import write_file as write_file
from groundup.training.hooks import Handles as Handles
from groundup.training.hooks import leaf_modules as leaf_modules
from groundup.training.hooks import watch_outputs as watch_outputs
from groundup.training.learner import Learner as Learner
from groundup.training.metrics import Accuracy as Accuracy
from groundup.training.metrics import Mean as Mean
from groundup.training.metrics import Metric as Metric
from groundup.training.metrics import Whole as Whole
from groundup.training.metrics import as_metric as as_metric
from groundup.training.metrics import floats as floats
from groundup.training.metrics import weighted_mean as weighted_mean
from groundup.training.model_checks import (
    check_activations as check_activations,
)
from groundup.training.model_checks import check_loss as check_loss
from groundup.training.model_checks import check_nonlinear as check_nonlinear
from groundup.training.model_checks import check_repeats as check_repeats
from groundup.training.model_checks import check_rows as check_rows
from groundup.training.model_checks import check_scores as check_scores
from groundup.training.progress import Bars as Bars
from groundup.training.progress import Lines as Lines
from groundup.training.progress import Progress as Progress
from groundup.training.progress import default_callbacks as default_callbacks
from groundup.training.progress import has_bars as has_bars
from groundup.training.recorder import Recorder as Recorder
from groundup.training.schedule import Anneal as Anneal
from groundup.training.schedule import LRFinder as LRFinder
from groundup.training.schedule import OneCycle as OneCycle
from groundup.training.schedule import Scheduler as Scheduler
from groundup.training.schedule import find_lr as find_lr
from groundup.training.schedule import progress_of as progress_of
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
from groundup.training.statistics import Snapshot as Snapshot
from groundup.training.statistics import Statistics as Statistics
from groundup.training.statistics import draw_histograms as draw_histograms
from groundup.training.statistics import plot_dead as plot_dead
from groundup.training.statistics import plot_histograms as plot_histograms
from groundup.training.statistics import plot_moments as plot_moments
from groundup.training.step_checks import check_fresh as check_fresh
from groundup.training.step_checks import check_gradients as check_gradients
from groundup.training.step_checks import check_parameters as check_parameters
from groundup.training.step_checks import check_step_size as check_step_size
from groundup.training.summary import RULES as RULES
from groundup.training.summary import CostRule as CostRule
from groundup.training.summary import Row as Row
from groundup.training.summary import Summary as Summary
from groundup.training.summary import (
    linear_multiply_adds as linear_multiply_adds,
)
from groundup.training.summary import summarize as summarize
from groundup.training.watch import Watch as Watch
