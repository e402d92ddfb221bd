"""What else is made of a tensor that is written anyway, in the kernel that makes it: the means that
squeeze-and-excitation starts from, the batch norm and ReLU that begin a pre-activation block, a copy for a
concat.

Saves reading the tensor once more, and a kernel. The same layer twice on one tensor is done once.
"""

from __future__ import annotations

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import ACTIVATIONS, AFFINE, CONVOLUTIONS, POINTWISE, Kernel, Other, Stage, Way


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.simple
        if kernel is None or len(item.inputs) != 1 or item.readers != item.takers:
            continue
        tensor = item.inputs[0]
        if len(tensor.takers) + tensor.ends > 1 and _is_small(kernel.trunk) and _carries(tensor):
            _attach(draft, tensor, item, kernel)
    return draft.done()


def _is_small(trunk: tuple[Stage, ...]) -> bool:
    *before, last = trunk
    return all(s.kind in ACTIVATIONS | AFFINE for s in before) and last.kind in ACTIVATIONS | AFFINE | {"gap"}


def _carries(tensor: Item) -> bool:
    """Whether the kernel of a tensor ends as a convolution or element by element, so that every number it
    makes is at hand once."""
    kernel = tensor.owner.kernel
    if kernel is None:
        return False
    for stage in reversed((*kernel.trunk, *kernel.ways[tensor.way].stages)):
        if stage.kind in CONVOLUTIONS:
            return True
        if stage.kind not in POINTWISE:
            return False
    return True


def _attach(draft: Draft, tensor: Item, item: Item, kernel: Kernel) -> None:
    owner = tensor.owner
    whole = owner.kernel
    assert whole is not None
    base = whole.ways[tensor.way]
    way = Way(base.start, base.stop, (*base.stages, *kernel.trunk))
    copy = all(stage.kind == "identity" for stage in kernel.trunk)  # it is wanted at a place of its own
    if way in whole.ways and not copy:
        index = whole.ways.index(way)
        for other in owner.readers:
            if isinstance(other.op, Other) and other.op.index == index and other is not item:
                draft.skip(item, other)
                return
    draft.add_way(owner, way, item)
