# Extracted from book/; edit the chapters.
"""The public names of groundup.inside."""

from groundup.inside.backward_hooks import (
    register_full_backward_hook as register_full_backward_hook,
)
from groundup.inside.backward_hooks import (
    register_full_backward_pre_hook as register_full_backward_pre_hook,
)
from groundup.inside.data_checks import check_labels as check_labels
from groundup.inside.data_checks import check_leak as check_leak
from groundup.inside.data_checks import check_overlap as check_overlap
from groundup.inside.data_checks import check_scale as check_scale
from groundup.inside.data_checks import check_shuffled as check_shuffled
from groundup.inside.examination import examine as examine
from groundup.inside.hooks import Handles as Handles
from groundup.inside.hooks import leaf_modules as leaf_modules
from groundup.inside.hooks import watch_gradients as watch_gradients
from groundup.inside.hooks import watch_outputs as watch_outputs
from groundup.inside.loss_checks import check_loss as check_loss
from groundup.inside.loss_checks import check_scores as check_scores
from groundup.inside.model_checks import check_activations as check_activations
from groundup.inside.model_checks import check_nonlinear as check_nonlinear
from groundup.inside.repeat_checks import check_fresh as check_fresh
from groundup.inside.repeat_checks import check_repeats as check_repeats
from groundup.inside.repeat_checks import check_rows as check_rows
from groundup.inside.statistics import Statistics as Statistics
from groundup.inside.statistics import draw_histograms as draw_histograms
from groundup.inside.statistics import plot_dead as plot_dead
from groundup.inside.statistics import plot_histograms as plot_histograms
from groundup.inside.statistics import plot_moments as plot_moments
from groundup.inside.step_checks import check_gradients as check_gradients
from groundup.inside.step_checks import check_parameters as check_parameters
from groundup.inside.step_checks import check_step_size as check_step_size
from groundup.inside.summary import summarize as summarize
from groundup.inside.watch import Watch as Watch
