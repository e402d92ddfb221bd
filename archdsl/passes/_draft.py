"""A network while a pass rewrites it. Nodes keep the order of the network, so that what is read always stands
before what reads it; each rewrite costs as much as what it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import is_

from archdsl.network import Network, Node
from archdsl.ops.base import Op, Shape
from archdsl.passes._kernel import Kernel, Other, Stage, Way, computes, stage_of
from archdsl.symbolic import known

Accepts = Callable[[Kernel, Sequence[Shape]], bool]
"""Whether a backend can run a kernel on inputs of these shapes."""


def everything(_kernel: Kernel, _inputs: Sequence[Shape]) -> bool:
    """A backend that can do all that the passes can make."""
    return True


class Item:
    """A node that can change. readers: the items that read it, once for each time; ends: outputs that it
    is."""

    __slots__ = (
        "buffers",
        "ends",
        "inputs",
        "macs",
        "name",
        "node",
        "op",
        "params",
        "place",
        "readers",
        "shape",
    )

    def __init__(self, node: Node, place: tuple[int, int]) -> None:
        self.node, self.op, self.shape, self.name = node, node.op, node.shape, node.name
        self.params, self.buffers, self.macs = node.params, node.buffers, node.macs
        self.inputs: list[Item] = []
        self.readers: list[Item] = []
        self.ends = 0
        self.place = place

    @property
    def is_other(self) -> bool:
        return isinstance(self.op, Other)

    @property
    def owner(self) -> Item:
        """The item whose kernel writes this tensor."""
        return self.inputs[0] if self.is_other else self

    @property
    def way(self) -> int:
        return self.op.index if isinstance(self.op, Other) else 0

    @property
    def takers(self) -> list[Item]:
        """Items that read the tensor; not those that stand for further tensors of its kernel."""
        return [r for r in self.readers if not r.is_other]

    @property
    def sole(self) -> Item | None:
        """The item that reads this tensor, if one does, once, and nobody else wants it."""
        takers = self.takers
        return takers[0] if len(takers) == 1 and not self.ends else None

    @property
    def kernel(self) -> Kernel | None:
        """What computes this tensor, or None where that is no kernel: the image, a view, a concat."""
        if isinstance(self.op, Kernel):
            return self.op
        if not computes(self.op):
            return None
        return Kernel(trunk=(stage_of(self.node, [i.shape for i in self.inputs]),))

    @property
    def simple(self) -> Kernel | None:
        """Its kernel, if that writes this tensor only."""
        kernel = self.kernel
        return kernel if kernel is not None and kernel.simple else None


class Draft:
    """The items of a network in order; `done` gives the rewritten network. accepts: asked before layers that
    stood in kernels of their own come into one."""

    def __init__(self, network: Network, accepts: Accepts = everything) -> None:
        self.network, self.accepts = network, accepts
        self.items = [Item(node, (i, 0)) for i, node in enumerate(network.nodes)]
        for item in self.items:
            for i in item.node.inputs:
                item.inputs.append(self.items[i])
                self.items[i].readers.append(item)
        self.ends: list[Item] = []
        for output in network.outputs:
            self.ends.append(self.items[output.node])
            self.items[output.node].ends += 1
        self.new: list[Item] = []
        self.gone: set[int] = set()

    def __iter__(self) -> Iterator[Item]:
        """Items that are still there, in order; what a rewrite drops on the way is passed over."""
        for item in self.items:
            if id(item) not in self.gone:
                yield item

    # ---- rewrites ----

    def wire(self, item: Item, inputs: Sequence[Item]) -> None:
        """Give an item other inputs."""
        for source in item.inputs:
            source.readers.remove(item)
        item.inputs = list(inputs)
        for source in inputs:
            source.readers.append(item)

    def drop(self, item: Item) -> None:
        """Take an item out. Nobody reads it."""
        assert not item.readers and not item.ends
        self.wire(item, ())
        self.gone.add(id(item))

    def skip(self, item: Item, source: Item) -> None:
        """Let everyone read another tensor instead, and take the item out."""
        for reader in list(dict.fromkeys(item.readers)):
            self.wire(reader, [source if i is item else i for i in reader.inputs])
        if item.ends:
            self.ends = [source if end is item else end for end in self.ends]
            source.ends += item.ends
            item.ends = 0
        self.drop(item)

    def insert(self, before: Item, op: Op, inputs: Sequence[Item], shape: Shape, name: str) -> Item:
        """A new item in front of another."""
        item = Item(before.node, (before.place[0], before.place[1] - 1 - len(self.new)))
        item.op, item.shape, item.name = op, shape, name
        self.new.append(item)
        self.wire(item, inputs)
        return item

    def absorb(self, item: Item, other: Item) -> None:
        """What another item stood for is part of this one now, which is called after the costlier of both."""
        mine, its = item.macs, other.macs
        if known(mine) and known(its) and (its > mine or mine == 0 == item.params):
            item.name = other.name
        item.params, item.buffers, item.macs = (
            item.params + other.params,
            item.buffers + other.buffers,
            item.macs + other.macs,
        )

    def fits(self, kernel: Kernel, inputs: Sequence[Item]) -> bool:
        """Whether a kernel that reads these tensors may be made."""
        return self.accepts(kernel, [item.shape for item in inputs])

    def join(self, first: Item, then: Item, *, ask: bool = True) -> bool:
        """One kernel of two: `first` writes one tensor, which only `then` reads, as its stream or as what a
        merge at its beginning may as well take for its stream. Says whether that may be."""
        one, turned = first.simple, oriented(then, first)
        if one is None or turned is None:
            return False
        two, inputs = turned
        more = len(first.inputs) - 1
        kernel = Kernel(
            trunk=(*one.trunk, *shifted(two.trunk, more, len(inputs))),
            ways=tuple(replace(w, stages=shifted(w.stages, more, len(inputs))) for w in two.ways),
        )
        inputs = [*first.inputs, *inputs[1:]]
        if ask and not self.fits(kernel, inputs):
            return False
        then.op = kernel
        self.absorb(then, first)
        self.wire(then, inputs)
        self.drop(first)
        return True

    def extend(self, tensor: Item, stages: Sequence[Stage]) -> None:
        """More stages, without operands, after those that make a tensor."""
        owner, index = tensor.owner, tensor.way
        assert owner.kernel is not None
        owner.op = extended(owner.kernel, index, stages)
        for stage in stages:
            tensor.shape = stage.op.infer(tensor.shape)
        if tensor.is_other:
            tensor.op = Other(index=index, shape=tensor.shape)

    def append(self, then: Item) -> bool:
        """Let the kernel that makes what `then` reads do `then` as well, where nobody else reads that tensor.
        Says whether it could: a kernel of several tensors can't wait for operands, nor part further."""
        tensor = then.inputs[0]
        kernel, owner = then.kernel, tensor.owner
        if kernel is None or owner.kernel is None or tensor.sole is not then:
            return False
        if tensor.simple:
            return self.join(tensor, then)
        if not kernel.simple or any(stage.operands for stage in kernel.trunk):
            return False
        if not self.fits(extended(owner.kernel, tensor.way, kernel.trunk), owner.inputs):
            return False
        self.extend(tensor, kernel.trunk)
        self.become(tensor, then)
        return True

    def become(self, tensor: Item, then: Item) -> None:
        """A tensor is what `then` was, and takes its place."""
        self.absorb(tensor, then)
        tensor.node = replace(tensor.node, extent=then.node.extent, jump=then.node.jump)
        self.skip(then, tensor)

    def add_way(self, owner: Item, way: Way, item: Item) -> None:
        """A further tensor of a kernel, if that may be; `item` becomes it."""
        kernel = owner.kernel
        assert kernel is not None
        kernel = Kernel(trunk=kernel.trunk, ways=(*kernel.ways, way))
        if not self.fits(kernel, owner.inputs):
            return
        owner.op = kernel
        name = owner.name
        self.absorb(owner, item)
        owner.name = name
        item.params = item.buffers = item.macs = 0
        item.op = Other(index=len(kernel.ways) - 1, shape=item.shape)
        self.wire(item, [owner])

    # ---- the end ----

    def done(self) -> Network:
        """The network as it is now; the same object where nothing changed."""
        left = [i for i in (*self.items, *self.new) if id(i) not in self.gone]
        if self.new:
            left.sort(key=lambda item: item.place)
        place = {id(item): index for index, item in enumerate(left)}
        nodes = tuple(_node(item, tuple(place[id(i)] for i in item.inputs)) for item in left)
        network = self.network
        outputs = tuple(
            o if o.node == place[id(end)] else replace(o, node=place[id(end)])
            for o, end in zip(network.outputs, self.ends, strict=True)
        )
        if (
            len(nodes) == len(network.nodes)
            and all(map(is_, nodes, network.nodes))
            and outputs == network.outputs
        ):
            return network
        # Labelled tensors may live inside a kernel now, and blocks are no ranges of nodes any more.
        region = replace(network.region, start=1, stop=len(nodes), children=(), output=outputs[0].node)
        return replace(network, nodes=nodes, outputs=outputs, region=region, taps=())


def shifted(stages: Sequence[Stage], more: int, inputs: int) -> tuple[Stage, ...]:
    """Stages of a kernel of so many inputs, in one whose inputs after the stream are preceded by `more`
    others."""
    places = [0, *range(1 + more, inputs + more)]
    return tuple(stage.moved(places) for stage in stages)


def extended(kernel: Kernel, way: int, stages: Sequence[Stage]) -> Kernel:
    """A kernel with more stages at the end of one of its ways."""
    if kernel.simple:
        return Kernel(trunk=(*kernel.trunk, *stages))
    ways = list(kernel.ways)
    ways[way] = replace(ways[way], stages=(*ways[way].stages, *stages))
    return Kernel(trunk=kernel.trunk, ways=tuple(ways))


def oriented(item: Item, tensor: Item) -> tuple[Kernel, list[Item]] | None:
    """An item's kernel and inputs with a tensor as the stream: one of those that its first stage merges."""
    kernel = item.kernel
    if kernel is None:
        return None
    if item.inputs[0] is tensor:
        return kernel, item.inputs
    first = kernel.trunk[0]
    k = item.inputs.index(tensor)
    later = (stage for stage in kernel.stages if stage is not first)
    if first.side or k not in first.operands or any(k in stage.operands for stage in later):
        return None
    # The stream and input k change places.
    order = first.arguments(0, first.operands)
    at = order.index(k)
    places = list(range(len(item.inputs)))
    places[0], places[k] = k, 0
    turned = replace(first, operands=tuple(places[i] for j, i in enumerate(order) if j != at), at=at)
    inputs = list(item.inputs)
    inputs[0], inputs[k] = inputs[k], inputs[0]
    return Kernel(trunk=(turned, *kernel.trunk[1:]), ways=kernel.ways), inputs


def _node(item: Item, inputs: tuple[int, ...]) -> Node:
    node = item.node
    if (
        item.op is node.op
        and item.shape == node.shape
        and item.name == node.name
        and item.params == node.params
    ):
        return node if inputs == node.inputs else replace(node, inputs=inputs)
    return replace(
        node,
        op=item.op,
        name=item.name,
        inputs=inputs,
        shape=item.shape,
        params=item.params,
        buffers=item.buffers,
        macs=item.macs,
    )
