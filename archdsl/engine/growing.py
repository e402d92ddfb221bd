"""Concats that grow, as in a dense block: each adds channels to the one before.

Copying what is there already into every new one would cost the square of the number of layers. They share one
tensor, with room for all channels, into which each layer's own are copied once; what was there before is its
first channels.
"""

from __future__ import annotations

from typing import NamedTuple

from archdsl.network import Network
from archdsl.passes._kernel import AFFINE, Kernel

LEAST = 3
"""Concats in a row that are worth it."""


class Place(NamedTuple):
    """Where a concat lies. first: of its row, which makes the tensor; last: whose size it has."""

    first: int
    last: int


def growing(network: Network) -> dict[int, Place]:
    """The concats that share a tensor with others, by node."""
    readers: dict[int, list[int]] = {}
    for index in network.evaluated:
        for source in network.nodes[index].inputs:
            readers.setdefault(source, []).append(index)
    outputs = {output.node for output in network.outputs}

    def follower(index: int) -> int | None:
        """The concat that begins with this one, where all else that reads it is as quick on a part of a tensor."""
        found = None
        for reader in readers.get(index, ()):
            node = network.nodes[reader]
            if node.op.syntax == "concat" and node.inputs[0] == index and node.inputs.count(index) == 1:
                if found is not None:
                    return None
                found = reader
            elif not _is_affine(network, reader):
                return None
        return None if index in outputs else found

    places: dict[int, Place] = {}
    for index in network.evaluated:
        node = network.nodes[index]
        if node.op.syntax != "concat" or index in places or len(node.shape) != 3:
            continue
        row = [index]
        while (then := follower(row[-1])) is not None:
            row.append(then)
        if len(row) >= LEAST:
            places.update((i, Place(row[0], row[-1])) for i in row)
    return places


def _is_affine(network: Network, index: int) -> bool:
    op = network.nodes[index].op
    return (op.trunk[0].kind if isinstance(op, Kernel) else op.syntax) in AFFINE
