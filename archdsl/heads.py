"""A network's classifier: the layer whose width is the number of classes, and the network with another number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Never

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.network import Network, Node, Output, Region
from archdsl.ops.base import Op

CLASSIFIERS = frozenset({"fc", "conv"})

OF_MAPS = frozenset({"softmax", "sigmoid", "identity", "dropout", "upsample"})
"""What may follow the classifier of every pixel. After any other layer, a 1x1 conv may as well be a feature's."""


def heads(network: Network) -> tuple[int, ...]:
    """Nodes that classify: the main output's, then each side head's. Raises ArchError (A503) where one has none."""
    mains = [output for output in network.outputs if not output.aux]
    if len(mains) > 1:
        names = ", ".join(f"`{output.name}`" for output in mains)
        no_head(network, f"`{network.name}` has {len(mains)} outputs, {names}, and none of them is the classifier")
    readers = [0] * len(network.nodes)
    for node in network.nodes:
        for source in node.inputs:
            readers[source] += 1
    return tuple(_head(network, output, readers) for output in (*mains, *(o for o in network.outputs if o.aux)))


def _head(network: Network, output: Output, readers: list[int]) -> int:
    """The last layer with weights, if it makes the classes and nothing else reads what it gives."""
    nodes, index, passed = network.nodes, output.node, []
    while nodes[index].kind not in CLASSIFIERS:
        node = nodes[index]
        before = node.inputs[0] if len(node.inputs) == 1 else 0
        if not before or node.params or node.buffers or node.shape[0] != nodes[before].shape[0] or readers[before] > 1:
            _refuse(network, output, node)
        passed.append(node.kind)
        index = before
    node = nodes[index]
    if node.kind == "conv":
        op, shape = node.op, nodes[output.node].shape
        a_map = len(shape) == 3 and shape[1:] != (1, 1)
        if (op.kernel, op.groups) != ((1, 1), 1) or a_map and not OF_MAPS.issuperset(passed):  # type: ignore[attr-defined]
            _refuse(network, output, node)
    return index


def _refuse(network: Network, output: Output, node: Node) -> Never:
    what = f"output `{output.name}`" if output.name != "out" else "output"
    at = f"ends in `{node.name}`, a {node.kind}" if node.inputs else "is the image itself"
    no_head(network, f"the {what} of `{network.name}` {at}: no fc, no 1x1 conv that makes its classes alone")


def no_head(network: Network | None, message: str) -> Never:
    """Raises ArchError (A503)."""
    raise ArchError(
        [
            Diagnostic(
                code="A503",
                message=message,
                span=network.region.span if network is not None else None,
                hint="put a module of your own in its place, or give the arch a parameter `classes`",
            )
        ]
    )


def with_classes(network: Network, classes: int) -> Network:
    """The network with another number of classes, side heads included. Raises ArchError (A503)."""
    changed = heads(network)
    nodes = list(network.nodes)
    old = {nodes[i].shape[0] for i in changed}
    stale = set(changed)
    for index, node in enumerate(nodes):
        if index in changed:
            nodes[index] = _inferred(node, type(node.op)(**dict(node.op) | {"channels": classes}), nodes)
        elif stale.intersection(node.inputs):
            stale.add(index)
            nodes[index] = _inferred(node, node.op, nodes)
    region = _retitled(network.region, changed, [str(number) for number in old], classes)
    return replace(network, nodes=tuple(nodes), region=region)


def _inferred(node: Node, op: Op, nodes: list[Node]) -> Node:
    """A node with what its op says of its inputs as they are now."""
    shapes = tuple(nodes[i].shape for i in node.inputs)
    shape = op.infer(*shapes)
    params = buffers = 0
    for weight in op.weights(*shapes):
        size = 1
        for side in weight.shape:
            size = size * side  # type: ignore[assignment]
        params, buffers = (params + size, buffers) if weight.trainable else (params, buffers + size)
    return replace(node, op=op, shape=shape, params=params, buffers=buffers, macs=op.macs(shape, *shapes))


def _retitled(region: Region, changed: Iterable[int], old: list[str], classes: int) -> Region:
    """A region whose title and arguments state the new number: `fc-10`, not `fc-1000`."""
    if not any(region.start <= index < region.stop for index in changed):
        return region
    title = region.title
    for number in old:
        title = re.sub(rf"\b{number}\b", str(classes), title)
    arguments = tuple(
        (name, classes if name == "classes" and str(value) in old else value) for name, value in region.arguments
    )
    children = tuple(_retitled(child, changed, old, classes) for child in region.children)
    title = region.title if region.kind == "arch" else title
    return replace(region, title=title, arguments=arguments, children=children)
