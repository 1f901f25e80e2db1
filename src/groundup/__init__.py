# Extracted from book/; edit the chapters.
"""The library that the book Ground Up builds."""

from groundup import autograd as autograd
from groundup import data as data
from groundup import inside as inside
from groundup import linalg as linalg
from groundup import manual as manual
from groundup import nn as nn
from groundup import optim as optim
from groundup import training as training
from groundup import vision as vision

__version__ = "0.2.0"
