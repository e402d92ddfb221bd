"""Where everything of a picture stands: chains from top to bottom, branches side by side, wires in lanes beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

from archdsl.draw.marks import SMALL, TEXT, Edge, Label, Mark, Placed, Rect
from archdsl.draw.metrics import fitted, sizes, text_width
from archdsl.draw.tree import Aside, Box, Chain, Exit, Frame, Item, Split
from archdsl.draw.wires import Sides
from archdsl.ops.base import Shape

BOX, HEADER, SYMBOL = 26.0, 22.0, 18.0
"""Heights of a box, of a frame's header and of a merge's symbol."""
NARROWEST, WIDEST = 84.0, 280.0
PAD = 10.0
TRACK = 8.0
"""Between two edges that run side by side."""
ARROW = 9.0
"""The last piece of an edge, straight and with no other beside it."""
END = 20.0
"""Height of the pill of an input or an output."""
APART = 18.0
"""Between two branches."""


def place(item: Item, straight: int | None, sides: Sides) -> Placed:
    """An item around its axis. straight: the tensor that comes from right above; sides: where others come from."""
    if isinstance(item, Box):
        return _box(item, straight, sides)
    if isinstance(item, Split):
        return _split(item, sides)
    if isinstance(item, Exit):
        return replace(pill(item.text, item.shape, item), ports={item.output: 0.0})
    assert isinstance(item, Frame | Aside)
    return _frame(item, item.inner, sides)


def chain(
    steps: Chain, sides: Sides, *, branch: bool = False, taps: Collection[int] = (), ends: bool = False
) -> Placed:
    """The inside of something, as `place_chain` has it."""
    from archdsl.draw.chains import place_chain

    return place_chain(steps, sides, inside=True, branch=branch, taps=taps, ends=ends)


def pill(name: str, shape: Shape, item: Item | None = None) -> Placed:
    """Where the picture begins or ends."""
    text = f"{fitted(name, SMALL, 240)} {fitted(sizes(shape), SMALL, 240)}"
    half = text_width(text, SMALL) / 2 + END / 2
    return Placed(half, half, END, {}, [Rect(-half, 0, 2 * half, END, "end", item, text)])


def _box(item: Box, straight: int | None, sides: Sides) -> Placed:
    text = fitted(item.text, TEXT, WIDEST - 2 * PAD)
    half = max(NARROWEST, text_width(text, TEXT) + 2 * PAD) / 2
    first = straight if straight in item.reads else next(iter(item.reads), None)
    ports = {} if first is None else {first: 0.0}
    for side in (1, -1):
        beside = [t for t in item.reads if t != first and sides.get(t, 1) == side]
        half = max(half, TRACK * (len(beside) + 2))
        ports.update({tensor: side * TRACK * (i + 2) for i, tensor in enumerate(beside)})
    return Placed(half, half, BOX, ports, [Rect(-half, 0, 2 * half, BOX, "box", item, text)])


def _frame(item: Frame | Aside, steps: Chain, sides: Sides) -> Placed:
    inner = chain(steps, sides, ends=isinstance(item, Aside))
    text = fitted(item.text, TEXT, 1.5 * WIDEST)
    left, right = inner.left + PAD, inner.right + PAD
    missing = text_width(text, TEXT) + 2 * PAD - left - right
    if missing > 0:
        left, right = left + missing / 2, right + missing / 2
    header = HEADER if text else 0.0
    marks: list[Mark] = [Rect(-left, 0, left + right, header + inner.height, "frame", item)]
    if text:
        marks.append(Rect(-left, 0, left + right, HEADER, "header", item, text))
    return Placed(left, right, header + inner.height, dict(inner.ports), marks, [(0, header, inner)])


# ---- branches side by side ----


def _split(item: Split, sides: Sides) -> Placed:
    crossing = {t for branch in item.branches for t in branch.reads if item.start <= t < item.stop}
    columns = [chain(branch, sides, branch=True, taps=crossing) for branch in item.branches]
    axes = _axes(columns, item.main, item.mirrored)
    stream = item.branches[0].enters
    drops: dict[int, list[float]] = {}
    for axis, column in zip(axes, columns, strict=True):
        for tensor, x in column.ports.items():
            if tensor not in crossing:
                drops.setdefault(tensor, []).append(axis + x)
    entries = _entries(drops, stream, sides)
    fork, depth = _fork(drops, entries)
    marks: list[Mark] = list(fork)
    tops = [depth] * len(columns)
    for reader, column in enumerate(columns):
        for tensor in crossing & column.ports.keys():
            tops[reader] = _from_beside(tensor, reader, columns, axes, tops, marks)
    for index in range(len(columns)):
        # A branch that waits for another one's tensor still has its other edges from above.
        for tensor, x in columns[index].ports.items() if tops[index] > depth else ():
            if tensor not in crossing:
                marks.append(
                    Edge(((axes[index] + x, depth), (axes[index] + x, tops[index])), tensor, arrow=False)
                )
    bottom = max(top + column.height for top, column in zip(tops, columns, strict=True))
    wide = max(SYMBOL, text_width(item.title, TEXT) + 10)
    join = bottom + ARROW + SYMBOL / 2
    for index, branch in enumerate(item.branches):
        axis, below = axes[index], (axes[index], tops[index] + columns[index].height)
        if abs(axis) < wide / 2:
            marks.append(Edge((below, (axis, join - SYMBOL / 2)), branch.leaves))
        else:
            marks.append(
                Edge((below, (axis, join), (wide / 2 if axis > 0 else -wide / 2, join)), branch.leaves)
            )
    marks.append(Rect(-wide / 2, join - SYMBOL / 2, wide, SYMBOL, "merge", item, item.title))
    left = max(
        wide / 2,
        *(c.left - axis for axis, c in zip(axes, columns, strict=True)),
        *(-x for x in entries.values()),
    )
    right = max(wide / 2, *(c.right + axis for axis, c in zip(axes, columns, strict=True)), *entries.values())
    parts = list(zip(axes, tops, columns, strict=True))
    return Placed(left, right, join + SYMBOL / 2, entries, marks, parts)


def _axes(columns: Sequence[Placed], main: int | None, mirrored: bool) -> list[float]:
    """Where the branches' axes stand: the main one, or the middle of all, on the line."""
    if mirrored and main is not None:
        turned = [replace(column, left=column.right, right=column.left) for column in columns]
        return [-axis for axis in _axes(turned, main, False)]
    order = list(range(len(columns)))
    if main is not None:
        order = [main, *(i for i in order if i != main)]
    axes = [0.0] * len(columns)
    edge = 0.0
    for position, index in enumerate(order):
        axes[index] = edge + APART + columns[index].left if position else 0.0
        edge = axes[index] + columns[index].right
    if main is not None:
        return axes
    middle, odd = divmod(len(order), 2)
    center = axes[middle] if odd else (axes[middle - 1] + axes[middle]) / 2
    return [axis - center for axis in axes]


def _from_beside(
    tensor: int,
    reader: int,
    columns: Sequence[Placed],
    axes: Sequence[float],
    tops: Sequence[float],
    marks: list[Mark],
) -> float:
    """The top of a branch that reads a tensor of another one: below the place where it is made. Between neighbours the
    edge is drawn, else the place is told."""
    maker = next((i for i, column in enumerate(columns) if tensor in column.taps), None)
    x = axes[reader] + columns[reader].ports[tensor]
    if maker is None or abs(axes.index(axes[maker]) - reader) != 1:
        marks.append(Label(x + 5, tops[reader] + 4, "from another branch", role="note"))
        return tops[reader] + TRACK + ARROW
    at = tops[maker] + columns[maker].taps[tensor]
    below = max(tops[reader], at + TRACK)
    marks.append(Edge(((axes[maker], at), (x, at), (x, below)), tensor, arrow=False))
    return below


def _entries(drops: Mapping[int, Sequence[float]], stream: int, sides: Sides) -> dict[int, float]:
    """Where each tensor enters: the stream on the line, others straight above a branch that reads them."""
    entries = {stream: 0.0} if stream in drops else {}
    for tensor, places in drops.items():
        if tensor == stream:
            continue
        side = sides.get(tensor, 1)
        x = max(places) if side > 0 else min(places)
        while any(abs(x - other) < TRACK for other in entries.values()):
            x += side * TRACK
        entries[tensor] = x
    return entries


def _fork(drops: Mapping[int, Sequence[float]], entries: Mapping[int, float]) -> tuple[list[Edge], float]:
    """The edges from where tensors enter to the branches, with as few crossings as an order of theirs can have, and
    the height that they take."""
    spread = [t for t in drops if any(abs(x - entries[t]) > 0.01 for x in drops[t])]
    if len(spread) <= 5:
        orders = [list(order) for order in permutations(spread)]
        spread = min(orders, key=lambda order: _crossings(order, drops, entries))
    height = TRACK * len(spread)
    edges = []
    for tensor, places in drops.items():
        entry = entries[tensor]
        for x in places:
            if abs(x - entry) > 0.01:
                y = TRACK * (spread.index(tensor) + 0.5)
                edges.append(Edge(((entry, 0), (entry, y), (x, y), (x, height)), tensor, arrow=False))
            elif height:
                edges.append(Edge(((x, 0), (x, height)), tensor, arrow=False))
    return edges, height


def _crossings(
    order: Sequence[int], drops: Mapping[int, Sequence[float]], entries: Mapping[int, float]
) -> int:
    count = 0
    for row, tensor in enumerate(order):
        places_of = drops[tensor]
        low, high = min(*places_of, entries[tensor]), max(*places_of, entries[tensor])
        for other, places in drops.items():
            if other == tensor:
                continue
            level = order.index(other) if other in order else -1
            if level > row:  # it comes down past this row first
                count += low < entries[other] < high
                count += 10 * any(abs(x - entries[other]) < 1 for x in places_of)  # one upon the other
            else:
                count += sum(low < x < high for x in places)
    return count
