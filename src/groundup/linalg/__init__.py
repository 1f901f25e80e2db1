# Extracted from book/; edit the chapters.
"""The public names of groundup.linalg."""

from groundup.linalg.named_axes import Label as Label
from groundup.linalg.named_axes import Labels as Labels
from groundup.linalg.named_axes import einsum as einsum
from groundup.linalg.named_axes import parse_equation as parse_equation
from groundup.linalg.products import broadcast_matmul as broadcast_matmul
from groundup.linalg.products import broadcast_shapes as broadcast_shapes
from groundup.linalg.products import broadcast_to as broadcast_to
from groundup.linalg.products import matmul as matmul
