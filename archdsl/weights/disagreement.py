"""Why a source does not fit, said with the first place where the two differ, on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import islice, product

from archdsl.diagnostics import ArchError
from archdsl.weights.align import Place, cost
from archdsl.weights.graph import Color
from archdsl.weights.refusal import unequal
from archdsl.weights.slots import Entry, Signature, Slot, Source, words

HEADS = 2
"""How many blocks may be too many, or missing, to be taken for side heads; more, and it is another network."""

TRIALS = 100
"""How many pairs of layers are left out by turns, to find the one that is wrong."""


def by_names(ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, Entry], title: str) -> ArchError:
    """Of a source whose names are mostly ours."""
    problems = []
    for name, shape in ours.items():
        entry = theirs.get(name)
        if entry is None:
            problems.append(f"{name} ({_size(shape)}) of the network is missing in {title}")
        elif entry.shape != shape:
            problems.append(f"{name} is {_size(shape)} in the network and {_size(entry.shape)} in {title}")
    extra = [entry for name, entry in theirs.items() if name not in ours]
    problems += [f"{entry.name} ({_size(entry.shape)}) of {title} is nowhere in the network" for entry in extra]
    first, *others = problems
    return unequal(first, _hint(ours, theirs), _more(others))


def _hint(ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, Entry]) -> str:
    wrong = [name for name, shape in ours.items() if name in theirs and theirs[name].shape != shape]
    absent = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    if wrong or absent:
        prefix = _layer((wrong or absent)[0])
        both = f'skip="{prefix}", ' if wrong else ""
        return f'{both}keep="{prefix}" would leave the model\'s own {prefix} as it is'
    return f'skip="{_layer(extra[0])}" would leave it out' if extra else ""


def _layer(name: str) -> str:
    return name.rpartition(".")[0] or name


def by_structure(places: Sequence[Place], source: Source) -> ArchError:
    """Of a source with names of its own."""
    slots, title = source.slots, source.title
    ours, theirs = [p.slot.signature for p in places], [s.signature for s in slots]
    have, want = Counter(theirs), Counter(ours)
    notes = [f"the network has {len(ours):,} layers with tensors, {title} has {len(theirs):,}"]
    lacking, spare = want - have, have - want
    if not lacking and not spare:
        i = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b), 0)
        message = f"{places[i].slot} of the network stands where {title} has {slots[i]}"
        return unequal(message, "both have the same kinds and shapes, but blocks that can't be laid over each other")
    mine, other = _blocks([p.slot for p in places], lacking), _blocks(slots, spare)
    if mine and not spare:
        ours_first, theirs_first = _inside(mine, [p.slot for p in places]), None
    elif other and not lacking:
        ours_first, theirs_first = None, _inside(other, slots)
    else:
        mine = other = ()
        ours_first, theirs_first = _by_trial(places, source, lacking, spare) or _first(places, slots, lacking, spare)
    if ours_first is not None and theirs_first is not None:
        message = f"{ours_first} of the network has no match in {title}; in its place stands {theirs_first}"
        hint = f"skip={theirs_first.name!r} and keep={ours_first.name!r} leave this one out on both sides"
        one_bias = (ours_first.signature[0], theirs_first.signature[0]) == ("conv", "conv")
        if one_bias and ours_first.signature[1:5] == theirs_first.signature[1:5]:
            hint = "bias=true or bias=false at that layer would make them agree"
    elif ours_first is not None:
        message = f"{ours_first} of the network is missing in {title}"
        hint = f"keep={_listed(mine) or repr(ours_first.name)} would leave the model's own as it is"
        hint = hint if mine or lacking.total() == 1 else ""
    else:
        assert theirs_first is not None
        message = f"{theirs_first} of {title} is nowhere in the network"
        hint = f"skip={_listed(other) or repr(theirs_first.name)} would leave it out"
        hint = hint if other or spare.total() == 1 else ""
    for first, side in ((ours_first, ours), (theirs_first, theirs)):
        if not mine and not other and first is not None and (same := side.count(first.signature)) > 1:
            where = "the network" if side is ours else title
            notes.append(f"{same} layers of {where} are {words(first.signature)}: it may be another of them")
    if sum(lacking.values()) + sum(spare.values()) > 2:
        notes.append(
            f"{sum(lacking.values())} of the network's have no match, and {sum(spare.values())} of the source's"
        )
    return unequal(message, hint, tuple(notes))


def by_wiring(places: Sequence[Place], source: Source, ours: Sequence[Color], theirs: Sequence[Color]) -> ArchError:
    """Of a source with the same layers, wired otherwise."""
    before, around = {color.before for color in theirs}, set(theirs)
    i = next((i for i, color in enumerate(ours) if color.before not in before), None)
    if i is None:
        i = next((i for i, color in enumerate(ours) if color not in around), 0)
    odd, unmatched = places[i].slot, {color.before for color in ours}
    alike = [s for s, c in zip(source.slots, theirs, strict=True) if s.signature == odd.signature and c.before not in unmatched]
    like = f"; there {alike[0].name} is the first such layer whose input is none of ours" if alike else ""
    return unequal(
        f"{source.title} has the network's layers and wires them otherwise: nothing reads there what {odd} reads here{like}",
        "its state_dict() alone is compared by names, shapes and order",
    )


def _by_trial(
    places: Sequence[Place], source: Source, lacking: Counter[Signature], spare: Counter[Signature]
) -> tuple[Slot | None, Slot | None] | None:
    """The one layer on each side without which the others would fit, where there is at most one."""
    if sum(lacking.values()) > 1 or sum(spare.values()) > 1:
        return None
    none: list[Slot | None] = [None]
    ours = [p.slot for p in places if p.slot.signature in lacking] or none
    theirs = [s for s in source.slots if s.signature in spare] or none
    best: tuple[int, Slot | None, Slot | None] | None = None
    for mine, other in islice(product(ours, theirs), TRIALS):
        rest = [p for p in places if p.slot is not mine], [s for s in source.slots if s is not other]
        price = cost(*rest, source.ordered)
        if price is not None and mine is not None and other is not None:
            price += _index(mine, [p.slot for p in places]) != _index(other, source.slots)
        if price is not None and (best is None or price < best[0]):
            best = price, mine, other
    return best[1:] if best is not None else None


def _index(slot: Slot, slots: Sequence[Slot]) -> int:
    return next(i for i, one in enumerate(slots) if one is slot)


def _first(
    places: Sequence[Place], slots: Sequence[Slot], lacking: Counter[Signature], spare: Counter[Signature]
) -> tuple[Slot | None, Slot | None]:
    """The first layer of ours that has no match, and what the source has at its place or of its kind."""
    matcher = SequenceMatcher(None, [p.slot.signature for p in places], [s.signature for s in slots], autojunk=False)
    ours = theirs = None
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            continue
        mine = next((p.slot for p in places[a0:a1] if p.slot.signature in lacking), None)
        other = next((s for s in slots[b0:b1] if s.signature in spare), None)
        if mine is not None and other is not None and mine.signature[0] == other.signature[0]:
            return mine, other
        ours, theirs = ours or mine, theirs or other
    if ours is None:
        ours = next((p.slot for p in places if p.slot.signature in lacking), None)
    if ours is not None:
        alike = [s for s in slots if s.signature in spare and s.signature[0] == ours.signature[0]]
        theirs = min(alike, key=lambda s: _distance(s, ours), default=theirs)
    else:
        theirs = next((s for s in slots if s.signature in spare), None)
    return ours, theirs


def _distance(one: Slot, two: Slot) -> int:
    return sum(a != b for a, b in zip(one.signature, two.signature, strict=False))


def _blocks(slots: Sequence[Slot], spare: Counter[Signature]) -> tuple[str, ...]:
    """Names of blocks that hold just these layers, several of them at least; the largest first. None: ()."""
    inside: dict[str, Counter[Signature]] = {}
    for slot in slots:
        for end, letter in enumerate(slot.name):
            if letter == ".":
                inside.setdefault(slot.name[:end], Counter())[slot.signature] += 1
    left, found = Counter(spare), []
    for name, held in sorted(inside.items(), key=lambda item: -item[1].total()):
        if held.total() > 1 and held <= left:
            found.append(name)
            left -= held
    return () if left or len(found) > HEADS else tuple(sorted(found))


def _inside(blocks: tuple[str, ...], slots: Sequence[Slot]) -> Slot:
    return next(slot for slot in slots if slot.name.startswith(tuple(f"{name}." for name in blocks)))


def _listed(names: tuple[str, ...]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(names) if names else ""


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _more(others: Sequence[str]) -> tuple[str, ...]:
    if len(others) > 4:
        return (*others[:3], f"and {len(others) - 3} more")
    return tuple(others)
