"""`hsigmoid`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class HSigmoid(Pointwise):
    """min(max(x + 3, 0), 6) / 6, element by element (MobileNetV3, 2019).

    Keras's own hard_sigmoid was once 0.2 * x + 0.5, cut to [0, 1]; this is torch's and today's Keras's.
    """

    syntax: ClassVar = "hsigmoid"
    fills: ClassVar = "act"
    examples: ClassVar = ("hsigmoid: 64x32x32 -> 64x32x32", "hsigmoid: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Hardsigmoid")
