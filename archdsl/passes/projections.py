"""A shortcut's 1x1 projection in the kernel of the convolution that it is added to: two products, one sum. A
shortcut that only takes every second position and adds channels of zeros is read so there.

Saves writing and reading the projected tensor, and a kernel.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import CONVOLUTIONS, Kernel, is_side


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.op
        if not isinstance(kernel, Kernel):
            continue
        for index, stage in enumerate(kernel.trunk):
            if stage.kind != "add" or len(stage.operands) != 1 or stage.side or not index:
                continue
            if kernel.trunk[index - 1].kind not in CONVOLUTIONS:
                continue
            k = stage.operands[0]
            branch = item.inputs[k]
            side = branch.simple
            if side is None or branch.sole is not item or not _is_projection(branch, side):
                continue
            trunk = (*kernel.trunk[:index], replace(stage, side=side.trunk), *kernel.trunk[index + 1 :])
            merged = Kernel(trunk=trunk, ways=kernel.ways)
            inputs = list(item.inputs)
            inputs[k] = branch.inputs[0]
            if not draft.fits(merged, inputs):
                continue
            kernel = item.op = merged
            draft.absorb(item, branch)
            draft.wire(item, inputs)
            draft.drop(branch)
    return draft.done()


def _is_projection(branch: Item, side: Kernel) -> bool:
    """A 1x1 convolution at the end, at most element by element layers before it, and nothing else read; or a
    `pad` without a border."""
    *before, last = side.trunk
    if len(branch.inputs) > 1 or any(stage.side for stage in side.trunk):
        return False
    return is_side(last) and not any(stage.kind in CONVOLUTIONS | {"pad"} for stage in before)
