"""`crop`"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, model_validator

from archdsl.ops._window import Sides
from archdsl.ops.base import LIMIT, Lowering, Module, Op, Pair, Shape, ShapeError, image, written
from archdsl.symbolic import Dim, known

BORDER = '''\
class Crop2d(nn.Module):
    """An image without its `border`: (top, bottom, left, right), or one number for all.

    (N, C, H, W) -> (N, C, H - top - bottom, W - left - right)
    """

    def __init__(self, border):
        super().__init__()
        self.border = (border,) * 4 if isinstance(border, int) else border

    def forward(self, x):
        top, bottom, left, right = self.border
        return nn.functional.pad(x, (-left, -right, -top, -bottom))

    def extra_repr(self):
        return f"border={self.border}"
'''

CENTRE = '''\
class CenterCrop2d(nn.Module):
    """The middle of an image; where one row or column more goes, it goes at the end.

    (N, C, H, W) -> (N, C, height, width), `size` being (height, width)
    """

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        (height, width), (high, wide) = x.shape[2:], self.size
        top, left = (height - high) // 2, (width - wide) // 2
        return x.narrow(2, top, high).narrow(3, left, wide)

    def extra_repr(self):
        return f"size={self.size}"
'''


def _four(value: object) -> object:
    """Every spelling as (top, bottom, left, right)."""
    sides = (value,) * 4 if isinstance(value, int) else value
    if isinstance(sides, tuple) and len(sides) == 2:
        sides = (sides[0], sides[0], sides[1], sides[1])
    if not isinstance(sides, tuple) or len(sides) != 4 or any(type(side) is not int for side in sides):
        raise ValueError("a border is a number, a pair (height, width) or (top, bottom, left, right)")
    if any(not 0 <= side <= LIMIT for side in sides):
        raise ValueError(f"a border is from 0 to {LIMIT}")
    return sides


class Crop(Op):
    """Take a border off an image, or all but its middle of a `size`: what `pad` adds.

    (C, H, W) -> (C, H - top - bottom, W - left - right). The border is a number, a pair (height, width) or (top,
    bottom, left, right), as `pad` has it. `crop(size=56)` keeps the middle 56x56; of an odd rest, one more goes from
    the bottom and the right. U-Net's copied maps are cropped so (Ronneberger et al., 2015).
    """

    syntax: ClassVar = "crop"
    positional: ClassVar = ("border",)
    examples: ClassVar = (
        "crop(4): 512x64x64 -> 512x56x56",
        "crop((0, 2)): 3x8x8 -> 3x8x4",
        "crop((1, 0, 1, 0)): 32x113x113 -> 32x112x112",
        "crop(size=56): 512x64x64 -> 512x56x56",
        "crop(size=(5, 4)): 8x8x8 -> 8x5x4",
        "crop(1): 3xHxW -> 3x(H - 2)x(W - 2)",
        "crop(size=8): 3xHxW -> 3x8x8",
        "crop(4): 8x8x8 -> error",
        "crop(size=9): 8x8x8 -> error",
        "crop(1): 10 -> error",
    )

    border: Annotated[Sides, BeforeValidator(_four)] = (0, 0, 0, 0)
    size: Pair | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Crop:
        if any(self.border) and self.size is not None:
            raise ValueError("crop takes a border, `crop(4)`, or a size to keep, `crop(size=56)`, not both")
        return self

    def infer(self, x: Shape) -> Shape:
        channels, height, width = image(x, "crop")
        if self.size is not None:
            self._refuse_larger(height, width)
            return channels, *self.size
        top, bottom, left, right = self.border
        left_over = height - (top + bottom), width - (left + right)
        for name, size, before, after, rest in (
            ("height", height, top, bottom, left_over[0]),
            ("width", width, left, right, left_over[1]),
        ):
            if known(rest) and rest < 1:
                raise ShapeError(
                    f"a border of {before + after} in all leaves nothing of the {name} of {size}",
                    "border",
                    notes=(f"{name}: {size} - {before} - {after} = {rest}",),
                    hint="crop less, or shrink the image less before this step",
                )
        return channels, *left_over

    def lower(self, x: Shape) -> Lowering:
        if self.size is not None:
            return Module("CenterCrop2d", (self.size,), {}, CENTRE)
        border = self.border[0] if len(set(self.border)) == 1 else self.border
        return Module("Crop2d", (border,), {}, BORDER)

    def _refuse_larger(self, height: Dim, width: Dim) -> None:
        """Raises ShapeError where the middle asked for is larger than the image."""
        assert self.size is not None
        if any(known(side) and side < kept for side, kept in zip((height, width), self.size, strict=True)):
            raise ShapeError(
                f"the middle {written(self.size)} of {written((height, width))} is not there",
                "size",
                hint=f"at most {written((height, width))} can be kept",
            )
