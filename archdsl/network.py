"""The tree as checked: a frozen DAG of layers whose shapes, weights and costs are known.

Nodes stand in data-flow order and name their inputs by index; node 0 is the input image. Beside the flat view
stands the tree of regions, the blocks, repeats and branches that the author wrote, each a contiguous range of
nodes: the summary, the module names and the generated classes follow it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import field
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, InstanceOf, SkipValidation
from pydantic.dataclasses import dataclass

from archdsl.diagnostics import Diagnostic
from archdsl.ops.base import Function, Lowering, Op, Shape
from archdsl.source import Span
from archdsl.symbolic import Dim, known

_frozen = ConfigDict(strict=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)
SpanField = Annotated[Span, InstanceOf]

BYTES = 4
"""Of one activation, in float32."""


class Image(Op):
    """The image that comes in. Not a layer that can be written."""

    syntax: ClassVar = "input"

    def infer(self, *inputs: Shape) -> Shape:
        raise NotImplementedError("the input has the shape that the spec gives it")


class Alias(Op):
    """A second name of a tensor: where a block gets one tensor twice, as its stream and as a `@` parameter, each is a
    node, so that the block is one class wherever it is called. Not a layer that can be written."""

    syntax: ClassVar = "identity"

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def lower(self, *inputs: Shape) -> Lowering:
        return Function("{0}")


@dataclass(frozen=True, slots=True, kw_only=True, config=_frozen)
class Node:
    """One layer, or the input.

    name            where it lives in the emitted module: "c3.0.conv1.bn"; state_dict keys start with it.
    inputs          indices of the nodes it reads, in order.
    shape           of its output for one image: (C, H, W) or (F,).
    params          trainable elements; buffers: elements of statistics and other constants.
    macs            multiply-accumulates for one image.
    extent          (height, width) of the input image that one output position can see.
    jump            distance, in input pixels, between neighbouring output positions: the effective stride.
    """

    op: InstanceOf[Op]
    name: str
    inputs: tuple[int, ...]
    shape: SkipValidation[Shape]
    params: SkipValidation[Dim] = 0
    buffers: SkipValidation[Dim] = 0
    macs: SkipValidation[Dim] = 0
    extent: SkipValidation[tuple[Dim, Dim]] = (1, 1)
    jump: SkipValidation[tuple[Fraction | int, Fraction | int]] = (1, 1)
    span: SpanField = field(compare=False, repr=False)

    @property
    def kind(self) -> str:
        """The layer's name in the language: "conv", "bn", "concat"."""
        return getattr(self.op, "syntax", "input")

    @property
    def receptive_field(self) -> Dim:
        """The larger side, in input pixels, of what one output position can see, borders ignored."""
        height, width = self.extent
        return max(height, width) if known(height) and known(width) else height

    @property
    def stride(self) -> Fraction | int:
        """Effective stride along the height: input pixels between neighbouring outputs."""
        return self.jump[0]


Kind = Literal["arch", "block", "repeat", "group", "layer", "merge", "branch", "residual", "aux", "carry"]


@dataclass(frozen=True, slots=True, kw_only=True, config=_frozen)
class Region:
    """A part of the text that became the nodes [start, stop).

    name        attribute within the module around it, or "" where it stays part of that module's own forward.
    title       the step as the author would say it: `conv3-64 x2`, `bottleneck(64)`.
    inputs      nodes it reads from outside: the stream first, then what `@` arguments bring.
    output      the node that flows on.
    block       the block's or arch's name; arguments: its numeric parameters as called.
    """

    kind: Kind
    name: str
    title: str
    start: int
    stop: int
    inputs: tuple[int, ...]
    output: int
    label: str | None = None
    block: str = ""
    arguments: SkipValidation[tuple[tuple[str, Any], ...]] = ()
    parameters: tuple[str, ...] = ()
    children: SkipValidation[tuple[Region, ...]] = ()
    span: SpanField = field(compare=False, repr=False)

    def own_nodes(self) -> Iterator[int]:
        """Nodes that are in none of its children."""
        at = self.start
        for child in self.children:
            yield from range(at, child.start)
            at = max(at, child.stop)
        yield from range(at, self.stop)


@dataclass(frozen=True, slots=True, kw_only=True, config=_frozen)
class Output:
    """A tensor that leaves the network. aux: a side head, computed in training, with the weight of its loss."""

    name: str
    node: int
    aux: bool = False
    weight: float = 1.0
    span: SpanField = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, config=_frozen)
class Network:
    """A checked network.

    taps: labelled tensors of the arch itself, label to node. warnings: what the checker remarked.
    """

    name: str
    nodes: SkipValidation[tuple[Node, ...]]
    outputs: tuple[Output, ...]
    region: InstanceOf[Region]
    taps: SkipValidation[tuple[tuple[str, int], ...]] = ()
    documentation: str = ""
    warnings: SkipValidation[tuple[Diagnostic, ...]] = field(default=(), compare=False, repr=False)

    @property
    def input(self) -> Shape:
        """Shape of one input image, (C, H, W)."""
        return self.nodes[0].shape

    @property
    def layers(self) -> tuple[Node, ...]:
        """Every layer in data-flow order."""
        return self.nodes[1:]

    @property
    def params(self) -> Dim:
        """Trainable parameters, auxiliary heads included, as `sum(p.numel() for p in model.parameters())`."""
        return sum(node.params for node in self.nodes)

    @property
    def buffers(self) -> Dim:
        """Elements that are saved but not trained: BN means and variances. Counters are not counted."""
        return sum(node.buffers for node in self.nodes)

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates of one image in evaluation: auxiliary heads are not run, so not counted."""
        return sum(self.nodes[i].macs for i in self.evaluated)

    @property
    def flops(self) -> Dim:
        """2 * macs."""
        return 2 * self.macs

    @property
    def shape(self) -> Shape:
        """Shape of the main output."""
        return self.nodes[self.main.node].shape

    @property
    def main(self) -> Output:
        """The first output that is not an auxiliary head."""
        return next(output for output in self.outputs if not output.aux)

    @property
    def receptive_field(self) -> Dim:
        """Of the last image, in input pixels."""
        return self.last_image.receptive_field

    @property
    def last_image(self) -> Node:
        """The last layer that still has a height and a width, before any global pooling or fc."""
        whole = [node for node in self._evaluated_nodes if len(node.shape) == 3 and node.kind != "gap"]
        return ([node for node in whole if node.shape[1:] != (1, 1)] or whole)[-1]

    @cached_property
    def evaluated(self) -> tuple[int, ...]:
        """Indices of the nodes that the main outputs need, in order."""
        needed = bytearray(len(self.nodes))
        needed[0] = 1
        for output in self.outputs:
            if not output.aux:
                needed[output.node] = 1
        for index in range(len(self.nodes) - 1, 0, -1):
            if needed[index]:
                for source in self.nodes[index].inputs:
                    needed[source] = 1
        return tuple(i for i, flag in enumerate(needed) if flag)

    @property
    def _evaluated_nodes(self) -> list[Node]:
        return [self.nodes[i] for i in self.evaluated]

    @property
    def activation_bytes(self) -> Dim:
        """Bytes of everything computed for one float32 image in evaluation, input included, views free."""
        return sum(BYTES * _elements(node) for node in self._evaluated_nodes)

    @cached_property
    def peak_bytes(self) -> int | None:
        """Most activation bytes alive at once, for one float32 image in evaluation: a tensor lives from its layer
        to its last reader, every layer writes a new tensor, views are free. None where a size is a symbol."""
        if not all(known(size) for node in self.nodes for size in node.shape):
            return None
        owner = list(range(len(self.nodes)))
        last = {}
        for i in self.evaluated:
            node = self.nodes[i]
            if i and node.kind in VIEWS:
                owner[i] = owner[node.inputs[0]]
            for source in node.inputs:
                last[owner[source]] = i
        for output in self.outputs:
            if not output.aux:
                last[owner[output.node]] = len(self.nodes)
        live: Any = 0
        peak: Any = 0
        dying: dict[int, Any] = {}
        for i in self.evaluated:
            size = BYTES * _elements(self.nodes[i])
            live += size
            peak = max(peak, live)
            if owner[i] == i:
                end = last.get(i, i)
                dying[end] = dying.get(end, 0) + size
            live -= dying.pop(i, 0)
        return peak

    @cached_property
    def _running(self) -> tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[Dim, ...]]:
        """Running sums of params, buffers, macs, so that any region's are one subtraction."""
        columns = ("params", "buffers", "macs")
        return tuple(tuple(accumulate((getattr(n, c) for n in self.nodes), initial=0)) for c in columns)  # type: ignore

    def cost(self, region: Region) -> tuple[Dim, Dim, Dim]:
        """(params, buffers, macs) of a region's nodes."""
        return tuple(column[region.stop] - column[region.start] for column in self._running)  # type: ignore[return-value]

    @cached_property
    def hash(self) -> str:
        """Hex digest of what is computed: ops, wiring, shapes. Names, labels, the order of independent steps and
        sugar don't change it; anything that changes a weight's shape or a result does."""
        inputs = self._meant_inputs()
        texts: dict[int, str] = {}
        up: list[bytes] = []  # of each node: what it computes
        for node, sources in zip(self.nodes, inputs, strict=True):
            if sources is None:
                up.append(b"")
                continue
            text = texts.get(id(node.op))
            if text is None:
                text = texts[id(node.op)] = f"{node.kind} {op_arguments(node.op)}"
            parts = [up[i] for i in sources]
            if node.kind in COMMUTATIVE:
                parts.sort()
            shape = str(node.shape) if not node.inputs else ""
            up.append(_digest(text.encode(), shape.encode(), *parts))
        # Equal layers with weights of their own compute alike so far. What reads each of them, and where, tells apart
        # one that is read twice from two, and which of the two is read where.
        readers: list[list[bytes]] = [[] for _ in self.nodes]
        for output in self.outputs:
            node_index = self._meant(output.node)
            readers[node_index].append(f"out {output.aux} {output.weight if output.aux else 1}".encode())
        places: list[bytes] = []
        for index in range(len(self.nodes) - 1, -1, -1):
            sources = inputs[index]
            if sources is None:
                continue
            place = _digest(up[index], *sorted(readers[index]))
            places.append(place)
            for position, source in enumerate(sources):
                order = 0 if self.nodes[index].kind in COMMUTATIVE else position
                readers[source].append(_digest(str(order).encode(), place))
        return _digest(*sorted(places)).hex()

    def _meant(self, index: int) -> int:
        """The node whose value this one only hands on: an identity's input, a flattened vector."""
        node = self.nodes[index]
        while node.kind == "identity" or (node.kind == "flatten" and len(self.nodes[node.inputs[0]].shape) == 1):
            index = node.inputs[0]
            node = self.nodes[index]
        return index

    def _meant_inputs(self) -> list[tuple[int, ...] | None]:
        """Each node's inputs without sugar: `identity`, and the `flatten` that an fc does by itself. None for a node
        that is sugar and nothing else."""
        found: list[tuple[int, ...] | None] = []
        wanted = bytearray(len(self.nodes))
        for output in self.outputs:
            wanted[self._meant(output.node)] = 1
        for index, node in enumerate(self.nodes):
            sources = [self._meant(i) for i in node.inputs]
            if node.kind == "fc" and self.nodes[sources[0]].kind == "flatten":
                sources = [self._meant(self.nodes[sources[0]].inputs[0])]
            for source in sources if self._meant(index) == index else ():
                wanted[source] = 1
            found.append(tuple(sources))
        for index, node in enumerate(self.nodes):
            if self._meant(index) != index or (node.kind == "flatten" and not wanted[index]):
                found[index] = None
        return found

    def summary(self, depth: int = 1) -> str:
        """The table of steps, as `archdsl summary` prints it."""
        from archdsl.summary import to_text

        return to_text(self, depth)

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture and the table."""
        from archdsl.draw.inline import to_fragment

        return to_fragment(self)

    def to_json(self) -> str:
        """The whole network as JSON text: nodes with op arguments, shapes (symbolic sizes as text), costs and places
        in the source; outputs; the tree of regions."""
        return json.dumps(to_data(self), indent=1)

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {len(self.layers)} layers, {self.params:,} parameters)"


VIEWS = frozenset({"flatten", "identity", "dropout", "droppath"})
"""Layers that, in evaluation, move no data."""

COMMUTATIVE = frozenset({"add", "mul", "mean", "maximum"})


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()


def _elements(node: Node) -> Dim:
    if node.kind in VIEWS:
        return 0
    size: Dim = 1
    for side in node.shape:
        size = size * side
    return size


def op_arguments(op: Op) -> str:
    """An op's fields as canonical JSON text; nested layers (`norm=bn`) by name and fields."""

    def plain(value: object) -> object:
        if isinstance(value, Op):
            return [value.syntax, {k: plain(getattr(value, k)) for k in type(value).model_fields}]
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return value

    return json.dumps({k: plain(getattr(op, k)) for k in type(op).model_fields}, sort_keys=True)


def _size(value: Dim) -> int | str:
    return value if known(value) else str(value)


def _place(span: Span) -> dict[str, Any]:
    line, column = span.source.position(span.start)
    return {"file": span.source.name, "line": line, "column": column, "start": span.start, "stop": span.stop}


def to_data(network: Network) -> dict[str, Any]:
    """The network as plain lists and dicts."""

    def node_data(node: Node) -> dict[str, Any]:
        return {
            "name": node.name,
            "kind": node.kind,
            "arguments": json.loads(op_arguments(node.op)),
            "inputs": list(node.inputs),
            "shape": [_size(side) for side in node.shape],
            "params": _size(node.params),
            "buffers": _size(node.buffers),
            "macs": _size(node.macs),
            "receptive_field": _size(node.receptive_field),
            "stride": str(node.stride),
            "span": _place(node.span),
        }

    def region_data(region: Region) -> dict[str, Any]:
        return {
            "kind": region.kind,
            "name": region.name,
            "title": region.title,
            "label": region.label,
            "nodes": [region.start, region.stop],
            "inputs": list(region.inputs),
            "output": region.output,
            "span": _place(region.span),
            "children": [region_data(child) for child in region.children],
        }

    return {
        "name": network.name,
        "hash": network.hash,
        "params": _size(network.params),
        "buffers": _size(network.buffers),
        "macs": _size(network.macs),
        "activation_bytes": _size(network.activation_bytes),
        "peak_bytes": network.peak_bytes,
        "outputs": [{"name": o.name, "node": o.node, "aux": o.aux, "weight": o.weight} for o in network.outputs],
        "taps": dict(network.taps),
        "nodes": [node_data(node) for node in network.nodes],
        "region": region_data(network.region),
    }


def need_network(value: object, who: str) -> None:
    """Refuse what is no Network, in the name of the function `who`. Raises TypeError."""
    if not isinstance(value, Network):
        raise TypeError(f"{who} takes a Network, not {type(value).__name__}: archdsl.load(...) makes one")
