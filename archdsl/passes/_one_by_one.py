"""What the passes share that put a 1x1 convolution after another layer in one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item
from archdsl.passes._kernel import CONVOLUTIONS, Kernel, is_pixelwise


def join_before(network: Network, may: Callable[[Item, Kernel], bool], accepts: Accepts) -> Network:
    """Let each kernel that begins with a 1x1 convolution of stride 1, its only one, do first what makes its
    input, where `may` says so and nobody else reads that."""
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.kernel
        if kernel is None or not is_pixelwise(kernel.trunk[0]):
            continue
        op: Any = kernel.trunk[0].op
        if op.stride != (1, 1) or sum(stage.kind in CONVOLUTIONS for stage in kernel.trunk) != 1:
            continue
        before = item.inputs[0]
        producer = before.simple
        if producer is not None and before.sole is item and may(before, producer):
            draft.join(before, item)
    return draft.done()
