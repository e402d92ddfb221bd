"""What happens element by element before convolutions, in their kernels: the batch norm and ReLU of
pre-activation networks, and squeeze-and-excitation's factor for each channel.

Only where the padding allows: a 1x1 convolution has none, and before a padded one only activations that keep
zero, zero. Saves writing the tensor and reading it once more. All its readers must take it in, or it is
written anyway.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything, shifted
from archdsl.passes._kernel import ACTIVATIONS, AFFINE, ZERO_KEEPING, Kernel, Stage, is_pixelwise


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in reversed(list(draft)):
        kernel = item.simple
        if kernel is None or item.ends or item.readers != item.takers or not item.readers:
            continue
        if not all(_element_by_element(stage, item) for stage in kernel.trunk):
            continue
        keeping = all(stage.kind in ZERO_KEEPING for stage in kernel.trunk)
        if all(_takes(reader, item, keeping) for reader in item.readers):
            whole = [_with(reader, item, kernel) for reader in item.readers]
            inputs = [[*item.inputs, *reader.inputs[1:]] for reader in item.readers]
            if all(draft.fits(*each) for each in zip(whole, inputs, strict=True)):
                _give(draft, item, whole, inputs)
    return draft.done()


def _element_by_element(stage: Stage, item: Item) -> bool:
    if stage.kind in ACTIVATIONS | AFFINE:
        return True
    if stage.kind != "mul" or len(stage.operands) != 1 or stage.side:
        return False
    stream, factor = item.inputs[0].shape, item.inputs[stage.operands[0]].shape
    return stream == item.shape and len(factor) == 3 and factor == (stream[0], 1, 1)


def _takes(reader: Item, item: Item, keeping: bool) -> bool:
    kernel = reader.kernel
    if kernel is None or reader.inputs.count(item) != 1 or reader.inputs[0] is not item:
        return False
    first = kernel.trunk[0]
    op: Any = first.op
    if is_pixelwise(first):
        return True
    return keeping and first.kind in ("conv", "dwconv") and op.kernel != (1, 1)


def _with(reader: Item, item: Item, kernel: Kernel) -> Kernel:
    """A reader's kernel with an item's layers before its own."""
    own = reader.kernel
    assert own is not None
    more, inputs = len(item.inputs) - 1, len(reader.inputs)
    ways = tuple(replace(way, stages=shifted(way.stages, more, inputs)) for way in own.ways)
    return Kernel(trunk=(*kernel.trunk, *shifted(own.trunk, more, inputs)), ways=ways)


def _give(draft: Draft, item: Item, whole: list[Kernel], inputs: list[list[Item]]) -> None:
    for reader, kernel, read in zip(list(item.readers), whole, inputs, strict=True):
        reader.op = kernel
        draft.absorb(reader, item)
        item.params = item.buffers = item.macs = 0  # they count once
        draft.wire(reader, read)
    draft.drop(item)
