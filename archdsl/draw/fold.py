"""Networks that go down and up again, as U-Net is drawn: two columns, and each long skip a straight line across."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archdsl.draw.chains import place_chain
from archdsl.draw.layout import ARROW, TRACK
from archdsl.draw.marks import Edge, Mark, Placed
from archdsl.draw.tree import Aside, Chain, Item
from archdsl.draw.wires import Wire, wires_of

BETWEEN = 44.0
"""From the widest step of the left column to the right one, at least."""


def skips_of(chain: Chain) -> list[Wire]:
    """The long skips of a network that can be folded, the outermost first: two or more, each within the one before,
    and nothing else that runs beside. Empty for any other."""
    straight, wires = wires_of(chain)
    wires.sort(key=lambda wire: wire.start)
    fits = (
        len(wires) > 1 and None not in straight and not any(isinstance(item, Aside) for item in chain.items)
    )
    fits &= all(wire.start >= 0 and wire.start % 1 == 0 and len(wire.targets) == 1 for wire in wires)
    if not fits or wires[0].stop >= len(chain.items):
        return []
    nested = all(outer.start < inner.start and inner.stop < outer.stop for outer, inner in pairwise(wires))
    return wires if nested and wires[-1].start < wires[-1].stop else []


def folded(chain: Chain, skips: Sequence[Wire], start: Placed, end: Placed) -> Placed:
    """The chain in two columns around its left axis. start, end: what stands above the columns."""
    starts = [0, *(int(wire.start) for wire in skips)]
    targets = [len(chain.items), *(wire.stop for wire in skips)]
    down = [_part(chain, low, high) for low, high in pairwise([*starts, targets[-1]])]
    up = [_part(chain, low, high) for high, low in pairwise(targets)]
    for part in up:
        part.flip = True
    across = max(
        [start.right + end.left]
        + [left.right + right.left for left, right in zip(down, up, strict=False)]
        + [down[-1].right, *(TRACK * 2 - x for part in up for x in part.ports.values())]
    )
    far = across + BETWEEN
    marks: list[Mark] = []
    parts = [(0.0, 0.0, start), (far, 0.0, end)]
    y = start.height
    for level, left in enumerate(down):
        right = up[level] if level < len(up) else None
        height = max(left.height, right.height + 2 * ARROW if right else 0.0)
        parts.append((0.0, y, left))
        last = chain.leaves if level == len(down) - 1 else skips[level].tensor
        if left.height < height:
            marks.append(Edge(((0.0, y + left.height), (0.0, y + height)), last, arrow=False))
        bottom = y + height
        if right is None:
            # At the turn the stream goes over to the other column.
            turn = bottom + TRACK
            here = chain.items[targets[-1] - 1].output
            marks.append(Edge(((0.0, bottom), (0.0, turn), (far, turn), (far, y)), here, arrow=False))
            y = turn + TRACK
            break
        parts.append((far, bottom - right.height, right))
        into, goes_on = (far, bottom - right.height), chain.items[targets[level] - 1].output
        marks.append(Edge((into, (far, y)), goes_on, arrow=level == 0))
        skip = bottom + TRACK
        tensor, port = skips[level].tensor, far + right.ports[skips[level].tensor]
        marks.append(Edge(((0.0, skip), (port, skip), (port, bottom)), tensor, arrow=False))
        marks.append(Edge(((0.0, bottom), (0.0, skip + TRACK)), tensor, arrow=False))
        from_below = chain.items[targets[level + 1] - 1].output
        marks.append(Edge(((far, skip + TRACK), (far, bottom)), from_below, arrow=False))
        y = skip + TRACK
    return Placed(
        left=max(part.left for x, _, part in parts if x == 0.0),
        right=max(far + part.right for x, _, part in parts if x != 0.0),
        height=y,
        ports={},
        marks=marks,
        parts=parts,
    )


def _part(chain: Chain, low: int, high: int) -> Placed:
    """Some steps of the chain; what comes in beside the stream comes from the left."""
    items: tuple[Item, ...] = chain.items[low:high]
    enters = chain.items[low - 1].output if low else chain.enters
    leaves = items[-1].output if items else enters
    part = Chain(enters, items, leaves)
    return place_chain(part, dict.fromkeys(part.reads, -1), inside=False)
