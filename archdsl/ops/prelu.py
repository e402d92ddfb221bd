"""`prelu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape, Weight
from archdsl.symbolic import Dim


class PReLU(Pointwise):
    """max(x, 0) + slope * min(x, 0), the slope learned (He et al., 2015; torch.nn.PReLU).

    There is a slope for each channel, or with `shared=true` one for all.
    """

    syntax: ClassVar = "prelu"
    fills: ClassVar = "act"
    examples: ClassVar = (
        "prelu: 64x32x32 -> 64x32x32",
        "prelu(shared=true): 10 -> 10",
    )

    shared: bool = False

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", (self._slopes(x),)),)

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.PReLU", () if self.shared else (self._slopes(x),))

    def _slopes(self, x: Shape) -> Dim:
        return 1 if self.shared else x[0]
