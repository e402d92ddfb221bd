"""`mul`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import difference, refuse
from archdsl.ops.base import Function, Lowering, Op, Shape
from archdsl.symbolic import Dim


class Mul(Op):
    """The product of the branches (squeeze-and-excitation, Hu et al., 2018; spatial attention, CBAM, 2018).

    Shapes agree, or one is stretched: (C, H, W), (C, 1, 1) -> (C, H, W), and (1, H, W) likewise.
    """

    syntax: ClassVar = "mul"
    arity: ClassVar = None
    examples: ClassVar = (
        "mul: 64x32x32, 64x1x1 -> 64x32x32",
        "mul: 1x32x32, 64x32x32 -> 64x32x32",
        "mul: 64xHxW, 64x1x1 -> 64xHxW",
        "mul: 10, 10 -> 10",
        "mul: 64x32x32, 16x1x1 -> error",
        "mul: 64x32x32, 64 -> error",
    )

    def infer(self, *inputs: Shape) -> Shape:
        product = inputs[0]
        for branch, shape in enumerate(inputs):
            if len(shape) != len(product):
                size = next(one[0] for one in (product, shape) if len(one) == 1)
                hint = f"`conv1-{size}` after gap keeps an image of 1x1, where `fc-{size}` makes a vector"
                raise refuse("multiplied", inputs, branch, difference(product, shape), hint)
            for to, other in enumerate(inputs[:branch]):
                if not all(_go_together(*sizes) for sizes in zip(other, shape, strict=True)):
                    hint = "each size must agree with the other's, or be 1"
                    agreeing = tuple(a if 1 in (a, b) else b for a, b in zip(other, shape, strict=True))
                    raise refuse("multiplied", inputs, branch, difference(other, agreeing), hint, to)
            product = tuple(two if one == 1 else one for one, two in zip(product, shape, strict=True))
        return product

    def lower(self, *inputs: Shape) -> Lowering:
        return Function(" * ".join(f"{{{i}}}" for i in range(len(inputs))), "infix")


def _go_together(one: Dim, two: Dim) -> bool:
    return one == two or 1 in (one, two)
