"""What runs each layer, why, and how long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch

from archdsl.engine.calls import Program, Value
from archdsl.engine.capture import function
from archdsl.plan import DTYPES, Plan

WARM = 2
"""Runs that are not timed: TorchScript looks at the first, and settles in the second."""


@dataclass(frozen=True)
class Row:
    """One step. layers: whose work it does; pattern: what that is; runs: what does it, in order; why: a reason for each.

    seconds: the median of several runs, called one by one, so with Python's few microseconds for each step.
    bytes: read, written and of weights, as the plan counts them, which does not see that oneDNN copies.
    """

    layers: tuple[str, ...]
    pattern: str
    runs: tuple[str, ...]
    why: tuple[str, ...]
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Report:
    """All steps of one run. whole: seconds of the function, beside the sum of the steps'."""

    title: str
    rows: tuple[Row, ...]
    whole: float

    def __str__(self) -> str:
        head = ("us", "MB", "layers", "what", "runs as")
        body = [
            (
                f"{row.seconds * 1e6:,.0f}",
                f"{row.bytes / 1e6:,.2f}",
                _shortened(row.layers),
                row.pattern,
                "; ".join(dict.fromkeys(row.runs)),
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(5)]
        lines = [self.title, ""]
        for line in (head, *body):
            cells = [
                c.rjust(w) if i < 2 else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        total = sum(row.seconds for row in self.rows)
        lines += ["", f"{total * 1e3:,.2f} ms step by step, {self.whole * 1e3:,.2f} ms as one function"]
        reasons = {what: why for row in self.rows for what, why in zip(row.runs, row.why, strict=True)}
        width = max(map(len, reasons), default=0)
        lines += ["", *(f"{what.ljust(width)}  {why}" for what, why in sorted(reasons.items()))]
        return "\n".join(lines)


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, ... {names[-1]} ({len(names)})"


def timed(program: Program, x: torch.Tensor, runs: int) -> list[float]:
    """Median seconds of each step, as a function of its own. Tensors go after their last step, as in the whole: new pages
    would cost more than most layers do."""
    found: list[list[float]] = [[] for _ in program.steps]
    lasts: dict[Value, int] = {}
    made: dict[Value, int] = {program.image: -1}
    for number, step in enumerate(program.steps):
        made |= {call.out: number for call in step.calls}
        lasts |= {value: number for call in step.calls for value in call.values}
    lasts |= dict.fromkeys(program.outputs.values(), len(program.steps))
    functions = []
    for number, step in enumerate(program.steps):
        read = list(dict.fromkeys(value for call in step.calls for value in call.values if made[value] < number))
        kept = [call.out for call in step.calls if lasts.get(call.out, -1) > number]
        over = [value for value in read if lasts[value] == number]
        functions.append((read, function(read, step.calls, kept or [step.calls[-1].out], "step"), kept, over))
    with torch.no_grad():
        for run in range(runs + WARM):
            values: dict[Value, torch.Tensor] = {program.image: x}
            for (read, call, kept, over), seconds in zip(functions, found, strict=True):
                given = [values[value] for value in read]
                for value in over:
                    del values[value]
                start = time.perf_counter()
                outputs = call(*given)
                del given
                if run >= WARM:
                    seconds.append(time.perf_counter() - start)
                values |= zip(kept, outputs, strict=False)
                del outputs
    return [median(seconds) for seconds in found]


def rows(program: Program, plan: Plan, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
    """Every step of a program, run on an image."""
    size, batch = DTYPES[plan.dtype], x.shape[0]
    bytes_of = {
        launch.node: size * (batch * (launch.read + launch.written) + launch.weights) + 4 * launch.constants
        for launch in plan.launches
    }
    return tuple(
        Row(step.names, step.pattern, tuple(step.runs), tuple(step.why), seconds, bytes_of.get(step.node, 0))
        for step, seconds in zip(program.steps, timed(program, x, runs), strict=True)
    )
