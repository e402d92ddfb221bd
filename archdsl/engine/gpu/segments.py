"""A chain of stages in the form that kernels know: layers, and what follows each element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.passes._kernel import ACTIVATIONS, POINTWISE, Stage


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
