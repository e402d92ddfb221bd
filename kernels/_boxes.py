"""What kernels share that compute a convolution on a box of pixels and then pool it.

A box is BI images x BH rows x BW columns of the convolution's output, BM = BI * BH * BW, one row of the accumulator
for each pixel, columns fastest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import triton
import triton.language as tl
from archdsl.kernels._common import box_at, dot, index
from archdsl.kernels._launch import Config, window
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def conv_box(
    x, weight, n0, h0, w0, k0, C, R: tl.constexpr, S: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """The sums of a box whose first window starts at (n0, h0, w0), stride 1, for output channels k0 and on: (BM, BN)
    fp32. x, weight: descriptors; what lies outside x is zero, which is the padding."""
    BM: tl.constexpr = BI * BH * BW
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    blocks = tl.cdiv(C, BK)
    for i in range(R * S * blocks):  # channels innermost: the window's next step finds the same pixels in L2
        c0 = (i % blocks) * BK
        rs = i // blocks
        a = tl.reshape(x.load([n0, h0 + rs // S * DH, w0 + rs % S * DW, c0]), (BM, BK))
        b = tl.reshape(weight.load([k0, rs, c0]), (BN, BK))
        acc = dot(a, b.T, acc, PRECISION)
    return acc


@triton.jit
def box_pixels(n0, h0, w0, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):
    """Image, row and column of each of a box's pixels."""
    m = tl.arange(0, BI * BH * BW)
    return n0 + m // (BH * BW), h0 + m // BW % BH, w0 + m % BW


@triton.jit
def _later(x, AXIS: tl.constexpr):
    """x, of rank 3, one place further along AXIS; the last place has no meaning."""
    size: tl.constexpr = x.shape[AXIS]
    at = tl.minimum(tl.arange(0, size) + 1, size - 1)
    at = at[:, None, None] if AXIS == 0 else at[None, :, None]
    return tl.gather(x, tl.broadcast_to(at, x.shape), AXIS)


@triton.jit
def _halved(x, WINDOW: tl.constexpr):
    """x (A, B, D) -> (A, B // 2, D): the largest of each WINDOW, 2 or 3, places with stride 2. Of 3, the last has no
    meaning: its third place is in the next box."""
    A: tl.constexpr = x.shape[0]
    B: tl.constexpr = x.shape[1]
    D: tl.constexpr = x.shape[2]
    even, odd = tl.split(tl.permute(tl.reshape(x, (A, B // 2, 2, D)), (0, 1, 3, 2)))
    most = tl.maximum(even, odd)
    if WINDOW == 3:
        most = tl.maximum(most, _later(even, 1))
    return most


@triton.jit
def pooled(
    acc, inside, WINDOW: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr
):  # fmt: skip
    """The largest of each WINDOW x WINDOW pixels that are `inside`, stride 2: (BM // 4, BN). For 3 x 3 the last row and
    column of each image have no meaning."""
    acc = tl.where(inside[:, None], acc, float("-inf"))
    acc = _halved(tl.reshape(acc, (BI * BH, BW, BN)), WINDOW)
    acc = _halved(tl.reshape(acc, (BI, BH, BW // 2 * BN)), WINDOW)
    return tl.reshape(acc, (BI * BH // 4 * BW, BN))


@triton.jit
def tail_start(
    tile, OH, OW, TAIL: tl.constexpr, PT: tl.constexpr, PL: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
):  # fmt: skip
    """Where box number `tile` starts: image, row and column of what the tail gives; row and column before the tail."""
    TH: tl.constexpr = BH // 2 - (TAIL - 2) if TAIL >= 2 else BH
    TW: tl.constexpr = BW // 2 - (TAIL - 2) if TAIL >= 2 else BW
    n0, oh0, ow0 = box_at(tile, OH, OW, BI, TH, TW)
    if TAIL >= 2:
        return n0, oh0, ow0, oh0 * 2 - PT, ow0 * 2 - PL
    else:
        return n0, oh0, ow0, oh0, ow0


@triton.jit
def store_tail(
    acc, y, n0, oh0, ow0, h0, w0, k, N, CH, CW, OH, OW, K, YP, TAIL: tl.constexpr, WIDE: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Write what TAIL makes of a finished box, channels k of K, to y [N, OH, OW, K]. What lies outside the CH x CW
    pixels before the tail counts for nothing.

    TAIL: 0, the box as it is; 1, the mean of each image, which the box holds whole; 2 and 3, the largest of each 2 x 2
    or 3 x 3 with stride 2.
    """
    n, h, w = box_pixels(n0, h0, w0, BI, BH, BW)
    inside = (h >= 0) & (h < CH) & (w >= 0) & (w < CW)
    if TAIL == 0:
        _store(y, acc, n, h, w, k, (n < N) & inside, OH, OW, K, YP, WIDE)
    elif TAIL == 1:
        acc = tl.where(inside[:, None], acc, 0.0)
        mean = tl.sum(tl.reshape(acc, (BI, BH * BW, BN)), axis=1) / (CH * CW)
        n = n0 + tl.arange(0, BI)
        _store(y, mean, n, 0, 0, k, n < N, 1, 1, K, YP, WIDE)
    else:
        most = pooled(acc, inside, TAIL, BI, BH, BW, BN)
        n, oh, ow = box_pixels(n0, oh0, ow0, BI, BH // 2, BW // 2)
        # Of 3 x 3, the last row and column of a box have no meaning.
        ok = (n < N) & (oh < tl.minimum(OH, oh0 + BH // 2 + 2 - TAIL))
        ok = ok & (ow < tl.minimum(OW, ow0 + BW // 2 + 2 - TAIL))
        _store(y, most, n, oh, ow, k, ok, OH, OW, K, YP, WIDE)


@triton.jit
def _store(y, values, n, h, w, k, ok, H, W, K, YP, WIDE: tl.constexpr):
    """Write rows of values to pixels (n, h, w) of y, those that are ok, channels k of K."""
    at = ((index(n, WIDE) * H + h) * W + w) * YP
    tl.store(y + at[:, None] + k[None, :], values.to(y.dtype.element_ty), mask=ok[:, None] & (k < K)[None, :])


TAILS = {"none": 0, "gap": 1, "maxpool2": 2, "maxpool3": 3}
"""What may follow a convolution in its kernel: nothing, the mean of each image, max pools with stride 2."""


class Tail(NamedTuple):
    """What follows a convolution, checked. kind: of TAILS; before, after: rows and columns that go in and come out;
    start: padding before the first row and column of a pool."""

    kind: int
    before: tuple[int, int]
    after: tuple[int, int]
    start: tuple[int, int]

    def steps(self, box: tuple[int, int, int]) -> tuple[int, int]:
        """Rows and columns of the output that a box gives."""
        if self.kind < 2:
            return box[1], box[2]
        return box[1] // 2 + 2 - self.kind, box[2] // 2 + 2 - self.kind

    def tiles(self, n: int, box: tuple[int, int, int]) -> int:
        """Boxes that n images take."""
        sizes = zip((n, *self.after), (box[0], *self.steps(box)), strict=True)
        return math.prod(-(-size // step) for size, step in sizes)

    def fits(self, box: tuple[int, int, int]) -> bool:
        """Whether the box gives any output."""
        if self.kind == 1:
            return box[1] >= self.before[0] and box[2] >= self.before[1]
        return min(self.steps(box)) > 0

    def holds(self, config: Config) -> bool:
        """Whether the configuration has a box that gives any output."""
        return any(self.fits(box) for box in self._boxes(config))

    def box(self, config: Config, n: int) -> tuple[int, int, int]:
        """The configuration's box, or the one that leaves the fewest programs, and of those the squarest.

        Raises ValueError where it isn't bm pixels, or too small.
        """
        boxes = self._boxes(config)
        if any(math.prod(box) != config.bm or any(side & (side - 1) for side in box) for box in boxes):
            raise ValueError(f"box {config.box} must be powers of two whose product is bm = {config.bm}")
        boxes = [box for box in boxes if self.fits(box)]
        if not boxes:
            what = "whole image" if self.kind == 1 else "window"
            raise ValueError(
                f"a box of {config.bm} pixels {config.box or ''} holds no {what} of {self.before}"
            )
        return min(boxes, key=lambda box: (self.tiles(n, box), abs(box[1] - box[2])))

    def _boxes(self, config: Config) -> list[tuple[int, int, int]]:
        """The configuration's box, or all of as many pixels."""
        if config.box is not None:
            return [config.box]
        sides = [2**i for i in range(config.bm.bit_length())]
        return [(config.bm // (a * b), a, b) for a in sides for b in sides if a * b <= config.bm]


def tail_of(
    then: str, h: int, w: int, padding: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None
) -> Tail:
    """What follows h x w pixels. padding: of a pool, before and after rows and columns; size: windows of a pool, as many
    as fit if None, one more where torch's `ceil` asks for it.

    Raises ValueError for what no kernel does.
    """
    if then not in TAILS:
        raise ValueError(f"nothing that may follow is called {then!r}; there are {', '.join(TAILS)}")
    kind = TAILS[then]
    if kind < 2:
        if size is not None or any(padding):
            raise ValueError(f"{then!r} takes neither padding nor size; only pools do")
        return Tail(kind, (h, w), (1, 1) if kind else (h, w), (0, 0))
    rows, columns = size or (window(h, kind, 2, padding[0], padding[0], 1, "height"),
                             window(w, kind, 2, padding[1], padding[1], 1, "width"))  # fmt: skip
    for side, places, before in ((rows, h, padding[0]), (columns, w, padding[1])):
        if not 0 <= before <= kind // 2 or side < 1 or (side - 1) * 2 >= places + before:
            raise ValueError(
                f"a pool of {kind} with padding {before} has no {side} windows over {places} places"
            )
    return Tail(kind, (h, w), (rows, columns), padding)


def weights_descriptor(weight: Tensor, bn: int, bk: int) -> TensorDescriptor:
    """Weights [K, R, S, C] for the copy engine, in blocks of output channels and input channels of one place of the
    window."""
    k, r, s, c = weight.shape
    return TensorDescriptor(weight, [k, r * s, c], [r * s * c, c, 1], [bn, 1, bk])
