"""What one kernel does, as data: a chain of layers that a tensor goes through without coming to memory in
between.

    input 0 ─▶ trunk ─┬─▶ way 0: channels, stages ─▶ the node's tensor
    other inputs ▲    └─▶ way 1: channels, stages ─▶ another tensor, an `Other` node

A stage is a layer of the language. What it reads beside the stream (a residual, a gate) is an operand: a
further input of the node, by index. Weights stay where the state_dict has them: a stage names the layers they
come from and what is folded into them, and `weights_of` (weights.py) computes them in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from pydantic import InstanceOf

from archdsl.network import Node
from archdsl.ops.base import Op, Shape, Weight
from archdsl.symbolic import Dim

CONVOLUTIONS = frozenset({"conv", "dwconv", "upconv", "fc"})
AFFINE = frozenset({"bn", "scale", "layerscale", "normalize"})
"""In evaluation x * scale + shift, channel by channel."""
ACTIVATIONS = frozenset(
    {"relu", "relu6", "silu", "hswish", "sigmoid", "hsigmoid", "gelu", "tanh", "prelu", "identity"}
)
ZERO_KEEPING = frozenset({"relu", "relu6", "silu", "hswish", "gelu", "tanh", "prelu", "identity"})
"""Activations with f(0) = 0: zero padding before or after them is the same."""
MERGES = frozenset({"add", "mul", "mean", "maximum", "gate"})
POINTWISE = AFFINE | ACTIVATIONS | MERGES
"""Each number that comes out needs the numbers at its own place only."""
POOLS = frozenset({"maxpool", "avgpool", "gap"})

VIEWS = frozenset({"identity", "dropout", "droppath", "split", "placed", "other"})
"""Nodes that move no data: another name of a tensor or of a part of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights come from. op, name: the layer as the state_dict has it; folded: the affine layers (op,
    name) that follow it and are computed into its weights."""

    op: Op
    name: str
    folded: tuple[tuple[Op, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One layer of a kernel.

    op        what it computes; a convolution that something is folded into has a bias.
    sources   of its weights; several stand for sibling convolutions, their channels one after another.
    operands  inputs of the kernel that it reads beside the stream, in op's own order.
    at        the place of the stream among op's inputs.
    side      stages that the operand goes through first: the projection of a shortcut.
    """

    op: Op
    sources: tuple[Source, ...] = ()
    operands: tuple[int, ...] = ()
    at: int = 0
    side: tuple[Stage, ...] = ()

    @property
    def kind(self) -> str:
        return self.op.syntax

    def arguments(self, stream: Any, operands: Sequence[Any]) -> list[Any]:
        """op's inputs in its order: the stream among the operands."""
        found = list(operands)
        found.insert(self.at, stream)
        return found

    def moved(self, places: Sequence[int]) -> Stage:
        """The stage with each operand i at places[i]."""
        if not self.operands:
            return self
        return replace(self, operands=tuple(places[i] for i in self.operands))


@dataclass(frozen=True, slots=True)
class Way:
    """A tensor that a kernel writes: channels [start, stop) of the trunk, and then stages of its own."""

    start: int = 0
    stop: int | None = None
    stages: tuple[Stage, ...] = ()

    @property
    def plain(self) -> bool:
        return self.start == 0 and self.stop is None and not self.stages

    def cut(self, shape: Shape) -> Shape:
        return shape if self.stop is None else (self.stop - self.start, *shape[1:])


class Step(NamedTuple):
    """A stage where it stands: the shapes of its inputs and of its output."""

    stage: Stage
    inputs: tuple[Shape, ...]
    output: Shape

    @property
    def macs(self) -> Dim:
        return self.stage.op.macs(self.output, *self.inputs)

    @property
    def weights(self) -> tuple[Weight, ...]:
        """What a backend packs: `weight` and `bias`, or `scale` and `shift`."""
        if self.stage.kind in AFFINE:
            return Weight("scale", self.output[:1]), Weight("shift", self.output[:1])
        return self.stage.op.weights(*self.inputs) if self.stage.sources else ()


class Kernel(Op):
    """Several layers in one. Not a layer that can be written."""

    syntax: ClassVar = "kernel"

    trunk: tuple[InstanceOf[Stage], ...]
    ways: tuple[InstanceOf[Way], ...] = (Way(),)

    def infer(self, *inputs: Shape) -> Shape:
        return self.shapes(*inputs)[0]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Of every way."""
        return tuple(self.steps(*inputs)[1])

    def steps(self, *inputs: Shape) -> tuple[list[Step], list[Shape]]:
        """Every stage where it stands, in order, and the shapes that the ways end with."""
        steps: list[Step] = []
        trunk = _walk(self.trunk, inputs[0], inputs, steps)
        return steps, [_walk(way.stages, way.cut(trunk), inputs, steps) for way in self.ways]

    @property
    def simple(self) -> bool:
        """Whether it writes one tensor, the end of its trunk."""
        return len(self.ways) == 1 and self.ways[0].plain

    @property
    def stages(self) -> Iterator[Stage]:
        """All of them: of the trunk, of sides, of the ways."""
        for chain in (self.trunk, *(way.stages for way in self.ways)):
            for stage in chain:
                yield from stage.side
                yield stage

    def has(self, kinds: frozenset[str]) -> bool:
        return any(stage.kind in kinds for stage in self.stages)

    @property
    def weighted(self) -> tuple[str, ...]:
        """Names of the layers with weights that are in it."""
        sources = [source for stage in self.stages for source in stage.sources]
        names = (name for source in sources for name in (source.name, *(folded for _, folded in source.folded)))
        return tuple(dict.fromkeys(names))

    @property
    def pattern(self) -> str:
        """What a backend must be able to do, in a line: `conv3 + relu + maxpool`."""
        text = " + ".join(_word(stage) for stage in self.trunk)
        if self.simple:
            return text
        return f"{text} => {' | '.join(map(_words, self.ways))}"


class Other(Op):
    """A further tensor that a kernel, its input, writes: the one of way `index`. Not a layer that can be
    written."""

    syntax: ClassVar = "other"

    index: int
    shape: tuple[Any, ...]

    def infer(self, *inputs: Shape) -> Shape:
        return self.shape


class Placed(Op):
    """A concat whose inputs are written where they belong in its own tensor. Not a layer that can be
    written."""

    syntax: ClassVar = "placed"
    arity: ClassVar = None

    def infer(self, *inputs: Shape) -> Shape:
        channels: Dim = 0
        for shape in inputs:
            channels = channels + shape[0]
        return channels, *inputs[0][1:]


def _walk(stages: Sequence[Stage], stream: Shape, inputs: Sequence[Shape], steps: list[Step]) -> Shape:
    for stage in stages:
        operands = [inputs[i] for i in stage.operands]
        if stage.side:
            operands[0] = _walk(stage.side, operands[0], inputs, steps)
        arguments = tuple(stage.arguments(stream, operands))
        stream = stage.op.infer(*arguments)
        steps.append(Step(stage, arguments, stream))
    return stream


def _word(stage: Stage) -> str:
    kernel = getattr(stage.op, "kernel", None)
    size = "" if kernel is None else f"{kernel[0]}" if kernel[0] == kernel[1] else f"{kernel[0]}x{kernel[1]}"
    text = f"{stage.kind}{size}"
    if len(stage.sources) > 1:
        text += f" x{len(stage.sources)}"
    if stage.side:
        text += f"({' + '.join(_word(s) for s in stage.side)})"
    return text


def _words(way: Way) -> str:
    """`64`, `128: maxpool3`, `gap`: how many of the channels, if not all, and what happens to them."""
    stages = " + ".join(_word(stage) for stage in way.stages)
    if way.stop is None:
        return stages or "all"
    return f"{way.stop - way.start}{': ' if stages else ''}{stages}"


def computes(op: Op) -> bool:
    """Whether a node of this op is, or can be written as, a kernel of stages."""
    return op.syntax not in _NOT_STAGES


_NOT_STAGES = (VIEWS - {"identity"}) | {"input", "concat", "flatten"}


def stage_of(node: Node, shapes: Sequence[Shape]) -> Stage:
    """A layer of the language as the one stage of a kernel."""
    op = node.op
    weighted = op.syntax in AFFINE or bool(op.weights(*shapes))
    sources = (Source(op, node.name),) if weighted else ()
    return Stage(op, sources, tuple(range(1, len(node.inputs))))


def is_pixelwise(stage: Stage) -> bool:
    """A 1x1 convolution of all channels, without padding; any stride."""
    op: Any = stage.op
    return op.syntax == "conv" and (op.kernel, op.padding, op.groups) == ((1, 1), (0, 0, 0, 0), 1)


def is_side(stage: Stage) -> bool:
    """What an operand may end with before it is added: a projection, or zeros for channels that it lacks."""
    op: Any = stage.op
    return is_pixelwise(stage) or op.syntax == "pad" and not any(op.padding) and op.value == 0
