"""What a picture shows, before anything has a place: the tree of regions as boxes, frames and branches.

Tensors are named by the index of the node that makes them; one that a layer only hands on (`identity`) by its origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.draw.copies import runs, without_count
from archdsl.draw.kinds import category
from archdsl.draw.tree import Aside, Box, Chain, Exit, Frame, Item, Split, beside, items
from archdsl.headroom import deep_recursion
from archdsl.network import COMMUTATIVE, Network, Output, Region
from archdsl.render import printable

MOST_ITEMS = 4000
"""Boxes, frames and branchings of one picture: more is not a picture, and takes seconds to place."""

READABLE = 100
"""Where no depth is given, blocks are opened as long as a picture has no more boxes than this."""

DEEPEST = 6
"""How far blocks are opened by themselves."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A network to draw, with its blocks opened to a depth. end: what the pill below the chain says, of the output that
    is made last; None where that is inside a merge, and stands there as others do."""

    network: Network
    depth: int
    chain: Chain
    end: str | None


def scene(network: Network, depth: int | None = None) -> Scene:
    """What to draw of a network. depth: 1 shows the steps of the arch, each more opens the blocks once more; None
    opens as many as stay readable.

    Raises ArchError (A308) where the picture would have too many boxes.
    """
    with deep_recursion():
        if depth is not None:
            return _whole(network, depth, MOST_ITEMS)
        best = _whole(network, 1, MOST_ITEMS)
        for deeper in range(2, DEEPEST + 1):
            try:
                found = _whole(network, deeper, 3 * READABLE)
            except ArchError:
                break
            if found.chain == best.chain:
                break
            if sum(isinstance(item, Box) for item in items(found.chain)) > READABLE:
                break
            best = found
        return best


def _whole(network: Network, depth: int, most: int) -> Scene:
    mains = sorted((output for output in network.outputs if not output.aux), key=lambda output: output.node)
    builder = _Builder(network, most, mains[:-1])
    chain = builder.whole(depth, mains[-1].node)
    if (
        any(item.output == chain.leaves for item in chain.items if not beside(item))
        or chain.leaves == chain.enters
    ):
        return Scene(network, depth, chain, _said(mains[-1]))
    chain = _Builder(network, most, mains).whole(depth, mains[-1].node)
    steps = [item.output for item in chain.items if not beside(item)]
    return Scene(network, depth, replace(chain, leaves=steps[-1]), None)


def _said(output: Output) -> str:
    """`output c4`; one that nobody named is called `out`."""
    return "output" if output.name == "out" else f"output {printable(output.name)}"


SYMBOLS = {"add": "+", "mul": "×", "maximum": "max"}
"""How a merge is drawn; others by their name."""


class _Builder:
    """leaving: outputs to be drawn where they are made."""

    def __init__(self, network: Network, most: int, leaving: Iterable[Output]) -> None:
        self.network, self.most, self.made = network, most, 0
        self.origin: list[int] = []
        for index, node in enumerate(network.nodes):
            handed_on = node.kind == "identity"
            self.origin.append(self.origin[node.inputs[0]] if handed_on else index)
        self.leaving: dict[int, list[Output]] = {}
        """Those that have no place yet, by their tensors."""
        for output in leaving:
            self.leaving.setdefault(self.origin[output.node], []).append(output)
        self.read = {
            self.origin[source]
            for index, node in enumerate(network.nodes)
            if self.origin[index] == index
            for source in node.inputs
        }

    def whole(self, depth: int, leaves: int) -> Chain:
        self.read.add(self.origin[leaves])
        found = self.chain(self.network.region.children, 0, leaves, depth - 1, around=True)
        return replace(found, items=(*self.exits(0), *found.items))

    def chain(
        self, regions: Iterable[Region], enters: int, leaves: int, level: int, around: bool = False
    ) -> Chain:
        """around: nothing around the chain is drawn that makes what leaves it, so that its outputs are the chain's."""
        found: list[Item] = []
        for region in regions:
            for item in self.items(region, level):
                # A head may start from a tensor further up: it hangs there.
                made = [self.origin[enters], *(-1 if isinstance(i, Aside) else i.output for i in found)]
                up = isinstance(item, Aside) and item.reads[0] in made
                found.insert(made.index(item.reads[0]) if up else len(found), item)
                if not isinstance(item, Aside) and (around or item.output != self.origin[leaves]):
                    found.extend(self.exits(item.output))
        return Chain(self.origin[enters], tuple(found), self.origin[leaves])

    def exits(self, tensor: int) -> list[Item]:
        """The outputs that a tensor is."""
        found: list[Item] = []
        outputs = self.leaving.pop(tensor, [])
        for output in outputs:
            self.counted()
            found.append(
                Exit(
                    title=_said(output),
                    reads=(tensor,),
                    output=tensor,
                    start=tensor,
                    stop=tensor + 1,
                    shape=self.network.nodes[tensor].shape,
                    last=output is outputs[-1] and tensor not in self.read,
                )
            )
        return found

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
        step, stride = without_count(region.title)
        found: list[Item] = []
        closed = all(copy.kind == "layer" or copy.kind == "block" and level < 1 for copy in copies)
        parted = [self.origin[copy.output] in self.leaving for copy in copies]
        for same in runs(self.network, copies, closed, parted):
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
                    stride=stride if closed and strided else "",
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
        aside = [c for c in region.children if c.output == skip != body and c.stop > c.start]
        inside = [child for child in region.children if child not in aside]
        branches = (
            self.chain(inside, entered, body, level, around=True),
            self.chain(aside, entered, skip, level, around=True),
        )
        return (Split(**self.common(region, "+"), branches=branches, main=0),)  # type: ignore[arg-type]

    def _merge(self, region: Region, level: int) -> tuple[Item, ...]:
        node = self.network.nodes[region.output]
        parts = [child for child in region.children if child.kind == "branch"]
        branches = [self.chain(p.children, p.inputs[0], p.output, level, around=True) for p in parts]
        for source in node.inputs[len(branches) :]:  # a gate reads what came in too
            branches.append(Chain(self.origin[source], (), self.origin[source]))
        steps = [sum(not isinstance(item, Exit) for item in branch.items) for branch in branches]
        full = [index for index, count in enumerate(steps) if count]
        main = None
        if len(full) == 1:
            main = full[0]
        elif node.kind in COMMUTATIVE and len(branches) == 2 and min(steps) == 1:
            main = max(range(2), key=lambda i: steps[i])
            main = main if steps[main] > 1 else None
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
        inner = self.chain(region.children, region.inputs[0], region.output, level, around=True)
        return (Aside(**common, inner=inner),)  # type: ignore[arg-type]
