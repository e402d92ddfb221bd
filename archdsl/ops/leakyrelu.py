"""`leakyrelu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Ratio, Shape


class LeakyReLU(Pointwise):
    """max(x, 0) + slope * min(x, 0), element by element (Maas et al., 2013; Darknet, whose slope is 0.1;
    torch.nn.LeakyReLU)."""

    syntax: ClassVar = "leakyrelu"
    positional: ClassVar = ("slope",)
    fills: ClassVar = "act"
    examples: ClassVar = ("leakyrelu(0.1): 64x32x32 -> 64x32x32", "leakyrelu: 10 -> 10")

    slope: Ratio = 0.01

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.LeakyReLU", (self.slope,))
