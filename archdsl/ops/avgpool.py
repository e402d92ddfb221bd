"""`avgpool`"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

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
class PaddedAvgPool2d(nn.AvgPool2d):
    """AvgPool2d with a padding of its own on each side: `sides` is (left, right, top, bottom).

    (N, C, H, W) -> (N, C, (H + top + bottom - kernel) // stride + 1, ...)
    """

    def __init__(self, *args, sides, **kwargs):
        super().__init__(*args, **kwargs)
        self.sides = sides

    def forward(self, x):
        mean = super().forward(nn.functional.pad(x, self.sides))
        if self.count_include_pad:
            return mean
        inside = nn.functional.pad(torch.ones_like(x[:1, :1]), self.sides)
        return mean / super().forward(inside)
'''

SAME = f'''\
class SameAvgPool2d(nn.AvgPool2d):
    """AvgPool2d with TensorFlow's "same" padding, which the average leaves out unless count_include_pad.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))
    """

    def forward(self, x):
        kernel, stride, dilation = self.kernel_size, self.stride, (1, 1)
{SAME_SIDES}\
        mean = super().forward(nn.functional.pad(x, sides))
        if self.count_include_pad:
            return mean
        inside = nn.functional.pad(torch.ones_like(x[:1, :1]), sides)
        return mean / super().forward(inside)
'''


def _with_padding_only(value: object, info: ValidationInfo) -> object:
    """Without padding the choice means nothing, and is stored as torch's default."""
    padding = info.data.get("padding")
    return True if value is None or (isinstance(value, bool) and padding == (0, 0, 0, 0)) else value


class AvgPool(Op):
    """The mean of each window (LeCun et al., 1989; torch.nn.AvgPool2d).

    (C, H, W) -> (C, H', W') with H' = (H + top + bottom - kernel) // stride + 1. 2x2 with stride 2 unless
    stated; the stride is the kernel unless stated, the padding 0. `ceil=true` rounds up as in `maxpool`.

    Zeros of the padding count in the mean, as in torch and Caffe; `include_pad=false` divides by the cells
    inside the image. `p=same` does that unless include_pad is stated, as TensorFlow and Keras do.
    """

    syntax: ClassVar = "avgpool"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    examples: ClassVar = (
        "avgpool: 128x56x56 -> 128x28x28",
        "avgpool7: 512x7x7 -> 512x1x1",
        "avgpool3/1(p=1): 192x35x35 -> 192x35x35",
        "avgpool3/1(p=same): 192x35x35 -> 192x35x35",
        "avgpool5/3(p=valid): 768x17x17 -> 768x5x5",
        "avgpool3/2(p=1, include_pad=false): 8x9x9 -> 8x5x5",
        "avgpool2/2: 64xHxW -> 64x(H//2)x(W//2)",
        "avgpool7: 512x6x6 -> error",
        "avgpool3/1(p=2): 8x6x6 -> error",
    )

    kernel: Pair = (2, 2)
    stride: StrideOrKernel = Field(default=None, validate_default=True)
    padding: Padding = (0, 0, 0, 0)
    ceil: bool = False
    include_pad: Annotated[bool, BeforeValidator(_with_padding_only)] = Field(
        default=None, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _same_leaves_padding_out(cls, arguments: Any) -> Any:
        """Before `same` turns into numbers where it can: it means another average than they do."""
        if (
            isinstance(arguments, dict)
            and arguments.get("padding") == "same"
            and arguments.get("include_pad") is None
        ):
            return arguments | {"include_pad": False}
        return arguments

    def infer(self, x: Shape) -> Shape:
        refuse_wide_padding(self._sliding)
        refuse_uneven_ceil(self._sliding)
        return self._sliding.over(x, "avgpool")

    def window(self, x: Shape) -> Window:
        return self._sliding.window

    def lower(self, x: Shape) -> Lowering:
        alike = symmetric(self.padding)
        include = {} if self.include_pad else {"count_include_pad": False}
        if self.padding == "same":  # the helper counts on pairs
            return Module("SameAvgPool2d", (self.kernel, self.stride), include, SAME)
        kwargs = stated_only(
            stride=(self.stride, self.kernel),
            padding=(alike or (0, 0), (0, 0)),
            ceil_mode=(self.ceil, False),
        )
        if alike is None:
            kwargs |= include | {"sides": torch_sides(self.padding)}
            return Module("PaddedAvgPool2d", (brief(self.kernel),), kwargs, PADDED)
        return Module("torch.nn.AvgPool2d", (brief(self.kernel),), kwargs | include)

    @property
    def _sliding(self) -> Sliding:
        return Sliding(self.kernel, self.stride, (1, 1), self.padding, self.ceil)
