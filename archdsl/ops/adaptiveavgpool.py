"""`adaptiveavgpool`"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from archdsl.ops._window import brief
from archdsl.ops.base import Lowering, Module, Op, Pair, Shape, ShapeError, Window, image
from archdsl.symbolic import known


class AdaptiveAveragePool(Op):
    """The means of a grid of `size` windows, whatever the image's size (torch.nn.AdaptiveAvgPool2d).

    (C, H, W) -> (C, height, width). Window i of n covers the rows from floor(i * H / n) to ceil((i + 1) * H / n), so
    windows may differ in size and share a row, and an image smaller than the grid is repeated. `gap` is the grid of
    one window.
    """

    syntax: ClassVar = "adaptiveavgpool"
    positional: ClassVar = ("size",)
    examples: ClassVar = (
        "adaptiveavgpool(4): 512x14x14 -> 512x4x4",
        "adaptiveavgpool((6, 3)): 256x13x6 -> 256x6x3",
        "adaptiveavgpool(7): 512x7x7 -> 512x7x7",
        "adaptiveavgpool(2): 8xHxW -> error",
        "adaptiveavgpool(2): 10 -> error",
    )

    size: Pair

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "adaptiveavgpool")
        if not (known(height) and known(width)):
            raise ShapeError(
                f"how far the windows reach depends on {height} and {width}, which are not known",
                code="A206",
                hint="gap takes any size",
            )
        return channels, *self.size

    def window(self, x: Shape) -> Window:
        sides = [(side, count) for side, count in zip(x[1:], self.size, strict=True)]
        extents = [max(-(-(i + 1) * h // n) - i * h // n for i in range(n)) for h, n in sides]  # type: ignore
        strides = [Fraction(h, n) for h, n in sides]  # type: ignore[arg-type]
        return Window((extents[0], extents[1]), (strides[0], strides[1]))

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.AdaptiveAvgPool2d", (brief(self.size),))
