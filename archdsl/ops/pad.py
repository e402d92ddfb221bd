"""`pad`"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from archdsl.ops._window import FixedPadding, brief, torch_sides
from archdsl.ops.base import Lowering, Module, Op, Pair, Positive, Real, Shape, ShapeError, Window, image
from archdsl.symbolic import Dim, ceildiv, known

HELPER = '''\
class PadChannels(nn.Module):
    """Every `stride`-th row and column, channels of `value` after the last, and a border of it.

    (N, C, H, W) -> (N, channels, ceil(H / stride) + top + bottom, ceil(W / stride) + left + right)
    """

    def __init__(self, channels, stride=1, sides=(0, 0, 0, 0), value=0.0):
        super().__init__()
        self.channels, self.sides, self.value = channels, sides, value
        self.stride = stride if isinstance(stride, tuple) else (stride, stride)

    def forward(self, x):
        x = x[:, :, :: self.stride[0], :: self.stride[1]]
        return nn.functional.pad(x, (*self.sides, 0, self.channels - x.shape[1]), value=self.value)

    def extra_repr(self):
        return f"channels={self.channels}, stride={self.stride}, sides={self.sides}, value={self.value}"
'''


def _numbers(value: object) -> object:
    if value == "same":
        raise ValueError("pad has no window that `same` could be about; state numbers")
    return value


class Pad(Op):
    """A border of `value`, 0 unless stated (torch.nn.ConstantPad2d), and channels of it after the last.

    (C, H, W) -> (channels, H + top + bottom, W + left + right). The padding is a number, a pair (height,
    width) or (top, bottom, left, right): Keras's ZeroPadding2D(((0, 1), (0, 1))) is `pad((0, 1, 0, 1))`.
    `pad(channels=64)` adds channels up to 64, and a stride takes every second row and column: `pad/2(channels=64)`
    is the shortcut without parameters of the ResNet paper, its option A.
    """

    syntax: ClassVar = "pad"
    positional: ClassVar = ("padding",)
    short: ClassVar = {"p": "padding"}
    examples: ClassVar = (
        "pad(3): 3x224x224 -> 3x230x230",
        "pad((0, 1, 0, 1)): 32x112x112 -> 32x113x113",
        "pad(channels=32): 16x16x16 -> 32x16x16",
        "pad/2(channels=32): 16x15x16 -> 32x8x8",
        "pad/2(1): 16x15x15 -> 16x10x10",
        "pad(1): 3xHxW -> 3x(H + 2)x(W + 2)",
        "pad(channels=8): 16x16x16 -> error",
        "pad(1): 10 -> error",
    )

    padding: Annotated[FixedPadding, BeforeValidator(_numbers)] = (0, 0, 0, 0)
    value: Real = 0.0
    channels: Positive | None = None
    stride: Pair = (1, 1)

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "pad")
        top, bottom, left, right = self.padding
        down, across = self.stride
        size = ceildiv(height, down) + (top + bottom), ceildiv(width, across) + (left + right)
        return self._channels(channels), *size

    def window(self, x: Shape) -> Window:
        return Window((1, 1), self.stride)

    def lower(self, x: Shape) -> Lowering:
        sides = torch_sides(self.padding)
        stated: dict[str, object] = {}
        if self.channels is None and self.stride == (1, 1):
            if self.value == 0:
                return Module("torch.nn.ZeroPad2d", (sides,))
            return Module("torch.nn.ConstantPad2d", (sides, self.value))
        if self.stride != (1, 1):
            stated["stride"] = brief(self.stride)
        if any(sides):
            stated["sides"] = sides
        if self.value != 0:
            stated["value"] = self.value
        return Module("PadChannels", (self._channels(x[0]),), stated, HELPER)

    def _channels(self, channels: Dim) -> Dim:
        """How many there are afterwards. Raises ShapeError where there are more already."""
        if self.channels is None:
            return channels
        if not known(channels):
            raise ShapeError(f"how many of {channels} channels to add is not known", "channels", code="A206")
        if channels > self.channels:
            raise ShapeError(
                f"pad only adds channels, and {channels} come in",
                "channels",
                code="A204",
                hint=f"conv1-{self.channels} would reduce them",
            )
        return self.channels
