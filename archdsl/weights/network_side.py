"""The network's side of an alignment: the layers that own tensors in the order of the data flow, and how they are wired.

What a live model's state_dict says is what is loaded. The Network that it was built from, where there is one, says in
which order data meets the layers, and what an fc flattens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from archdsl.network import Network
from archdsl.weights.align import Place
from archdsl.weights.graph import FINE, IMAGE, Graph, Step
from archdsl.weights.slots import Entry, Slot, group

POOLS = frozenset({"maxpool", "avgpool", "adaptiveavgpool", "adaptivemaxpool"})


def places(state: Mapping[str, tuple[int, ...]], network: Network | None) -> list[Place]:
    """The layers of a model. state: its state_dict's names and shapes."""
    slots, _ = group(Entry(name, shape, _unread) for name, shape in state.items())
    if network is None:
        return [Place(slot) for slot in slots]
    index = {node.name: i for i, node in enumerate(network.nodes)}
    readers = Counter(source for node in network.nodes for source in node.inputs)
    short = _shortcuts(network, readers)
    found = []
    before = 0
    for position, slot in enumerate(slots):
        # A layer that was put in place of the network's own stands where it was registered.
        node = index.get(slot.name, index.get(slot.name.removesuffix(".weight")))
        before = node if node is not None else before
        hints = {"pool"} if node is not None and _after_pool(network, node, readers) else set()
        hints |= {"shortcut"} if node in short else set()
        if node is not None and network.nodes[node].kind == "fc":
            slot = Slot(slot.name, slot.path, slot.entries, rows=_flattened(network, node))
        found.append((before, position, Place(slot, frozenset(hints))))
    return [place for _, _, place in sorted(found, key=lambda item: item[:2])]


def _unread() -> Any:
    raise AssertionError("the model's own tensors are written, not read")


def _after_pool(network: Network, node: int, readers: Counter[int]) -> bool:
    """Whether a pool stands before a layer, and for it alone."""
    source = network.nodes[node].inputs[0]
    return network.nodes[source].kind in POOLS and readers[source] == 1


def _shortcuts(network: Network, readers: Counter[int]) -> set[int]:
    """Layers on the way into an addition that has one conv, where every other way has more."""
    found: set[int] = set()
    for node in network.nodes:
        if node.kind != "add":
            continue
        ways = [_way(network, i, readers) for i in node.inputs]
        kernels = [sum(bool(network.nodes[i].macs) for i in way) for way in ways]
        if sorted(kernels)[:1] == [1] and kernels.count(1) == 1:
            found.update(ways[kernels.index(1)])
    return found


def _way(network: Network, node: int, readers: Counter[int]) -> list[int]:
    """The layers behind one tensor, back to where it parts from another way."""
    way: list[int] = []
    while len(network.nodes[node].inputs) == 1 and readers[node] == 1:
        way.append(node)
        node = network.nodes[node].inputs[0]
    return way


def _flattened(network: Network, node: int) -> tuple[int, ...] | None:
    """The shape of the image whose elements an fc takes in a row; None where it takes a vector that never was one."""
    source = network.nodes[network.nodes[node].inputs[0]]
    while len(source.shape) == 1:
        if len(source.inputs) != 1:
            return None
        inner = network.nodes[source.inputs[0]]
        if source.macs or prod(inner.shape) != prod(source.shape):
            return None
        source = inner
    shape = tuple(int(size) for size in source.shape)
    return shape if shape[1:] != (1, 1) else None



KINDS = {"concat": "concat", "mul": "mul", "maximum": "max"}
"""What joins tensors otherwise than by adding them."""


def graph(found: Sequence[Place], network: Network) -> Graph | None:
    """How the network's layers are wired; None where these are not just its own."""
    of: dict[str, int] = {}
    for i, place in enumerate(found):
        of[place.slot.name] = of[place.slot.name.removesuffix(".weight")] = i
    steps: list[Step] = []
    last: list[int] = []  # of each node, the step that makes its value
    used = set()
    for node in network.nodes:
        inputs = tuple(last[i] for i in node.inputs)
        owns = node.params or node.buffers
        layer = of.get(node.name) if owns else None
        if owns and layer is None:
            return None
        if not node.inputs:
            last.append(IMAGE)
            continue
        if node.kind == "gate":  # H * T + x * (1 - T)
            body, gate, stream = inputs
            steps += [Step(None, "mul", (body, gate)), Step(None, "mul", (stream, gate))]
            inputs = len(steps) - 2, len(steps) - 1
        kind = node.kind if node.kind in FINE else KINDS.get(node.kind, "add")
        steps.append(Step(layer, "" if layer is not None else kind, inputs))
        last.append(len(steps) - 1)
        if layer is not None:
            used.add(layer)
    if len(used) < len(found):
        return None
    return Graph(tuple(steps), tuple(last[output.node] for output in network.outputs))
