"""What convolutions and pools share: a padding in one stored form, and the sizes that a sliding window gives.

A padding reaches a layer as an int, a pair (height, width), (top, bottom, left, right), `same` or `valid`. It
is stored as (top, bottom, left, right), or as "same" where it depends on the size of what comes in. So two
ways to write one network compare equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, ValidationInfo

from archdsl.ops.base import LIMIT, Natural, Pair, Shape, ShapeError, Window, image, written
from archdsl.symbolic import Dim, ceildiv, known, smaller

Sides = tuple[Natural, Natural, Natural, Natural]
"""(top, bottom, left, right)"""


def extent_of(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """How far a window reaches: (kernel - 1) * dilation + 1."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def _four(value: object) -> object:
    """Every spelling but `same` as (top, bottom, left, right)."""
    if value == "valid":
        return 0, 0, 0, 0
    sides = (value,) * 4 if isinstance(value, int) else value
    if isinstance(sides, tuple) and len(sides) == 2:
        sides = (sides[0], sides[0], sides[1], sides[1])
    if not isinstance(sides, tuple) or len(sides) != 4 or any(type(side) is not int for side in sides):
        raise ValueError(
            "a padding is a number, a pair (height, width), (top, bottom, left, right), same or valid"
        )
    if any(not 0 <= side <= LIMIT for side in sides):
        raise ValueError(f"a padding is from 0 to {LIMIT}")
    return sides


def stated(info: ValidationInfo) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """kernel, stride and dilation, which stand before the padding; ones for what is missing."""
    kernel, stride, dilation = (info.data.get(name, (1, 1)) for name in ("kernel", "stride", "dilation"))
    return kernel, stride, dilation


def _stored(value: object, info: ValidationInfo) -> object:
    if value != "same":
        return _four(value)
    kernel, stride, dilation = stated(info)
    extents = extent_of(kernel, dilation)
    # ceil(size / stride) is reached by the same padding on both sides whatever the size
    if all(
        extent == 1 or (step == 1 and extent % 2 == 1) for extent, step in zip(extents, stride, strict=True)
    ):
        return _four(((extents[0] - 1) // 2, (extents[1] - 1) // 2))
    return "same"


def _stored_or_half(value: object, info: ValidationInfo) -> object:
    if value is None:
        kernel, _, dilation = stated(info)
        value = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
    return _stored(value, info)


def _kernel_unless_stated(value: object, info: ValidationInfo) -> object:
    return info.data.get("kernel", (1, 1)) if value is None else value


FixedPadding = Annotated[Sides, BeforeValidator(_four)]
"""For layers where nothing has to wait for the input's size."""
Padding = Annotated[Sides | Literal["same"], BeforeValidator(_stored)]
PaddingOrHalf = Annotated[Sides | Literal["same"], BeforeValidator(_stored_or_half)]
"""None stands for dilation * (kernel // 2): an odd window keeps the size. Needs validate_default."""
StrideOrKernel = Annotated[Pair, BeforeValidator(_kernel_unless_stated)]
"""None stands for the kernel: windows side by side. Needs validate_default."""


def symmetric(padding: Sides | Literal["same"]) -> tuple[int, int] | None:
    """(height, width) where both sides are padded alike, as torch's own layers do it; otherwise None."""
    if padding == "same" or padding[0] != padding[1] or padding[2] != padding[3]:
        return None
    return padding[0], padding[2]


def brief(pair: tuple[int, int]) -> int | tuple[int, int]:
    """One number where both are equal."""
    return pair[0] if pair[0] == pair[1] else pair


def stated_only(**arguments: tuple[Any, Any]) -> dict[str, Any]:
    """From name=(value, torch's default): the arguments that a call must write out, pairs made brief."""
    return {
        name: brief(value) if isinstance(value, tuple) and len(value) == 2 else value
        for name, (value, default) in arguments.items()
        if value != default
    }


def torch_sides(padding: Sides) -> Sides:
    """(left, right, top, bottom), as torch.nn.functional.pad takes them."""
    top, bottom, left, right = padding
    return left, right, top, bottom


SAME_SIDES = """\
        sides = []  # left, right, top, bottom, as pad takes them
        windows = zip(x.shape[:1:-1], kernel[::-1], stride[::-1], dilation[::-1], strict=True)
        for size, k, s, d in windows:
            total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
            sides += [total // 2, total - total // 2]
"""
"""Lines of a helper: TensorFlow's `same` padding of x from the pairs kernel, stride and dilation."""


class Sliding(NamedTuple):
    """A window and how it moves over an image."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Sides | Literal["same"]
    ceil: bool = False

    @property
    def window(self) -> Window:
        return Window(extent_of(self.kernel, self.dilation), self.stride)

    def over(self, x: Shape, who: str) -> tuple[Dim, Dim, Dim]:
        """The (C, H, W) that comes in, and then as (C, positions, positions): how often the window fits.

        Raises ShapeError where it does not fit."""
        channels, *sizes = image(x, who)
        counts = tuple(self._count(axis, size) for axis, size in enumerate(sizes))
        if any(known(count) and count < 1 for count in counts):
            raise self._refusal(sizes, counts)
        return channels, counts[0], counts[1]

    def _count(self, axis: int, size: Dim) -> Dim:
        stride = self.stride[axis]
        if self.padding == "same":
            return ceildiv(size, stride)
        extent = extent_of(self.kernel, self.dilation)[axis]
        before, after = self.padding[2 * axis : 2 * axis + 2]
        room = size + (before + after - extent)
        if not self.ceil:
            return room // stride + 1
        # Caffe's and torch's rule: the last window must start inside the image or the padding before. Only a
        # step past the end of both could break it.
        steps = ceildiv(room, stride)
        if extent - after >= stride:
            return steps + 1
        return smaller(steps, ceildiv(size + before, stride) - 1) + 1

    def _refusal(self, sizes: list[Dim], counts: tuple[Dim, ...]) -> ShapeError:
        assert self.padding != "same", "`same` fits everything"
        text = f"a {self.kernel[0]}x{self.kernel[1]} window"
        if self.dilation != (1, 1):
            text += f" with dilation {brief(self.dilation)}"
        text += f" does not fit in {written(tuple(sizes))}"
        if any(self.padding):
            pads = symmetric(self.padding)
            text += f" with padding {self.padding if pads is None else brief(pads)}"
        short = tuple(axis for axis, count in enumerate(counts) if known(count) and count < 1)
        room = [size + sum(self.padding[2 * axis : 2 * axis + 2]) for axis, size in enumerate(sizes)]
        largest = min((side for side in room if known(side)), default=0)
        fits = self.dilation == (1, 1) and largest > 1
        hint = f"a window of {largest} is the largest that fits" if fits else "take a smaller window, or p=same"
        if largest == 1:
            hint = "one pixel is left: shrink the image less before this step, or leave it out"
        return ShapeError(
            text,
            "kernel",
            notes=self._lines(sizes, counts, short),
            hint=hint,
            instead=str(largest) if fits else "",
        )

    def lines(self, sizes: tuple[Dim, ...], counts: tuple[Dim, ...]) -> tuple[str, ...]:
        """How the sizes that come out follow from those that come in: one line where both sides are alike."""
        return self._lines(sizes, counts, (0, 1))

    def _lines(self, sizes: Sequence[Dim], counts: Sequence[Dim], axes: tuple[int, ...]) -> tuple[str, ...]:
        texts = [self._arithmetic(axis, sizes[axis], counts[axis]) for axis in axes]
        names = [("height", "width")[axis] for axis in axes]
        if len(set(texts)) == 1:
            return (f"{' and '.join(names)}: {texts[0]}",)
        return tuple(f"{name}: {text}" for name, text in zip(names, texts, strict=True))

    def _arithmetic(self, axis: int, size: Dim, count: Dim) -> str:
        """`(5 + 2*0 - 7) // 1 + 1 = -1`"""
        if self.padding == "same":
            return f"ceil({size} / {self.stride[axis]}) = {count}"
        sides = self.padding
        before, after = sides[2 * axis : 2 * axis + 2]
        kernel, dilation, stride = self.kernel[axis], self.dilation[axis], self.stride[axis]
        pads = f"2*{before}" if before == after else f"{before} + {after}"
        extent = str(kernel) if dilation == 1 else f"({dilation}*({kernel} - 1) + 1)"
        room = f"({size} + {pads} - {extent})"
        steps = f"ceil({room} / {stride})" if self.ceil else f"{room} // {stride}"
        return f"{steps} + 1 = {count}"


def refuse_wide_padding(sliding: Sliding) -> None:
    """A pool's padding is at most half its window, as in torch, so that no window sees padding alone.

    Raises ShapeError."""
    if sliding.padding == "same":
        return
    # torch rounds up only where it pads itself, and its own limit is half of the kernel, dilated or not.
    extents = sliding.kernel if sliding.ceil else extent_of(sliding.kernel, sliding.dilation)
    for axis, name in enumerate(("height", "width")):
        pad, extent = max(sliding.padding[2 * axis : 2 * axis + 2]), extents[axis]
        if pad > extent // 2:
            raise ShapeError(
                f"a padding of {pad} is more than half of a window of {extent}: it could see nothing else",
                "padding",
                notes=(f"{name}: {pad} > {extent} // 2 = {extent // 2}",),
                hint=f"p={extent // 2} is the most, or put pad({pad}) before the pool",
                instead=str(extent // 2),
            )


def refuse_uneven_ceil(sliding: Sliding) -> None:
    """torch rounds up only where both sides are padded alike. `same` rounds up by itself."""
    if sliding.ceil and sliding.padding != "same" and symmetric(sliding.padding) is None:
        raise ShapeError(
            f"ceil=true needs a padding that is equal on both sides, not {sliding.padding}",
            "ceil",
            hint="put the padding in a `pad` step before the pool: pad((0, 1, 0, 1))",
        )
