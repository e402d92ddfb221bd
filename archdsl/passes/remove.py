"""What evaluation does not need: side heads, dropout, identities, second names, a flatten before an fc, pools
of one cell, merges of one branch, and every layer that no output depends on.

Saves the kernels of the side heads; the others move no data anyway, but stand between layers that could be
fused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import MERGES, Kernel, Other

IN_TRAINING = frozenset({"identity", "dropout", "droppath"})


def run(network: Network, accepts: Accepts = everything) -> Network:
    if any(output.aux for output in network.outputs):
        network = replace(network, outputs=tuple(output for output in network.outputs if not output.aux))
    draft = Draft(network, accepts)
    for item in draft:
        if len(item.inputs) == 1 and _is_nothing(item):
            draft.skip(item, item.inputs[0])
        elif item.inputs and item.inputs[0].op.syntax == "flatten" and _first(item) == "fc":
            draft.wire(item, [item.inputs[0].inputs[0], *item.inputs[1:]])
    for item in reversed(draft.items[1:]):
        if id(item) not in draft.gone and not item.readers and not item.ends:
            _take_out(draft, item)
    return draft.done()


def _first(item: Item) -> str:
    op = item.op
    return op.trunk[0].kind if isinstance(op, Kernel) else op.syntax


def _is_nothing(item: Item) -> bool:
    """Whether, in evaluation, what comes in goes out."""
    op: Any = item.op
    before = item.inputs[0].shape
    match op.syntax:
        case "flatten":
            return len(before) == 1
        case "gap":
            return before[1:] == (1, 1)
        case "maxpool" | "avgpool":
            return (op.kernel, op.stride, op.padding) == ((1, 1), (1, 1), (0, 0, 0, 0))
        case "concat" | "placed":
            return True
        case kind:
            return kind in IN_TRAINING or kind in MERGES


def _take_out(draft: Draft, item: Item) -> None:
    """Drop an item that nobody reads. Of a kernel's tensors only the last can go: the others have its
    number."""
    if isinstance(item.op, Other):
        owner = item.owner
        kernel = owner.kernel
        assert kernel is not None
        if item.op.index == len(kernel.ways) - 1:
            owner.op = Kernel(trunk=kernel.trunk, ways=kernel.ways[:-1])
            draft.drop(item)
        return
    draft.drop(item)
