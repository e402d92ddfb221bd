"""1x1 convolutions and fcs of single positions, one after another, as one kernel: the two small layers of
squeeze-and-excitation.

Saves kernels that take longer to start than to run. Only where the weights are small enough that every
image's share of the work can read all of them.
"""

from __future__ import annotations

from math import prod

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import CONVOLUTIONS, POINTWISE, Kernel, is_pixelwise
from archdsl.symbolic import known

LARGEST = 2**20
"""Weights of a kernel that may hold all of them close."""


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.kernel
        if kernel is None or not _is_small(item, kernel):
            continue
        before = item.inputs[0]
        producer = before.simple
        if producer is None or before.sole is not item or not _is_small(before, producer):
            continue
        if _size(item, kernel) + _size(before, producer) <= LARGEST:
            draft.join(before, item)
    return draft.done()


def _is_small(item: Item, kernel: Kernel) -> bool:
    """Layers of one position each, the first a convolution."""
    single = item.inputs[0].shape[1:] in ((), (1, 1)) and item.shape[1:] in ((), (1, 1))
    stages = kernel.trunk
    if not single or stages[0].kind not in CONVOLUTIONS or any(stage.operands for stage in stages):
        return False
    return kernel.simple and all(is_pixelwise(s) or s.kind == "fc" or s.kind in POINTWISE for s in stages)


def _size(item: Item, kernel: Kernel) -> int:
    steps, _ = kernel.steps(*(i.shape for i in item.inputs))
    total = 0
    for step in steps:
        for weight in step.weights:
            size = prod(weight.shape)
            total += size if known(size) else LARGEST
    return total
