"""`gate`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import agreed
from archdsl.ops.base import Function, Lowering, Op, Shape


class Gate(Op):
    """A highway: H * sigmoid(T) + x * (1 - sigmoid(T)), all of one shape (Srivastava et al., 2015).

    Written `gate [ H | T ]`: what the two branches make of x, and then x itself. T's bias decides how much
    passes at first; the paper starts it negative.
    """

    syntax: ClassVar = "gate"
    arity: ClassVar = 3
    examples: ClassVar = (
        "gate: 64x16x16, 64x16x16, 64x16x16 -> 64x16x16",
        "gate: 50, 50, 50 -> 50",
        "gate: 64x16x16, 64x16x16, 32x16x16 -> error",
    )

    def infer(self, h: Shape, t: Shape, x: Shape) -> Shape:
        return agreed("gated", (h, t, x))

    def lower(self, h: Shape, t: Shape, x: Shape) -> Lowering:
        return Function("torch.lerp({2}, {0}, torch.sigmoid({1}))")
