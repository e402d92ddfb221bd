"""`scale`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Function, Lowering, Real, Shape


class Scale(Pointwise):
    """x * factor, element by element: the small steps of Inception-ResNet-v2's residuals (2016)."""

    syntax: ClassVar = "scale"
    positional: ClassVar = ("factor",)
    examples: ClassVar = ("scale(0.17): 320x35x35 -> 320x35x35", "scale(2): 10 -> 10")

    factor: Real

    def lower(self, x: Shape) -> Lowering:
        return Function(f"{{0}} * {self.factor!r}", "infix")
