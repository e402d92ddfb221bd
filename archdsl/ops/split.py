"""`split`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, overload

from pydantic import BeforeValidator, Field, ValidationInfo

from archdsl.ops.base import LIMIT, Function, Lowering, Natural, Op, Positive, Shape, ShapeError
from archdsl.symbolic import Dim, known

REST = "_"
"""The width that is left open."""


def _shares(value: object) -> object:
    """A count of equal parts, or the width of each."""
    if type(value) is int and 0 < value <= LIMIT:
        return value
    widths = value if isinstance(value, tuple) else ()
    if len(widths) < 2 or any(width != REST and (type(width) is not int or not 0 < width <= LIMIT) for width in widths):
        raise ValueError("it is a number of equal parts, 2, or the channels of each part, (16, 48), where `_` is the rest")
    if widths.count(REST) > 1:
        raise ValueError("only one part can be the rest, `_`")
    return widths


def _there(part: object, info: ValidationInfo) -> object:
    parts = info.data.get("parts")
    count = len(parts) if isinstance(parts, tuple) else parts
    if count is not None and type(part) is int and part >= count:
        raise ValueError(f"parts are counted from 0, so the last of {count} is {count - 1}")
    return part


Parts = Annotated[
    Positive | Annotated[tuple[Positive | Literal["_"], ...], Field(min_length=2)], BeforeValidator(_shares)
]


class Split(Op):
    """One part of the channels, the first being part 0: of `parts` equal ones, or of the widths stated.

    (C, H, W) -> (C / parts, H, W), of a vector its features: those from part * C / parts on (torch.chunk). The
    branches of `concat [ split(0, 2) | split(1, 2); ... ]` each take a half (ShuffleNetV2, 2018).
    `split(0, (16, 48))` is the first 16 of 64 channels and `split(1, (16, 48))` the 48 after them (torch.split);
    one width may be left open, `split(0, (16, _))`: it is the rest. The partial convolution of FasterNet (2023) is
    `concat [ split(0, (16, _)); conv3-16 | split(1, (16, _)) ]`.
    """

    syntax: ClassVar = "split"
    positional: ClassVar = ("part", "parts")
    examples: ClassVar = (
        "split(0, 2): 116x28x28 -> 58x28x28",
        "split(2, 3): 12 -> 4",
        "split(0, (16, 48)): 64x28x28 -> 16x28x28",
        "split(1, (16, _)): 64x28x28 -> 48x28x28",
        "split(1, (16, _, 8)): 64xHxW -> 40xHxW",
        "split(1, 2): 15x8x8 -> error",
        "split(0, (16, 32)): 64x28x28 -> error",
    )

    parts: Parts
    part: Annotated[Natural, BeforeValidator(_there)]

    def infer(self, x: Shape) -> Shape:
        start, stop = part_of(self, x[0])
        return stop - start, *x[1:]

    def lower(self, x: Shape) -> Lowering:
        widths = _widths(self, x[0])
        if widths is None:
            return Function(f"{{0}}.chunk({self.parts}, dim=1)[{self.part}]")
        numbers = tuple(width for width in widths if isinstance(width, int))
        return Function(f"{{0}}.split({{widths}}, dim=1)[{self.part}]", widths=numbers)


@overload
def part_of(split: Split, channels: int) -> tuple[int, int]: ...
@overload
def part_of(split: Split, channels: Dim) -> tuple[Dim, Dim]: ...
def part_of(split: Split, channels: Dim) -> tuple[Dim, Dim]:
    """The first channel of the part, and the one behind its last. Raises ShapeError."""
    widths = _widths(split, channels)
    if widths is None:
        assert isinstance(split.parts, int)
        width = channels // split.parts
        return split.part * width, (split.part + 1) * width
    start: Dim = 0
    for width in widths[: split.part]:
        start = start + width
    return start, start + widths[split.part]


def _widths(split: Split, channels: Dim) -> tuple[Dim, ...] | None:
    """The channels of each part, where they are stated. Raises ShapeError where the parts are not all there is."""
    parts = split.parts
    if isinstance(parts, int):
        if known(channels) and channels % parts:
            below = next(n for n in range(min(parts, channels), 0, -1) if channels % n == 0)
            meant = (split.part, parts)  # as torch.split has them
            raise ShapeError(
                f"{channels} channels do not fall into {parts} equal parts",
                "parts",
                code="A205",
                notes=(f"{channels} = {channels // parts}*{parts} + {channels % parts}",),
                hint=f"{below} parts would do"
                if sum(meant) != channels
                else f"parts of {split.part} and {parts} channels are `split(0, {_written(meant)})` and `split(1, {_written(meant)})`",
            )
        return None
    stated = [width for width in parts if isinstance(width, int)]
    rest = channels - sum(stated)
    if len(stated) < len(parts):
        if known(channels) and rest <= 0:
            raise ShapeError(
                f"{channels} channels come in, and the parts have {_sum(stated)} without the rest, `_`",
                "parts",
                code="A205",
                hint=f"leave something for the rest: the widths must come to less than {channels}",
            )
        return tuple(width if isinstance(width, int) else rest for width in parts)
    opened = _written((*parts[:-1], REST))
    if not known(channels):
        raise ShapeError(
            f"whether {_sum(stated)} is all of {channels} channels is not known",
            "parts",
            code="A206",
            hint=f"leave one width open, {opened}: it is the rest",
            instead=opened,
        )
    if rest == 0:
        return tuple(stated)
    last = stated[-1] + rest
    instead = _written((*parts[:-1], last)) if last > 0 else ""
    raise ShapeError(
        f"{channels} channels come in, and the parts have {_sum(stated)}",
        "parts",
        code="A205",
        hint=f"{instead} would do, and {opened} leaves the rest to the last" if instead else f"they must come to {channels}",
        instead=instead,
    )


def _sum(widths: list[int]) -> str:
    return " + ".join(map(str, widths)) + (f" = {sum(widths)}" if len(widths) > 1 else "")


def _written(widths: tuple[Dim | str, ...]) -> str:
    return f"({', '.join(map(str, widths))})"
