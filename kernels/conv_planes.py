"""`conv` by the copy engine, stride 2, for any height, width and channels: an image for each parity of row and column.

A tap sees every second row and column, so the pixels of one parity, which are an image of their own. Which one it is
is known when the kernel is compiled, and the taps are unrolled.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels._common import box_at, dot, finish_box, grouped
from archdsl.kernels._convolution import Convolution, refuses_copies
from archdsl.kernels._launch import Claim, Config, Shipped, box_of, cheapest, halves, image_descriptor, launch
from triton.tools.tensor_descriptor import TensorDescriptor

MOST_TAPS = 25

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 3), Claim(True, True, 57 * 1024, 3)),
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 81 * 1024, 2)),
)


@triton.jit
def _conv_planes(
    x00, x01, x10, x11, wd, rd, yd, scale, bias, N, OH, OW, C, K,
    R: tl.constexpr, S: tl.constexpr, PH: tl.constexpr, PW: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    HALVES: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """xpq: the pixels of rows p, p + 2, ... and columns q, q + 2, ..."""
    BM: tl.constexpr = BI * BH * BW
    boxes = tl.cdiv(N, BI) * tl.cdiv(OH, BH) * tl.cdiv(OW, BW)
    row, column = grouped(tl.program_id(0), boxes, tl.cdiv(K, BN))
    n0, h0, w0 = box_at(row, OH, OW, BI, BH, BW)
    k0 = column * BN
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for r in tl.static_range(R):
        for s in tl.static_range(S):
            for c in range(0, C, BK):
                if (r * DH + PH) % 2 == 0:
                    if (s * DW + PW) % 2 == 0:
                        a = x00.load([n0, h0 + ((r * DH - PH) >> 1), w0 + ((s * DW - PW) >> 1), c])
                    else:
                        a = x01.load([n0, h0 + ((r * DH - PH) >> 1), w0 + ((s * DW - PW) >> 1), c])
                else:
                    if (s * DW + PW) % 2 == 0:
                        a = x10.load([n0, h0 + ((r * DH - PH) >> 1), w0 + ((s * DW - PW) >> 1), c])
                    else:
                        a = x11.load([n0, h0 + ((r * DH - PH) >> 1), w0 + ((s * DW - PW) >> 1), c])
                b = tl.reshape(wd.load([k0, r * S + s, c]), (BN, BK))
                acc = dot(tl.reshape(a, (BM, BK)), b.T, acc, PRECISION)
    finish_box(acc, scale, bias, rd, yd, n0, h0, w0, k0, K, BI, BH, BW, BN, HALVES, ACT)


def refuses(call: Convolution, config: Config) -> str | None:
    """Why this form can't do it with this configuration, or None."""
    if call.stride != (2, 2):
        return f"the stride is {call.stride}, not 2 both ways"
    if call.groups > 1:
        return f"there are {call.groups} groups"
    if min(call.laid.h, call.laid.w) < 2:
        return "an image one pixel high or wide has no pixels of the other parity"
    if call.kernel[0] * call.kernel[1] > MOST_TAPS:
        return f"more than {MOST_TAPS} taps are not unrolled"
    return refuses_copies(call, config)


def choose(call: Convolution) -> Config:
    """By rule."""
    depth = call.channels[0]
    return cheapest(CONFIGS, lambda c: call.boxes(c) * call.column_tiles(c), depth, call.x)


def run(call: Convolution, config: Config) -> None:
    n, h, w, c, pitch = call.laid
    bi, bh, bw = box_of(config, *call.into[:3])
    (r, s), (top, left), (dh, dw) = call.kernel, call.start, call.dilation
    parities = [
        TensorDescriptor(
            call.x[:, p:, q:],
            [n, (h - p + 1) // 2, (w - q + 1) // 2, c],
            [h * w * pitch, 2 * w * pitch, 2 * pitch, 1],
            [bi, bh, bw, config.bk],
        )
        for p in (0, 1)
        for q in (0, 1)
    ]
    wd = TensorDescriptor(call.weight, [call.into.c, r * s, c], [r * s * c, c, 1], [config.bn, 1, config.bk])
    tile = (bi, bh, bw, config.bn // (1 + halves(config)))
    rd = None if call.added is None else image_descriptor(call.residual, call.added, tile)
    yd = image_descriptor(call.out, call.into, tile)
    launch(
        _conv_planes, (call.boxes(config) * call.column_tiles(config),), config, call.x,
        *parities, wd, rd, yd, call.scale, call.bias, *call.into[:3], c, call.into.c,
        R=r, S=s, PH=top, PW=left, DH=dh, DW=dw, BI=bi, BH=bh, BW=bw, BN=config.bn, BK=config.bk,
        HALVES=halves(config), ACT=call.act, PRECISION=call.precision,
    )  # fmt: skip
