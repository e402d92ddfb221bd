"""`split`"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, ValidationInfo

from archdsl.ops.base import Function, Lowering, Natural, Op, Positive, Shape, ShapeError
from archdsl.symbolic import known


def _there(part: int, info: ValidationInfo) -> int:
    parts = info.data.get("parts")
    if parts is not None and part >= parts:
        raise ValueError(f"parts are counted from 0, so the last of {parts} is {parts - 1}")
    return part


class Split(Op):
    """One of `parts` equal shares of the channels, the first being part 0 (ShuffleNetV2, 2018).

    (C, H, W) -> (C / parts, H, W), of a vector its features: those from part * C / parts on (torch.chunk).
    The branches of `concat [ split(0, 2) | split(1, 2); ... ]` each take a half.
    """

    syntax: ClassVar = "split"
    positional: ClassVar = ("part", "parts")
    examples: ClassVar = (
        "split(0, 2): 116x28x28 -> 58x28x28",
        "split(2, 3): 12 -> 4",
        "split(1, 2): 15x8x8 -> error",
    )

    parts: Positive
    part: Annotated[Natural, AfterValidator(_there)]

    def infer(self, x: Shape) -> Shape:
        channels = x[0]
        if known(channels) and channels % self.parts:
            below = next(n for n in range(min(self.parts, channels), 0, -1) if channels % n == 0)
            raise ShapeError(
                f"{channels} channels do not fall into {self.parts} equal parts",
                "parts",
                code="A205",
                notes=(f"{channels} = {channels // self.parts}*{self.parts} + {channels % self.parts}",),
                hint=f"{below} parts would do",
            )
        return channels // self.parts, *x[1:]

    def lower(self, x: Shape) -> Lowering:
        return Function(f"{{0}}.chunk({self.parts}, dim=1)[{self.part}]")
