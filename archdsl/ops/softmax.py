"""`softmax`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class Softmax(Pointwise):
    """exp(x) / sum of exp(x) over the channels, at each place of an image by itself (torch.nn.Softmax)."""

    syntax: ClassVar = "softmax"
    fills: ClassVar = "act"
    examples: ClassVar = ("softmax: 1000 -> 1000", "softmax: 21x64x64 -> 21x64x64")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.Softmax", (), {"dim": 1})
