"""`silu`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Shape


class SiLU(Pointwise):
    """x * sigmoid(x), element by element (Elfwing et al., 2017), which EfficientNet calls swish."""

    syntax: ClassVar = "silu"
    fills: ClassVar = "act"
    examples: ClassVar = ("silu: 64x32x32 -> 64x32x32", "silu: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.SiLU")
