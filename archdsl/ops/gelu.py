"""`gelu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class GELU(Pointwise):
    """x * Phi(x), Phi the normal distribution's function, element by element (Hendrycks & Gimpel, 2016)."""

    syntax: ClassVar = "gelu"
    fills: ClassVar = "act"
    examples: ClassVar = ("gelu: 64x32x32 -> 64x32x32", "gelu: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.GELU")
