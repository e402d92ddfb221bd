"""One step after another on an axis: rows, the gaps between them with their labels, and the lanes beside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

from archdsl.draw.layout import ARROW, END, TRACK, place
from archdsl.draw.marks import SMALL, Edge, Label, Mark, Placed
from archdsl.draw.metrics import fitted, sizes
from archdsl.draw.tree import Aside, Chain, Exit, Item, Split, beside
from archdsl.draw.wires import Sides, Wire, choose_sides, sides_for, wires_of
from archdsl.ops.base import Shape

LINE = SMALL + 4
"""Height of a label's line."""
STALK = 26.0
"""From the axis to an output beside it."""


def place_chain(
    chain: Chain,
    sides: Sides,
    *,
    inside: bool,
    branch: bool = False,
    taps: Collection[int] = (),
    ends: bool = False,
) -> Placed:
    """A chain around its axis.

    inside: what is around it tells the shape that leaves. branch: only new sizes of images are told, not of channels.
    taps: tensors that a neighbour takes from the axis. ends: nothing goes on after the last step.
    """
    straight, wires = wires_of(chain)
    choose_sides(chain, straight, wires, sides)
    items = [
        place(item, above, sides_for(item, above, wires))
        for item, above in zip(chain.items, straight, strict=False)
    ]
    return _Chain(chain, straight, wires, items, taps, _labels(chain, inside, branch), inside, ends).placed()


def _labels(chain: Chain, inside: bool, branch: bool) -> list[list[Label]]:
    """Of each gap: the shape that flows there, where it is new, and the author's label."""
    found: list[list[Label]] = [[]]
    before: Shape | None = None
    ended = max((i + 1 for i, item in enumerate(chain.items) if not isinstance(item, Exit)), default=0)
    for index, item in enumerate(chain.items):
        here: list[Label] = []
        found.append(here)
        if isinstance(item, Aside | Exit):
            continue
        hung = list(takewhile(lambda i: isinstance(i, Aside | Exit), chain.items[index + 1 :]))
        told = inside and index == ended - 1 or any(not beside(pill) for pill in hung)
        shape = item.shape[1:] or item.shape if branch else item.shape
        if shape != before and not (before is None if branch else told):
            here.append(Label(5, 0, fitted(sizes(item.shape), SMALL, 150)))
        if item.label and not told and f"output {item.label}" not in [pill.title for pill in hung]:
            here.append(Label(-5, 0, fitted(item.label, SMALL, 120), "end", "label"))
        before = shape
    return found


class _Chain:
    """The geometry of one chain, a step at a time."""

    def __init__(
        self,
        chain: Chain,
        straight: list[int | None],
        wires: list[Wire],
        items: list[Placed],
        taps: Collection[int],
        labels: list[list[Label]],
        inside: bool,
        ends: bool,
    ) -> None:
        self.chain, self.straight, self.wires, self.items = chain, straight, wires, items
        self.labels, self.inside, self.ends = labels, inside, ends
        self.count = len(items)
        self.marks: list[Mark] = []
        self.tapped = {
            i + 1: item.output
            for i, item in enumerate(chain.items)
            if item.output in taps and not isinstance(item, Aside | Exit)
        }
        self.pills = self._pills()

    def placed(self) -> Placed:
        self._lanes()
        tops = self._rows()
        taps, arrivals = self._gaps(tops)
        for wire in self.wires:
            self._wire(wire, tops, taps, arrivals)
        ports = {wire.tensor: self._entry(wire) for wire in self.wires if wire.start == -1}
        if self.straight[0] is not None or any(wire.start == 0 for wire in self.wires):
            ports[self.chain.enters] = 0.0
        shown = [i for i, item in enumerate(self.chain.items) if not beside(item)]
        reach = [(self.items[i].left, self.items[i].right) for i in shown]
        reach += [self._pill_reach(index) for index in self.pills]
        reach += [self._gap_reach(gap) for gap in range(self.count + 1)]
        left = max(*(r[0] for r in reach), 6.0, *(TRACK / 2 - wire.lane for wire in self.wires))
        right = max(*(r[1] for r in reach), 6.0, *(TRACK / 2 + wire.lane for wire in self.wires))
        parts = [(0.0, tops[i], self.items[i]) for i in shown]
        for index, x in self.pills.items():
            pill, exit = self.items[index], self.chain.items[index]
            parts.append((x, tops[index] - END / 2, pill))
            edge = x + pill.left if x < 0 else x - pill.right
            self.marks.append(Edge(((0.0, tops[index]), (edge, tops[index])), exit.output))
        placed = Placed(left, right, tops[self.count], ports, self.marks, parts)
        placed.taps = {tensor: taps[gap] for gap, tensor in self.tapped.items()}
        return self._hang(placed, tops)

    def _item(self, index: int) -> Item | None:
        return self.chain.items[index] if 0 <= index < self.count else None

    # ---- outputs beside the axis ----

    def _is_pill(self, index: int) -> bool:
        item = self._item(index)
        return isinstance(item, Exit) and beside(item)

    def _pills(self) -> dict[int, float]:
        """The x of each output that stands beside the axis: on the side where fewer wires pass, which then run around it;
        left, where both are alike."""
        found = {}
        for index in range(self.count):
            if self._is_pill(index):
                passing = [w.side for w in self.wires if not w.direct and w.start <= index < w.stop]
                side = 1 if passing.count(1) < passing.count(-1) else -1
                found[index] = side * (STALK + self.items[index].left)
        return found

    def _pill_reach(self, index: int) -> tuple[float, float]:
        x, pill = self.pills[index], self.items[index]
        return pill.left - x, pill.right + x

    # ---- lanes ----

    def _port(self, tensor: int | None, target: int) -> float:
        return (
            self.items[target].ports.get(tensor, 0.0) if target < self.count and tensor is not None else 0.0
        )

    def _entry(self, wire: Wire) -> float:
        """The x of a wire that comes in at the top."""
        return self._port(wire.tensor, 0) if wire.direct else wire.lane

    def _gap_reach(self, gap: int) -> tuple[float, float]:
        """How far the labels of a gap reach."""
        left = max((label.width + 8 for label in self.labels[gap] if label.anchor == "end"), default=6.0)
        right = max((label.width + 8 for label in self.labels[gap] if label.anchor == "start"), default=6.0)
        return left, right

    def _lanes(self) -> None:
        """A place beside the chain for each wire, inner ones first."""
        done: list[Wire] = []
        for wire in sorted(self.wires, key=lambda w: (w.stop - w.start, -w.start)):
            if wire.direct:
                continue
            which = 0 if wire.side < 0 else 1
            first = max(int(wire.start), 0)
            reach = max(self._gap_reach(gap)[which] for gap in range(first, wire.stop + 1))
            for index in range(first, wire.stop):
                if index in self.pills:
                    reach = max(reach, self._pill_reach(index)[which])
                elif not beside(self.chain.items[index]):
                    reach = max(reach, (self.items[index].left, self.items[index].right)[which])
            for other in done:
                if other.side == wire.side and other.start <= wire.stop and wire.start <= other.stop:
                    reach = max(reach, abs(other.lane) - TRACK / 2)
            port = max(wire.side * self._port(wire.tensor, target) for target in wire.targets)
            if len(wire.targets) > 1 or port < reach + TRACK:  # else straight above the port
                port = max(port, reach) + 1.5 * TRACK
            wire.lane = wire.side * port
            done.append(wire)

    # ---- rows ----

    def _leaves(self, gap: int) -> bool:
        """Whether a tensor is taken from the axis in a gap, for beside."""
        return gap in self.tapped or any(wire.start == gap for wire in self.wires)

    def _arriving(self, gap: int) -> list[Wire]:
        """Wires that come in above an item, those of inner lanes higher."""
        found = [wire for wire in self.wires if gap in wire.targets and not wire.direct]
        return sorted(found, key=lambda wire: (abs(wire.lane), wire.side))

    def _jogs(self, gap: int) -> bool:
        """Whether what comes from above goes in beside the axis."""
        return abs(self._port(self.straight[gap], gap)) > 0.01

    def _head(self, gap: int) -> float:
        """What stays free at the top of a gap: an output that stands above it reaches into it."""
        return 2.0 + (END / 2 if gap - 1 in self.pills else 0.0)

    def _gap_height(self, gap: int) -> float:
        tracks = self._leaves(gap) + len(self._arriving(gap)) + self._jogs(gap)
        height = TRACK * tracks + (LINE if self.labels[gap] else 0.0) + self._head(gap)
        if gap in self.pills:
            height += END / 2 + 4 - ARROW
        if gap == self.count:
            return height + (ARROW / 2 if self.inside and not isinstance(self._item(gap - 1), Split) else 2.0)
        return height + ARROW

    def _rows(self) -> list[float]:
        """The y of each item's top, and of the end. A head takes no row: it hangs beside."""
        tops, y = [], 0.0
        for index in range(self.count + 1):
            y += self._gap_height(index)
            tops.append(y)
            if index < self.count and not beside(self.chain.items[index]):
                y += self.items[index].height
        return tops

    # ---- edges ----

    def _gaps(self, tops: Sequence[float]) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
        """Labels and straight edges of all gaps; the y at which tensors leave the axis in a gap, and that at which a
        wire, told by its tensor, comes in."""
        taps: dict[int, float] = {}
        arrivals: dict[tuple[int, int], float] = {}
        for gap in range(self.count + 1):
            top = y = tops[gap] - self._gap_height(gap)
            y += self._head(gap)
            if self._leaves(gap):
                taps[gap] = y + TRACK / 2
                y += TRACK
            if self.labels[gap]:
                self.marks.extend(label.moved(0, y + LINE / 2) for label in self.labels[gap])
                y += LINE
            above, port, jog = self.straight[gap], self._port(self.straight[gap], gap), y + TRACK / 2
            y += TRACK * self._jogs(gap)
            for wire in self._arriving(gap):
                arrivals[wire.tensor, gap] = y + TRACK / 2
                y += TRACK
            if above is not None and not (self.ends and gap == self.count):
                points = [(0.0, top), (0.0, tops[gap])]
                if self._jogs(gap):
                    points[1:] = [(0.0, jog), (port, jog), (port, tops[gap])]
                self.marks.append(Edge(tuple(points), above, arrow=self._pointed(gap)))
            elif gap in taps:
                tensor = self.chain.items[gap - 1].output if gap else self.chain.enters
                self.marks.append(Edge(((0.0, top), (0.0, taps[gap])), tensor, arrow=False))
        return taps, arrivals

    def _pointed(self, gap: int) -> bool:
        """Whether an edge into an item ends in an arrow: not where it forks."""
        item = self._item(gap)
        return item is not None and not isinstance(item, Split) and not beside(item)

    def _wire(
        self,
        wire: Wire,
        tops: Sequence[float],
        taps: dict[int, float],
        arrivals: dict[tuple[int, int], float],
    ) -> None:
        if wire.direct:
            x = self._entry(wire)
            self.marks.append(Edge(((x, 0.0), (x, tops[0])), wire.tensor, arrow=self._pointed(0)))
            return
        begin = [(wire.lane, 0.0)]
        if wire.start % 1:
            item = self.items[int(wire.start)]
            y = tops[int(wire.start)] + item.height - TRACK
            begin = [(-item.left if wire.side < 0 else item.right, y), (wire.lane, y)]
        elif wire.start >= 0:
            y = taps[int(wire.start)]
            begin = [(0.0, y), (wire.lane, y)]
        for target in wire.targets:
            y, port = arrivals[wire.tensor, target], self._port(wire.tensor, target)
            points = (*begin, (wire.lane, y), (port, y), (port, tops[target]))
            self.marks.append(Edge(points, wire.tensor, arrow=self._pointed(target)))

    # ---- heads ----

    def _hang(self, placed: Placed, tops: Sequence[float]) -> Placed:
        """Put heads left of everything that stands beside them."""
        hung: list[tuple[float, float, float]] = []
        # The last one stands nearest, so that the lines to earlier ones pass above it.
        for index, item in reversed(list(enumerate(self.chain.items))):
            if not isinstance(item, Aside):
                continue
            head, top = self.items[index], tops[index] + ARROW
            reach = max(
                [self._gap_reach(g)[0] for g in range(self.count + 1) if tops[g] > tops[index] - 1]
                + [TRACK - wire.lane for wire in self.wires]
                + [
                    p.left - x
                    for x, y, p in placed.parts
                    if y < top + head.height and y + p.height > tops[index]
                ]
                + [x for low, high, x in hung if low < top + head.height and high > tops[index]]
            )
            x = -(reach + 2 * TRACK + head.right)
            self.marks.append(Edge(((0.0, tops[index]), (x, tops[index]), (x, top)), item.reads[0]))
            placed.parts.append((x, top, head))
            hung.append((tops[index], top + head.height, head.left - x))
            placed.left = max(placed.left, head.left - x)
            placed.height = max(placed.height, top + head.height + TRACK)
        if placed.height > tops[self.count] and not self.ends:
            self.marks.append(
                Edge(((0.0, tops[self.count]), (0.0, placed.height)), self.chain.leaves, arrow=False)
            )
        return placed
