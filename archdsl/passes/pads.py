"""A pad of zeros before a convolution becomes the convolution's own padding.

Saves a kernel that reads and writes the image; Keras's networks have one before every convolution of stride
2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, everything
from archdsl.passes._kernel import Kernel

PADDED = frozenset({"conv", "dwconv"})


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in reversed(list(draft)):
        op: Any = item.op
        if op.syntax != "pad" or op.value != 0 or op.channels not in (None, item.inputs[0].shape[0]):
            continue
        readers = item.takers
        if op.stride != (1, 1) or item.ends or not readers or not all(_takes(r, item) for r in readers):
            continue
        for reader in readers:
            kernel = reader.kernel
            assert kernel is not None
            first = kernel.trunk[0]
            conv: Any = first.op
            sides = tuple(a + b for a, b in zip(conv.padding, op.padding, strict=True))
            padded = replace(first, op=type(conv)(**dict(conv) | {"padding": sides}))
            reader.op = Kernel(trunk=(padded, *kernel.trunk[1:]), ways=kernel.ways)
            draft.wire(reader, [item.inputs[0], *reader.inputs[1:]])
        draft.drop(item)
    return draft.done()


def _takes(reader: Any, item: Any) -> bool:
    kernel = reader.kernel
    if kernel is None or reader.inputs.count(item) != 1 or reader.inputs[0] is not item:
        return False
    first = kernel.trunk[0]
    return first.kind in PADDED and first.op.padding != "same"
