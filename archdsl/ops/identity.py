"""`identity`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Function, Lowering, Shape


class Identity(Pointwise):
    """Nothing: what comes in goes out. For a branch that is a shortcut: `concat [ identity | conv3-32 ]`."""

    syntax: ClassVar = "identity"
    examples: ClassVar = ("identity: 64x32x32 -> 64x32x32", "identity: 10 -> 10")

    def lower(self, x: Shape) -> Lowering:
        return Function("{0}")
