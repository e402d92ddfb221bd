"""Max pools as maxima of neighbours, first along one axis and then along the other.

torch's own writes indices too, four times its result, and in bf16 it compares one number at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

POSITIVE = frozenset({"relu", "relu6"})
"""Layers which leave nothing below zero, and as a part of oneDNN's convolutions no NaN either: that becomes 0."""

KEPT = frozenset({"maxpool", "avgpool"})
"""Layers which leave nothing below zero if nothing was."""

SMALL, LARGE, HUGE = 40_000, 400_000, 1_000_000
"""Numbers from which this is faster, measured: as integers in one thread, otherwise, and with a stride in several."""


class Tap(NamedTuple):
    """One place of a window along an axis: what outputs [start, stop) read `shift` further than their first."""

    shift: int
    start: int
    stop: int

    def full(self, out: int) -> bool:
        """Whether all outputs read it."""
        return (self.start, self.stop) == (0, out)


def taps(size: int, out: int, kernel: int, stride: int, dilation: int, before: int) -> list[Tap]:
    """Of a window, without what lies in the padding: those that all outputs read first."""
    found = []
    for shift in (place * dilation - before for place in range(kernel)):
        start = max(0, -(shift // stride))
        stop = min(out, (size - 1 - shift) // stride + 1)
        if start < stop:
            found.append(Tap(shift, start, stop))
    return sorted(found, key=lambda tap: tap.start - tap.stop)


def worth(numbers: int, strided: bool, dtype: torch.dtype, positive: bool, threads: int) -> bool:
    """Whether a pool of so many numbers is faster this way."""
    if dtype == torch.bfloat16 and positive:  # compared as integers
        return numbers >= (SMALL if threads == 1 else LARGE)
    if not strided:
        return numbers >= LARGE
    return dtype == torch.float32 and numbers >= (LARGE if threads == 1 else HUGE)
