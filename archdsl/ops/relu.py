"""`relu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class ReLU(Pointwise):
    """max(x, 0), element by element (Nair & Hinton, 2010)."""

    syntax: ClassVar = "relu"
    fills: ClassVar = "act"
    examples: ClassVar = ("relu: 64x32x32 -> 64x32x32", "relu: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.ReLU")
