"""Convolutions of one input, alike in window, stride and padding, as one with the channels of all:
Inception's 1x1 branches.

Saves reading the input once for each but the first, and their kernels. What follows each of them stays its
own.
"""

from __future__ import annotations

from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import ACTIVATIONS, AFFINE, Kernel, Other, Stage, Way


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    groups: dict[Any, list[Item]] = {}
    for item in draft:
        for reader in dict.fromkeys(item.takers) if len(item.takers) > 1 else ():
            parts = _parts(reader, item)
            if parts is not None:
                before, conv, _ = parts
                op: Any = conv.op
                key = id(item), before, op.kernel, op.stride, op.padding, op.dilation
                groups.setdefault(key, []).append(reader)
    for alike in groups.values():
        if len(alike) > 1:
            _merge(draft, alike)
    return draft.done()


def _parts(reader: Item, item: Item) -> tuple[tuple[Stage, ...], Stage, tuple[Stage, ...]] | None:
    """(what comes before, the convolution, what comes after), if this reader can be merged with others."""
    kernel = reader.simple
    if kernel is None or reader.inputs != [item] or reader.readers != reader.takers:
        return None
    at = next((i for i, stage in enumerate(kernel.trunk) if stage.kind == "conv"), None)
    if at is None:
        return None
    before, conv, after = kernel.trunk[:at], kernel.trunk[at], kernel.trunk[at + 1 :]
    op: Any = conv.op
    if op.groups != 1 or not all(s.kind in ACTIVATIONS | AFFINE for s in (*before, *after)):
        return None
    return before, conv, after


def _merge(draft: Draft, alike: list[Item]) -> None:
    """Into the first of them; the others become further tensors of its kernel."""
    first = alike[0]
    found = [_parts(item, first.inputs[0]) for item in alike]
    parts = [part for part in found if part is not None]
    before, conv, after = parts[0]
    op: Any = conv.op
    widths = [part[1].op.channels for part in parts]  # type: ignore[attr-defined]
    biased = any(part[1].op.bias for part in parts)  # type: ignore[attr-defined]
    merged = type(op)(**dict(op) | {"channels": sum(widths), "bias": biased})
    sources = tuple(source for part in parts for source in part[1].sources)
    # What all of them do afterwards, without weights, can be done once for all channels.
    common = after if all(part[2] == after for part in parts) and not any(s.sources for s in after) else ()
    ways, start = [], 0
    for width, part in zip(widths, parts, strict=True):
        ways.append(Way(start, start + width, () if common else part[2]))
        start += width
    kernel = Kernel(trunk=(*before, Stage(merged, sources), *common), ways=tuple(ways))
    if not draft.fits(kernel, first.inputs):
        return
    first.op = kernel
    for index, item in enumerate(alike[1:], 1):
        name = first.name
        draft.absorb(first, item)
        first.name = name
        item.params = item.buffers = item.macs = 0
        item.op = Other(index=index, shape=item.shape)
        draft.wire(item, [first])
