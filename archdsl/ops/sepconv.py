"""`sepconv`"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from archdsl.ops._convolution import Carried, Order, bias_of, carry
from archdsl.ops._window import PaddingOrHalf
from archdsl.ops.base import Op, Pair, Positive
from archdsl.ops.conv import Conv
from archdsl.ops.dwconv import DwConv


class SepConv(Op):
    """Depthwise separable convolution: `dwconv`, then a 1x1 `conv` (Xception, 2017; NASNet, 2018).

    (C, H, W) -> (channels, H', W'), with the sizes and paddings of `conv`. As in those papers and in Keras's
    SeparableConv2D, norm, activation and bias belong to the 1x1 conv and nothing stands between the two;
    `between=true` gives the depthwise conv its own (MobileNet, 2017). It takes `conv`'s default where it has
    none of its own.
    """

    syntax: ClassVar = "sepconv"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    layers: ClassVar = ("norm", "act")
    follows: ClassVar = "conv"
    examples: ClassVar = (
        "sepconv3-128: 64x147x147 -> 128x147x147",
        "sepconv5-42/2(p=same): 32x111x111 -> 42x56x56",
        "sepconv3-64(norm=bn, act=relu, between=true): 32x8x8 -> 64x8x8",
        "sepconv7-64(p=0): 32x5x5 -> error",
    )

    channels: Positive
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: PaddingOrHalf = Field(default=None, validate_default=True)
    multiplier: Positive = 1
    bias: bool | None = None
    norm: Carried = None
    act: Carried = None
    order: Order = "post"
    between: bool = False

    def expand(self) -> tuple[Op, ...]:
        bias = bias_of(self.bias, self.norm, self.order)
        depthwise = DwConv(
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            multiplier=self.multiplier,
            bias=bias and self.between,
        )
        pointwise = Conv(channels=self.channels, kernel=(1, 1), bias=bias)
        if not self.between:
            return carry((depthwise, pointwise), self.norm, self.act, self.order)
        both = (carry((core,), self.norm, self.act, self.order) for core in (depthwise, pointwise))
        return tuple(layer for layers in both for layer in layers)
