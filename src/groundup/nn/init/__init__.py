# Extracted from book/; edit the chapters.
"""The public names of groundup.nn.init."""

from groundup.nn.init.lsuv import lsuv_ as lsuv_
from groundup.nn.init.scaled import calculate_gain as calculate_gain
from groundup.nn.init.scaled import constant_ as constant_
from groundup.nn.init.scaled import kaiming_normal_ as kaiming_normal_
from groundup.nn.init.scaled import kaiming_uniform_ as kaiming_uniform_
from groundup.nn.init.scaled import normal_ as normal_
from groundup.nn.init.scaled import ones_ as ones_
from groundup.nn.init.scaled import uniform_ as uniform_
from groundup.nn.init.scaled import xavier_normal_ as xavier_normal_
from groundup.nn.init.scaled import xavier_uniform_ as xavier_uniform_
from groundup.nn.init.scaled import zeros_ as zeros_
from groundup.nn.init.structured import dirac_ as dirac_
from groundup.nn.init.structured import eye_ as eye_
from groundup.nn.init.structured import orthogonal_ as orthogonal_
from groundup.nn.init.structured import sparse_ as sparse_
from groundup.nn.init.structured import trunc_normal_ as trunc_normal_
