"""A concat whose branches are written straight to their channels of its tensor.

Saves reading and writing all of it. What can't be written there by its own kernel, the image or a tensor that
another concat has already, is copied; where that would be more than one copy, the concat stays as it is.
"""

from __future__ import annotations

from archdsl.network import Network
from archdsl.ops import LAYERS
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import VIEWS, Kernel, Placed, Stage


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    taken = {id(i) for item in draft for i in item.inputs if isinstance(item.op, Placed)}
    for item in draft:
        if item.op.syntax != "concat":
            continue
        fitting: set[int] = set()
        for branch in item.inputs:
            if id(branch) not in taken and id(branch) not in fitting and _own(branch):
                fitting.add(id(branch))
        waiting, inputs = set(fitting), []
        if len(item.inputs) - len(fitting) > 1 or not fitting:
            continue
        for k, branch in enumerate(item.inputs):
            if id(branch) in waiting:
                waiting.discard(id(branch))
                inputs.append(branch)
            else:
                copy = Kernel(trunk=(Stage(LAYERS["identity"]()),))
                inputs.append(draft.insert(item, copy, [branch], branch.shape, f"{item.name}.{k}"))
        taken.update(map(id, inputs))
        item.op = Placed()
        draft.wire(item, inputs)
    return draft.done()


def _own(branch: Item) -> bool:
    """Whether the tensor is no part or second name of another: a kernel's, or a concat's."""
    if not branch.inputs or branch.op.syntax in VIEWS - {"placed", "other"}:
        return False
    return branch.op.syntax != "flatten"
