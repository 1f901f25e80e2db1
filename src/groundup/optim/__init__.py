# Extracted from book/; edit the chapters.
"""The public names of groundup.optim."""

from groundup.optim import lr_scheduler as lr_scheduler
from groundup.optim import schedule as schedule
from groundup.optim.adagrad import Adagrad as Adagrad
from groundup.optim.adagrad import adagrad_step as adagrad_step
from groundup.optim.adam import Adam as Adam
from groundup.optim.adam import AdamW as AdamW
from groundup.optim.adam import adam_step as adam_step
from groundup.optim.kernel_muon import KernelMuon as KernelMuon
from groundup.optim.lamb import LAMB as LAMB
from groundup.optim.lamb import lamb_step as lamb_step
from groundup.optim.lamb import trust_ratio as trust_ratio
from groundup.optim.muon import Muon as Muon
from groundup.optim.muon import add_product as add_product
from groundup.optim.muon import adjusted_lr as adjusted_lr
from groundup.optim.muon import multiplies_bfloat16 as multiplies_bfloat16
from groundup.optim.muon import muon_step as muon_step
from groundup.optim.muon import newton_schulz as newton_schulz
from groundup.optim.optimizer import Optimizer as Optimizer
from groundup.optim.rmsprop import RMSprop as RMSprop
from groundup.optim.rmsprop import rmsprop_step as rmsprop_step
from groundup.optim.several import CombinedOptimizer as CombinedOptimizer
from groundup.optim.sgd import SGD as SGD
from groundup.optim.sgd import sgd_step as sgd_step
from groundup.optim.swa_utils import AveragedModel as AveragedModel
from groundup.optim.swa_utils import get_ema_avg_fn as get_ema_avg_fn
from groundup.optim.swa_utils import (
    get_ema_multi_avg_fn as get_ema_multi_avg_fn,
)
from groundup.optim.swa_utils import get_swa_avg_fn as get_swa_avg_fn
from groundup.optim.swa_utils import (
    get_swa_multi_avg_fn as get_swa_multi_avg_fn,
)
from groundup.optim.swa_utils import update_bn as update_bn
