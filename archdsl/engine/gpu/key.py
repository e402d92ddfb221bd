"""The work of a problem as text: equal for equal work, whoever's layers it is."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.ops.base import Op
from archdsl.passes._kernel import AFFINE, CONVOLUTIONS, Stage, Way


def chain_text(stages: Sequence[Stage]) -> str:
    """`conv(channels=8 ...) + relu`."""
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
        text += f"<{chain_text(stage.side)}>"
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


def ways_text(ways: Sequence[Way]) -> str:
    """What each output takes of the trunk, and how it goes on; "" where one takes all of it as it is."""
    if len(ways) == 1 and ways[0].plain:
        return ""
    parts = [f"{w.start}:{w.stop}{' ' if w.stages else ''}{chain_text(w.stages)}" for w in ways]
    return f" => {', '.join(parts)}"
