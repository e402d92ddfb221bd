"""A pool that keeps the size, in the kernel of the 1x1 convolution after it: Inception's pool branch. So is a
pool of single cells, which only takes every second one: NASNet's reductions.

Saves writing and reading the pooled tensor.
"""

from __future__ import annotations

from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Item, everything
from archdsl.passes._kernel import Kernel
from archdsl.passes._one_by_one import join_before


def run(network: Network, accepts: Accepts = everything) -> Network:
    return join_before(network, _may_come_before, accepts)


def _may_come_before(item: Item, kernel: Kernel) -> bool:
    if len(kernel.trunk) > 1 or kernel.trunk[0].kind not in ("maxpool", "avgpool"):
        return False
    pool: Any = kernel.trunk[0].op
    return item.shape == item.inputs[0].shape or pool.kernel == (1, 1)
