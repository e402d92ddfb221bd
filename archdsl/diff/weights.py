"""Which weights of one network have a place in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from archdsl.network import Network
from archdsl.ops.base import Shape


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a state_dict, under its name in each network; "" where it is in one only."""

    a: str
    b: str
    before: Shape
    after: Shape


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors of the state_dicts, buffers too. carried: at the same place, of the same shape; reshaped: of another."""

    carried: tuple[Tensor, ...]
    reshaped: tuple[Tensor, ...]
    gone: tuple[Tensor, ...]
    new: tuple[Tensor, ...]

    @property
    def renamed(self) -> tuple[Tensor, ...]:
        """Of those that have their place, what is called otherwise."""
        return tuple(t for t in self.carried if t.a != t.b)

    @property
    def needed(self) -> int:
        """How many tensors the second network has."""
        return len(self.carried) + len(self.reshaped) + len(self.new)


def numbers(tensors: tuple[Tensor, ...]) -> int:
    """How many numbers tensors hold, in the second network where they are in it."""
    return sum(
        prod(side for side in (t.after if t.b else t.before) if isinstance(side, int)) for t in tensors
    )


def weights_of(a: Network, b: Network, nodes: Mapping[int, int]) -> Weights:
    """nodes: the layers that belong together, of one and of the other network."""
    carried: list[Tensor] = []
    reshaped: list[Tensor] = []
    gone: list[Tensor] = []
    new: list[Tensor] = []
    for index in range(len(a.nodes)):
        partner = nodes.get(index)
        there = dict(_owned(b, partner)) if partner is not None else {}
        for name, shape in _owned(a, index):
            here = f"{a.nodes[index].name}.{name}"
            if partner is None or name not in there:
                gone.append(Tensor(here, "", shape, ()))
                continue
            tensor = Tensor(here, f"{b.nodes[partner].name}.{name}", shape, there[name])
            (carried if shape == there[name] else reshaped).append(tensor)
    back = {other: one for one, other in nodes.items()}
    for index in range(len(b.nodes)):
        partner = back.get(index)
        known = dict(_owned(a, partner)) if partner is not None else {}
        for name, shape in _owned(b, index):
            if name not in known:
                new.append(Tensor("", f"{b.nodes[index].name}.{name}", (), shape))
    return Weights(tuple(carried), tuple(reshaped), tuple(gone), tuple(new))


def _owned(network: Network, index: int) -> Iterator[tuple[str, Shape]]:
    """The tensors of a layer: their names in it, and shapes."""
    node = network.nodes[index]
    for weight in node.op.weights(*(network.nodes[i].shape for i in node.inputs)) if node.inputs else ():
        yield weight.name, weight.shape
