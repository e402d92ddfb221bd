"""`maxpool`"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from archdsl.ops._window import (
    SAME_SIDES,
    Padding,
    Sliding,
    StrideOrKernel,
    brief,
    refuse_uneven_ceil,
    refuse_wide_padding,
    stated_only,
    symmetric,
    torch_sides,
)
from archdsl.ops.base import Lowering, Module, Op, Pair, Shape, Window

PADDED = '''\
class PaddedMaxPool2d(nn.MaxPool2d):
    """MaxPool2d with a padding of its own on each side that never wins: `sides` is (left, right, top,
    bottom).

    (N, C, H, W) -> (N, C, (H + top + bottom - extent) // stride + 1, ...)
    """

    def __init__(self, *args, sides, **kwargs):
        super().__init__(*args, **kwargs)
        self.sides = sides

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.sides, value=-float("inf")))
'''

SAME = f'''\
class SameMaxPool2d(nn.MaxPool2d):
    """MaxPool2d with TensorFlow's "same" padding, which never wins.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))
    """

    def forward(self, x):
        kernel, stride, dilation = self.kernel_size, self.stride, self.dilation
{SAME_SIDES}\
        return super().forward(nn.functional.pad(x, sides, value=-float("inf")))
'''


class MaxPool(Op):
    """The largest value in each window (Ranzato et al., 2007; torch.nn.MaxPool2d).

    (C, H, W) -> (C, H', W') with H' = (H + top + bottom - extent) // stride + 1. 2x2 with stride 2 unless
    stated; the stride is the kernel unless stated, the padding 0. `ceil=true` rounds up as Caffe does
    (GoogLeNet, SqueezeNet): a window may hang over the edge, if it starts inside. Padding never wins, as in
    torch; Keras's zero padding before a pool is a `pad` of its own.
    """

    syntax: ClassVar = "maxpool"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    examples: ClassVar = (
        "maxpool: 64x112x112 -> 64x56x56",
        "maxpool3/2(p=1): 64x112x112 -> 64x56x56",
        "maxpool3/2: 96x55x55 -> 96x27x27",
        "maxpool3/2(ceil=true): 64x112x112 -> 64x56x56",
        "maxpool3/2(p=same): 128x147x147 -> 128x74x74",
        "maxpool: 64xHxW -> 64x(H//2)x(W//2)",
        "maxpool3: 8x2x2 -> error",
        "maxpool2(p=2): 8x6x6 -> error",
    )

    kernel: Pair = (2, 2)
    stride: StrideOrKernel = Field(default=None, validate_default=True)
    dilation: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    ceil: bool = False

    def infer(self, x: Shape) -> Shape:
        refuse_wide_padding(self._sliding)
        refuse_uneven_ceil(self._sliding)
        return self._sliding.over(x, "maxpool")

    def window(self, x: Shape) -> Window:
        return self._sliding.window

    def lower(self, x: Shape) -> Lowering:
        alike = symmetric(self.padding)
        if self.dilation != (1, 1) and alike is not None and (alike[0] > self.kernel[0] // 2 or alike[1] > self.kernel[1] // 2):
            alike = None  # torch's limit is half of the kernel, as if it weren't dilated
        if self.padding == "same":  # the helper counts on pairs
            return Module("SameMaxPool2d", (self.kernel, self.stride), {"dilation": self.dilation}, SAME)
        kwargs = stated_only(
            stride=(self.stride, self.kernel),
            padding=(alike or (0, 0), (0, 0)),
            dilation=(self.dilation, (1, 1)),
            ceil_mode=(self.ceil, False),
        )
        if alike is None:
            kwargs |= {"sides": torch_sides(self.padding)}
            return Module("PaddedMaxPool2d", (brief(self.kernel),), kwargs, PADDED)
        return Module("torch.nn.MaxPool2d", (brief(self.kernel),), kwargs)

    @property
    def _sliding(self) -> Sliding:
        return Sliding(self.kernel, self.stride, self.dilation, self.padding, self.ceil)
