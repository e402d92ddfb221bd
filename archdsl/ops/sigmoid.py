"""`sigmoid`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class Sigmoid(Pointwise):
    """1 / (1 + exp(-x)), element by element."""

    syntax: ClassVar = "sigmoid"
    fills: ClassVar = "act"
    examples: ClassVar = ("sigmoid: 64x32x32 -> 64x32x32", "sigmoid: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Sigmoid")
