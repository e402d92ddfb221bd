"""`scale`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Function, Lowering, Module, Reals, Shape, ShapeError

HELPER = '''\
class Scale(nn.Module):
    """x * factor, channel by channel, with factors that are not trained. (N, C, ...) -> the same."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * x.new_tensor(self.factor).view(-1, *[1] * (x.dim() - 2))

    def extra_repr(self):
        return f"factor={self.factor}"
'''


class Scale(Pointwise):
    """x * factor, element by element: the small steps of Inception-ResNet-v2's residuals (2016), and Keras's
    Rescaling, which takes one factor for all channels or one for each.

    (C, H, W) or (F,) -> the same.
    """

    syntax: ClassVar = "scale"
    positional: ClassVar = ("factor",)
    examples: ClassVar = (
        "scale(0.17): 320x35x35 -> 320x35x35",
        "scale(2): 10 -> 10",
        "scale((2.09, 2.11, 2.11)): 3x224x224 -> 3x224x224",
        "scale((0.5, 0.5)): 3x8x8 -> error",
    )

    factor: Reals

    def infer(self, x: Shape) -> Shape:
        if len(self.factor) not in (1, x[0]):
            raise ShapeError(
                f"{len(self.factor)} factors for {x[0]} channels",
                "factor",
                code="A204",
                hint="state one for each channel, or one for all",
            )
        return x

    def lower(self, x: Shape) -> Lowering:
        if len(self.factor) > 1:
            return Module("Scale", (self.factor,), {}, HELPER)
        return Function(f"{{0}} * {self.factor[0]!r}", "infix")
