"""Which layer of a source is which of the network, found from names, shapes and order alone.

The network's layers stand in the order of its data flow. A source is a tree: the parts of its names are blocks within
blocks. A block's layers belong together, so the tree is laid over the network block by block: each takes a stretch of
layers of just its kinds and shapes, and within it its own parts do the same, in whatever order fits. Only parts that
are all alike (two equal convs, two equal blocks) leave a choice. Then the order in which the source keeps them decides,
or the numbers in their names, or words in them, but only evidence that holds everywhere it can be checked, and that
nothing contradicts. What is still open is ambiguous, and nothing is guessed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from random import Random
from typing import Any, NamedTuple

from archdsl.headroom import deep_recursion
from archdsl.weights.slots import Slot, words

NEVER = 1 << 60
STRONG = 1 << 20
"""What a contradiction of names costs, more than any number of blocks that lie across ours."""

MOST_WAYS = 50_000
"""How many partial arrangements of one block's parts are looked at."""

STRUCTURE, BLOCKS, ORDER, NUMBERS, WORDS = "structure", "blocks", "order", "numbers", "words"
"""Evidence: the only layer of its kind and shape at its place; a block of the source that is one of ours too, or whose
names tell it from the blocks beside it; the order in which the source keeps the layers; the numbers in its names; a
word of its names that is also one of ours."""


class Pair(NamedTuple):
    """Our layer, by its place in the network, and the source's."""

    ours: int
    theirs: Slot
    evidence: tuple[str, ...]


class Unfit(Exception):
    """The source's layers can't be laid over the network's."""


class Undecided(Exception):
    """Layers that could be exchanged, and what could have told them apart. message: a sentence."""

    def __init__(self, message: str, hint: str, contradiction: bool = False) -> None:
        super().__init__(message)
        self.message, self.hint, self.contradiction = message, hint, contradiction


class Place(NamedTuple):
    """What the network says of a layer: its own name, and words for what stands before it ("pool")."""

    slot: Slot
    words: frozenset[str] = frozenset()


@dataclass(eq=False)
class Part:
    """A block of the source, or a layer. first: its place in the source; signature: of a layer; sort: what is equal for
    parts that could be exchanged; total: a number for its layers' kinds, whatever their order."""

    label: str
    first: int
    slots: list[Slot]
    children: list[Part] = field(default_factory=list)
    sort: int = 0
    total: int = 0

    @property
    def size(self) -> int:
        return len(self.slots)

    @property
    def kernels(self) -> int:
        return sum(slot.signature[0] == "conv" for slot in self.slots)


class Arrangement(NamedTuple):
    """Parts and the layer at which each begins.

    cost      how much speaks against it: numbers that fall and words out of place, STRONG each; blocks that lie across
              ours, and parts that the source keeps in another order.
    choice    two parts that both could begin at one layer, and the layer, where nothing tells which.
    chosen    whether kinds and shapes alone left another arrangement. in_order: it is the source's own, and whether there
              is another was not asked.
    """

    rows: list[tuple[Part, int]]
    cost: int = 0
    choice: tuple[Part, Part, int] | None = None
    chosen: bool = False
    in_order: bool = False


def align(
    places: Sequence[Place],
    slots: Sequence[Slot],
    ordered: bool,
    colors: tuple[Sequence[object], Sequence[object]] | None = None,
) -> list[Pair]:
    """The source's layer for each of ours. ordered: the source keeps its layers in an order that means something.
    colors: what is known of each layer of ours, and of the source's, beside its kind and shape.

    Raises Unfit where they are not the same layers, Undecided where evidence is missing or contradicts itself.
    """
    ours: list[object] = [p.slot.signature for p in places]
    theirs: list[object] = [s.signature for s in slots]
    if colors is not None:
        ours, theirs = list(zip(ours, colors[0], strict=True)), list(zip(theirs, colors[1], strict=True))
    if Counter(ours) != Counter(theirs):
        raise Unfit
    with deep_recursion():
        try:
            return list(_Laying(places, slots, ordered, ours, theirs).pairs())
        except Undecided:
            # Whether norms stand before or behind their convs is the same throughout a source. If only one of the two
            # can be, that may decide.
            found = [laying for first in ("conv", "bn") if (laying := _fitting(places, slots, ordered, ours, theirs, first))]
            if len(found) != 1:
                raise
            return list(found[0].pairs())


def cost(places: Sequence[Place], slots: Sequence[Slot], ordered: bool) -> int | None:
    """How much speaks against laying these layers over ours; None where they can't be."""
    ours: list[object] = [p.slot.signature for p in places]
    theirs: list[object] = [s.signature for s in slots]
    if Counter(ours) != Counter(theirs):
        return None
    with deep_recursion():
        laying = _Laying(places, slots, ordered, ours, theirs)
        whole = laying.arranged(laying.root, 0)
        return whole.cost + laying.scattered() if whole is not None else None


def _fitting(*given: Any) -> _Laying | None:
    """The source laid with each norm before its conv, or each behind it, if nothing speaks against that."""
    laying = _Laying(*given)
    whole = laying.arranged(laying.root, 0)
    return laying if whole is not None and whole.cost < STRONG else None


class _Laying:
    """first: the kind that stands first in a block of one conv and one norm, "" for either."""

    def __init__(
        self,
        places: Sequence[Place],
        slots: Sequence[Slot],
        ordered: bool,
        ours: list[object],
        theirs: list[object],
        first: str = "",
    ) -> None:
        self.places, self.ordered, self.first = places, ordered, first
        self._sorts: dict[object, int] = {}
        self._memo: dict[tuple[int, int], Arrangement | None] = {}
        # A sum of numbers as long as these is as good as the collection that it stands for.
        draw = Random(0)
        numbers: dict[object, int] = {}
        for kind in ours:
            numbers.setdefault(kind, draw.getrandbits(128))
        self.sums = [0, *accumulate(numbers[kind] for kind in ours)]
        self.totals = {id(slot): numbers[kind] for slot, kind in zip(slots, theirs, strict=True)}
        self.copies = Counter(self.totals.values())
        self.root = self._tree(slots)
        self._own_blocks()

    def pairs(self) -> Iterator[Pair]:
        if self.arranged(self.root, 0) is None:
            raise Unfit
        yield from self._settled(self.root, 0, frozenset())

    def scattered(self) -> int:
        """How many blocks of the source are laid on layers that do not stand in a row."""
        blocks: dict[str, list[int]] = {}
        for slot, place in self._laid(self.root, 0):
            for end, letter in enumerate(slot.name):
                if letter == ".":
                    blocks.setdefault(slot.name[:end], []).append(place)
        return sum(max(places) - min(places) + 1 > len(places) for places in blocks.values())

    def _laid(self, part: Part, start: int) -> Iterator[tuple[Slot, int]]:
        arrangement = self.arranged(part, start)
        if not part.children or arrangement is None:
            yield part.slots[0], start
            return
        for child, place in arrangement.rows:
            yield from self._laid(child, place)

    # ---- the source as a tree ----

    def _tree(self, slots: Sequence[Slot]) -> Part:
        root = Part("", 0, list(slots))
        waiting: list[tuple[Part, list[tuple[tuple[str, ...], int, Slot]]]] = []
        items = [(slot.path, i, slot) for i, slot in enumerate(slots)]
        waiting.append((root, items))
        made = [root]
        while waiting:
            part, items = waiting.pop()
            groups: dict[str, list[tuple[tuple[str, ...], int, Slot]]] = {}
            for path, i, slot in items:
                # `block_1` beside `block_1_bn` is a part of the block `block_1_`.
                head = path[0] if path else ""
                groups.setdefault(head.rstrip("_/"), []).append((path, i, slot))
            for label, members in groups.items():
                longest = max((path[0] for path, _, _ in members if path), key=len, default="")
                child = Part(longest or label, members[0][1], [slot for _, _, slot in members])
                part.children.append(child)
                made.append(child)
                if len(members) > 1:
                    waiting.append((child, [(path[1:], i, slot) for path, i, slot in members]))
                else:
                    child.label = "".join(members[0][0])
        for part in reversed(made):
            while len(part.children) == 1:
                only = part.children[0]
                part.label, part.children = part.label + only.label, only.children
            self._mark(part)
        return root

    def _mark(self, part: Part) -> None:
        if part.children:
            key: object = tuple(sorted(child.sort for child in part.children))
            part.total = sum(child.total for child in part.children)
        else:
            part.total = self.totals[id(part.slots[0])] if part.slots else 0
            key = ("layer", part.total)
        part.sort = self._sorts.setdefault(key, len(self._sorts))

    def _own_blocks(self) -> None:
        """For each border between two layers of ours: where the innermost block around it begins and ends."""
        count = len(self.places)
        self.starts, self.ends = [-1] * (count + 1), [count + 1] * (count + 1)
        blocks: dict[tuple[str, ...], tuple[int, int]] = {}
        for i, place in enumerate(self.places):
            path = tuple(place.slot.name.split("."))
            for depth in range(1, len(path)):
                prefix = path[:depth]
                blocks[prefix] = blocks.get(prefix, (i, i))[0], i + 1
        for start, stop in blocks.values():
            for border in range(start + 1, stop):
                self.starts[border] = max(self.starts[border], start)
                self.ends[border] = min(self.ends[border], stop)

    # ---- laying it over the network ----

    def arranged(self, part: Part, start: int) -> Arrangement | None:
        """Where each part of this one goes if it takes the layers from `start` on; None where it can't."""
        key = (id(part), start)
        if key not in self._memo:
            self._memo[key] = self._arrange(part, start)
        return self._memo[key]

    def _arrange(self, part: Part, start: int) -> Arrangement | None:
        stop = start + part.size
        if stop >= len(self.sums) or self.sums[stop] - self.sums[start] != part.total:
            return None
        if not part.children:
            return Arrangement([])
        parts = list(self._together(part, start, stop))
        found = self._tiled(parts, start)
        if found is None and any(child.children for child in parts):
            found = self._tiled(list(_layers(part)), start)
        if found is not None and self.first and {slot.signature[0] for slot in part.slots} == {"conv", "bn"}:
            if part.size == 2 and self.places[start].slot.signature[0] != self.first:
                found = found._replace(cost=found.cost + STRONG)
        return found

    def _together(self, part: Part, start: int, stop: int) -> Iterator[Part]:
        """Its parts; one whose layers stand together nowhere in this stretch, or not in the source, is no block but a
        common beginning of names, and its own parts take its place."""
        for child in part.children:
            if child.children and not self._is_block(child, start, stop):
                for inner in self._together(child, start, stop):
                    yield _renamed(child, inner)
            else:
                yield child

    def _is_block(self, part: Part, start: int, stop: int) -> bool:
        if self.ordered and _scattered(part):
            return False
        size, sums = part.size, self.sums
        return any(sums[i + size] - sums[i] == part.total for i in range(start, stop - size + 1))

    def _tiled(self, parts: list[Part], start: int) -> Arrangement | None:
        """An order of these parts in which they fit one after another: the source's own where it does."""
        named = frozenset(word for part in parts for word in _roles(part.label))
        if self.ordered:
            rows, place, cost = [], start, 0
            for part in sorted(parts, key=lambda p: p.first):
                inner = self.arranged(part, place)
                if inner is None:
                    break
                cost += _passed_on(inner.cost) + self._misplaced([part], place, named) * STRONG
                rows.append((part, place))
                place += part.size
            else:
                if not cost:
                    return Arrangement(rows, in_order=True)
        return self._cheapest(parts, start, named)

    def _cheapest(self, parts: list[Part], start: int, named: frozenset[str]) -> Arrangement | None:
        """Of all orders in which these parts fit, the one that least speaks against. Parts that are alike are taken in
        the order of their numbers here; which is which is settled later."""
        alike: dict[int, list[Part]] = {}
        for part in parts:
            alike.setdefault(part.sort, []).append(part)
        members = [sorted(group, key=lambda p: (_skeleton(p.label), _numbers(p.label))) for group in alike.values()]
        families = [[_head(p.label) for p in group] for group in members]
        ones = [group[0] for group in members]
        ways: dict[tuple[int, ...], tuple[int, dict[int, int]]] = {}  # of the parts left: the least cost, each next's

        def falls(left: tuple[int, ...], i: int) -> bool:
            """Whether a part with a smaller number of the same family would come after the next of group i."""
            skeleton, number = families[i][-left[i]]
            return any(
                k != i and left[k] and any(s == skeleton and n < number for s, n in families[k][-left[k] :])
                for k in range(len(members))
            )

        def overtakes(left: tuple[int, ...], i: int) -> bool:
            """Whether a part that the source has before the next of group i, if it keeps an order, would come after it."""
            nearest = members[i][-left[i]].first
            return self.ordered and any(
                part.first < nearest for k, group in enumerate(members) if k != i for part in group[len(group) - left[k] :]
            )

        def search(place: int, left: tuple[int, ...]) -> int:
            if not any(left):
                return 0
            if left in ways:
                return ways[left][0]
            if len(ways) > MOST_WAYS:
                raise Unfit
            costs: dict[int, int] = {}
            for i, one in enumerate(ones):
                inner = self.arranged(one, place) if left[i] else None
                if inner is not None:
                    rest = search(place + one.size, _less(left, i))
                    if rest < NEVER:
                        strong = self._misplaced(members[i], place, named) + falls(left, i)
                        weak = self._crosses(one, place) + overtakes(left, i)
                        costs[i] = rest + strong * STRONG + weak + _passed_on(inner.cost)
            ways[left] = min(costs.values(), default=NEVER), costs
            return ways[left][0]

        left = tuple(map(len, members))
        cost = search(start, left)
        if cost == NEVER:
            return None
        waiting = [iter(group) for group in members]
        rows, place, choice, chosen = [], start, None, False
        while any(left):
            least, costs = ways[left]
            i = min(costs, key=costs.__getitem__)
            # What decides must be right throughout: where it speaks against the best arrangement too, that is no better
            # than another.
            limit = NEVER if cost >= STRONG else STRONG if cost else 1
            other = next((k for k, c in costs.items() if k != i and c - least < limit), None)
            if other is not None and choice is None:
                choice = ones[i], ones[other], place
            chosen |= len(costs) > 1
            rows.append((next(waiting[i]), place))
            place += ones[i].size
            left = _less(left, i)
        return Arrangement(rows, cost, choice, chosen)

    def _misplaced(self, parts: list[Part], place: int, named: frozenset[str]) -> int:
        """How many roles the name of a part speaks of, or that of our layer, and not both: of that one of these parts,
        which are alike, that fits best. named: roles that the names of all parts beside them speak of."""
        first = self.places[place]
        ours = _roles(first.slot.name) | first.words
        said = {_roles(part.label) for part in parts}
        return min(len(theirs - ours) + len((ours & named) - theirs) for theirs in said)

    def _crosses(self, part: Part, place: int) -> bool:
        """Whether a block of the source would hold the end of one of our blocks and the beginning of the next. A conv
        with its norm does not count: some write the one first, some the other."""
        stop = place + part.size
        return part.kernels > 1 and (self.ends[place] < stop or self.starts[stop] > place)

    # ---- what is alike ----

    def _settled(self, part: Part, start: int, evidence: frozenset[str]) -> Iterator[Pair]:
        if not part.children:
            alone = not evidence or self.copies[self.totals[id(part.slots[0])]] == 1
            yield Pair(start, part.slots[0], (STRUCTURE,) if alone else tuple(sorted(evidence)))
            return
        arrangement = self.arranged(part, start)
        assert arrangement is not None, "laid before"
        for child, place, why in self._decided(arrangement):
            yield from self._settled(child, place, evidence | why)

    def _decided(self, arrangement: Arrangement) -> Iterator[tuple[Part, int, frozenset[str]]]:
        """The arrangement with parts that are alike put where the evidence puts them."""
        if arrangement.choice is not None:
            one, two, place = arrangement.choice
            slot = self.places[place].slot
            raise Undecided(f"{slot.name} could be in {_name(one)} or in {_name(two)}", self._hint())
        groups = _alike(arrangement.rows)
        nested = frozenset({BLOCKS} if arrangement.chosen else {ORDER} if arrangement.in_order else ())
        by_order = self._by_order(arrangement)
        for parts, places in groups:
            if len(parts) == 1:
                yield parts[0], places[0], nested
                continue
            worded = self._by_words(parts, places)
            said = self._verdicts(parts, places, arrangement, by_order)
            if len(worded) == len(parts):
                said[WORDS] = sorted(parts, key=lambda part: worded[id(part)])
            elif not said and worded:  # words for some of them, and the others told apart among themselves
                rest = [p for p in parts if id(p) not in worded], [p for p in places if p not in worded.values()]
                said = self._verdicts(*rest, arrangement, by_order)
                for part in parts:
                    if id(part) in worded:
                        yield part, worded[id(part)], nested | {WORDS}
                parts, places = rest
            if not said:
                raise Undecided(self._open(parts, places), self._hint())
            (why, order), *others = said.items()
            for other, differs in others:
                self._agree(why, order, other, differs, places)
            for part, place in zip(order, places, strict=True):
                yield part, place, nested | said.keys()

    def _verdicts(
        self, parts: list[Part], places: list[int], arrangement: Arrangement, by_order: set[int]
    ) -> dict[str, list[Part]]:
        """What numbers and order say of parts that are alike: the parts in the order of the places."""
        found = {}
        by_numbers = self._by_numbers(parts, places, arrangement)
        if by_numbers is not None:
            found[NUMBERS] = by_numbers
        if by_order >= set(places):
            found[ORDER] = sorted(parts, key=lambda p: p.first)
        return found

    def _by_order(self, arrangement: Arrangement) -> set[int]:
        """Places for which the source's own order is the network's: for all but a few parts that stand elsewhere."""
        if not self.ordered:
            return set()
        row: list[tuple[int, int]] = []
        for parts, places in _alike(arrangement.rows):
            row += zip((p.first for p in parts), places, strict=True)
        rising = _surely_rising([place for _, place in sorted(row)])
        return rising if len(row) - len(rising) <= max(1, len(row) // 4) else set()

    def _by_numbers(self, parts: list[Part], places: list[int], arrangement: Arrangement) -> list[Part] | None:
        """The order of the numbers in names that are otherwise the same, where all such names follow it."""
        family_of = _family([part.label for part in parts])
        if family_of is None:
            return None
        row: list[tuple[tuple[int, ...], int]] = []
        groups = [group for group in _alike(arrangement.rows) if parts[0] not in group[0]]
        for others, at in [*groups, (parts, places)]:
            keys = [key for part in others if (key := family_of(part.label)) is not None]
            if len(keys) == len(others):
                row += zip(sorted(keys), at, strict=True)
        for turn in (1, -1):  # the weightiest number first, or last
            turned = sorted((number[::turn], place) for number, place in row)
            order = {family_of(part.label): part for part in parts}
            if len(order) == len(parts) and all(a[1] < b[1] for a, b in pairwise(turned)):
                return [part for _, part in sorted(order.items(), key=lambda item: (item[0] or ())[::turn])]
        return None

    def _by_words(self, parts: list[Part], places: list[int]) -> dict[int, int]:
        """Places of the parts whose names have a word that one of our layers has too, and no other of either; of all,
        where that leaves one."""
        theirs = [_words(part.label) for part in parts]
        size = parts[0].size
        stretches = [self.places[place : place + size] for place in places]
        common = set.intersection(*({w for p in s for w in _words(p.slot.name)} for s in stretches))
        ours = []
        for stretch in stretches:
            own = set.intersection(*(_words(p.slot.name) for p in stretch))
            ours.append((own | stretch[0].words) - common)
        of: dict[int, int] = {}
        for i, mine in enumerate(theirs):
            for word in mine:
                here = [k for k, words in enumerate(ours) if word in words]
                if len(here) == 1 and sum(word in t for t in theirs) == 1 and of.setdefault(i, here[0]) != here[0]:
                    return {}
        if len(set(of.values())) < len(of):
            return {}
        if len(of) == len(parts) - 1:
            (i,) = set(range(len(parts))) - of.keys()
            (of[i],) = set(range(len(parts))) - set(of.values())
        return {id(parts[i]): places[k] for i, k in of.items()}

    def _agree(self, why: str, order: list[Part], other: str, differs: list[Part], places: list[int]) -> None:
        for one, two, place in zip(order, differs, places, strict=True):
            if one is not two:
                raise Undecided(
                    f"the {why} of the names and the {other} of the layers contradict each other: "
                    f"{self.places[place].slot} would be {_name(one)} or {_name(two)}",
                    "write the source anew with its layers in the order in which data meets them",
                    contradiction=True,
                )

    def _open(self, parts: list[Part], places: list[int]) -> str:
        ours = self.places[places[0]].slot, self.places[places[1]].slot
        one, two = parts[0], parts[1]
        what = f"{ours[0].name} and {ours[1].name} could be {_name(one)} and {_name(two)}, or the other way round"
        return what + (f": all are {words(ours[0].signature)}" if one.size == 1 else "")

    def _hint(self) -> str:
        if self.ordered:
            return "names with numbers in the order of the data flow would tell"
        return "this source does not keep its layers in order: give the model itself, or a .pt of its state_dict"


def _passed_on(cost: int) -> int:
    """What a part's cost is to the block around it: contradictions within count once."""
    return min(cost // STRONG, 1) * STRONG + cost % STRONG


def _alike(rows: list[tuple[Part, int]]) -> list[tuple[list[Part], list[int]]]:
    """Parts that could be exchanged, in the source's order, and the places that they share, in the network's."""
    groups: dict[int, tuple[list[Part], list[int]]] = {}
    for part, place in rows:
        parts, places = groups.setdefault(part.sort, ([], []))
        parts.append(part)
        places.append(place)
    return [(sorted(parts, key=lambda p: p.first), sorted(places)) for parts, places in groups.values()]


def _name(part: Part) -> str:
    return part.slots[0].name if part.size == 1 else f"{_common([s.name for s in part.slots])}*"


def _less(left: tuple[int, ...], i: int) -> tuple[int, ...]:
    return *left[:i], left[i] - 1, *left[i + 1 :]


def _common(names: list[str]) -> str:
    low, high = min(names), max(names)
    end = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:end]


def _renamed(outer: Part, inner: Part) -> Part:
    """A part moved out of the one around it. The memo goes by identity, so it is made once."""
    made: dict[int, Part] = outer.__dict__.setdefault("_moved", {})
    if id(inner) not in made:
        made[id(inner)] = Part(
            outer.label + inner.label, inner.first, inner.slots, inner.children, inner.sort, inner.total
        )
    return made[id(inner)]


def _layers(part: Part) -> Iterator[Part]:
    for child in part.children:
        if child.children:
            for layer in _layers(child):
                yield _renamed(child, layer)
        else:
            yield child


def _scattered(part: Part) -> bool:
    """Whether layers of other blocks stand among these in the source."""
    places = [leaf.first for leaf in _layers(part)]
    return max(places) - min(places) + 1 > len(places)


def _surely_rising(values: list[int]) -> set[int]:
    """The values that are in every longest rising subsequence."""

    def lengths(row: list[int]) -> list[int]:
        tails: list[int] = []
        found = []
        for value in row:
            i = bisect_left(tails, value)
            tails[i : i + 1] = [value]
            found.append(i)
        return found

    up = lengths(values)
    down = lengths([-value for value in reversed(values)])[::-1]
    longest = max(up, default=0)
    levels = Counter(u for u, d in zip(up, down, strict=True) if u + d == longest)
    return {v for v, u, d in zip(values, up, down, strict=True) if u + d == longest and levels[u] == 1}


# A letter after a number counts like one, and one of the first that stands alone: inception3a, block2b; f.a.
_NUMBER = re.compile(r"\d+|(?<=\d)[a-z](?![a-z])|(?<![A-Za-z\d])[a-g](?![A-Za-z])")


def _skeleton(label: str) -> str:
    return _NUMBER.sub("#", label)


def _family(labels: list[str]) -> Callable[[str], Any] | None:
    """What gives the numbers that tell these names apart, of a name that is the same but for them; None of any other.
    Names that differ in more than numbers are compared up to where they do. None where no number tells them apart."""
    skeletons = {_skeleton(label) for label in labels}
    skeleton, whole = skeletons.pop() if len(skeletons) == 1 else _common(sorted(skeletons)), not skeletons
    if not whole:
        skeleton = skeleton[: skeleton.rfind("#") + 1]
    count = skeleton.count("#")
    columns = list(zip(*(_numbers(label)[:count] for label in labels), strict=True))
    telling = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    fixed = {i: column[0] for i, column in enumerate(columns) if i not in telling}
    if not telling:
        return None

    def key(label: str) -> tuple[int, ...] | None:
        own = _skeleton(label)
        numbers = _numbers(label)
        if not (own == skeleton if whole else own.startswith(skeleton)) or any(numbers[i] != n for i, n in fixed.items()):
            return None
        return tuple(numbers[i] for i in telling)

    return key


def _head(label: str) -> tuple[str, tuple[int, ...]]:
    """A name up to its first number, and that number; all of them where the first is a size, as in branch5x5."""
    head = re.match(r"(\D*)(\d+)(?=[._/]|$)", label)
    return (head[1], (int(head[2]),)) if head else (_skeleton(label), _numbers(label))


def _numbers(label: str) -> tuple[int, ...]:
    return tuple(int(n) if n.isdigit() else ord(n) for n in _NUMBER.findall(label))


def _words(label: str) -> set[str]:
    found = set(re.findall(r"[a-z]+", label.lower()))
    return found | _roles(label)


ROLES = {
    "shortcut": ("shortcut", "downsample", "proj", "projection", "skip"),
    "pool": ("pool",),
    "aux": ("aux", "auxlogits"),
    "se": ("se", "squeeze", "excite", "excitation"),
}
"""Words that say what a layer is for, and how else they are said."""


def _roles(label: str) -> frozenset[str]:
    found = set(re.findall(r"[a-z]+", label.lower()))
    return frozenset(role for role, words in ROLES.items() if found.intersection(words))
