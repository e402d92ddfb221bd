"""Into how many sums a long one is cut, in float32.

The kernels add up products one after another, and each addition rounds what has come together so far: over thousands the
error at the end of a network is over twice that of torch, which cuts its sums in ways of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

LANES = 16
"""Channels that oneDNN's convolutions take at once, channels last."""

LONG, SUMS = 4096, 4
"""Products of a convolution above which they are cut, and into how many sums. Those are one convolution in groups and
additions: 1 % of VGG-16's time, whose error is 1.6 times torch's then, and was 2.3 times."""

MANY = 128
"""Sums of an image for each filter below which a convolution waits for its weights, and additions cost 1 to 2 % more."""

PIECE, PIECES = 256, 16
"""Products of an fc that are summed at once, and the most sums."""


def of_convolution(op: Any, channels: int, wanted: Sequence[int]) -> int:
    """How many a convolution of all channels has for each number that it gives. wanted: height and width of an image.

    Of whichever size, they are one or always as many: weights are held cut.
    """
    if op.syntax != "conv" or op.groups > 1:
        return 1
    is_long = prod(op.kernel) * channels > LONG
    # Some networks end with one pixel's, as others with an fc; others squeeze there.
    ends = prod(op.kernel) == prod(wanted) == 1 and op.channels >= channels // 2
    sums = SUMS if is_long else of_fc(channels)
    return sums if (ends or is_long and prod(wanted) >= MANY) and channels % (sums * LANES) == 0 else 1


def of_fc(inputs: int) -> int:
    """How many an fc has."""
    return min(-(-inputs // PIECE), PIECES)


def cut(weight: torch.Tensor, sums: int) -> torch.Tensor:
    """K x C x R x S as that of a convolution in groups, one for each sum: K*sums x C/sums x R x S."""
    return weight.unflatten(1, (sums, -1)).transpose(0, 1).flatten(0, 1)


def joined(weight: torch.Tensor, filters: int) -> torch.Tensor:
    """K x C x R x S of `cut`'s."""
    return weight.unflatten(0, (-1, filters)).transpose(0, 1).flatten(1, 2)
