"""`upconv`"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ValidationInfo

from archdsl.ops._convolution import Carried, Order, bare, bias_of, carry, refuse_groups
from archdsl.ops._window import FixedPadding, brief, extent_of, stated, stated_only, symmetric, torch_sides
from archdsl.ops.base import (
    Lowering,
    Module,
    NaturalPair,
    Op,
    Pair,
    Positive,
    Shape,
    ShapeError,
    Weight,
    Window,
    image,
    written,
)
from archdsl.symbolic import Dim, ceildiv, known

CROPPED = '''\
class CroppedConvTranspose2d(nn.ConvTranspose2d):
    """ConvTranspose2d that drops `sides`, (left, right, top, bottom), of what it would give without padding.

    (N, C_in, H, W) -> (N, C_out, (H - 1) * stride + extent + output_padding - top - bottom, ...)
    """

    def __init__(self, *args, sides, **kwargs):
        super().__init__(*args, **kwargs)
        self.sides = sides

    def forward(self, x):
        return nn.functional.pad(super().forward(x), [-side for side in self.sides])
'''


def _same_is_static(value: object, info: ValidationInfo) -> object:
    """size * stride always takes extent - stride off, whatever comes in."""
    if value != "same":
        return value
    kernel, stride, dilation = stated(info)
    sides: list[int] = []
    for extent, step in zip(extent_of(kernel, dilation), stride, strict=True):
        if extent < step:
            raise ValueError(f"same needs a window of at least the stride, and {extent} is less than {step}")
        sides += [(extent - step) // 2, extent - step - (extent - step) // 2]
    return tuple(sides)


class UpConv(Op):
    """Transposed convolution: a conv's gradient, used to enlarge (Zeiler et al., 2010; Long et al., 2015).

    (C, H, W) -> (channels, H', W') with H' = (H - 1) * stride + extent - top - bottom + output_padding, where
    extent = dilation * (kernel - 1) + 1 (torch.nn.ConvTranspose2d). `upconv2-64/2` doubles the size, as in
    U-Net.

    The padding is what is cut off the output, 0 unless stated; `p=same` makes the output H * stride, as
    Keras's Conv2DTranspose. The weight is (C, channels / groups, kh, kw). It takes `conv`'s default where it
    has none of its own.
    """

    syntax: ClassVar = "upconv"
    short: ClassVar = {"k": "kernel", "p": "padding"}
    layers: ClassVar = ("norm", "act")
    follows: ClassVar = "conv"
    examples: ClassVar = (
        "upconv2-64/2: 128x28x28 -> 64x56x56",
        "upconv4-512/2(p=1): 100x4x4 -> 512x8x8",
        "upconv3-64/2(p=same): 128x28x28 -> 64x56x56",
        "upconv3-64/2(p=1, output_padding=1): 128x28x28 -> 64x56x56",
        "upconv2-64/2: 128xHxW -> 64x(2*H)x(2*W)",
        "upconv2-64(p=3): 128x4x4 -> error",
        "upconv2-64/2(output_padding=2): 128x4x4 -> error",
    )

    channels: Positive
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Annotated[FixedPadding, BeforeValidator(_same_is_static)] = (0, 0, 0, 0)
    output_padding: NaturalPair = (0, 0)
    groups: Positive = 1
    bias: bool | None = None
    norm: Carried = None
    act: Carried = None
    order: Order = "post"

    def expand(self) -> tuple[Op, ...]:
        return carry((bare(self),), self.norm, self.act, self.order)

    def infer(self, x: Shape) -> Shape:
        channels_in, *sizes = image(x, "upconv")
        refuse_groups(self.groups, channels_in, self.channels)
        for extra, stride, dilation in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(stride, dilation):
                raise ShapeError(
                    f"an output padding of {extra} adds what no window reaches",
                    "output_padding",
                    notes=(f"{extra} >= max(stride {stride}, dilation {dilation})",),
                    hint="it must be less than the stride or the dilation",
                )
        height, width = (self._length(axis, size) for axis, size in enumerate(sizes))
        for name, axis, size in (("height", 0, height), ("width", 1, width)):
            if known(size) and size < 1:
                raise ShapeError(
                    f"a padding of {sum(self._cut(axis))} in all leaves nothing of the output's {name}",
                    "padding",
                    notes=(self._arithmetic(name, axis, sizes[axis], size),),
                    hint=f"the window enlarges {written(tuple(sizes))}; cut less off it",
                )
        return self.channels, height, width

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (x[0], self.channels // self.groups, *self.kernel))
        return (weight, Weight("bias", (self.channels,))) if self._has_bias else (weight,)

    def macs(self, output: Shape, x: Shape) -> Dim:
        channels, height, width = x
        return channels * height * width * (self.channels // self.groups) * (self.kernel[0] * self.kernel[1])

    def window(self, x: Shape) -> Window:
        extents = extent_of(self.kernel, self.dilation)
        high, wide = (ceildiv(extent, stride) for extent, stride in zip(extents, self.stride, strict=True))
        return Window((high, wide), (Fraction(1, self.stride[0]), Fraction(1, self.stride[1])))

    def lower(self, x: Shape) -> Lowering:
        alike = symmetric(self.padding)
        args = x[0], self.channels, brief(self.kernel)
        kwargs = stated_only(
            stride=(self.stride, (1, 1)),
            padding=(alike or (0, 0), (0, 0)),
            output_padding=(self.output_padding, (0, 0)),
            groups=(self.groups, 1),
            bias=(self._has_bias, True),
            dilation=(self.dilation, (1, 1)),
        )
        if alike is not None:
            return Module("torch.nn.ConvTranspose2d", args, kwargs)
        return Module("CroppedConvTranspose2d", args, kwargs | {"sides": torch_sides(self.padding)}, CROPPED)

    def _cut(self, axis: int) -> tuple[int, int]:
        return self.padding[2 * axis], self.padding[2 * axis + 1]

    def _length(self, axis: int, size: Dim) -> Dim:
        extent = extent_of(self.kernel, self.dilation)[axis]
        return (size - 1) * self.stride[axis] + (extent - sum(self._cut(axis)) + self.output_padding[axis])

    def _arithmetic(self, name: str, axis: int, size: Dim, length: Dim) -> str:
        extent = extent_of(self.kernel, self.dilation)[axis]
        before, after = self._cut(axis)
        stride, extra = self.stride[axis], self.output_padding[axis]
        return f"{name}: ({size} - 1)*{stride} + {extent} - {before} - {after} + {extra} = {length}"

    @property
    def _has_bias(self) -> bool:
        return bias_of(self.bias, self.norm, self.order)
