"""What a picture shows, before anything has a place: the tree of regions as boxes, frames and branches.

Tensors are named by the index of the node that makes them; one that a layer only hands on (`identity`) by its origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.draw.kinds import category
from archdsl.headroom import deep_recursion
from archdsl.network import COMMUTATIVE, Network, Region
from archdsl.ops.base import Shape
from archdsl.render import printable
from archdsl.symbolic import Dim

MOST_ITEMS = 4000
"""Boxes, frames and branchings of one picture: more is not a picture, and takes seconds to place."""

READABLE = 100
"""Where no depth is given, blocks are opened as long as a picture has no more boxes than this."""

DEEPEST = 6
"""How far blocks are opened by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something in a chain of steps.

    reads       tensors from outside that go in, in order; output: the tensor that flows on.
    start, stop the nodes of the network that it stands for, of all its copies.
    shape       of its output; costs: (parameters, MACs) of all copies.
    count       copies in sequence, of which the first is shown; stride: that of the first alone, where it has one.
    """

    title: str
    reads: tuple[int, ...]
    output: int
    start: int
    stop: int
    shape: Shape
    costs: tuple[Dim, Dim] = (0, 0)
    label: str | None = None
    count: int = 1
    stride: str = ""

    @property
    def text(self) -> str:
        """The title with its copies: `dense(32) ×6`, `basic(128) ×2/2`."""
        times = f"×{self.count}" if self.count > 1 else ""
        return f"{self.title} {times}{'/' + self.stride if times and self.stride else ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Item):
    """A layer, or a block that is not opened. kind: what it is coloured by; layer: a layer's name in the language."""

    kind: str
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Item):
    """An opened block or a group: a chain inside a border."""

    inner: Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Item):
    """Branches side by side and the merge of them. title: the merge's symbol. main: the branch that stays on the line,
    while the others pass beside it, at its right, or where `mirrored` at its left."""

    branches: tuple[Chain, ...]
    main: int | None = None
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside(Item):
    """A head that reads the stream, which passes by."""

    inner: Chain


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps one after another. enters: the tensor before the first; leaves: the one that goes on after the last;
    turned: tensors that run on the other side than they would."""

    enters: int
    items: tuple[Item, ...]
    leaves: int
    turned: frozenset[int] = frozenset()

    @property
    def reads(self) -> tuple[int, ...]:
        """Tensors from outside, in order of their first use."""
        made: set[int] = set()
        found: dict[int, None] = {}
        start = min((item.start for item in self.items), default=None)
        for item in self.items:
            for tensor in item.reads:
                if tensor not in made and (start is None or tensor < start):
                    found[tensor] = None
            made.add(item.output)
        if self.leaves not in made and (start is None or self.leaves < start):
            found[self.leaves] = None
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Scene:
    """A network to draw, with its blocks opened to a depth."""

    network: Network
    depth: int
    chain: Chain


def scene(network: Network, depth: int | None = None) -> Scene:
    """What to draw of a network. depth: 1 shows the steps of the arch, each more opens the blocks once more; None
    opens as many as stay readable.

    Raises ArchError (A308) where the picture would have too many boxes.
    """
    with deep_recursion():
        if depth is not None:
            return Scene(network, depth, _Builder(network, MOST_ITEMS).whole(depth))
        best = Scene(network, 1, _Builder(network, MOST_ITEMS).whole(1))
        for deeper in range(2, DEEPEST + 1):
            try:
                chain = _Builder(network, 3 * READABLE).whole(deeper)
            except ArchError:
                break
            if chain == best.chain:
                break
            if sum(isinstance(item, Box) for item in items(chain)) > READABLE:
                break
            best = Scene(network, deeper, chain)
        return best


def items(chain: Chain) -> Iterator[Item]:
    """Every item of a chain and of what is inside, in order of the text."""
    waiting: list[Item] = list(reversed(chain.items))
    while waiting:
        item = waiting.pop()
        yield item
        inner: Iterable[Chain] = ()
        if isinstance(item, Frame | Aside):
            inner = (item.inner,)
        elif isinstance(item, Split):
            inner = item.branches
        waiting.extend(reversed([found for part in inner for found in part.items]))


SYMBOLS = {"add": "+", "mul": "×", "maximum": "max"}
"""How a merge is drawn; others by their name."""


class _Builder:
    def __init__(self, network: Network, most: int) -> None:
        self.network, self.most, self.made = network, most, 0
        self.origin: list[int] = []
        for index, node in enumerate(network.nodes):
            handed_on = node.kind == "identity"
            self.origin.append(self.origin[node.inputs[0]] if handed_on else index)

    def whole(self, depth: int) -> Chain:
        region = self.network.region
        mains = [output.node for output in self.network.outputs if not output.aux]
        return self.chain(region.children, 0, max(mains) if len(mains) > 1 else mains[0], depth - 1)

    def chain(self, regions: Iterable[Region], enters: int, leaves: int, level: int) -> Chain:
        found: list[Item] = []
        for region in regions:
            for item in self.items(region, level):
                # A head may start from a tensor further up: it hangs there.
                made = [self.origin[enters], *(-1 if isinstance(i, Aside) else i.output for i in found)]
                up = isinstance(item, Aside) and item.reads[0] in made
                found.insert(made.index(item.reads[0]) if up else len(found), item)
        return Chain(self.origin[enters], tuple(found), self.origin[leaves])

    def items(self, region: Region, level: int) -> tuple[Item, ...]:
        """What a region is drawn as: nothing, where it only hands a tensor on."""
        if all(self.origin[i] < region.start for i in range(region.start, region.stop)):
            return ()
        make: Callable[[Region, int], tuple[Item, ...]] = getattr(self, f"_{region.kind}")
        return make(region, level)

    def counted(self) -> None:
        self.made += 1
        if self.made > self.most:
            name = self.network.name
            raise ArchError(
                [
                    Diagnostic(
                        code="A308",
                        message=f"a picture of `{name}` would have more than {self.most:,} boxes",
                        span=self.network.region.span,
                        hint="draw it with a smaller --depth, or write copies as a repeat: `dense(32) x6`",
                    )
                ]
            )

    def common(self, region: Region, title: str | None = None) -> dict[str, object]:
        self.counted()
        params, _, macs = self.network.cost(region)
        return {
            "title": printable(" ".join((region.title if title is None else title).split())),
            "reads": self.reads(region.start, region.stop),
            "output": self.origin[region.output],
            "start": region.start,
            "stop": region.stop,
            "shape": self.network.nodes[region.output].shape,
            "costs": (params, macs),
            "label": region.label,
        }

    def reads(self, start: int, stop: int) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for index in range(start, stop):
            if self.origin[index] == index:
                for source in self.network.nodes[index].inputs:
                    if self.origin[source] < start:
                        found[self.origin[source]] = None
        return tuple(found)

    # ---- one method for each kind of region ----

    def _layer(self, region: Region, level: int) -> tuple[Item, ...]:
        nodes = self.network.nodes[region.start : region.stop]
        kind = next(
            (k for node in nodes if (k := category(node.op)) not in ("norm", "act")), category(nodes[0].op)
        )
        title = region.title.removeprefix("shortcut: ")
        if kind not in ("pool", "other"):
            title = re.sub(r"^([\w-]+)/1(?=\(|$)", r"\1", title)  # a stride of 1, which a block worked out
        return (Box(**self.common(region, title), kind=kind),)  # type: ignore[arg-type]

    def _block(self, region: Region, level: int) -> tuple[Item, ...]:
        if level < 1:
            return (Box(**self.common(region), kind="block", opens=True),)  # type: ignore[arg-type]
        return self._framed(region, level - 1)

    def _group(self, region: Region, level: int) -> tuple[Item, ...]:
        return self._framed(replace(region, title=""), level)

    def _framed(self, region: Region, level: int) -> tuple[Item, ...]:
        common = self.common(region)
        entered = region.inputs[0] if region.inputs else 0
        return (Frame(**common, inner=self.chain(region.children, entered, region.output, level)),)  # type: ignore[arg-type]

    def _repeat(self, region: Region, level: int) -> tuple[Item, ...]:
        """One item for each run of copies that look the same. Of closed blocks and layers there is one run."""
        copies = [copy for copy in region.children if copy.stop > copy.start]
        step, stride = _without_count(region.title)
        found: list[Item] = []
        closed = all(copy.kind == "layer" or copy.kind == "block" and level < 1 for copy in copies)
        for _, run in groupby(copies, key=lambda copy: 0 if closed else _look(self.network, copy)):
            same = list(run)
            first, last = same[0], same[-1]
            strided = stride and first is copies[0]
            plain = (
                first
                if strided and not closed or len(copies) > len(same) == 1
                else replace(first, title=step)
            )
            [shown] = self.items(plain, level)
            params, _, macs = self.network.cost(replace(first, stop=last.stop))
            found.append(
                replace(
                    shown,
                    stop=last.stop,
                    output=self.origin[last.output],
                    shape=self.network.nodes[last.output].shape,
                    costs=(params, macs),
                    count=len(same),
                    stride=stride if closed else "",
                    label=None,
                )
            )
        if found:
            found[-1] = replace(found[-1], label=region.label)
        return tuple(found)

    def _residual(self, region: Region, level: int) -> tuple[Item, ...]:
        nodes = self.network.nodes
        entered = region.inputs[0]
        last = nodes[region.output]
        if (
            region.output != region.stop - 1
            or last.kind != "add"
            or any(c.stop == region.stop for c in region.children)
        ):
            return tuple(
                item for child in region.children for item in self.items(child, level)
            )  # nothing is skipped
        body, skip = last.inputs
        beside = [c for c in region.children if c.output == skip != body and c.stop > c.start]
        inside = [child for child in region.children if child not in beside]
        branches = (self.chain(inside, entered, body, level), self.chain(beside, entered, skip, level))
        return (Split(**self.common(region, "+"), branches=branches, main=0),)  # type: ignore[arg-type]

    def _merge(self, region: Region, level: int) -> tuple[Item, ...]:
        node = self.network.nodes[region.output]
        parts = [child for child in region.children if child.kind == "branch"]
        branches = [self.chain(p.children, p.inputs[0], p.output, level) for p in parts]
        for source in node.inputs[len(branches) :]:  # a gate reads what came in too
            branches.append(Chain(self.origin[source], (), self.origin[source]))
        full = [index for index, branch in enumerate(branches) if branch.items]
        main = None
        if len(full) == 1:
            main = full[0]
        elif node.kind in COMMUTATIVE and len(branches) == 2 and min(len(b.items) for b in branches) == 1:
            main = max(range(2), key=lambda i: len(branches[i].items))
            main = main if len(branches[main].items) > 1 else None
        symbol = SYMBOLS.get(node.kind, node.kind)
        return (Split(**self.common(region, symbol), branches=tuple(branches), main=main),)  # type: ignore[arg-type]

    def _aux(self, region: Region, level: int) -> tuple[Item, ...]:
        common = self.common(region)
        weight = next((output.weight for output in self.network.outputs if output.name == region.name), 1.0)
        taps = {self.origin[node]: name for name, node in self.network.taps}
        also = [taps.get(tensor, "another tensor") for tensor in self.reads(region.start, region.stop)[1:]]
        more = f", also reads {', '.join(also)}" if also else ""
        common["title"] = printable(f"{region.name}: loss × {weight:g}{more}")
        common["label"] = None
        return (Aside(**common, inner=self.chain(region.children, region.inputs[0], region.output, level)),)  # type: ignore[arg-type]


def _without_count(title: str) -> tuple[str, str]:
    """A repeat's step and, where it has one, the first copy's stride: `basic(64) x2/2` is ("basic(64)", "2")."""
    found = re.fullmatch(r"(.*) x\d+(?:/(.*))?", title, re.DOTALL)
    return (found[1], found[2] or "") if found else (title, "")


def _look(network: Network, region: Region) -> tuple[object, ...]:
    """Equal for two copies that are drawn alike: their steps and layers, whatever the sizes."""
    # What is inside a residual says it all; its own arguments may tell the copies' numbers, as a drop path's rate.
    inside = tuple(
        (child.kind if child.kind == "residual" else child.title, _look(network, child))
        for child in region.children
    )
    kinds = tuple(node.kind for node in network.nodes[region.start : region.stop])
    return (region.kind, kinds, inside)
