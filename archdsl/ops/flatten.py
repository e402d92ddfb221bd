"""`flatten`"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from archdsl.ops.base import POINTWISE, Lowering, Module, Op, Shape, Window


class Flatten(Op):
    """An image as a vector, channel after channel and row after row (torch.nn.Flatten).

    (C, H, W) -> (C*H*W,), a vector as it is. `fc` does this by itself.
    """

    syntax: ClassVar = "flatten"
    examples: ClassVar = (
        "flatten: 512x7x7 -> 25088",
        "flatten: 8xHxW -> (8*H*W)",
        "flatten: 10 -> 10",
    )

    def infer(self, x: Shape) -> Shape:
        return (prod(x),)

    def window(self, x: Shape) -> Window:
        return Window((x[1], x[2])) if len(x) == 3 else POINTWISE

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Flatten")
