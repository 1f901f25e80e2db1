# Extracted from book/; edit the chapters.
"""The public names of groundup.nn."""

from groundup.nn import functional as functional
from groundup.nn import init as init
from groundup.nn import tree as tree
from groundup.nn.activation import ReLU as ReLU
from groundup.nn.container import ModuleList as ModuleList
from groundup.nn.container import Sequential as Sequential
from groundup.nn.linear import Linear as Linear
from groundup.nn.module import Handle as Handle
from groundup.nn.module import Module as Module
from groundup.nn.module import show_tree as show_tree
from groundup.nn.parameter import Parameter as Parameter
