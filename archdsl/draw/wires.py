"""The tensors of a chain that do not only flow on to the next step: what runs in a lane beside it, and on which side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archdsl.draw.tree import Chain, Frame, Item, Split, beside

Sides = Mapping[int, int]
"""On which side of the axis a tensor comes in: 1 right, -1 left."""


@dataclass(slots=True)
class Wire:
    """A tensor on its way beside a chain.

    start       the gap that it leaves the axis in: that above the item of the same number. -1: it comes in at the top
                of the chain. One that ends in .5 leaves the side of the item of that number.
    targets     the items that it comes in above; the end of the chain counts as one.
    lane        the x of the line beside. direct: it needs none, and comes straight into the first item.
    """

    tensor: int
    start: float
    targets: list[int]
    side: int = 1
    lane: float = 0.0
    direct: bool = False

    @property
    def stop(self) -> int:
        return self.targets[-1]


def wires_of(chain: Chain) -> tuple[list[int | None], list[Wire]]:
    """For each item and the end the tensor that comes from straight above, or None; and all other wires."""
    straight: list[int | None] = []
    wires: dict[int, Wire] = {}
    above = chain.enters
    for index, reads in enumerate([*(item.reads for item in chain.items), (chain.leaves,)]):
        straight.append(above if above in reads else None)
        for tensor in reads:
            if tensor != above:
                start = _start(chain, tensor, index)
                wires.setdefault(tensor, Wire(tensor, start, [])).targets.append(index)
        if index < len(chain.items) and not beside(chain.items[index]):
            above = chain.items[index].output
    # Where the stream comes in and turns off to later steps, the axis is not free for what the first one reads.
    taken = any(wire.start == 0 for wire in wires.values()) and straight[0] is None
    for wire in wires.values():
        wire.direct = wire.start == -1 and wire.targets == [0] and not taken
    return straight, list(wires.values())


def _start(chain: Chain, tensor: int, before: int) -> float:
    for index in range(before - 1, -1, -1):
        item = chain.items[index]
        if beside(item):
            continue
        if item.output == tensor:
            return index + 1
        if item.start <= tensor < item.stop:
            return index + 0.5
    return 0 if tensor == chain.enters else -1


def choose_sides(chain: Chain, straight: Sequence[int | None], wires: list[Wire], sides: Sides) -> None:
    """Each wire, from the top, goes to the side where it crosses fewer others: right, where both are alike."""
    settled: list[Wire] = []
    for wire in sorted(wires, key=lambda w: (w.start, -w.stop)):
        if wire.start == -1 and wire.tensor in sides:
            wire.side = sides[wire.tensor]
        else:
            crossed = {side: sum(_cross(wire, o) for o in settled if o.side == side) for side in (1, -1)}
            for target in wire.targets:
                # What comes from above goes in at the right, where this one takes the middle.
                if target < len(chain.items) and straight[target] is not None:
                    crossed[1] += _stream_of(chain.items[target]) == wire.tensor
            wire.side = -1 if crossed[-1] < crossed[1] else 1
            if wire.tensor in chain.turned:
                wire.side = -wire.side
        settled.append(wire)


def _stream_of(item: Item) -> int | None:
    """What runs on the axis of an item that has an inside."""
    if isinstance(item, Split):
        return item.branches[0].enters
    return item.inner.enters if isinstance(item, Frame) else None


def _cross(one: Wire, other: Wire) -> bool:
    """Whether two wires in lanes of one side would cross: neither lies within the other, nor apart."""
    first, second = sorted((one, other), key=lambda w: (w.start, -w.stop))
    return first.start < second.start <= first.stop < second.stop


def sides_for(item: Item, straight: int | None, wires: Sequence[Wire]) -> dict[int, int]:
    """The side from which each tensor comes to an item."""
    return {wire.tensor: wire.side for wire in wires if wire.tensor in item.reads and wire.tensor != straight}
