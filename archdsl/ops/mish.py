"""`mish`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class Mish(Pointwise):
    """x * tanh(log(1 + exp(x))), element by element (Misra, 2019; YOLOv4; torch.nn.Mish)."""

    syntax: ClassVar = "mish"
    fills: ClassVar = "act"
    examples: ClassVar = ("mish: 64x32x32 -> 64x32x32", "mish: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Mish")
