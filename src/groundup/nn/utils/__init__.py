# Extracted from book/; edit the chapters.
"""The public names of groundup.nn.utils."""

from groundup.nn.utils.clip import clip_grad_norm_ as clip_grad_norm_
from groundup.nn.utils.clip import clip_grad_value_ as clip_grad_value_
