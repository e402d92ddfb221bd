"""`conv`"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from archdsl.ops._convolution import Carried, Order, bare, bias_of, carry, refuse_groups
from archdsl.ops._window import SAME_SIDES, PaddingOrHalf, Sliding, brief, stated_only, symmetric, torch_sides
from archdsl.ops.base import Lowering, Module, Op, Pair, Positive, Shape, Weight, Window
from archdsl.symbolic import Dim

PADDED = '''\
class PaddedConv2d(nn.Conv2d):
    """Conv2d with a padding of its own on each side: `sides` is (left, right, top, bottom).

    (N, C_in, H, W) -> (N, C_out, (H + top + bottom - extent) // stride + 1, ...)
    """

    def __init__(self, *args, sides, **kwargs):
        super().__init__(*args, **kwargs)
        self.sides = sides

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.sides))
'''

SAME = f'''\
class SameConv2d(nn.Conv2d):
    """Conv2d with TensorFlow's "same" padding: as much as ceil(size / stride) needs, the odd one at the end.

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))
    """

    def forward(self, x):
        kernel, stride, dilation = self.kernel_size, self.stride, self.dilation
{SAME_SIDES}\
        return super().forward(nn.functional.pad(x, sides))
'''


class Conv(Op):
    """2D convolution, with the norm and activation that it carries.

    (C, H, W) -> (channels, H', W') with H' = (H + top + bottom - extent) // stride + 1, where extent =
    dilation * (kernel - 1) + 1 (LeCun et al., 1989; torch.nn.Conv2d). Each of `groups` sees its own share of
    the channels (Krizhevsky et al., 2012; Xie et al., 2017).

    The padding is half the kernel on each side unless stated, so an odd kernel keeps the size. `p=same` is
    TensorFlow's: H' = ceil(H / stride), with the odd row of padding at the bottom and right.

    `norm=bn` and `act=relu` stand for layers after it; with `order=pre` they come before it, in the same
    order (He et al., 2016, "Identity mappings"). The bias is on unless a norm follows.
    """

    syntax: ClassVar = "conv"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    layers: ClassVar = ("norm", "act")
    examples: ClassVar = (
        "conv3-64: 3x32x32 -> 64x32x32",
        "conv7-64/2: 3x224x224 -> 64x112x112",
        "conv1x7-8(p=valid): 3x9x9 -> 8x9x3",
        "conv3-32/2(p=same): 3x224x224 -> 32x112x112",
        "conv3-8(p=(0, 1, 0, 1)): 3x8x8 -> 8x7x7",
        "conv3-64(dilation=2): 64x28x28 -> 64x28x28",
        "conv5-256(groups=2): 96x27x27 -> 256x27x27",
        "conv3-64: 3xHxW -> 64xHxW",
        "conv7-8(p=0): 3x5x5 -> error",
        "conv3-64(groups=2): 3x8x8 -> error",
        "conv3-64: 10 -> error",
    )

    channels: Positive
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: PaddingOrHalf = Field(default=None, validate_default=True)
    groups: Positive = 1
    bias: bool | None = None
    norm: Carried = None
    act: Carried = None
    order: Order = "post"

    def expand(self) -> tuple[Op, ...]:
        return carry((bare(self),), self.norm, self.act, self.order)

    def infer(self, x: Shape) -> Shape:
        channels_in, height, width = self._sliding.over(x, "conv")
        refuse_groups(self.groups, channels_in, self.channels)
        return self.channels, height, width

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.channels, x[0] // self.groups, *self.kernel))
        return (weight, Weight("bias", (self.channels,))) if self._has_bias else (weight,)

    def macs(self, output: Shape, x: Shape) -> Dim:
        channels, height, width = output
        return channels * height * width * (x[0] // self.groups) * (self.kernel[0] * self.kernel[1])

    def window(self, x: Shape) -> Window:
        return self._sliding.window

    def lower(self, x: Shape) -> Lowering:
        return convolution(x[0], self.channels, self._sliding, self.groups, self._has_bias)

    @property
    def _sliding(self) -> Sliding:
        return Sliding(self.kernel, self.stride, self.dilation, self.padding)

    @property
    def _has_bias(self) -> bool:
        return bias_of(self.bias, self.norm, self.order)


def convolution(channels_in: Dim, channels: Dim, sliding: Sliding, groups: Dim, bias: bool) -> Module:
    """torch's Conv2d, or the helper that pads as it does not."""
    kernel, stride, dilation, padding, _ = sliding
    args = channels_in, channels, brief(kernel)
    alike = symmetric(padding)
    kwargs = stated_only(
        stride=(stride, (1, 1)),
        padding=(alike or (0, 0), (0, 0)),
        dilation=(dilation, (1, 1)),
        groups=(groups, 1),
        bias=(bias, True),
    )
    if padding == "same":
        return Module("SameConv2d", args, kwargs, SAME)
    if alike is None:
        return Module("PaddedConv2d", args, kwargs | {"sides": torch_sides(padding)}, PADDED)
    return Module("torch.nn.Conv2d", args, kwargs)
