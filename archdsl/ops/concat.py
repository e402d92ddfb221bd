"""`concat`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import difference, refuse
from archdsl.ops.base import Function, Lowering, Op, Shape
from archdsl.symbolic import Dim


class Concat(Op):
    """One branch's channels after another's, in the order written (DenseNet, 2016; torch.cat).

    (C1, H, W), (C2, H, W), ... -> (C1 + C2 + ..., H, W); of vectors, (F1 + F2 + ...,).
    """

    syntax: ClassVar = "concat"
    arity: ClassVar = None
    examples: ClassVar = (
        "concat: 64x32x32, 32x32x32 -> 96x32x32",
        "concat: 8xHxW, 8xHxW, 4xHxW -> 20xHxW",
        "concat: 10, 5 -> 15",
        "concat: 64x32x32, 64x16x16 -> error",
        "concat: 64x1x1, 64 -> error",
    )

    def infer(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        channels: Dim = 0
        for branch, shape in enumerate(inputs):
            if len(shape) != len(first):
                hint = "end the branch that is an image with `flatten`"
                raise refuse("concatenated", inputs, branch, difference(first, shape), hint)
            if shape[1:] != first[1:]:
                why = difference((0, *first[1:]), (0, *shape[1:]))
                raise refuse(
                    "concatenated", inputs, branch, why, "give both branches the same stride and padding"
                )
            channels = channels + shape[0]
        return channels, *first[1:]

    def lower(self, *inputs: Shape) -> Lowering:
        return Function("torch.cat([{*}], dim=1)")
