"""`hswish`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class HSwish(Pointwise):
    """x * min(max(x + 3, 0), 6) / 6, element by element (MobileNetV3, 2019)."""

    syntax: ClassVar = "hswish"
    fills: ClassVar = "act"
    examples: ClassVar = ("hswish: 64x32x32 -> 64x32x32", "hswish: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Hardswish")
