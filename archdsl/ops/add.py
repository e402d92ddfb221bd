"""`add`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import agreed
from archdsl.ops.base import Function, Lowering, Op, Shape


class Add(Op):
    """The sum of the branches, all of one shape (ResNet, 2015).

    `residual` makes the shapes agree by itself; this takes them as they are.
    """

    syntax: ClassVar = "add"
    arity: ClassVar = None
    examples: ClassVar = (
        "add: 64x32x32, 64x32x32 -> 64x32x32",
        "add: 10, 10, 10 -> 10",
        "add: 64x32x32, 32x32x32 -> error",
    )

    def infer(self, *inputs: Shape) -> Shape:
        return agreed("added", inputs)

    def lower(self, *inputs: Shape) -> Lowering:
        return Function(" + ".join(f"{{{i}}}" for i in range(len(inputs))), "infix")
