"""What several lints ask of a network, worked out once."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic
from archdsl.network import Network, Node, Region
from archdsl.source import Span

HANDS_ON = frozenset(
    {"gap", "flatten", "identity", "softmax", "sigmoid", "dropout", "scale", "avgpool", "adaptiveavgpool"}
)
"""Layers that may stand between a classifier and the output that it makes."""


class Place(NamedTuple):
    """Where to say something of a layer; note: which layer it is, where that is not what the place shows."""

    span: Span
    note: tuple[str, ...] = ()


class Facts:
    """A network, who reads each of its nodes, and where to speak of them.

    texts: ids of the sources that the user wrote; all others are the library's.
    """

    def __init__(self, network: Network, texts: Collection[int]) -> None:
        self.network = network
        self.nodes = network.nodes
        self.texts = texts

    @cached_property
    def readers(self) -> list[list[int]]:
        """Of each node, the nodes that read it."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for index, node in enumerate(self.nodes):
            for source in node.inputs:
                readers[source].append(index)
        return readers

    @cached_property
    def makes_output(self) -> frozenset[int]:
        """Nodes whose channels are an output's."""
        found = set()
        for output in self.network.outputs:
            index = output.node
            found.add(index)
            while self.nodes[index].kind in HANDS_ON and self.nodes[index].inputs:
                index = self.nodes[index].inputs[0]
                found.add(index)
        return frozenset(found)

    def place(self, index: int) -> Place:
        """Of a node: its own step; or, where that is the library's, the user's step that called it."""
        span = self.nodes[index].span
        if id(span.source) in self.texts:
            return Place(operation(span))
        inner = None
        around: list[Region] = [self.network.region]
        while around:
            region = next((one for one in around if one.start <= index < one.stop), None)
            if region is None:
                break
            inner = region.span if id(region.span.source) in self.texts else inner
            around = list(region.children)
        if inner is None:
            return Place(span)
        return Place(
            operation(inner), (f"it is `{operation(span).text}` of {span.source.name}, line {span.line}",)
        )

    def remark(
        self, code: str, index: int, message: str, *, label: str, hint: str, notes: tuple[str, ...] = ()
    ) -> Diagnostic:
        """A warning at a node's place."""
        place = self.place(index)
        return Diagnostic(
            code=code,
            severity="warning",
            message=message,
            span=place.span,
            label=label,
            notes=(*place.note, *notes),
            hint=hint,
        )

    def input_of(self, node: Node) -> Node:
        """The node that a layer with one input reads."""
        return self.nodes[node.inputs[0]]


_END = re.compile(r"[ \t]+(?:as[ \t]|->)")


def operation(span: Span) -> Span:
    """A plain step without its label and contract: what a finding about the layer itself underlines."""
    end = _END.search(span.text) if not re.search(r"[{\[\n]", span.text) else None
    return Span(span.source, span.start, span.start + end.start()) if end is not None else span
