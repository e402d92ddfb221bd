"""What is different between two networks, in terms of their steps: rows of the table, changes inside blocks, weights."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from archdsl.diff.align import Pair, align, is_open, stages
from archdsl.diff.weights import Weights, weights_of
from archdsl.headroom import deep_recursion
from archdsl.network import COMMUTATIVE, Network, Region, op_arguments
from archdsl.ops.base import Shape
from archdsl.render import printable
from archdsl.symbolic import Dim

Kind = Literal["same", "changed", "gone", "new"]
Values = dict[str, tuple[Any, Any]]
"""Of each argument that is not the same: its value in one and the other."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the arch, or several that one of the other network stands for. field: of the input, that one position
    of the output sees."""

    title: str
    output: Shape
    params: Dim
    macs: Dim
    field: tuple[Dim, Dim] | None


@dataclass(slots=True)
class Row:
    """Steps of the two archs that belong together. pairs: what they consist of, copies one by one; changes: what happened
    to layers that stand in no block."""

    change: Kind
    a: Step | None
    b: Step | None
    pairs: list[Pair]
    changes: list[Change] = field(default_factory=list)

    @property
    def gone(self) -> int:
        return sum(pair.b is None for pair in self.pairs)

    @property
    def new(self) -> int:
        return sum(pair.a is None for pair in self.pairs)


@dataclass(slots=True)
class Change:
    """What happened to a layer, or to a whole step that is gone or new.

    place: the blocks that it stands in, in both networks, and where there is no block, None.
    values: arguments that are not the same; other_layers: (kind before, kind now) of what a step carries, such as its
    activation. reads: what comes in, where only that is not the same, and the layer has weights.
    """

    kind: Kind
    place: tuple[str, str] | None
    name: str
    titles: tuple[str, str]
    values: Values = field(default_factory=dict)
    other_layers: tuple[tuple[str, str], ...] = ()
    reads: tuple[Shape, Shape] | None = None


@dataclass(frozen=True, slots=True)
class Rewired:
    """A layer that both networks have, and that reads another tensor: layers by their names."""

    layer: str
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """What is different between two networks.

    pair: everything, step by step. rows: the steps of the archs. changes: inside blocks, in the order of the text.
    blocks: how often a block of one stands where a block of the other does, of those with changes inside. together: how
    many layers both have; wired_alike: all, and each reads the same ones.
    """

    a: Network
    b: Network
    pair: Pair
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    blocks: dict[tuple[str, str], int]
    rewired: tuple[Rewired, ...]
    weights: Weights
    together: int
    wired_alike: bool

    @property
    def same(self) -> bool:
        """Whether both compute the same and keep their weights under the same names."""
        return self.a.hash == self.b.hash and not self.weights.renamed


def compare(a: Network, b: Network) -> Difference:
    """What is different between two networks."""
    with deep_recursion():
        pair = align(a, b)
        nodes = {one: other for found in pair.walk() for one, other in found.nodes}
        rows = tuple(_rows(a, b, pair))
        changes = tuple(c for row in rows for p in row.pairs for c in _changes(a, b, p, None) if c.place)
        whole = len(nodes) == len(a.nodes) == len(b.nodes)
        rewired = tuple(_rewired(a, b, nodes))
        return Difference(
            a=a,
            b=b,
            pair=pair,
            rows=rows,
            changes=changes,
            blocks=_blocks(pair),
            rewired=rewired,
            weights=weights_of(a, b, nodes),
            together=sum(1 for one in nodes if one),
            wired_alike=whole and not rewired,
        )


def printed(region: Region, labelled: bool = True) -> str:
    """A step as its author wrote it, on one line: `bottleneck(64) x3 as c2`."""
    title = re.sub(r"^([\w-]+)/1(?=\(|$)", r"\1", " ".join(region.title.removeprefix("shortcut: ").split()))
    return printable(f"{title} as {region.label}" if labelled and region.label else title)


# ---- the steps of the archs ----


def _rows(a: Network, b: Network, pair: Pair) -> Iterator[Row]:
    if pair.alike:
        none: frozenset[str] = frozenset()
        for x, y in zip(a.region.children, b.region.children, strict=False):
            yield Row("same", _step(a, [x], none), _step(b, [y], none), [Pair(x, y, True)])
        return
    opened = (stages(a, b), stages(b, a))
    owners = (_owners(a.region, opened[0]), _owners(b.region, opened[1]))
    rows: list[list[Pair]] = []
    before: tuple[Region | None, Region | None] = (None, None)
    for found in pair.inside:
        one = owners[0][id(found.a)] if found.a is not None else None
        other = owners[1][id(found.b)] if found.b is not None else None
        if not rows or not (one and one is before[0] or other and other is before[1]):
            rows.append([])
            before = (one, other)
        rows[-1].append(found)
        before = (one or before[0], other or before[1])
    parts = Counter(id(owners[0][id(p.a)]) for p in pair.inside if p.a is not None)
    parts += Counter(id(owners[1][id(p.b)]) for p in pair.inside if p.b is not None)
    for pairs in rows:
        ones = _whole([p.a for p in pairs if p.a is not None], owners[0], parts)
        others = _whole([p.b for p in pairs if p.b is not None], owners[1], parts)
        kind: Kind = "gone" if not others else "new" if not ones else "changed"
        if all(found.alike for found in pairs):
            kind = "same"
        inside = [c for p in pairs if p.a and p.b for c in _changes(a, b, p, None) if c.place is None]
        yield Row(kind, _step(a, ones, opened[0]), _step(b, others, opened[1]), pairs, inside)


def _whole(regions: list[Region], owners: dict[int, Region], parts: Counter[int]) -> list[Region]:
    """Copies as the repeat that they are of, where all of them are here."""
    here = Counter(id(owners[id(region)]) for region in regions)
    found = []
    for region in regions:
        owner = owners[id(region)]
        if here[id(owner)] < parts[id(owner)]:
            found.append(region)
        elif not found or found[-1] is not owner:
            found.append(owner)
    return found


def _owners(region: Region, opened: frozenset[str]) -> dict[int, Region]:
    """The step of the table that everything inside belongs to: braces, `carry` and blocks that are looked through have a
    row for each step."""
    found: dict[int, Region] = {}
    for child in region.children:
        if child.kind != "repeat" and is_open(child, opened):
            found.update(_owners(child, opened))
            continue
        waiting = [child]
        while waiting:
            inside = waiting.pop()
            found[id(inside)] = child
            waiting.extend(inside.children)
    return found


def _titles(regions: list[Region], opened: frozenset[str]) -> Iterator[str]:
    """Each as written, and several copies as their number."""
    for title, same in groupby(_computed(region) if opened else printed(region) for region in regions):
        count = sum(1 for _ in same)
        yield f"{title} x{count}" if count > 1 else title


def _computed(region: Region) -> str:
    """As `printed`, of a network whose blocks are looked through: what a block's author wrote in its parameters, as its
    first copy has it, with … where the others have it otherwise."""
    if region.kind != "repeat" or region.children[0].kind != "block":
        return printed(region)
    copies = [re.sub(r"^([A-Za-z_]\w*)/\d+", r"\1", printed(c, labelled=False)) for c in region.children]
    stride = re.match(r"[A-Za-z_]\w*(/\d+)", printed(region.children[0], labelled=False))
    title = copies[0] if len({*copies}) == 1 else f"{copies[0].removesuffix(')')}…)"
    times = f" x{len(copies)}" if len(copies) > 1 else ""
    label = f" as {printable(region.label)}" if region.label else ""
    return f"{title}{times}{stride[1] if stride else ''}{label}"


def _step(network: Network, owners: list[Region], opened: frozenset[str]) -> Step | None:
    if not owners:
        return None
    costs = [network.cost(owner) for owner in owners]
    node = network.nodes[owners[-1].output]
    return Step(
        title="; ".join(_titles(owners, opened)),
        output=node.shape,
        params=sum(cost[0] for cost in costs),
        macs=sum(cost[2] for cost in costs),
        field=node.extent if len(node.shape) == 3 else None,
    )


# ---- what happened inside ----


def _blocks(pair: Pair) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for inside in pair.walk():
        if inside.a and inside.b and not inside.alike and "block" in (inside.a.kind, inside.b.kind):
            key = (inside.a.block, inside.b.block)
            found[key] = found.get(key, 0) + 1
    return found


def _changes(a: Network, b: Network, pair: Pair, place: tuple[str, str] | None) -> Iterator[Change]:
    if pair.alike:
        return
    if pair.a is None or pair.b is None:
        region = pair.a or pair.b
        assert region is not None
        title = printed(region, labelled=False)
        kind: Kind = "gone" if pair.a else "new"
        yield Change(kind, place, region.block or _word(title), (title, "") if pair.a else ("", title))
        return
    if pair.a.kind == pair.b.kind == "block":
        place = (pair.a.block, pair.b.block)
    own = _layer(a, b, pair)
    if own is not None:
        values, other_layers, reads = own
        titles = (printed(pair.a, labelled=False), printed(pair.b, labelled=False))
        name = "" if pair.a.name.isdigit() else pair.a.name
        yield Change("changed", place, name or _word(titles[0]), titles, values, other_layers, reads)
    for inside in pair.inside:
        yield from _changes(a, b, inside, place)


def _word(title: str) -> str:
    return title.split("(")[0].split("-")[0].split("{")[0].strip()


def _layer(
    a: Network, b: Network, pair: Pair
) -> tuple[Values, tuple[tuple[str, str], ...], tuple[Shape, Shape] | None] | None:
    """What is not the same about the layers of a pair itself, or None."""
    assert pair.a is not None and pair.b is not None
    values: Values = {}
    for one, other in pair.nodes:
        before, after = (json.loads(op_arguments(n.op)) for n in (a.nodes[one], b.nodes[other]))
        prefix = (
            ""
            if a.nodes[one].kind in ("conv", "dwconv", "fc") or len(pair.nodes) == 1
            else f"{a.nodes[one].kind} "
        )
        for name in before:
            if before[name] != after.get(name) and not (name == "padding" and _half(before) and _half(after)):
                values.setdefault(f"{prefix}{name}", (before[name], after.get(name)))
    kinds = tuple(_swapped(a, b, pair)) if not pair.inside else ()
    if values or kinds:
        return values, kinds, None
    if pair.a.children or pair.b.children or not pair.nodes or not any(a.cost(pair.a)[:2]):
        return None
    one, other = pair.nodes[0]
    came = [tuple(n.nodes[i].shape for i in n.nodes[at].inputs[:1]) for n, at in ((a, one), (b, other))]
    return (values, (), (came[0][0], came[1][0])) if came[0] and came[1] and came[0] != came[1] else None


def _half(arguments: dict[str, Any]) -> bool:
    """Whether a padding is what an odd kernel has by itself."""
    kernel, padding = arguments.get("kernel"), arguments.get("padding")
    if not isinstance(kernel, list) or not isinstance(padding, list) or len(padding) != 4:
        return False
    return padding == [kernel[0] // 2, kernel[0] // 2, kernel[1] // 2, kernel[1] // 2]


def _swapped(a: Network, b: Network, pair: Pair) -> Iterator[tuple[str, str]]:
    """Layers of a step that have no partner: its activation, say, that is another one now."""
    assert pair.a is not None and pair.b is not None
    ones, others = {one for one, _ in pair.nodes}, {other for _, other in pair.nodes}
    gone = [a.nodes[i].kind for i in range(pair.a.start, pair.a.stop) if i not in ones]
    new = [b.nodes[i].kind for i in range(pair.b.start, pair.b.stop) if i not in others]
    for index in range(max(len(gone), len(new))):
        yield (gone[index] if index < len(gone) else "", new[index] if index < len(new) else "")


def _rewired(a: Network, b: Network, nodes: dict[int, int]) -> Iterator[Rewired]:
    back = {other: one for one, other in nodes.items()}
    for one, other in nodes.items():
        before, after = a.nodes[one].inputs, b.nodes[other].inputs
        if any(source not in nodes for source in before) or any(source not in back for source in after):
            continue  # what it reads is gone or new, and told as that
        meant = [nodes[source] for source in before]
        if meant == list(after) or a.nodes[one].kind in COMMUTATIVE and sorted(meant) == sorted(after):
            continue
        names = [", ".join(n.nodes[i].name or "input" for i in read) for n, read in ((a, before), (b, after))]
        yield Rewired(b.nodes[other].name, names[0], names[1])
