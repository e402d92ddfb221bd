"""What the Triton kernels can do: for each a match, which says whether a problem has its form and how it is
called.

A kernel without a configuration takes one by its own rule; that is the first candidate, and every
configuration of its table is one more. Whether one can run given tensors the launcher says, by a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from torch import Tensor

from archdsl.engine.gpu import cost
from archdsl.engine.gpu.candidate import Candidate, Given, Run
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import Epilogue, Segment, epilogue, segments
from archdsl.engine.gpu.spot import Spot
from archdsl.kernels._launch import RUNS_ON, Shipped
from archdsl.passes._kernel import Stage, Step


@dataclass(frozen=True)
class Call:
    """How a kernel is called for a problem.

    launcher  of the kernel; arguments: given tensors, (args, kwargs) for it, without `config` and `form`.
    tables    of configurations, by form; "" where the kernel has one form.
    rows, columns, depth  of the product: pixels, output channels, what is summed over; for `cost`.
    extra     products done for each that is wanted, beyond what tiles waste; vector: not on tensor cores.
    forms     whether the launcher is told the form, also where the table has one.
    """

    name: str
    launcher: Callable[..., Any]
    arguments: Callable[[Given], tuple[Sequence[Any], dict[str, Any]]]
    tables: dict[str, Sequence[Shipped]]
    rows: int
    columns: int
    depth: int
    extra: float = 1.0
    vector: bool = False
    forms: bool = False


Match = Callable[[Problem], Call | None]


def candidates(problem: Problem, matches: Sequence[Match]) -> tuple[Candidate, ...]:
    """Of all kernels whose form the problem has, best first by `cost`; before a kernel's configurations its
    own rule."""
    found: list[Candidate] = []
    for match in matches:
        call = match(problem)
        if call is not None:
            found += _of_call(problem, call)
    return tuple(sorted(found, key=lambda c: c.seconds))


def _of_call(problem: Problem, call: Call) -> list[Candidate]:
    made = []
    if (
        problem.dtype != "f32" or call.vector
    ):  # tables are for numbers of 2 bytes: of 4, tiles don't fit in shared memory
        made = [
            _candidate(problem, call, form, each) for form, table in call.tables.items() for each in table
        ]
    seconds = min(
        (c.seconds for c in made), default=cost.fused(problem, "triton", waste=call.extra, vector=call.vector)
    )
    rule = Candidate("triton", call.name, "", seconds, 1, lambda given: _run(call, given, {}))
    return [rule, *made]


def _candidate(problem: Problem, call: Call, form: str, shipped: Shipped) -> Candidate:
    config = shipped.config
    tiles = ceil(call.rows / config.bm) * ceil(call.columns / config.bn)
    waste = tiles * config.bm * config.bn / (call.rows * call.columns)
    if call.depth:
        waste *= ceil(call.depth / config.bk) * config.bk / call.depth * call.extra
    seconds = cost.fused(problem, "triton", tiles, shipped.claim.ctas, waste, call.vector)
    named = len(call.tables) > 1 or call.forms
    asked: dict[str, Any] = {"config": config} | ({"form": form} if named else {})
    name = f"{form}/{config}" if named else str(config)
    return Candidate("triton", call.name, name, seconds, 1, lambda given: _run(call, given, asked))


def _run(call: Call, given: Given, asked: dict[str, Any]) -> Run:
    arguments, named = call.arguments(given)
    launcher = call.launcher

    def run() -> None:
        launcher(*arguments, **named, **asked)

    return run


# ---- what matches share ----


def one_segment(problem: Problem) -> Segment | None:
    """The problem's only segment, of one output; None where there are more."""
    parts = segments(problem.trunk)
    return parts[0] if len(parts) == 1 and problem.kernel.simple else None


def chained(problem: Problem, *kinds: str) -> tuple[Segment, ...] | None:
    """The problem's segments, if they are of these kinds and make one output."""
    parts = segments(problem.trunk)
    if not problem.kernel.simple or tuple(part.kind for part in parts) != kinds:
        return None
    return parts


def simple_epilogue(problem: Problem, post: Sequence[Stage]) -> Epilogue | None:
    """An activation, or a sum with a tensor of the output's shape and an activation."""
    found = epilogue(post)
    if found is None or found.first != "none":
        return None
    if found.add is None:
        return found
    if found.add.side or problem.inputs[found.add.operands[0]].shape != problem.step(found.add).output:
        return None
    return found


def activation(post: Sequence[Stage]) -> str | None:
    """What follows, if it is an activation or nothing."""
    found = epilogue(post)
    return None if found is None or found.add is not None else found.last


def added(given: Given, after: Epilogue) -> Tensor | None:
    """What an epilogue adds, if it does."""
    return None if after.add is None else given.inputs[after.add.operands[0]]


def product(problem: Problem, step: Step) -> tuple[int, int]:
    """Rows and columns of a convolution's product."""
    channels, *sides = sizes(step.output)
    return problem.batch * prod(sides), channels


def padding_of(step: Step) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right), also of TensorFlow's `same`; None of an open size."""
    op: Any = step.stage.op
    if op.padding != "same":
        return tuple(op.padding)  # type: ignore[return-value]
    found: list[int] = []
    shape = step.inputs[step.stage.at]
    for side, kernel, stride, dilation in zip(shape[1:], op.kernel, op.stride, op.dilation, strict=True):
        extent = (kernel - 1) * dilation + 1
        more = max((-(-int(side) // stride) - 1) * stride + extent - int(side), 0)  # type: ignore[arg-type]
        found += [more // 2, more - more // 2]
    return found[0], found[1], found[2], found[3]


def copies(spot: Spot, size: int) -> bool:
    """Whether the copy engine can move it: every pixel begins on 16 bytes."""
    return not spot.row * size % 16 and not spot.channel * size % 16


def sizes(shape: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(side) for side in shape)


def pointwise(
    middle: Tensor, bias: Tensor | None, residual: Tensor | None, after: Epilogue, out: Tensor
) -> Run | None:
    """act(act(middle + bias) + residual) into `out` by one kernel; None where the device runs none."""
    from archdsl.kernels.pointwise import pointwise as launcher

    if middle.device.type != RUNS_ON:
        return None
    first, last = (after.first, after.last) if after.add is not None else (after.last, "none")
    named = {"pre_act": first, "act": last, "out": out}
    return lambda: launcher(middle, None, bias, residual, **named)  # type: ignore[func-returns-value]
