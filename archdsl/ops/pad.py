"""`pad`"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from archdsl.ops._window import FixedPadding, torch_sides
from archdsl.ops.base import Lowering, Module, Op, Positive, Real, Shape, ShapeError, image
from archdsl.symbolic import Dim, known


def _numbers(value: object) -> object:
    if value == "same":
        raise ValueError("pad has no window that `same` could be about; state numbers")
    return value


class Pad(Op):
    """A border of `value`, 0 unless stated (torch.nn.ConstantPad2d), and channels of it after the last.

    (C, H, W) -> (channels, H + top + bottom, W + left + right). The padding is a number, a pair (height,
    width) or (top, bottom, left, right): Keras's ZeroPadding2D(((0, 1), (0, 1))) is `pad((0, 1, 0, 1))`.
    `pad(channels=64)` adds channels up to 64: the shortcut without parameters of the ResNet paper, its option
    A.
    """

    syntax: ClassVar = "pad"
    positional: ClassVar = ("padding",)
    short: ClassVar = {"p": "padding"}
    examples: ClassVar = (
        "pad(3): 3x224x224 -> 3x230x230",
        "pad((0, 1, 0, 1)): 32x112x112 -> 32x113x113",
        "pad(channels=32): 16x16x16 -> 32x16x16",
        "pad(1): 3xHxW -> 3x(H + 2)x(W + 2)",
        "pad(channels=8): 16x16x16 -> error",
        "pad(1): 10 -> error",
    )

    padding: Annotated[FixedPadding, BeforeValidator(_numbers)] = (0, 0, 0, 0)
    value: Real = 0.0
    channels: Positive | None = None

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "pad")
        top, bottom, left, right = self.padding
        return self._channels(channels), height + (top + bottom), width + (left + right)

    def lower(self, x: Shape) -> Lowering:
        added = self._channels(x[0]) - x[0]
        deep = () if added == 0 else (0, added)
        dims, sides = "3d" if deep else "2d", torch_sides(self.padding) + deep
        if self.value == 0:
            return Module(f"torch.nn.ZeroPad{dims}", (sides,))
        return Module(f"torch.nn.ConstantPad{dims}", (sides, self.value))

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
