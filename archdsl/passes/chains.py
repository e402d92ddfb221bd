"""A convolution and the 1x1 convolution after it in one kernel, where what is between is narrow enough to be
held: the 3x3 and the last 1x1 of a bottleneck.

Saves writing and reading the tensor between.
"""

from __future__ import annotations

from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Item, everything
from archdsl.passes._kernel import CONVOLUTIONS, POINTWISE, Kernel
from archdsl.passes._one_by_one import join_before
from archdsl.symbolic import known

WIDEST = 128
"""Channels of the tensor that is held."""


def run(network: Network, accepts: Accepts = everything) -> Network:
    return join_before(network, _may_come_before, accepts)


def _may_come_before(item: Item, kernel: Kernel) -> bool:
    convs = [stage for stage in kernel.trunk if stage.kind in CONVOLUTIONS]
    if len(convs) != 1 or convs[0].kind != "conv" or any(stage.operands for stage in kernel.trunk):
        return False
    op: Any = convs[0].op
    others = {stage.kind for stage in kernel.trunk if stage is not convs[0]}
    if op.kernel == (1, 1) or not POINTWISE.issuperset(others):
        return False
    return known(item.shape[0]) and item.shape[0] <= WIDEST
