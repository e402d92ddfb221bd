"""Batch norm, constant factors and layer scale become part of the convolution before them: its weights times
the scale, its bias with the shift, computed in float64. Affine layers in a row become one.

Saves reading and writing the convolution's output once for each. A convolution that something else reads as
well is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, Item, everything
from archdsl.passes._kernel import AFFINE, CONVOLUTIONS, Kernel, Stage, Way


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        if isinstance(item.op, Kernel):
            _inside(item, item.op)
        kernel = item.kernel
        if kernel is None or kernel.trunk[0].kind not in AFFINE:
            continue
        before = item.inputs[0]
        producer = before.simple
        if producer is None or before.sole is not item:
            continue
        folded = _folded(producer.trunk[-1], kernel.trunk[0])
        if folded is None:
            continue
        # The affine stage moves over; what follows it stays where it is, if anything does.
        if len(kernel.trunk) > 1:
            before.op = Kernel(trunk=(*producer.trunk[:-1], folded))
            item.op = Kernel(trunk=kernel.trunk[1:], ways=kernel.ways)
        else:
            draft.join(before, item, ask=False)
            assert isinstance(item.op, Kernel)
            item.op = Kernel(trunk=(*producer.trunk[:-1], folded), ways=item.op.ways)
    return draft.done()


def _inside(item: Item, kernel: Kernel) -> None:
    """Fold within the chains of one kernel."""
    trunk = _chain(kernel.trunk)
    ways = tuple(_way(way) for way in kernel.ways)
    if trunk is not kernel.trunk or any(a is not b for a, b in zip(ways, kernel.ways, strict=True)):
        item.op = Kernel(trunk=trunk, ways=ways)


def _way(way: Way) -> Way:
    stages = _chain(way.stages)
    return way if stages is way.stages else replace(way, stages=stages)


def _chain(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    found: list[Stage] = []
    for stage in stages:
        if stage.side:
            side = _chain(stage.side)
            stage = stage if side is stage.side else replace(stage, side=side)
        folded = _folded(found[-1], stage) if found else None
        if folded is not None:
            found[-1] = folded
        else:
            found.append(stage)
    same: Sequence[Stage] = stages
    return (
        stages
        if len(found) == len(same) and all(a is b for a, b in zip(found, same, strict=True))
        else tuple(found)
    )


def _folded(stage: Stage, then: Stage) -> Stage | None:
    """Both as one, if `then` is affine and folds into `stage`."""
    if then.kind not in AFFINE or stage.kind not in CONVOLUTIONS | AFFINE or len(stage.sources) != 1:
        return None
    affine, source = then.sources[0], stage.sources[0]
    source = replace(source, folded=(*source.folded, (affine.op, affine.name), *affine.folded))
    op: Any = stage.op
    if stage.kind in CONVOLUTIONS and not op.bias:
        op = type(op)(**dict(op) | {"bias": True})
    return replace(stage, op=op, sources=(source,))
