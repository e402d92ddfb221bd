"""`fc`"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from archdsl.ops._convolution import Carried
from archdsl.ops.base import (
    POINTWISE,
    Lowering,
    Module,
    Op,
    Positive,
    Shape,
    ShapeError,
    Weight,
    Window,
    written,
)
from archdsl.symbolic import Dim, known

HELPER = '''\
class Linear(nn.Linear):
    """Linear that flattens what comes in. (N, C, H, W) or (N, F_in) -> (N, F_out)."""

    def forward(self, x):
        return nn.functional.linear(x.flatten(1), self.weight, self.bias)
'''


class FullyConnected(Op):
    """Every output is a weighted sum of all inputs, plus a bias (torch.nn.Linear).

    (C, H, W) or (F,) -> (channels,). It flattens by itself, as the papers' tables do, so its input's size
    must be known. `act=relu` stands for a layer after it.
    """

    syntax: ClassVar = "fc"
    layers: ClassVar = ("act",)
    examples: ClassVar = (
        "fc-4096: 512x7x7 -> 4096",
        "fc-1000: 2048x1x1 -> 1000",
        "fc-10(bias=false, act=softmax): 84 -> 10",
        "fc-10: 512xHxW -> error",
    )

    channels: Positive
    bias: bool = True
    act: Carried = None

    def expand(self) -> tuple[Op, ...]:
        if self.act is None:
            return (self,)
        return FullyConnected(channels=self.channels, bias=self.bias), *self.act.expand()

    def infer(self, x: Shape) -> Shape:
        if not all(known(size) for size in x):
            raise ShapeError(
                f"fc needs an input of a known size, not {written(x)}",
                code="A206",
                hint="`gap` before it averages each channel, so that an image of any size will do",
                before="gap",
            )
        return (self.channels,)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.channels, prod(x)))
        return (weight, Weight("bias", (self.channels,))) if self.bias else (weight,)

    def macs(self, output: Shape, x: Shape) -> Dim:
        return self.channels * prod(x)

    def window(self, x: Shape) -> Window:
        return Window((x[1], x[2])) if len(x) == 3 else POINTWISE

    def lower(self, x: Shape) -> Lowering:
        kwargs = {} if self.bias else {"bias": False}
        return Module("Linear", (prod(x), self.channels), kwargs, HELPER)
