"""Which steps of two networks belong together.

Steps of a body are aligned in order, as lines of a text are, but by what they are and not by how they are written: copies
of a repeat stand one after another, braces and `carry` are looked through. Steps that belong together are compared
inside in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archdsl.network import Network, Region, op_arguments
from archdsl.ops.base import Shape
from archdsl.symbolic import Dim

MOST_CELLS = 1_000_000
"""Comparisons of steps of one body with those of another. Longer ones are paired in their order."""

TRANSPARENT = ("repeat", "group", "carry", "branch")


@dataclass(frozen=True, slots=True)
class Pair:
    """A step of each network that belong together; one alone is gone, or new.

    alike: the same layers, on inputs of the same sizes. inside: what is inside, empty where alike. nodes: the layers of
    one and the other that belong together, those of `inside` left out.
    """

    a: Region | None
    b: Region | None
    alike: bool = False
    inside: tuple[Pair, ...] = ()
    nodes: tuple[tuple[int, int], ...] = ()

    def walk(self) -> Iterator[Pair]:
        """This pair, and every one inside."""
        yield self
        for pair in self.inside:
            yield from pair.walk()


@dataclass(frozen=True, slots=True)
class _Look:
    """What a step is compared by. same: equal for the same layers; kinds: for layers of the same kinds; head: a block's
    name, or a layer's kind and kernel; first: not a copy after another one of its repeat."""

    region: Region
    same: int
    kinds: int
    head: tuple[str, ...]
    shape: Shape
    costs: tuple[Dim, Dim, Dim]
    first: bool

    def likeness(self, other: _Look) -> int:
        """How well two steps go together, in hundredths; 0 where they do not."""
        composite = bool(self.region.children), bool(other.region.children)
        if (self.region.kind == "aux") != (other.region.kind == "aux"):
            return 0  # a side head is no step of the stream
        if self.same == other.same:
            found = 100
        elif self.kinds == other.kinds:
            found = 80 if self.head[-1:] == other.head[-1:] else 70
        elif self.head[:1] == other.head[:1]:
            found = 60 if self.head == other.head else 50
        elif all(composite):
            found = 30
        else:
            return 0
        # The number of channels says little where it grows with each step: DenseNet's twentieth step of a stage may have
        # what another one's twelfth has.
        found += 10 * (self.shape[1:] == other.shape[1:]) + 2 * (self.shape == other.shape)
        # Where a table's row begins, the other one's row does: stages of another length stay stages.
        found += 30 * (self.first and other.first)
        return found + 15 * (self.region.label is not None and self.region.label == other.region.label)

    def is_alike(self, other: _Look) -> bool:
        return self.same == other.same and self.shape == other.shape and self.costs == other.costs


def align(a: Network, b: Network) -> Pair:
    """The whole networks as a pair, down to their layers."""
    numbers: dict[object, int] = {}
    one, other = _Looks(a, numbers, stages(a, b)), _Looks(b, numbers, stages(b, a))
    return _Aligner(one, other).pair(one.of(a.region), other.of(b.region))


def stages(network: Network, other: Network) -> frozenset[str]:
    """Blocks that only put others together, and that the other network does not have: they are looked through, since
    it is their steps that have a partner there."""
    found: set[str] = set()
    for region in _regions(network):
        inside = list(_opened(region, frozenset()))
        blocks = sum(bool(step.block) for step in inside)
        if region.kind == "block" and (blocks > 1 or blocks == len(inside)):
            found.add(region.block)
    return frozenset(found - {region.block for region in _regions(other)})


def _regions(network: Network) -> Iterator[Region]:
    waiting = [network.region]
    while waiting:
        region = waiting.pop()
        yield region
        waiting.extend(region.children)


def is_open(region: Region, opened: frozenset[str]) -> bool:
    """Whether a step is looked through. opened: the blocks that are."""
    return bool(region.children) and (region.kind in TRANSPARENT or region.block in opened)


def _opened(region: Region, opened: frozenset[str]) -> Iterator[Region]:
    """What is inside, copies of repeats one after another, groups opened."""
    waiting = list(reversed(region.children))
    while waiting:
        child = waiting.pop()
        if is_open(child, opened):
            waiting.extend(reversed(child.children))
        elif child.stop > child.start:
            yield child


class _Looks:
    """The looks of a network's regions, found once each. numbers: of everything that was seen, shared by both sides."""

    def __init__(self, network: Network, numbers: dict[object, int], opened: frozenset[str]) -> None:
        self.network, self.numbers, self.opened = network, numbers, opened
        self.ops: dict[int, tuple[str, str]] = {}
        self.known: dict[int, _Look] = {}

    def of(self, region: Region) -> _Look:
        look = self.known.get(id(region))
        if look is None:
            look = self.known[id(region)] = self._look(region)
        return look

    def _look(self, region: Region) -> _Look:
        inside = [self.of(child) for child in region.children]
        own = list(region.own_nodes())
        texts = [self._op(i) for i in own]
        # What comes from outside is compared where it is made.
        sources = ((i, self.network.nodes[i].inputs) for i in own)
        wiring = tuple(tuple(i - s if s >= region.start else 0 for s in read) for i, read in sources)
        main = max(texts, key=lambda text: text[0] in ("conv", "dwconv", "fc"), default=("", ""))
        head = (region.block,) if region.block else (main[0], _kernel(main[1])) if texts else (region.kind,)
        return _Look(
            region=region,
            same=self._number(("same", tuple(texts), wiring, tuple(look.same for look in inside))),
            kinds=self._number(("kinds", tuple(t[0] for t in texts), tuple(look.kinds for look in inside))),
            head=head,
            shape=self.network.nodes[region.output].shape,
            costs=self.network.cost(region),
            first=region.name in ("", "0") or not region.name.isdigit(),
        )

    def _number(self, key: object) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def _op(self, index: int) -> tuple[str, str]:
        """A layer's kind and its arguments."""
        node = self.network.nodes[index]
        found = self.ops.get(id(node.op))
        if found is None:
            found = self.ops[id(node.op)] = (node.kind, op_arguments(node.op))
        return found

    def steps(self, region: Region) -> list[_Look]:
        """What is inside, as `_opened` has it."""
        return [self.of(child) for child in _opened(region, self.opened)]


def _kernel(arguments: str) -> str:
    found = arguments.partition('"kernel": ')[2]
    return found.partition("]")[0]


class _Aligner:
    def __init__(self, a: _Looks, b: _Looks) -> None:
        self.a, self.b = a, b

    def pair(self, x: _Look, y: _Look) -> Pair:
        if x.is_alike(y):
            size = x.region.stop - x.region.start
            return Pair(
                x.region,
                y.region,
                True,
                nodes=tuple((x.region.start + i, y.region.start + i) for i in range(size)),
            )
        inside = [
            self.pair(one, other)
            if one and other
            else Pair(one.region if one else None, other.region if other else None)
            for one, other in in_order(self.a.steps(x.region), self.b.steps(y.region))
        ]
        return Pair(x.region, y.region, False, tuple(inside), tuple(self.own(x.region, y.region)))

    def own(self, x: Region, y: Region) -> Iterator[tuple[int, int]]:
        """Layers of the regions themselves, the next of a kind with the next of that kind."""
        kinds = [[(self.a.network.nodes[i].kind, i) for i in self.owned(self.a, x)]]
        kinds.append([(self.b.network.nodes[i].kind, i) for i in self.owned(self.b, y)])
        at = 0
        for kind, index in kinds[0]:
            for place in range(at, len(kinds[1])):
                if kinds[1][place][0] == kind:
                    yield index, kinds[1][place][1]
                    at = place + 1
                    break

    def owned(self, side: _Looks, region: Region) -> list[int]:
        """Own layers, and those of what is looked through."""
        found = list(region.own_nodes())
        for child in region.children:
            if is_open(child, side.opened):
                found.extend(self.owned(side, child))
        return sorted(found)


def in_order(a: Sequence[_Look], b: Sequence[_Look]) -> list[tuple[_Look | None, _Look | None]]:
    """Steps of both in order, those that go together as one: the alignment whose likenesses add up to most
    (Needleman & Wunsch, 1970, without a price for a gap)."""
    start = 0
    while start < min(len(a), len(b)) and a[start].is_alike(b[start]):
        start += 1
    stop = 0
    while stop < min(len(a), len(b)) - start and a[-1 - stop].is_alike(b[-1 - stop]):
        stop += 1
    head: list[tuple[_Look | None, _Look | None]] = list(zip(a[:start], b[:start], strict=True))
    tail: list[tuple[_Look | None, _Look | None]] = list(
        zip(a[len(a) - stop :], b[len(b) - stop :], strict=True)
    )
    return slid(head + _best(a[start : len(a) - stop], b[start : len(b) - stop]) + tail)


def slid(pairs: list[tuple[_Look | None, _Look | None]]) -> list[tuple[_Look | None, _Look | None]]:
    """The same with each gap as far down as it goes: of copies that are alike, the last ones are the new ones."""
    for index in range(len(pairs) - 1):
        (x, y), (below_x, below_y) = pairs[index], pairs[index + 1]
        if x is None and y and below_x and below_y and below_x.is_alike(y) and below_x.is_alike(below_y):
            pairs[index : index + 2] = [(below_x, y), (None, below_y)]
        if y is None and x and below_x and below_y and x.is_alike(below_y) and below_x.is_alike(below_y):
            pairs[index : index + 2] = [(x, below_y), (below_x, None)]
    return pairs


def _best(a: Sequence[_Look], b: Sequence[_Look]) -> list[tuple[_Look | None, _Look | None]]:
    if len(a) * len(b) > MOST_CELLS:
        short = min(len(a), len(b))
        paired = [(x, y) if x.likeness(y) else None for x, y in zip(a, b, strict=False)]
        found: list[tuple[_Look | None, _Look | None]] = []
        for index, both in enumerate(paired):
            found.extend([both] if both else [(a[index], None), (None, b[index])])
        return found + [(x, None) for x in a[short:]] + [(None, y) for y in b[short:]]
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        row, below = best[i], best[i + 1]
        for j in range(len(b) - 1, -1, -1):
            alike = a[i].likeness(b[j])
            row[j] = max(below[j], row[j + 1], below[j + 1] + alike if alike else 0)
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        alike = a[i].likeness(b[j])
        if alike and best[i][j] == best[i + 1][j + 1] + alike:
            found.append((a[i], b[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            found.append((a[i], None))
            i += 1
        else:
            found.append((None, b[j]))
            j += 1
    return found + [(x, None) for x in a[i:]] + [(None, y) for y in b[j:]]
