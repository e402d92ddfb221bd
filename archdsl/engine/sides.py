"""The padding of a window, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def sides(op: Any, size: Sequence[int]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right), also of TensorFlow's `same`."""
    if op.padding != "same":
        return op.padding
    found: list[int] = []
    for side, kernel, stride, dilation in zip(size, op.kernel, op.stride, op.dilation, strict=True):
        extent = (kernel - 1) * dilation + 1
        more = max((-(-side // stride) - 1) * stride + extent - side, 0)
        found += [more // 2, more - more // 2]
    return found[0], found[1], found[2], found[3]
