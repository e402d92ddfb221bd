"""`maximum`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import agreed
from archdsl.ops.base import Function, Lowering, Op, Shape


class Maximum(Op):
    """The largest of the branches, element by element, all of one shape (Maxout, 2013; torch.maximum)."""

    syntax: ClassVar = "maximum"
    arity: ClassVar = None
    examples: ClassVar = (
        "maximum: 64x32x32, 64x32x32 -> 64x32x32",
        "maximum: 10, 10, 10 -> 10",
        "maximum: 64x32x32, 32x32x32 -> error",
    )

    def infer(self, *inputs: Shape) -> Shape:
        return agreed("compared", inputs)

    def lower(self, *inputs: Shape) -> Lowering:
        text = "{0}"
        for i in range(1, len(inputs)):
            text = f"torch.maximum({text}, {{{i}}})"
        return Function(text)
