"""Fewer crossings: wires on their other side, branches of a merge in another order or at the other side of the main one, where
that helps.

Most networks have no crossings as they are written, and keep their order. NASNet's cells, whose branches read three tensors
that run beside each other, are what this is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, pairwise

from archdsl.draw.chains import place_chain
from archdsl.draw.marks import Edge, Placed, Rect
from archdsl.draw.tree import Aside, Box, Chain, Frame, Item, Split
from archdsl.draw.wires import Sides, choose_sides, sides_for, wires_of

MOST_TRIES = 200
"""Placements that are tried for one chain."""
MOST_ITEMS = 60
"""Items of a chain, those in its branches included, at which nothing is tried."""

Move = Callable[[Chain], Chain]
Score = tuple[int, float]
"""Crossings, and the length of all edges."""

REORDERED = ("+", "×", "max", "mean", "concat")
"""Merges whose branches may change places in a picture: it is the edges that say what goes where."""


def untangled(chain: Chain) -> Chain:
    """The same chain, drawn with fewer crossings if that can be."""
    return _untangled(chain, {}, {})


def _untangled(chain: Chain, sides: Sides, known: dict[object, list[Move]]) -> Chain:
    """known: what was done to chains before, by their structure: cells of one kind are drawn alike."""
    chain = _best(chain, sides, known)
    return _inside(chain, sides, known)


def _inside(chain: Chain, sides: Sides, known: dict[object, list[Move]]) -> Chain:
    """Frames of the chain, untangled in turn, with what comes in on the side where it will."""
    straight, wires = wires_of(chain)
    choose_sides(chain, straight, wires, sides)
    items: list[Item] = []
    for item, above in zip(chain.items, straight, strict=False):
        here = sides_for(item, above, wires)
        if isinstance(item, Frame | Aside):
            item = replace(item, inner=_untangled(item.inner, here, known))
        elif isinstance(item, Split):
            item = replace(item, branches=tuple(_inside(branch, here, known) for branch in item.branches))
        items.append(item)
    return replace(chain, items=tuple(items))


def _best(chain: Chain, sides: Sides, known: dict[object, list[Move]]) -> Chain:
    """What a steepest descent over single moves, and over pairs of them, comes to; the chain itself if to nothing."""
    paths = list(_splits(chain))
    count = len(chain.items) + sum(
        len(branch.items) for path in paths for branch in _at(chain, path).branches
    )
    if count > MOST_ITEMS or all(len(item.reads) < 2 for item in chain.items):
        return chain
    before = _score(chain, sides)
    if before[0] == 0:
        return chain
    key = _structure(chain)
    if key not in known:
        known[key] = _found(_closed(chain), tuple(sorted(sides.items())))
    changed = _done(chain, known[key])
    return changed if _score(changed, sides) < before else chain


def _closed(chain: Chain) -> Chain:
    """The chain with its frames as boxes, which are quicker to place."""
    items: list[Item] = []
    for item in chain.items:
        if isinstance(item, Frame):
            common = {name: getattr(item, name) for name in Item.__dataclass_fields__}
            items.append(Box(**common, kind="block"))
        elif isinstance(item, Split):
            items.append(replace(item, branches=tuple(map(_closed, item.branches))))
        else:
            items.append(item)
    return replace(chain, items=tuple(items))


@lru_cache(64)
def _found(chain: Chain, given: tuple[tuple[int, int], ...]) -> list[Move]:
    """The moves, one after another, that leave fewest crossings. Kept for the same cell, asked about again: each depth of
    a page has it, and each picture while somebody types."""
    sides = dict(given)
    score = _score(chain, sides)
    done: list[Move] = []
    tries = 0
    while tries < MOST_TRIES and score[0]:
        best: tuple[Score, Chain, list[Move]] | None = None
        moves = list(_moves(chain, sides))
        for tried in (*([move] for move in moves), *map(list, combinations(moves, 2))):
            if tries >= MOST_TRIES or len(tried) == 2 and best is not None:
                break
            tries += 1
            changed = _done(chain, tried)
            reached = _score(changed, sides)
            if reached[0] < score[0] and (best is None or reached < best[0]):
                best = reached, changed, tried
        if best is None:
            break
        score, chain = best[:2]
        done += best[2]
    return done


def _done(chain: Chain, moves: Sequence[Move]) -> Chain:
    for move in moves:
        chain = move(chain)
    return chain


# ---- moves ----

Path = tuple[tuple[int, int], ...]
"""Of a split: (item, branch) pairs to walk down, the last with branch -1."""


def _splits(chain: Chain, above: Path = ()) -> Iterator[Path]:
    for index, item in enumerate(chain.items):
        if isinstance(item, Split):
            yield (*above, (index, -1))
            for number, branch in enumerate(item.branches):
                yield from _splits(branch, (*above, (index, number)))


def _at(chain: Chain, path: Path) -> Split:
    (index, number), *rest = path
    split = chain.items[index]
    assert isinstance(split, Split)
    return split if number < 0 else _at(split.branches[number], tuple(rest))


def _moves(chain: Chain, sides: Sides) -> Iterator[Move]:
    """Inner merges first: of two moves in this order, the first leaves the second's merge where it is."""
    for place, wire in enumerate(wires_of(chain)[1]):
        if wire.start >= 0 and wire.tensor not in sides:
            yield lambda c, place=place: _turned(c, place)  # type: ignore[misc]
    for path in sorted(_splits(chain), key=len, reverse=True):
        split = _at(chain, path)
        if split.title in REORDERED:
            for one, other in combinations(range(len(split.branches)), 2):
                yield lambda c, path=path, one=one, other=other: _swapped(c, path, one, other)  # type: ignore[misc]
        if split.main is not None:
            yield lambda c, path=path: _changed(c, path, _mirrored)  # type: ignore[misc]


def _turned(chain: Chain, place: int) -> Chain:
    """The wire of that number on its other side."""
    wire = wires_of(chain)[1][place]
    return replace(chain, turned=chain.turned ^ {wire.tensor})


def _swapped(chain: Chain, path: Path, one: int, other: int) -> Chain:
    """Two branches of a merge in each other's place."""

    def swap(split: Split) -> Split:
        order = list(range(len(split.branches)))
        order[one], order[other] = other, one
        main = order.index(split.main) if split.main is not None else None
        return replace(split, branches=tuple(split.branches[i] for i in order), main=main)

    return _changed(chain, path, swap)


def _mirrored(split: Split) -> Split:
    return replace(split, mirrored=not split.mirrored)


def _changed(chain: Chain, path: Path, change: Callable[[Split], Split]) -> Chain:
    (index, number), *rest = path
    split = chain.items[index]
    assert isinstance(split, Split)
    if number < 0:
        split = change(split)
    else:
        branches = list(split.branches)
        branches[number] = _changed(branches[number], tuple(rest), change)
        split = replace(split, branches=tuple(branches))
    return replace(chain, items=(*chain.items[:index], split, *chain.items[index + 1 :]))


# ---- what is counted ----


def _structure(chain: Chain) -> object:
    """Equal for chains of the same items, wired alike: tensors by the order in which they are met."""
    numbers: dict[int, int] = {}

    def told(inner: Chain) -> object:
        entered = numbers.setdefault(inner.enters, len(numbers))
        return (
            entered,
            tuple(item_told(item) for item in inner.items),
            numbers.setdefault(inner.leaves, len(numbers)),
        )

    def item_told(item: Item) -> object:
        read = tuple(numbers.setdefault(tensor, len(numbers)) for tensor in item.reads)
        inside = tuple(map(told, item.branches)) if isinstance(item, Split) else ()
        return type(item).__name__, read, inside, numbers.setdefault(item.output, len(numbers))

    return told(chain)


def _score(chain: Chain, sides: Sides) -> Score:
    edges = list(_edges(place_chain(chain, sides, inside=True)))
    length = sum(abs(xa - xb) + abs(ya - yb) for e in edges for (xa, ya), (xb, yb) in pairwise(e.points))
    return crossings(edges), length


def _edges(placed: Placed, dx: float = 0.0, dy: float = 0.0) -> Iterator[Edge]:
    """Edges of a chain itself: what is in a frame counts there."""
    for mark in placed.marks:
        if isinstance(mark, Edge):
            yield mark.moved(dx, dy)
    for x, y, part in placed.parts:
        if not any(isinstance(mark, Rect) and mark.role == "frame" for mark in part.marks):
            yield from _edges(part, dx + x, dy + y)


def crossings(edges: Sequence[Edge]) -> int:
    """Points where edges of two tensors cross."""
    level: set[tuple[int, float, float, float]] = set()
    upright: set[tuple[int, float, float, float]] = set()
    for edge in edges:
        for (xa, ya), (xb, yb) in pairwise(edge.points):
            if abs(ya - yb) > 0.01:
                upright.add((edge.tensor, round(xa, 1), min(ya, yb), max(ya, yb)))
            elif abs(xa - xb) > 0.01:
                level.add((edge.tensor, round(ya, 1), min(xa, xb), max(xa, xb)))
    return len(
        {
            (x, y)
            for one, y, left, right in level
            for other, x, top, bottom in upright
            if one != other and left + 1 < x < right - 1 and top + 1 < y < bottom - 1
        }
    )
