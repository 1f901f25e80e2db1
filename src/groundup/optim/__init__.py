# Extracted from book/; edit the chapters.
"""The public names of groundup.optim."""

from groundup.optim import lr_scheduler as lr_scheduler
from groundup.optim import schedule as schedule
