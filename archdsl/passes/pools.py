"""Pools, global average pooling too, in the kernel of the convolution before them, whose own output is then
never written. A pool of a concat goes to each branch.

Saves writing and reading the tensor before the pool, the largest of most networks. Windows that overlap need
some sums computed twice, at the borders of what a kernel works on at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything, extended
from archdsl.passes._kernel import POINTWISE, POOLS, Kernel, Stage

BEFORE = frozenset({"conv", "dwconv"})


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.kernel
        if kernel is None or kernel.trunk[0].kind not in POOLS:
            continue
        before = item.inputs[0]
        if before.op.syntax in ("concat", "placed"):
            _spread(draft, item, kernel)
        elif _can(before, kernel.trunk[0]):
            draft.append(item)
    return draft.done()


def _spread(draft: Draft, item: Item, kernel: Kernel) -> None:
    """A pool of a concat, in the kernel of every branch."""
    concat = item.inputs[0]
    pool = kernel.trunk[0]
    branches = concat.inputs
    if concat.sole is not item or len(set(map(id, branches))) < len(branches):
        return
    if not all(branch.sole is concat and _can(branch, pool) for branch in branches):
        return
    whole: dict[int, tuple[Item, Kernel]] = {}
    for branch in branches:
        owner = branch.owner
        before = whole[id(owner)][1] if id(owner) in whole else owner.kernel
        assert before is not None
        whole[id(owner)] = owner, extended(before, branch.way, (pool,))
    if not all(draft.fits(after, owner.inputs) for owner, after in whole.values()):
        return
    for branch in branches:
        draft.extend(branch, (pool,))
    channels = concat.shape[0]
    concat.shape = (channels, *pool.op.infer(concat.shape)[1:])
    if len(kernel.trunk) == 1 and kernel.simple:
        draft.become(concat, item)
    else:
        item.op = Kernel(trunk=kernel.trunk[1:], ways=kernel.ways)


def _can(tensor: Item, pool: Stage) -> bool:
    """Whether a tensor is made by a convolution that no pool follows yet, or, for gap, element by element."""
    kernel = tensor.owner.kernel
    if kernel is None or tensor.op.syntax in ("concat", "placed"):
        return False
    chain: Sequence[Stage] = (*kernel.trunk, *kernel.ways[tensor.way].stages)
    for stage in reversed(chain):
        if stage.kind in BEFORE:
            return True
        if stage.kind not in POINTWISE:
            return False
    return pool.kind == "gap"
