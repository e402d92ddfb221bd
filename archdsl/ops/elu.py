"""`elu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, PositiveReal, Shape


class ELU(Pointwise):
    """x above 0 and alpha * (exp(x) - 1) below, element by element (Clevert et al., 2015; torch.nn.ELU)."""

    syntax: ClassVar = "elu"
    positional: ClassVar = ("alpha",)
    fills: ClassVar = "act"
    examples: ClassVar = ("elu: 64x32x32 -> 64x32x32", "elu(0.5): 10 -> 10")

    alpha: PositiveReal = 1.0

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.ELU", (), stated_only(alpha=(self.alpha, 1.0)))
