# Extracted from book/; edit the chapters.
"""The public names of groundup.autograd."""

from groundup.autograd import axes as axes
from groundup.autograd import functions as functions
from groundup.autograd import graph as graph
from groundup.autograd import rules as rules
from groundup.autograd.broadcasting import unbroadcast as unbroadcast
from groundup.autograd.check import gradcheck as gradcheck
from groundup.autograd.function import Context as Context
from groundup.autograd.function import Function as Function
from groundup.autograd.grad_mode import is_grad_enabled as is_grad_enabled
from groundup.autograd.grad_mode import no_grad as no_grad
from groundup.autograd.several import cat as cat
from groundup.autograd.several import grad as grad
from groundup.autograd.several import stack as stack
from groundup.autograd.several import where as where
from groundup.autograd.variable import Variable as Variable
from groundup.autograd.variable import apply as apply
from groundup.autograd.variable import data_of as data_of
from groundup.autograd.variable import needs_grad as needs_grad
from groundup.autograd.variable import record as record
