"""`pixelunshuffle`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Lowering, Module, Op, Positive, Shape, ShapeError, Window, image, written
from archdsl.symbolic import known


class PixelUnshuffle(Op):
    """Shrink an image by a whole factor and keep all of it, in channels (torch.nn.PixelUnshuffle).

    (C, H, W) -> (C * factor^2, H / factor, W / factor), what `pixelshuffle` does read backwards: the pixels of a square
    become channels in a row, row by row. Known as space-to-depth (TResNet's stem, `pixelunshuffle(4)`) and as Focus
    (YOLOv5, YOLOX); those have the same channels in another order.
    """

    syntax: ClassVar = "pixelunshuffle"
    positional: ClassVar = ("factor",)
    examples: ClassVar = (
        "pixelunshuffle: 3x640x640 -> 12x320x320",
        "pixelunshuffle(4): 3x224x224 -> 48x56x56",
        "pixelunshuffle(2): 3x(2*H)x(4*W) -> 12xHx(2*W)",
        "pixelunshuffle(2): 3x33x32 -> error",
        "pixelunshuffle(2): 12 -> error",
    )

    factor: Positive = 2

    def infer(self, x: Shape) -> Shape:
        channels, *sides = image(x, "pixelunshuffle")
        over = [side % self.factor for side in sides]
        if any(known(rest) and rest for rest in over):
            bottom, right = (self.factor - rest if known(rest) and rest else 0 for rest in over)
            pad = f"pad((0, {bottom}, 0, {right}))"
            raise ShapeError(
                f"{written(tuple(sides))} does not fall into squares of {self.factor}x{self.factor}",
                "factor",
                notes=tuple(
                    f"{name}: {side} = {side // self.factor}*{self.factor} + {rest}"
                    for name, side, rest in zip(("height", "width"), sides, over, strict=True)
                    if known(rest) and rest
                ),
                hint=f"`{pad}` before it makes that {written((sides[0] + bottom, sides[1] + right))}",
                before=pad,
            )
        return channels * self.factor**2, sides[0] // self.factor, sides[1] // self.factor

    def window(self, x: Shape) -> Window:
        return Window((self.factor, self.factor), (self.factor, self.factor))

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.PixelUnshuffle", (self.factor,))
