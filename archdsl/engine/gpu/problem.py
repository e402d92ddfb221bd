"""What one launch of a plan asks for, whoever's layer it is: layers of a kernel with their sizes, and how its
tensors lie. Two layers that ask for the same have the same `key`, and what is fastest for one is for the
other.

A problem can be cut between two stages: then a tensor comes to memory there, and two kernels do the work of
one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from archdsl.ops import LAYERS
from archdsl.ops.base import Op
from archdsl.passes._kernel import ACTIVATIONS, AFFINE, CONVOLUTIONS, POINTWISE, Kernel, Stage, Step, Way
from archdsl.plan import DTYPES, IMAGE, Launch, View

IMAGE_CHANNELS = 4
"""The network's images of 3 channels get a fourth of zeros: pixels then begin at multiples of 8 bytes."""


class Spot(NamedTuple):
    """How a tensor lies: its sizes, the numbers from one position to the next, and where among them it
    begins."""

    channels: int
    height: int
    width: int
    row: int
    channel: int = 0
    flat: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As layers see it: (C, H, W), or (C,) of what an fc gives."""
        return (self.channels,) if self.flat else (self.channels, self.height, self.width)

    @property
    def numbers(self) -> int:
        """Of one image."""
        return self.channels * self.height * self.width

    @property
    def dense(self) -> bool:
        return self.row == self.channels

    def text(self, size: int) -> str:
        """For a key: sizes, the row where it is wider, and `!` where 16 bytes at once can't be read."""
        wide = "" if self.dense else f"/{self.row}"
        uneven = "!" if self.row * size % 16 or self.channel * size % 16 else ""
        return f"{'x'.join(map(str, self.shape))}{wide}{uneven}"


def dense(shape: Sequence[int]) -> Spot:
    """A tensor of its own: (C, H, W) or (C,)."""
    channels, height, width = (*shape, 1, 1)[:3]
    return Spot(channels, height, width, channels, flat=len(shape) == 1)


def image_row(channels: int) -> int:
    """Numbers from one pixel of the network's images to the next."""
    return IMAGE_CHANNELS if channels == IMAGE_CHANNELS - 1 else channels


def _spot(view: View, shape: Sequence[Any]) -> Spot:
    row = image_row(view.row) if view.buffer == IMAGE else view.row
    return Spot(view.channels, view.height, view.width, row, view.channel, flat=len(shape) == 1)


@dataclass(frozen=True)
class Problem:
    """kernel: the work; inputs, outputs: its tensors in order; batch: images at once; dtype: of the
    activations."""

    kernel: Kernel
    inputs: tuple[Spot, ...]
    outputs: tuple[Spot, ...]
    batch: int
    dtype: str

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every stage where it stands."""
        return tuple(self.kernel.steps(*(spot.shape for spot in self.inputs))[0])

    @property
    def trunk(self) -> tuple[Stage, ...]:
        return self.kernel.trunk

    @property
    def out(self) -> Spot:
        return self.outputs[0]

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return DTYPES[self.dtype]

    def step(self, stage: Stage) -> Step:
        """The step of a stage; by identity, since two stages may be equal."""
        return next(step for step in self.steps if step.stage is stage)

    @cached_property
    def key(self) -> str:
        """The whole question in a line: equal for equal work."""
        ins = " ".join(spot.text(self.size) for spot in self.inputs)
        outs = " ".join(spot.text(self.size) for spot in self.outputs)
        return f"{_chain(self.trunk)}{_ways(self.kernel.ways)} | {ins} -> {outs} | {self.batch} {self.dtype}"

    @cached_property
    def flops(self) -> int:
        """Of convolutions, for the batch."""
        return 2 * self.batch * sum(int(step.macs) for step in self.steps)  # type: ignore[arg-type]

    @cached_property
    def bytes(self) -> int:
        """Read and written if every tensor crosses memory once; with the convolutions' weights."""
        tensors = sum(spot.numbers for spot in (*self.inputs, *self.outputs)) * self.batch
        weights = sum(
            prod(int(side) for side in weight.shape)
            for step in self.steps
            for weight in step.weights
            if len(weight.shape) > 1
        )
        return self.size * (tensors + weights)

    # ---- cutting ----

    def seams(self) -> tuple[int, ...]:
        """Places in the trunk where it can be cut, best first: before a layer that isn't element by element,
        then after one, then anywhere."""
        places = range(1, len(self.trunk))
        return tuple(sorted(places, key=lambda i: (self._rank(i), i)))

    def cut_is_a_seam(self, place: int) -> bool:
        """Whether a layer that is not element by element begins there."""
        return self._rank(place) == 0

    def _rank(self, place: int) -> int:
        before, after = self.trunk[place - 1].kind, self.trunk[place].kind
        return 0 if after not in POINTWISE else 1 if before not in POINTWISE else 2

    def cut(self, place: int) -> tuple[Problem, Problem]:
        """Two problems: the stages before a place in the trunk, and those from it on, which read what the
        first writes, a tensor of its own, as their stream."""
        head, tail = self.trunk[:place], self.trunk[place:]
        mine, rest = self.operands_of_cut(place)
        first = Kernel(trunk=tuple(stage.moved(_places(mine)) for stage in head))
        middle = dense([int(side) for side in self.step(head[-1]).output])  # type: ignore[arg-type]
        one = replace(
            self, kernel=first, inputs=(self.inputs[0], *(self.inputs[i] for i in mine)), outputs=(middle,)
        )
        moved = _places(rest)
        ways = tuple(
            replace(way, stages=tuple(s.moved(moved) for s in way.stages)) for way in self.kernel.ways
        )
        second = Kernel(trunk=tuple(stage.moved(moved) for stage in tail), ways=ways)
        two = Problem(second, (middle, *(self.inputs[i] for i in rest)), self.outputs, self.batch, self.dtype)
        return one, two

    def apart(self) -> tuple[Part, ...] | None:
        """Problems that make one output each: sibling convolutions on the same input, or of several tensors
        the first and then the others from it. None where it has one output, or its outputs are otherwise
        related."""
        ways = self.kernel.ways
        if len(ways) == 1:
            return None
        return self._siblings() or self._from_first()

    def _siblings(self) -> tuple[Part, ...] | None:
        ways = self.kernel.ways
        at = next((i for i, stage in enumerate(self.trunk) if len(stage.sources) > 1), None)
        if at is None or len(self.trunk[at].sources) != len(ways) or len(self.inputs) > 1:
            return None
        conv = self.trunk[at]
        parts = []
        for index, (way, source) in enumerate(zip(ways, conv.sources, strict=True)):
            assert way.stop is not None
            op = type(conv.op)(**dict(conv.op) | {"channels": way.stop - way.start})
            own = replace(conv, op=op, sources=(source,))
            kernel = Kernel(trunk=(*self.trunk[:at], own, *self.trunk[at + 1 :], *way.stages))
            parts.append(
                Part(
                    Problem(kernel, self.inputs, (self.outputs[index],), self.batch, self.dtype), None, index
                )
            )
        return tuple(parts)

    def _from_first(self) -> tuple[Part, ...] | None:
        first, *others = self.kernel.ways
        if first.start or first.stop is not None:
            return None
        done = len(first.stages)
        one = Kernel(trunk=(*self.trunk, *first.stages))
        parts = [Part(Problem(one, self.inputs, self.outputs[:1], self.batch, self.dtype), None, 0)]
        for index, way in enumerate(others, 1):
            if way.start or way.stop is not None or way.stages[:done] != first.stages:
                return None
            rest = way.stages[done:]
            if any(stage.operands for stage in rest):
                return None
            kernel = Kernel(trunk=rest or (Stage(LAYERS["identity"]()),))
            problem = Problem(kernel, self.outputs[:1], (self.outputs[index],), self.batch, self.dtype)
            parts.append(Part(problem, 0, index))
        return tuple(parts)

    def operands_of_cut(self, place: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which inputs each half of a cut reads, after its stream."""
        head, tail = self.trunk[:place], self.trunk[place:]
        ways = [stage for way in self.kernel.ways for stage in way.stages]
        return (
            tuple(sorted({i for stage in head for i in _operands(stage)})),
            tuple(sorted({i for stage in (*tail, *ways) for i in _operands(stage)})),
        )


class Part(NamedTuple):
    """One of the problems that a problem of several outputs is taken apart in. reads: the output that it
    reads, or None where it reads the whole problem's inputs; writes: the output that it makes."""

    problem: Problem
    reads: int | None
    writes: int


def _operands(stage: Stage) -> Iterator[int]:
    yield from stage.operands
    for inner in stage.side:
        yield from inner.operands


def _places(kept: Sequence[int]) -> list[int]:
    """For `Stage.moved`: where each of these inputs stands when they alone follow the stream."""
    places = [0] * (max(kept, default=0) + 1)
    for new, old in enumerate(kept, 1):
        places[old] = new
    return places


def problem_of(launch: Launch, batch: int, dtype: str) -> Problem:
    """What a launch of a plan asks for."""
    kernel = launch.kernel
    shapes = _shapes_of(launch)
    inputs = tuple(_spot(view, shape) for view, shape in zip(launch.inputs, shapes, strict=True))
    ends = kernel.shapes(*shapes)
    outputs = tuple(_spot(view, shape) for view, shape in zip(launch.outputs, ends, strict=True))
    return Problem(kernel, inputs, outputs, batch, dtype)


def _shapes_of(launch: Launch) -> list[tuple[int, ...]]:
    """The shapes that a launch's inputs have for its layers. A view says no more than sizes; whether (C, 1,
    1) or (C,) the steps know."""
    shapes: list[tuple[int, ...]] = [(v.channels, v.height, v.width) for v in launch.inputs]
    flat: set[int] = set()
    stage_inputs = {id(step.stage): step.inputs for step in launch.steps}
    trunk = launch.kernel.trunk
    if trunk and len(stage_inputs[id(trunk[0])][trunk[0].at]) == 1:
        flat.add(0)
    for stage in launch.kernel.stages:
        given = stage_inputs[id(stage)]
        others = [shape for i, shape in enumerate(given) if i != stage.at]
        flat.update(i for i, shape in zip(stage.operands, others, strict=False) if len(shape) == 1)
    return [shape[:1] if i in flat else shape for i, shape in enumerate(shapes)]


# ---- segments: the form that kernels know ----


class Segment(NamedTuple):
    """A layer that is not element by element, or None where a trunk begins without one, and what follows it
    element by element."""

    stage: Stage | None
    post: tuple[Stage, ...]

    @property
    def kind(self) -> str:
        return "in" if self.stage is None else self.stage.kind


def segments(stages: Sequence[Stage]) -> tuple[Segment, ...]:
    """A chain of stages as segments: `conv + relu | conv + add + relu`."""
    found: list[tuple[Stage | None, list[Stage]]] = []
    for stage in stages:
        if stage.kind not in POINTWISE:
            found.append((stage, []))
        else:
            if not found:
                found.append((None, []))
            found[-1][1].append(stage)
    return tuple(Segment(stage, tuple(post)) for stage, post in found)


class Epilogue(NamedTuple):
    """What follows a product: an activation, a sum with an operand, an activation. add: the stage, or
    None."""

    first: str
    add: Stage | None
    last: str


def epilogue(post: Sequence[Stage]) -> Epilogue | None:
    """Stages element by element as an epilogue, or None where they are more than that."""
    rest = [stage for stage in post if stage.kind != "identity"]
    first, last, add = "none", "none", None
    if rest and _acts(rest[0]):
        first = rest.pop(0).kind
    if rest and rest[0].kind == "add" and len(rest[0].operands) == 1:
        add = rest.pop(0)
        if rest and _acts(rest[0]):
            last = rest.pop(0).kind
    if rest:
        return None
    return Epilogue("none", None, first) if add is None else Epilogue(first, add, last)


def _acts(stage: Stage) -> bool:
    return stage.kind in ACTIVATIONS - {"prelu", "identity"}


# ---- the key ----


def _chain(stages: Sequence[Stage]) -> str:
    return " + ".join(map(_stage, stages))


def _stage(stage: Stage) -> str:
    text = stage.kind
    said = _arguments(stage.op)
    if said:
        text += f"({said})"
    if stage.operands:
        text += "".join(f"%{i}" for i in stage.operands)
        if stage.at:
            text += f"@{stage.at}"
    if stage.side:
        text += f"<{_chain(stage.side)}>"
    return text


_LEFT_OUT = {"norm", "act", "order", "eps", "momentum", "gamma", "beta"}
"""Arguments that are layers of their own by now, or numbers inside the weights."""


def _arguments(op: Op) -> str:
    if op.syntax in AFFINE:
        return ""
    found = []
    for name, value in dict(op).items():
        if name in _LEFT_OUT or value is None:
            continue
        if op.syntax in CONVOLUTIONS and (name, value) in _PLAIN:
            continue
        text = "x".join(str(int(v)) for v in value) if isinstance(value, tuple) else str(value)
        found.append(f"{name}={text}")
    return " ".join(found)


_PLAIN = {("dilation", (1, 1)), ("groups", 1), ("multiplier", 1)}


def _ways(ways: Sequence[Way]) -> str:
    if len(ways) == 1 and ways[0].plain:
        return ""
    parts = [f"{w.start}:{w.stop}{' ' if w.stages else ''}{_chain(w.stages)}" for w in ways]
    return f" => {', '.join(parts)}"
