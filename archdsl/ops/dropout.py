"""`dropout`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Ratio, Shape


class Dropout(Pointwise):
    """While training, zero each value with probability `ratio` and divide the rest by 1 - ratio.

    In evaluation nothing happens (Hinton et al., 2012; torch.nn.Dropout).
    """

    syntax: ClassVar = "dropout"
    positional: ClassVar = ("ratio",)
    examples: ClassVar = ("dropout(0.5): 4096 -> 4096", "dropout: 256x6x6 -> 256x6x6")

    ratio: Ratio = 0.5

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Dropout", (self.ratio,))
