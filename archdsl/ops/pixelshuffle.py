"""`pixelshuffle`"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from archdsl.ops.base import Lowering, Module, Op, Positive, Shape, ShapeError, Window, image
from archdsl.symbolic import known


class PixelShuffle(Op):
    """Enlarge an image by a whole factor with what its channels hold (Shi et al., 2016; torch.nn.PixelShuffle).

    (C, H, W) -> (C / factor^2, H * factor, W * factor): of every factor^2 channels in a row, each gives one pixel of a
    square, row by row. TensorFlow's depth_to_space takes channels that lie C / factor^2 apart.
    """

    syntax: ClassVar = "pixelshuffle"
    positional: ClassVar = ("factor",)
    examples: ClassVar = (
        "pixelshuffle: 256x20x20 -> 64x40x40",
        "pixelshuffle(3): 27x64x64 -> 3x192x192",
        "pixelshuffle(2): 12xHxW -> 3x(2*H)x(2*W)",
        "pixelshuffle(2): 3x8x8 -> error",
        "pixelshuffle(2): 12 -> error",
    )

    factor: Positive = 2

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "pixelshuffle")
        square = self.factor**2
        if known(channels) and channels % square:
            raise ShapeError(
                f"pixelshuffle makes one channel of {square}, and {channels} come in",
                "factor",
                code="A205",
                notes=(f"{channels} = {channels // square}*{square} + {channels % square}",),
                hint=f"{channels * square} channels would give {channels}",
                incoming=channels * square,
            )
        return channels // square, height * self.factor, width * self.factor

    def window(self, x: Shape) -> Window:
        return Window((1, 1), (Fraction(1, self.factor), Fraction(1, self.factor)))

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.PixelShuffle", (self.factor,))
