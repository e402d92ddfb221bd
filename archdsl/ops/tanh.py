"""`tanh`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class Tanh(Pointwise):
    """The hyperbolic tangent, element by element (LeNet's activation)."""

    syntax: ClassVar = "tanh"
    fills: ClassVar = "act"
    examples: ClassVar = ("tanh: 64x32x32 -> 64x32x32", "tanh: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Tanh")
