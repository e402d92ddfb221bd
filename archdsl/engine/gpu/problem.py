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

from archdsl.engine.gpu.key import chain_text, ways_text
from archdsl.engine.gpu.spot import Spot, dense, image_row
from archdsl.ops import LAYERS
from archdsl.passes._kernel import POINTWISE, Kernel, Stage, Step
from archdsl.plan import DTYPES, IMAGE, Launch, View


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
        return f"{chain_text(self.trunk)}{ways_text(self.kernel.ways)} | {ins} -> {outs} | {self.batch} {self.dtype}"

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
