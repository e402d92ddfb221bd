"""`gap`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Lowering, Module, Op, Shape, Window, image


class GlobalAveragePool(Op):
    """The mean of each channel (Lin et al., "Network in network", 2013; torch.nn.AdaptiveAvgPool2d(1)).

    (C, H, W) -> (C, 1, 1), for any H and W: an image still, so that a 1x1 conv or an fc can follow.
    """

    syntax: ClassVar = "gap"
    examples: ClassVar = (
        "gap: 2048x7x7 -> 2048x1x1",
        "gap: 512xHxW -> 512x1x1",
        "gap: 10 -> error",
    )

    def infer(self, x: Shape) -> Shape:
        channels, _, _ = image(x, "gap")
        return channels, 1, 1

    def window(self, x: Shape) -> Window:
        return Window((x[1], x[2]))

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.AdaptiveAvgPool2d", (1,))
