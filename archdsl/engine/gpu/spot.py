"""How a tensor of a problem lies in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

IMAGE_CHANNELS = 4
"""The network's images of 3 channels get a fourth of zeros: pixels then begin at multiples of 8 bytes."""


class Spot(NamedTuple):
    """How a tensor lies: its sizes, the numbers from one position to the next, and where among them it
    begins."""

    channels: int
    height: int
    width: int
    row: int
    channel: int = 0
    flat: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As layers see it: (C, H, W), or (C,) of what an fc gives."""
        return (self.channels,) if self.flat else (self.channels, self.height, self.width)

    @property
    def numbers(self) -> int:
        """Of one image."""
        return self.channels * self.height * self.width

    @property
    def dense(self) -> bool:
        return self.row == self.channels

    def text(self, size: int) -> str:
        """For a key: sizes, the row where it is wider, and `!` where 16 bytes at once can't be read."""
        wide = "" if self.dense else f"/{self.row}"
        uneven = "!" if self.row * size % 16 or self.channel * size % 16 else ""
        return f"{'x'.join(map(str, self.shape))}{wide}{uneven}"


def dense(shape: Sequence[int]) -> Spot:
    """A tensor of its own: (C, H, W) or (C,)."""
    channels, height, width = (*shape, 1, 1)[:3]
    return Spot(channels, height, width, channels, flat=len(shape) == 1)


def image_row(channels: int) -> int:
    """Numbers from one pixel of the network's images to the next."""
    return IMAGE_CHANNELS if channels == IMAGE_CHANNELS - 1 else channels
