"""Where every tensor of a network lies while it runs, and what each kernel moves.

Images are channels-last inside: a tensor of C channels is rows of `row` numbers, one for each position, of
which it has C in a row; it may be a part of wider rows, as the branches of a placed concat are. All of them
lie in one arena. Offsets are for one image and every one is a multiple of 256 bytes: a batch of N has each
buffer at N times its offset with N times its size, so one plan fits all batches, and no two tensors of any
batch overlap that must not.

The input image is read where it lies, outside the arena; the outputs are in the arena when the last kernel is
done.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from archdsl.network import Network
from archdsl.ops.base import Shape
from archdsl.ops.split import part_of
from archdsl.passes._kernel import POINTWISE, Kernel, Other, Stage, Step, computes, stage_of
from archdsl.symbolic import known

ALIGNMENT = 256
"""Bytes, of every buffer's offset and size for one image: two lines of a GPU's cache; its copy engine wants 16."""

DTYPES = {"f32": 4, "bf16": 2, "f16": 2}
"""Bytes of a number of an activation or of a convolution's weights. Biases, scales and shifts are always
float32."""

IMAGE = -1
"""The buffer that a view of the input image is in."""


class View(NamedTuple):
    """A tensor as a part of a buffer: `channels` numbers from `channel` on in each of height x width rows."""

    buffer: int
    channel: int
    channels: int
    row: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Of one image."""
        return self.channels * self.height * self.width

    @property
    def whole(self) -> bool:
        """Whether the buffer holds nothing else."""
        return self.channels == self.row


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of the arena, in bytes for one image, that is needed from step `first` to step `last`."""

    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel as it is run.

    node      of the network; kernel: what it does, also where the node is a plain layer.
    inputs    where it reads, in the order of the kernel's inputs; outputs: where it writes, way by way.
    steps     its layers with the shapes that go in and come out, in order.
    reuses    the input whose place the first output takes, element by element, or None.
    read      numbers of activations that are read for one image; written: that are written.
    weights   numbers of the convolutions' weights, once for a batch; constants: of all others.
    flops     of convolutions, for one image.
    """

    node: int
    name: str
    kernel: Kernel
    steps: tuple[Step, ...]
    inputs: tuple[View, ...]
    outputs: tuple[View, ...]
    reuses: int | None
    read: int
    written: int
    weights: int
    constants: int
    flops: int


class Counts(NamedTuple):
    """What a plan costs for one batch, in bytes."""

    kernels: int
    read: int
    written: int
    weights: int
    flops: int

    @property
    def moved(self) -> int:
        """Everything that crosses memory once for each kernel that touches it."""
        return self.read + self.written + self.weights


@dataclass(frozen=True)
class Plan:
    """How a network runs. arena: bytes for one image; live: the most that are needed at once, which no arena
    can go below. image, outputs: where the input is read and the results are in the end."""

    network: Network
    dtype: str
    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    arena: int
    live: int
    image: View
    outputs: tuple[tuple[str, View], ...] = field(default=())

    def bytes(self, batch: int) -> int:
        """Of the arena for a batch."""
        return batch * self.arena

    def count(self, batch: int = 1) -> Counts:
        """Kernels, bytes and FLOPs of one run."""
        size = DTYPES[self.dtype]
        return Counts(
            kernels=len(self.launches),
            read=batch * size * sum(launch.read for launch in self.launches),
            written=batch * size * sum(launch.written for launch in self.launches),
            weights=sum(size * launch.weights + 4 * launch.constants for launch in self.launches),
            flops=batch * sum(launch.flops for launch in self.launches),
        )


def plan(network: Network, dtype: str = "f32") -> Plan:
    """The plan of a network, after whichever passes. Side heads are not run.

    Raises ValueError where a size is a symbol, or for an unknown dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f"no dtype {dtype!r}; choose from {', '.join(DTYPES)}")
    if not all(known(side) for node in network.nodes for side in node.shape):
        raise ValueError(f"{network.name} leaves the size of its input open; a plan needs numbers")
    return _Planner(network, dtype).plan()


Sizes = tuple[int, ...]


def _sizes(shape: Shape) -> Sizes:
    """A shape whose sizes are all known, as `plan` makes sure."""
    return shape  # type: ignore[return-value]


class _Tensor:
    """Storage of its own, or, once placed in a concat, a part of another's. channel: where in `inside` it
    begins."""

    __slots__ = ("channel", "first", "inside", "last", "shape")

    def __init__(self, shape: Sizes) -> None:
        self.shape = shape
        self.inside: _Tensor | None = None
        self.channel = 0
        self.first: int | None = None
        self.last = -1

    def root(self) -> tuple[_Tensor, int]:
        tensor, channel = self, 0
        while tensor.inside is not None:
            channel += tensor.channel
            tensor = tensor.inside
        return tensor, channel


class _Part(NamedTuple):
    """What a node's value is: channels of a tensor from `channel` on, seen in a shape."""

    tensor: _Tensor
    channel: int
    shape: Sizes


class _Planner:
    def __init__(self, network: Network, dtype: str) -> None:
        self.network, self.dtype = network, dtype
        self.size = DTYPES[dtype]
        self.parts: dict[int, _Part] = {}
        self.image = _Tensor(_sizes(network.input))

    def plan(self) -> Plan:
        """Tensors first, then who needs which until when, and last where they lie."""
        network = self.network
        runs = network.evaluated
        self.parts[0] = _Part(self.image, 0, self.image.shape)
        others: dict[int, list[int]] = {}
        for index in runs:
            if isinstance(network.nodes[index].op, Other):
                others.setdefault(network.nodes[index].inputs[0], []).append(index)
        steps: list[tuple[int, Kernel, list[_Part], list[_Tensor]]] = []
        for index in runs[1:]:
            node = network.nodes[index]
            inputs = [self.parts[i] for i in node.inputs]
            kernel = self._view(index, inputs)
            if kernel is None:
                continue
            shapes = kernel.shapes(*(part.shape for part in inputs))
            tensors = [_Tensor(_sizes(shape)) for shape in shapes]
            self.parts[index] = _Part(tensors[0], 0, tensors[0].shape)
            for other in others.get(index, ()):
                op = network.nodes[other].op
                assert isinstance(op, Other)
                self.parts[other] = _Part(tensors[op.index], 0, tensors[op.index].shape)
            steps.append((index, kernel, inputs, tensors))
        roots: dict[int, _Tensor] = {}
        for number, (_, _, inputs, tensors) in enumerate(steps):
            for tensor in (*(part.tensor for part in inputs), *tensors):
                root = tensor.root()[0]
                roots[id(root)] = root
                root.first = number if root.first is None else root.first
                root.last = max(root.last, number)
        for output in network.outputs:
            if not output.aux:
                self.parts[output.node].tensor.root()[0].last = len(steps)
        roots.pop(id(self.image), None)
        owner = {key: key for key in roots}
        reused = [
            self._in_place(number, kernel, inputs, tensors[0], owner)
            for number, (_, kernel, inputs, tensors) in enumerate(steps)
        ]
        buffers, place, arena, live = self._packed(roots, owner)
        launches = tuple(
            self._launch(index, kernel, inputs, tensors, place, reuse)
            for (index, kernel, inputs, tensors), reuse in zip(steps, reused, strict=True)
        )
        outputs = tuple(
            (o.name, self._located(self.parts[o.node], place)) for o in network.outputs if not o.aux
        )
        image = self._located(self.parts[0], place)
        return Plan(network, self.dtype, launches, tuple(buffers), arena, live, image, outputs)

    # ---- tensors ----

    def _view(self, index: int, inputs: list[_Part]) -> Kernel | None:
        """The kernel of a node; None where it only names what is there, which is noted."""
        node = self.network.nodes[index]
        shape = _sizes(node.shape)
        op: Any = node.op
        first = inputs[0]
        match op.syntax:
            case "kernel":
                return node.op  # type: ignore[return-value]
            case "other":
                return None
            case "identity" | "dropout" | "droppath":
                self.parts[index] = first
                return None
            case "flatten" if prod(first.shape[1:]) == 1:
                self.parts[index] = first._replace(shape=shape)
                return None
            case "split":
                self.parts[index] = _Part(first.tensor, first.channel + part_of(op, first.shape[0])[0], shape)
                return None
            case "placed":
                self._place(index, inputs)
                return None
        if computes(op):
            return Kernel(trunk=(stage_of(node, [part.shape for part in inputs]),))
        # A layer that no pass fuses: it reads all of its inputs and writes its output.
        return Kernel(trunk=(Stage(op, operands=tuple(range(1, len(inputs)))),))

    def _place(self, index: int, inputs: list[_Part]) -> None:
        """A concat's tensor, and its branches' as parts of it."""
        whole = _Tensor(_sizes(self.network.nodes[index].shape))
        channel = 0
        for part in inputs:
            assert part.tensor.inside is None and part.channel == 0 and part.tensor is not self.image
            part.tensor.inside, part.tensor.channel = whole, channel
            channel += part.shape[0]
        self.parts[index] = _Part(whole, 0, whole.shape)

    # ---- liveness ----

    def _in_place(
        self,
        number: int,
        kernel: Kernel,
        inputs: list[_Part],
        output: _Tensor,
        owner: dict[int, int],
    ) -> int | None:
        """The input that the first output may take the place of: it is read element by element, as the output
        is written, and never again. Their buffers become one."""
        if output.inside is not None or not kernel.ways[0].plain:
            return None
        for k in aligned_inputs(kernel):
            tensor = inputs[k].tensor
            root, _ = tensor.root()
            if root is not tensor or tensor is self.image or tensor.last != number:
                continue
            if inputs[k].shape != output.shape or tensor.shape != output.shape:
                continue
            if sum(part.tensor.root()[0] is root for part in inputs) > 1:
                continue
            owner[id(output)] = owner[id(tensor)]
            return k
        return None

    # ---- the arena ----

    def _packed(
        self, roots: dict[int, _Tensor], owner: dict[int, int]
    ) -> tuple[list[Buffer], dict[int, int], int, int]:
        """Buffers; which one each tensor has; the arena's size; the most that is live at once."""
        spans: dict[int, list[int]] = {}  # of each owner: size, first, last
        for key, tensor in roots.items():
            size = -(-prod(tensor.shape) * self.size // ALIGNMENT) * ALIGNMENT
            assert tensor.first is not None
            span = spans.setdefault(owner[key], [0, tensor.first, tensor.last])
            span[0] = max(span[0], size)
            span[1], span[2] = min(span[1], tensor.first), max(span[2], tensor.last)
        number = {key: i for i, key in enumerate(spans)}
        steps = 1 + max((span[2] for span in spans.values()), default=-1)
        live = [0] * (steps + 1)
        for size, first, last in spans.values():
            live[first] += size
            live[last + 1] -= size
        most = running = 0
        for change in live:
            running += change
            most = max(most, running)
        # The largest first is best nearly always; where it leaves gaps, other orders may not.
        offsets: dict[int, int] = {}
        arena = -1
        for order in _ORDERS:
            tried, size = _packed(dict(sorted(spans.items(), key=order)))
            if arena < 0 or size < arena:
                offsets, arena = tried, size
            if arena == most:
                break
        buffers = [Buffer(offsets[key], *span) for key, span in spans.items()]
        place = {key: number[owner[key]] for key in roots}
        return buffers, place, arena, most

    def _located(self, part: _Part, place: dict[int, int]) -> View:
        root, channel = part.tensor.root()
        buffer = IMAGE if root is self.image else place[id(root)]
        channels, height, width = (*part.shape, 1, 1)[:3]
        row = root.shape[0]
        return View(buffer, channel + part.channel, channels, row, height, width)

    # ---- one kernel ----

    def _launch(
        self,
        index: int,
        kernel: Kernel,
        inputs: list[_Part],
        tensors: list[_Tensor],
        place: dict[int, int],
        reuse: int | None,
    ) -> Launch:
        node = self.network.nodes[index]
        steps, _ = kernel.steps(*(part.shape for part in inputs))
        weights = constants = 0
        for step in steps:
            for weight in step.weights:
                if weight.name == "weight" and len(weight.shape) > 1:
                    weights += prod(_sizes(weight.shape))
                else:
                    constants += prod(_sizes(weight.shape))
        return Launch(
            node=index,
            name=node.name,
            kernel=kernel,
            steps=tuple(steps),
            inputs=tuple(self._located(part, place) for part in inputs),
            outputs=tuple(self._located(_Part(tensor, 0, tensor.shape), place) for tensor in tensors),
            reuses=reuse,
            read=sum(_touched(kernel, k, part.shape) for k, part in enumerate(inputs)),
            written=sum(prod(tensor.shape) for tensor in tensors),
            weights=weights,
            constants=constants,
            flops=2 * sum(_known(step) for step in steps),
        )


Span = list[int]
"""[size, first, last]"""

_ORDERS: tuple[Callable[[tuple[int, Span]], Any], ...] = (
    lambda item: (-item[1][0], item[1][1]),
    lambda item: (-item[1][0] * (1 + item[1][2] - item[1][1]), item[1][1]),
    lambda item: (item[1][1] - item[1][2], -item[1][0]),
    lambda item: item[1][1],
)


def _packed(spans: dict[int, Span]) -> tuple[dict[int, int], int]:
    """Offsets, and the size of the whole: one after another, each as low as those before it allow that are
    needed at the same time."""
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), by offset
    offsets: dict[int, int] = {}
    arena = 0
    for key, (size, first, last) in spans.items():
        offset = 0
        for low, high, begun, ended in placed:
            if begun > last or ended < first:
                continue
            if low - offset >= size:
                break
            offset = max(offset, high)
        offsets[key] = offset
        arena = max(arena, offset + size)
        insort(placed, (offset, offset + size, first, last))
    return offsets, arena


def _known(step: Step) -> int:
    macs = step.macs
    assert known(macs)
    return macs


def aligned_inputs(kernel: Kernel) -> list[int]:
    """Inputs of which every number is needed for the number at the same place of the first tensor only, and
    which no stage enlarges."""
    if not kernel.ways[0].plain:
        return []
    found: list[int] = []
    for stage in reversed(kernel.trunk):
        if stage.kind not in POINTWISE:
            return found
        if not stage.side:
            found += stage.operands
    return [*found, 0]


def _touched(kernel: Kernel, k: int, shape: Sizes) -> int:
    """Numbers of an input that are read, each once: a window smaller than its stride leaves rows and columns
    out."""
    first = kernel.trunk[0]
    if k:
        sides = [stage.side[0] for stage in kernel.stages if stage.side and k in stage.operands]
        if not sides:
            return prod(shape)
        first = sides[0]
    op: Any = first.op
    if first.kind == "pad":
        window = (1, 1)
    elif first.kind in ("conv", "dwconv", "maxpool", "avgpool"):
        window = op.kernel
    else:
        return prod(shape)
    _, *outputs = _sizes(op.infer(shape))
    rows = [min(size, n * reach) for size, n, reach in zip(shape[1:], outputs, window, strict=True)]
    return shape[0] * prod(rows)
