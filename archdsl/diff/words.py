"""What is different, in words: changes that are alike put together, and the one sentence that says most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.diff.compare import Change, Difference, Kind, printed
from archdsl.ops.base import written
from archdsl.render import printable

MANY = {2.0: "twice", 0.5: "half", 3.0: "three times", 4.0: "four times"}
MOST_KINDS = 4
"""Kinds of layers, and of changes, that a headline counts."""
SHOWN = 3
"""Values of one kind that are listed."""


@dataclass(slots=True)
class Entry:
    """Changes that are alike, of one place: what happened to `conv1` of every `bottleneck`.

    titles: the steps as written, before and now. of: how many such blocks there are.
    """

    kind: Kind
    place: tuple[str, str] | None
    name: str
    changes: list[Change] = field(default_factory=list)
    of: int = 0

    @property
    def titles(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys(change.titles for change in self.changes))

    @property
    def is_consequence(self) -> bool:
        """Whether the layer itself is the same, and only what comes in is not."""
        return self.kind == "changed" and not any(c.values or c.other_layers for c in self.changes)

    @property
    def words(self) -> str:
        """`twice as wide`, `kernel 3 → 5`; `kernel 3 → 5 (2 of them)` where not all of them changed so."""
        said: dict[str, int] = {}
        for name in dict.fromkeys(name for change in self.changes for name in told(change)):
            pairs = [told(change)[name] for change in self.changes if name in told(change)]
            said[_values(name, pairs)] = len(pairs)
        swaps = Counter(word for change in self.changes for word in swapped(change))
        said.update(swaps)
        if self.is_consequence:
            came = [change.reads for change in self.changes if change.reads]
            channels = [(one[0], other[0]) for one, other in came if one[0] != other[0]]
            shapes = [(written(one), written(other)) for one, other in came]
            if came:
                alike = len(channels) == len(came)
                said[_values("channels in", channels) if alike else f"reads {_listed(shapes)}"] = len(came)
        every = len(self.changes)
        return ", ".join(f"{word} ({count} of them)" if count < every else word for word, count in said.items())


def told(change: Change) -> Mapping[str, tuple[Any, Any]]:
    """Arguments that are worth a word: a bias that a norm replaces is told with the norm."""
    if "bias" in change.values and any("bn" in pair for pair in change.other_layers):
        return {name: pair for name, pair in change.values.items() if name != "bias"}
    return change.values


def swapped(change: Change) -> Iterator[str]:
    """`relu → silu`, `bn in place of the bias`"""
    bias = change.values.get("bias")
    for before, now in change.other_layers:
        if bias == (True, False) and (before, now) == ("", "bn"):
            yield "bn in place of the bias"
        elif bias == (False, True) and (before, now) == ("bn", ""):
            yield "a bias in place of bn"
        else:
            yield f"{before} → {now}" if before and now else f"no {before}" if before else f"{now} added"


def entries(changes: Iterable[Change], blocks: Mapping[tuple[str, str], int]) -> list[Entry]:
    """Changes put together, in the order of the text. blocks: as a Difference has them."""
    found: dict[object, Entry] = {}
    for change in changes:
        own = bool(change.values or change.other_layers)
        key = (change.kind, change.place, change.name, own)
        if key not in found:
            of = blocks.get(change.place, 0) if change.place else 0
            found[key] = Entry(change.kind, change.place, change.name, of=of)
        found[key].changes.append(change)
    return list(found.values())


def headline(difference: Difference) -> str:
    """The one sentence that says most."""
    a, b = difference.a, difference.b
    total = len(b.layers)
    if difference.same:
        return f"no difference: the same {total:,} layers, wired alike, with weights of the same names"
    renamed = len(difference.weights.renamed)
    if a.hash == b.hash:
        return f"the same computation; {renamed:,} of {difference.weights.needed:,} weights have another name"
    if difference.wired_alike:
        return f"the same {total:,} layers, wired alike{_main_change(difference)}"
    gone, new = len(a.layers) - difference.together, total - difference.together
    more = _more_steps(difference)
    if more:
        return f"all {_count(len(a.layers), 'layer')} of {printable(a.name)}, and {new:,} more: {more}{_main_change(difference)}"
    counts = [
        f"{gone:,} gone ({_kinds(difference, 0)})" if gone else "",
        f"{new:,} new ({_kinds(difference, 1)})" if new else "",
    ]
    counts.append(f"{len(difference.rewired):,} wired otherwise" if difference.rewired else "")
    often = _often(difference)
    return (
        f"{_count(difference.together, 'layer')} of {total:,} {'is' if difference.together == 1 else 'are'} in both; {', '.join(filter(None, counts))}"
        f"{f'; {often}' if often else ''}"
    )


def _more_steps(difference: Difference) -> str:
    """`17 bottleneck(256) in c4`, where the second network is the first with a few steps more; else nothing."""
    found: Counter[str] = Counter()
    for row in difference.rows:
        if row.b is None or row.gone:
            return ""
        for pair in row.pairs:
            if pair.a is None and pair.b is not None:
                label = f" in {printable(pair.b.label)}" if pair.b.label else ""
                found[printed(pair.b, labelled=False) + label] += 1
            elif any(inside.a is None or inside.b is None for inside in pair.walk()):
                return ""
        if any(change.other_layers for change in row.changes):
            return ""
    if difference.rewired or any(change.other_layers for change in difference.changes):
        return ""
    return _series([f"{count} {title}" for title, count in found.items()]) if len(found) <= MOST_KINDS else ""


def _kinds(difference: Difference, side: int) -> str:
    """Of the layers that only one network has: `49 bn, 49 relu`."""
    known = {pair[side] for found in difference.pair.walk() for pair in found.nodes}
    nodes = (difference.a, difference.b)[side].nodes
    found = [node.kind for index, node in enumerate(nodes) if index and index not in known]
    kinds = Counter(kind for kind in found if kind != "identity") or Counter(found)  # what computes something
    if len(kinds) == 1:
        return next(iter(kinds))
    shown = [f"{count:,} {kind}" for kind, count in kinds.most_common(MOST_KINDS)]
    return ", ".join(shown) + (", others" if len(kinds) > MOST_KINDS else "")


def _often(difference: Difference) -> str:
    """What happened most often to what both have: `relu6 → silu in 34, se added in 15`."""
    found: Counter[str] = Counter()
    for change in (*difference.changes, *(c for row in difference.rows for c in row.changes)):
        if change.kind != "changed" and change.name:
            found[f"{change.name} added" if change.kind == "new" else f"no {change.name}"] += 1
        found.update(swapped(change))
        for name, (before, now) in told(change).items():
            wide = name in ("channels", "features")
            found["another width" if wide else f"{name} {value(before, name)} → {value(now, name)}"] += 1
    shown = [f"{words} in {count:,}" for words, count in found.most_common(MOST_KINDS) if count > 1]
    return _series(shown)


def _series(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _main_change(difference: Difference) -> str:
    inside = (*difference.changes, *(c for row in difference.rows for c in row.changes))
    own = [c for c in inside if c.values or c.other_layers]
    if not own:
        before, now = (written(n.input) for n in (difference.a, difference.b))
        return f", on {now} in place of {before}" if before != now else ""
    arguments = list(dict.fromkeys(name for change in own for name in change.values))
    if {*arguments} <= {"channels", "features"} and not any(c.other_layers for c in own):
        said = _values("channels", [pair for change in own for pair in change.values.values()])
        verb = ("has", "have") if said.startswith("width") else ("is", "are")
        return f"; {_whose(difference, own)} {verb[len(own) > 1]} {said}"
    kinds = dict.fromkeys(after or before for change in own for before, after in change.other_layers)
    said = (
        f"another {' and '.join([*arguments, *kinds])}"
        if len(arguments) + len(kinds) <= 3
        else "other arguments"
    )
    return f"; {_whose(difference, own)} {'has' if len(own) == 1 else 'have'} {said}"


def _whose(difference: Difference, changes: Sequence[Change]) -> str:
    """`conv1 and conv2 of every bottleneck`, `6 layers`, `conv3-64`"""
    if len(changes) == 1 and changes[0].place is None:
        return changes[0].titles[0]
    places, names = {c.place for c in changes}, list(dict.fromkeys(c.name for c in changes))
    place = places.pop() if len(places) == 1 else None
    if place is None or len(names) > 3 or len(changes) != len(names) * difference.blocks[place]:
        return _count(len(changes), "layer")
    waiting, all_of_them = [difference.a.region], 0
    while waiting:
        region = waiting.pop()
        all_of_them += region.block == place[0]
        waiting.extend(region.children)
    count = difference.blocks[place]
    of = f"every {place[0]}" if count == all_of_them else f"{count} of the {all_of_them} {place[0]} blocks"
    return f"{' and '.join(names)} of {of}"


def _values(name: str, pairs: Sequence[tuple[Any, Any]]) -> str:
    ratio = _ratio(pairs)
    if name in ("channels", "features"):
        if ratio is not None and len({*pairs}) > 1 or ratio in MANY:
            return f"{_times(ratio or 1.0)} as wide"
        return f"width {_listed(pairs)}"
    if ratio is not None and len({*pairs}) > 1:
        return f"{_times(ratio)} the {name}" if name == "channels in" else f"{name} × {ratio:g}"
    return f"{name} {_listed((value(one, name), value(other, name)) for one, other in pairs)}"


def _ratio(pairs: Sequence[tuple[Any, Any]]) -> float | None:
    """By how much every one of them grew, if all did alike."""
    if not all(type(v) is int and v > 0 for pair in pairs for v in pair):
        return None
    ratios = {other / one for one, other in pairs}
    return ratios.pop() if len(ratios) == 1 else None


def _times(ratio: float) -> str:
    return MANY.get(ratio) or f"{ratio:.3g} times"


def _listed(pairs: Iterable[tuple[Any, Any]]) -> str:
    found = [f"{one} → {other}" for one, other in dict.fromkeys(pairs)]
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")


def value(given: object, name: str = "") -> str:
    """An argument as the language has it: `3x3` of two numbers for height and width, which the parts of a split are not."""
    if isinstance(given, list) and name == "parts":
        return f"({', '.join(map(value, given))})"
    if isinstance(given, list):
        if len(given) == 2 and isinstance(given[1], dict):
            return str(given[0])  # a layer, by its name
        if len(set(map(str, given))) == 1:
            return value(given[0])
        return "x".join(map(value, given)) if len(given) == 2 else f"({', '.join(map(value, given))})"
    if given is None:
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    return f"{given:g}" if isinstance(given, float) else str(given)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
