"""`relu6`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class ReLU6(Pointwise):
    """min(max(x, 0), 6), element by element (Krizhevsky, 2010; MobileNet)."""

    syntax: ClassVar = "relu6"
    fills: ClassVar = "act"
    examples: ClassVar = ("relu6: 64x32x32 -> 64x32x32", "relu6: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.ReLU6")
