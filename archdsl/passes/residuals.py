"""Additions, and other merges element by element, in the kernel that makes one of the branches: a residual is
added to a convolution's sums before they are written.

Saves writing and reading that branch. Of several branches the one that took the longest way is chosen, of
those the costliest: the other is then ready, and where it is a projection, `projections` can take it in too.
"""

from __future__ import annotations

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import CONVOLUTIONS, MERGES, POINTWISE
from archdsl.symbolic import known


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    depth: dict[int, int] = {}
    for item in draft.items:
        depth[id(item)] = 1 + max((depth[id(i)] for i in item.inputs), default=0)
    for item in draft:
        kernel = item.kernel
        if kernel is None or kernel.trunk[0].kind not in MERGES:
            continue
        branches = [
            (_worth(branch, item), depth[id(branch)], branch.macs if known(branch.macs) else 0, k)
            for k, branch in enumerate(item.inputs)
        ]
        for worth, *_, k in sorted(branches, reverse=True):
            if worth and draft.join(item.inputs[k], item):
                break
    return draft.done()


def _worth(branch: Item, item: Item) -> int:
    """2: a convolution makes it; 1: layers element by element do; 0: it has to be read."""
    kernel, merge = branch.simple, item.kernel
    if kernel is None or merge is None or branch.sole is not item:
        return 0
    first = merge.trunk[0]
    if item.inputs.index(branch) not in (0, *first.operands):
        return 0
    shapes = first.arguments(item.inputs[0].shape, [item.inputs[i].shape for i in first.operands])
    if branch.shape != first.op.infer(*shapes):
        return 0
    if kernel.has(CONVOLUTIONS):
        return 2
    return int(all(stage.kind in POINTWISE for stage in kernel.trunk))
