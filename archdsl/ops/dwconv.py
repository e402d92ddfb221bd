"""`dwconv`"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from archdsl.ops._convolution import Carried, Order, bare, bias_of, carry
from archdsl.ops._window import PaddingOrHalf, Sliding
from archdsl.ops.base import Lowering, Op, Pair, Positive, Shape, Weight, Window
from archdsl.ops.conv import convolution
from archdsl.symbolic import Dim


class DwConv(Op):
    """Depthwise convolution: each channel has filters of its own, `multiplier` of them (MobileNet, 2017).

    (C, H, W) -> (multiplier * C, H', W'), with the sizes and paddings of `conv`; a Conv2d of C groups. Output
    channel i reads input channel i // multiplier, as in torch and in Keras. It takes `conv`'s default where
    it has none of its own.
    """

    syntax: ClassVar = "dwconv"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    layers: ClassVar = ("norm", "act")
    follows: ClassVar = "conv"
    examples: ClassVar = (
        "dwconv3: 32x112x112 -> 32x112x112",
        "dwconv3/2: 64x112x112 -> 64x56x56",
        "dwconv5/2(p=same): 144x56x56 -> 144x28x28",
        "dwconv3(multiplier=4): 3x8x8 -> 12x8x8",
        "dwconv3: CxHxW -> CxHxW",
        "dwconv5(p=0): 8x4x4 -> error",
    )

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: PaddingOrHalf = Field(default=None, validate_default=True)
    multiplier: Positive = 1
    bias: bool | None = None
    norm: Carried = None
    act: Carried = None
    order: Order = "post"

    def expand(self) -> tuple[Op, ...]:
        return carry((bare(self),), self.norm, self.act, self.order)

    def infer(self, x: Shape) -> Shape:
        channels, height, width = self._sliding.over(x, "dwconv")
        return channels * self.multiplier, height, width

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        channels = x[0] * self.multiplier
        weight = Weight("weight", (channels, 1, *self.kernel))
        return (weight, Weight("bias", (channels,))) if self._has_bias else (weight,)

    def macs(self, output: Shape, x: Shape) -> Dim:
        channels, height, width = output
        return channels * height * width * (self.kernel[0] * self.kernel[1])

    def window(self, x: Shape) -> Window:
        return self._sliding.window

    def lower(self, x: Shape) -> Lowering:
        return convolution(x[0], x[0] * self.multiplier, self._sliding, x[0], self._has_bias)

    @property
    def _sliding(self) -> Sliding:
        return Sliding(self.kernel, self.stride, self.dilation, self.padding)

    @property
    def _has_bias(self) -> bool:
        return bias_of(self.bias, self.norm, self.order)
