"""How layers are wired, so that the place in the data flow tells layers apart that are alike.

A graph is reduced to layers with tensors and to what joins several tensors. Activations and pools, which two libraries may
write in different ways, count only where both write them alike; changes of form never do. What joins tensors is kept by
kind, nested joins of one kind as one. Each layer then gets a number that stands for everything it was computed from and for everything
that is computed from it: equal numbers, equal places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

IMAGE = -1

FINE = frozenset("relu leakyrelu relu6 elu sigmoid tanh silu gelu mish hswish hsigmoid maxpool avgpool".split())
"""What has one input and is called so in every library, more or less."""


class Step(NamedTuple):
    """One operation: a layer with tensors, by its place in a list of them, or else what it does to its inputs.

    kind: "add", "mul", "max" or "concat" of several inputs; of one, one of FINE, or "". inputs: indices of earlier
    steps, IMAGE for the image.
    """

    layer: int | None
    kind: str
    inputs: tuple[int, ...]


class Graph(NamedTuple):
    """Steps in an order in which each comes after its inputs, and which of them leave the network."""

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


class Color(NamedTuple):
    """A layer's place in the data flow: a digest of all that it is computed from, and one of that and of all that is
    computed from it."""

    before: str
    around: str


def colors(graph: Graph, signatures: Sequence[object], fine: bool) -> list[Color]:
    """For each layer, its place in the data flow: equal only where nothing in the wiring tells two apart. fine: nor
    activations and pools."""
    joins = _Joins()
    values: list[int] = []
    sources: dict[int, int] = {}
    for step in graph.steps:
        inputs = [joins.image if i == IMAGE else values[i] for i in step.inputs]
        if step.layer is None:
            values.append(joins.through(step.kind, inputs[0]) if step.kind in FINE and fine else joins.join(step.kind, inputs))
        else:
            value = joins.layer(step.layer)
            sources[value] = joins.join("add", inputs)
            values.append(value)
    outputs = [values[i] for i in graph.outputs]

    up: dict[int, str] = {}
    order: list[int] = []
    for value in [*sources, *outputs]:
        stack = [value]
        while stack:
            top = stack[-1]
            inputs = [sources[top]] if top in sources else list(joins.made[top][1])
            missing = [i for i in inputs if i not in up]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if top in up:
                continue
            order.append(top)
            if top in sources:
                up[top] = _hash("layer", repr(signatures[joins.layers[top]]), up[sources[top]])
            else:
                kind = joins.made[top][0]
                parts = [up[i] for i in inputs]
                up[top] = _hash(kind, *(parts if kind == "concat" else sorted(parts)))
    readers: dict[int, list[str]] = {value: [] for value in order}
    for value in outputs:
        readers[value].append("out")
    down: dict[int, str] = {}
    for value in reversed(order):
        down[value] = _hash(up[value], *sorted(readers[value]))
        if value in sources:
            readers[sources[value]].append(down[value])
        else:
            kind, inputs_ = joins.made[value]
            for position, source in enumerate(inputs_):
                readers[source].append(_hash(str(position) if kind == "concat" else kind, down[value]))
    found = {layer: Color(up[value], down[value]) for value, layer in joins.layers.items() if value in down}
    return [found.get(layer, Color("", "unread")) for layer in range(len(signatures))]


class _Joins:
    """Values by number: the image, layers' outputs, and joins of them, equal ones once."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[int, ...]]] = [("image", ())]
        self.image = 0
        self.layers: dict[int, int] = {}
        self._known: dict[tuple[str, tuple[int, ...]], int] = {}

    def layer(self, layer: int) -> int:
        self.made.append(("layer", ()))
        self.layers[len(self.made) - 1] = layer
        return len(self.made) - 1

    def join(self, kind: str, inputs: Sequence[int]) -> int:
        flat: list[int] = []
        for value in inputs:
            inner, parts = self.made[value]
            flat.extend(parts if inner == kind else (value,))
        if kind != "concat":
            flat.sort()
            if len(set(flat)) == 1:
                return flat[0]  # x * sigmoid(x)
        elif len(flat) == 1 or set(flat) == {self.image}:
            return flat[0]
        return self._made(kind, tuple(flat))

    def through(self, kind: str, value: int) -> int:
        return value if self.made[value][0] == kind else self._made(kind, (value,))

    def _made(self, *key: Any) -> int:
        if key not in self._known:
            self._known[key] = len(self.made)
            self.made.append(key)
        return self._known[key]


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
