"""A depthwise convolution in the kernel of the 1x1 convolution after it, whose input it computes as it is
needed.

Saves writing and reading the tensor between: in MobileNets the widest.
"""

from __future__ import annotations

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Item, everything
from archdsl.passes._kernel import CONVOLUTIONS, POINTWISE, Kernel
from archdsl.passes._one_by_one import join_before


def run(network: Network, accepts: Accepts = everything) -> Network:
    return join_before(network, _may_come_before, accepts)


def _may_come_before(_item: Item, kernel: Kernel) -> bool:
    kinds = [stage.kind for stage in kernel.trunk]
    if any(stage.operands for stage in kernel.trunk):
        return False
    return [k for k in kinds if k in CONVOLUTIONS] == ["dwconv"] and POINTWISE.issuperset(
        {*kinds} - {"dwconv"}
    )
