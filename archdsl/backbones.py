"""A network cut down to the tensors that a detector or a segmenter takes from it.

`features` is a function from Network to Network: what is left is emitted, counted, built and fed with weights as any
other, and its state_dict is the part of the whole network's that it needs, under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple, Never, overload

from archdsl.diagnostics import ArchError, Diagnostic, did_you_mean
from archdsl.network import Network, Node, Output, Region, need_network
from archdsl.symbolic import Dim

MODULES = frozenset({"layer", "block", "group", "aux"})
"""Regions that are one attribute of the module around them; the others stay part of its forward."""

Reduction = int | Fraction | tuple[int | Fraction, int | Fraction]


class Feature(NamedTuple):
    """One tensor of a backbone. reduction: the effective stride, input pixels between two of its positions; (vertical,
    horizontal) where the two differ."""

    name: str
    channels: Dim
    reduction: Reduction


class FeatureInfo(tuple[Feature, ...]):
    """The tensors that a backbone gives, in their order. Without an index, each method gives all as a list."""

    __slots__ = ()

    @overload
    def channels(self, index: int) -> Dim: ...
    @overload
    def channels(self, index: None = None) -> list[Dim]: ...
    def channels(self, index: int | None = None) -> Dim | list[Dim]:
        """How many channels each has."""
        return [f.channels for f in self] if index is None else self[index].channels

    @overload
    def reduction(self, index: int) -> Reduction: ...
    @overload
    def reduction(self, index: None = None) -> list[Reduction]: ...
    def reduction(self, index: int | None = None) -> Reduction | list[Reduction]:
        """By how much each is smaller than the image: 4, 8, 16, 32."""
        return [f.reduction for f in self] if index is None else self[index].reduction

    @overload
    def name(self, index: int) -> str: ...
    @overload
    def name(self, index: None = None) -> list[str]: ...
    def name(self, index: int | None = None) -> str | list[str]:
        """What each is called in the dict that the model returns."""
        return [f.name for f in self] if index is None else self[index].name


def features(network: Network, out: str | int | Iterable[str | int] | None = None) -> Network:
    """The network that ends at some of this one's tensors: what no other depends on, and every side head, is gone.

    out: labels of the spec, or names of the arch's own modules (`maxpool3`, `c4.2` for the third copy of a repeat); or
    indices into `feature_info(network)`, negative ones from its end. None: all of `feature_info(network)`.

    >>> import archdsl
    >>> network = archdsl.features(archdsl.load("resnet50"), out=["c3", "c4"])
    >>> [(f.name, f.channels, f.reduction) for f in archdsl.feature_info(network)]
    [('c3', 512, 8), ('c4', 1024, 16)]

    Raises ArchError: A501 where a tensor of that name does not exist, A502 where there is no label to go by.
    """
    need_network(network, "features")
    chosen = _chosen(network, out)
    cut = _Cut(network, chosen.values())
    return cut.network(tuple(_output(network, name, node) for name, node in chosen.items()))


def feature_info(network: Network) -> FeatureInfo:
    """What a network gives as a backbone: its outputs, where it was cut down to some or its spec names them; else the
    last labelled image of each resolution on the way down, of which there may be none."""
    need_network(network, "feature_info")
    return FeatureInfo(_feature(network, name, node) for name, node in _levels(network).items())


def _feature(network: Network, name: str, index: int) -> Feature:
    node = network.nodes[index]
    height, width = (_plain(side) for side in node.jump)
    return Feature(name, node.shape[0], height if height == width else (height, width))


def _plain(stride: Fraction | int) -> Fraction | int:
    return int(stride) if stride == int(stride) else stride


def _output(network: Network, name: str, node: int) -> Output:
    return Output(name=name, node=node, span=network.nodes[node].span)


# ---- which tensors ----


def labels(network: Network) -> dict[str, int]:
    """Tensors that have a name of their own, to their nodes: labels of the arch, and outputs that have one."""
    named = {o.name: o.node for o in network.outputs if not o.aux and o.name != "out"}
    return dict(sorted((named | dict(network.taps)).items(), key=lambda item: item[1]))


def tensors(network: Network) -> dict[str, int]:
    """Every tensor that the arch's own forward handles, by label or by the module that makes it, to its node."""
    found = dict(_made(network.region.children))
    for region in _shown(network.region.children):
        if region.output >= region.start and all(not c.start <= region.output < c.stop for c in region.children):
            found.setdefault(network.nodes[region.output].name, region.output)  # the merge, or the sum, itself
    return found | labels(network)


def _shown(regions: Iterable[Region]) -> Iterator[Region]:
    """Merges, branches and residuals that are part of the arch's own forward."""
    for region in regions:
        if region.kind not in MODULES and region.kind != "repeat":
            yield region
            yield from _shown(region.children)


def _made(regions: Iterable[Region]) -> Iterator[tuple[str, int]]:
    for region in regions:
        if region.kind == "repeat":
            yield region.name, region.output
            yield from ((f"{region.name}.{copy.name}", copy.output) for copy in region.children)
        elif region.kind in MODULES:
            if region.kind != "aux":
                yield region.name, region.output
        else:
            arguments = dict(region.arguments)  # of a residual: what stands in its sum is no tensor of its own
            within = {arguments.get("shortcut"), arguments.get("drop")} if region.kind == "residual" else ()
            yield from _made(child for child in region.children if not child.name or child.name not in within)


def _levels(network: Network) -> dict[str, int]:
    """The tensors of `feature_info`."""
    mains = {o.name: o.node for o in network.outputs if not o.aux}
    if list(mains) != ["out"]:
        return mains
    found: dict[str, int] = {}
    deepest: tuple[Fraction | int, ...] = (0, 0)
    for name, index in sorted(network.taps, key=lambda tap: tap[1]):
        jump = network.nodes[index].jump
        # A decoder's maps, on the way up again, are not what a backbone gives.
        if not _is_map(network.nodes[index]) or any(j < d for j, d in zip(jump, deepest, strict=True)):
            continue
        if jump == deepest:
            found.popitem()
        found[name], deepest = index, jump
    return found


def _is_map(node: Node) -> bool:
    """Whether a tensor is an image, and not what a global pooling left of one."""
    return len(node.shape) == 3 and node.kind != "gap"


def _chosen(network: Network, out: str | int | Iterable[str | int] | None) -> dict[str, int]:
    """What `out` asks for, to its nodes, in its order."""
    levels = _levels(network)
    if out is None:
        if not levels:
            _no_features(network)
        return levels
    wanted = [out] if isinstance(out, str | int) else list(out)
    known = tensors(network)
    found: dict[str, int] = {}
    for item in wanted:
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise TypeError(f"a feature is asked for by its label or its index, not by {item!r}")
        name = item if isinstance(item, str) else _by_index(network, list(levels), item)
        if name in found:
            raise ValueError(f"{name!r} is asked for twice")
        found[name] = known[name] if name in known else no_tensor(network, name, known)
    if not found:
        raise ValueError("out= asks for no tensor; leave it out for all that the spec labels")
    return found


def _by_index(network: Network, names: Sequence[str], index: int) -> str:
    if not names:
        _no_features(network)
    if not -len(names) <= index < len(names):
        raise ValueError(f"there is no feature {index} among the {len(names)} of {', '.join(names)}")
    return names[index]


def no_tensor(network: Network, name: str, known: Iterable[str]) -> Never:
    """Raises ArchError (A501)."""
    near = did_you_mean(name, known)
    named = list(labels(network))
    hint = "no step is labelled: write `as c4` after the one that is meant"
    if named:
        more = f" and {len(named) - 8} more" if len(named) > 8 else ""
        hint = f"it labels {', '.join(named[:8])}{more}"
    if near:
        hint = f"did you mean `{near}`?"
    elif any(node.name == name or node.name.startswith(f"{name}.") for node in network.nodes):
        hint = f"that is inside a block, or a side head; {hint}"
    raise ArchError(
        [
            Diagnostic(
                code="A501",
                message=f"`{network.name}` has no tensor called `{name}`",
                span=network.region.span,
                hint=hint,
            )
        ]
    )


def _everywhere(region: Region) -> Iterator[Region]:
    yield region
    for child in region.children:
        yield from _everywhere(child)


def _no_features(network: Network) -> Never:
    made = [name for name, node in tensors(network).items() if _is_map(network.nodes[node])]
    which = f', or name modules: out=["{made[-1]}"]' if made else ""
    raise ArchError(
        [
            Diagnostic(
                code="A502",
                message=f"`{network.name}` labels no image that could be a feature",
                span=network.region.span,
                hint=f"label the last step of each stage, `... as c3`{which}",
            )
        ]
    )


# ---- what they need ----


def ancestors(network: Network, nodes: Iterable[int]) -> list[bool]:
    """Of every node, whether one of these is computed from it, or is it."""
    needed = [False] * len(network.nodes)
    for node in nodes:
        needed[node] = True
    for index in range(len(needed) - 1, 0, -1):
        if needed[index]:
            for source in network.nodes[index].inputs:
                needed[source] = True
    return needed


class _Cut:
    """A network without what some of its tensors do not need. A module stays whole or goes: only copies at the end of a
    repeat can be spared."""

    def __init__(self, whole: Network, wanted: Iterable[int]) -> None:
        self.whole = whole
        self.kept = [False] * len(whole.nodes)
        self.kept[0] = True
        for node in wanted:
            self.kept[node] = True
        self.mark(whole.region)
        self.place = list(accumulate(self.kept, initial=0))  # of each node, and of the end, in what is left

    def network(self, outputs: tuple[Output, ...]) -> Network:
        whole = self.whole
        nodes = tuple(
            replace(node, inputs=tuple(self.place[i] for i in node.inputs))
            for node, kept in zip(whole.nodes, self.kept, strict=True)
            if kept
        )
        outputs = tuple(replace(o, node=self.place[o.node]) for o in outputs)
        region = replace(
            self.moved(whole.region, tuple(self.rest(whole.region.children))), output=outputs[0].node
        )
        return replace(
            whole,
            name=whole.name if whole.name.endswith("_features") else f"{whole.name}_features",
            nodes=nodes,
            outputs=outputs,
            region=region,
            taps=tuple((label, self.place[node]) for label, node in whole.taps if self.kept[node]),
        )

    # ---- what stays, from the last node to the first ----

    def mark(self, region: Region) -> None:
        """Mark what the marked nodes of a region need."""
        stop = region.stop
        for child in (*reversed(region.children), None):
            for index in range(stop - 1, (child.stop if child is not None else region.start) - 1, -1):
                if self.kept[index]:
                    self.need(self.whole.nodes[index].inputs)
            if child is None:
                break
            stop = child.start
            if child.kind in MODULES:
                self.mark_module(child)
            elif child.kind == "repeat":
                for copy in reversed(child.children):
                    self.mark_module(copy)
                for index in range(child.start, child.stop):  # between copies: second names of what they take
                    if self.kept[index]:
                        self.need(self.whole.nodes[index].inputs)
                if self.any_kept(child):
                    self.need(child.inputs)
            else:
                if child.kind == "residual" and self.kept[child.output]:
                    self.need(child.inputs)  # where nothing is added, the stream is still an operand
                self.mark(child)

    def mark_module(self, region: Region) -> None:
        """A module is kept with all its layers, those that nothing reads too, and gets what it takes."""
        if self.any_kept(region):
            self.kept[region.start : region.stop] = [True] * (region.stop - region.start)
            for index in range(region.start, region.stop):
                self.need(self.whole.nodes[index].inputs)
            for inner in _everywhere(region):
                self.need(inner.inputs)

    def need(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            self.kept[node] = True

    def any_kept(self, region: Region) -> bool:
        return any(self.kept[region.start : region.stop])

    # ---- the regions of what is left ----

    def rest(self, regions: Iterable[Region]) -> Iterator[Region]:
        for region in regions:
            if region.kind in MODULES:
                if self.any_kept(region):
                    yield self.shifted(region)
            elif region.kind == "repeat":
                yield from self.rest_of_repeat(region)
            elif self.kept[region.output] and (region.start <= region.output < region.stop or region.kind == "branch"):
                yield self.moved(region, tuple(self.rest(region.children)))
            else:  # what it came to is not wanted, only what some of its parts did
                for part in self.rest(region.children):
                    yield from (part.children if part.kind == "branch" else (part,))

    def rest_of_repeat(self, region: Region) -> Iterator[Region]:
        last = max((i for i, copy in enumerate(region.children) if self.any_kept(copy)), default=-1)
        copies = region.children[: last + 1]
        if not self.any_kept(region):
            return
        if all(self.kept[region.start : region.stop]):
            yield self.shifted(region)
            return
        head, _, tail = region.title.rpartition(" x")
        stride = tail.partition("/")
        title = f"{head} x{len(copies)}{stride[1]}{stride[2]}"
        moved = self.moved(region, tuple(self.shifted(copy) for copy in copies))
        yield replace(moved, title=title, output=self.place[copies[-1].output], label=None)

    def shifted(self, region: Region) -> Region:
        """A region that is kept whole."""
        return self.moved(region, tuple(self.shifted(child) for child in region.children))

    def moved(self, region: Region, children: tuple[Region, ...]) -> Region:
        return replace(
            region,
            start=self.place[region.start],
            stop=self.place[region.stop],
            inputs=tuple(self.place[i] for i in region.inputs if self.kept[i]),
            output=self.place[region.output],
            children=children,
        )
