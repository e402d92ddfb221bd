"""What pools over a grid of windows share: as many windows as stated, whatever the image's size."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from archdsl.ops._window import brief
from archdsl.ops.base import Lowering, Module, Op, Pair, Shape, ShapeError, Window, image
from archdsl.symbolic import known


class AdaptivePool(Op):
    """(C, H, W) -> (C, height, width)."""

    positional: ClassVar = ("size",)
    module: ClassVar[str]

    size: Pair

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, self.syntax)
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
        return Module(self.module, (brief(self.size),))
