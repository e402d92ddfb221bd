"""`upsample`"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, Literal

from archdsl.ops._window import brief
from archdsl.ops.base import Lowering, Module, Op, Pair, Shape, Window, image


class Upsample(Op):
    """Enlarge an image by a whole factor, without weights (torch.nn.Upsample).

    (C, H, W) -> (C, H * scale, W * scale). `nearest` repeats each value; `bilinear` interpolates between the
    centres of the cells (align_corners=False, as Keras's UpSampling2D).
    """

    syntax: ClassVar = "upsample"
    positional: ClassVar = ("scale", "mode")
    examples: ClassVar = (
        "upsample: 256x20x20 -> 256x40x40",
        "upsample(4, bilinear): 21x56x56 -> 21x224x224",
        "upsample((1, 2)): 8xHxW -> 8xHx(2*W)",
        "upsample(2): 10 -> error",
    )

    scale: Pair = (2, 2)
    mode: Literal["nearest", "bilinear"] = "nearest"

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "upsample")
        return channels, height * self.scale[0], width * self.scale[1]

    def window(self, x: Shape) -> Window:
        reach = 2 if self.mode == "bilinear" else 1
        high, wide = (reach if factor > 1 else 1 for factor in self.scale)
        return Window((high, wide), (Fraction(1, self.scale[0]), Fraction(1, self.scale[1])))

    def lower(self, x: Shape) -> Lowering:
        kwargs = {} if self.mode == "nearest" else {"mode": self.mode}
        return Module("torch.nn.Upsample", (), {"scale_factor": brief(self.scale)} | kwargs)
