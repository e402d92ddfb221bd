"""`conv` by the copy engine, stride 1 or 2: a tile is a box of pixels, fetched for each tap.

The copy engine fills what is outside the image with zeros, which is the padding. Stride 2 (`_launch.taps_descriptor`)
needs even H and W, and steps that end where a pixel's channels do.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels._common import box_at, dot, finish_box, grouped, tap_box
from archdsl.kernels._convolution import Convolution, refuses_copies
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    box_of,
    cheapest,
    halves,
    image_descriptor,
    launch,
    taps_descriptor,
)
from triton.tools.tensor_descriptor import TensorDescriptor

MOST_TAPS = 25
"""That are unrolled: the code grows with them."""

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(128, 128, 64, 4, 4), Claim(True, True, 113 * 1024, 2)),
    Shipped(Config(128, 256, 64, 8, 3), Claim(True, True, 129 * 1024, 1)),
    Shipped(Config(256, 128, 64, 8, 3), Claim(True, True, 113 * 1024, 1)),
    Shipped(Config(64, 64, 64, 4, 4), Claim(True, True, 57 * 1024, 3)),
    Shipped(Config(128, 32, 32, 4, 4), Claim(True, True, 33 * 1024, 6)),
    Shipped(Config(128, 64, 32, 4, 4), Claim(True, True, 41 * 1024, 3)),
    Shipped(Config(128, 128, 64, 8, 3, flat=False), Claim(True, True, 81 * 1024, 2)),
)


@triton.jit
def _conv_tma(
    xd, wd, rd, yd, scale, bias, N, OH, OW, CG, KG, GROUPS, PITCH,
    R: tl.constexpr, S: tl.constexpr, PH: tl.constexpr, PW: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr,
    STRIDE: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    FLAT: tl.constexpr, HALVES: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    BM: tl.constexpr = BI * BH * BW
    boxes = tl.cdiv(N, BI) * tl.cdiv(OH, BH) * tl.cdiv(OW, BW)
    columns = tl.cdiv(KG, BN)
    row, column = grouped(tl.program_id(0), boxes, columns * GROUPS)
    n0, h0, w0 = box_at(row, OH, OW, BI, BH, BW)
    group = column // columns
    k0 = group * KG + (column % columns) * BN
    c0 = group * CG
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    if FLAT:
        blocks = tl.cdiv(CG, BK)
        for i in range(R * S * blocks):
            c = (i % blocks) * BK
            tap = i // blocks
            dy = (tap // S) * DH - PH
            dx = (tap % S) * DW - PW
            a = tap_box(xd, n0, h0, w0, c0 + c, dy, dx, PITCH, STRIDE, BM, BK)
            b = tl.reshape(wd.load([k0, tap, c]), (BN, BK))
            acc = dot(a, b.T, acc, PRECISION)
    else:
        for tap in tl.static_range(R * S):
            for c in range(0, CG, BK):
                dy = (tap // S) * DH - PH
                dx = (tap % S) * DW - PW
                a = tap_box(xd, n0, h0, w0, c0 + c, dy, dx, PITCH, STRIDE, BM, BK)
                b = tl.reshape(wd.load([k0, tap, c]), (BN, BK))
                acc = dot(a, b.T, acc, PRECISION)
    finish_box(acc, scale, bias, rd, yd, n0, h0, w0, k0, KG * GROUPS, BI, BH, BW, BN, HALVES, ACT)


def refuses(call: Convolution, config: Config) -> str | None:
    """Why this form can't do it with this configuration, or None."""
    channels, columns = call.channels
    if call.stride not in ((1, 1), (2, 2)):
        return f"the stride is {call.stride}, not 1 or 2 both ways"
    if call.groups > 1 and (channels % config.bk or columns % config.bn):
        return (
            f"groups of {channels} and {columns} channels are not whole steps of {config.bk} and {config.bn}"
        )
    if call.stride == (2, 2):
        if call.laid.h % 2 or call.laid.w % 2:
            return f"at stride 2 the height and width must be even, not {call.laid.h} and {call.laid.w}"
        if channels % config.bk:
            return f"at stride 2 the {channels} input channels must be whole steps of {config.bk}"
    if not config.flat and call.kernel[0] * call.kernel[1] > MOST_TAPS:
        return f"more than {MOST_TAPS} taps are not unrolled"
    return refuses_copies(call, config)


def choose(call: Convolution) -> Config:
    """By rule, among those that can do it if any can."""
    flat = [s for s in CONFIGS if s.config.flat]
    half = call.x.element_size() == 4
    able = [s for s in flat if refuses(call, s.config._replace(bk=s.config.bk // (1 + half))) is None]
    depth = call.channels[0]
    return cheapest(able or flat, lambda c: call.boxes(c) * call.column_tiles(c), depth, call.x)


def run(call: Convolution, config: Config) -> None:
    bi, bh, bw = box_of(config, *call.into[:3])
    (r, s), (top, left), (dh, dw) = call.kernel, call.start, call.dilation
    channels, columns = call.channels
    xd = taps_descriptor(call.x, call.laid, call.stride[0], (bi, bh, bw, config.bk))
    wd = TensorDescriptor(
        call.weight,
        [call.into.c, r * s, channels],
        [r * s * channels, channels, 1],
        [config.bn, 1, config.bk],
    )
    tile = (bi, bh, bw, config.bn // (1 + halves(config)))
    rd = None if call.added is None else image_descriptor(call.residual, call.added, tile)
    yd = image_descriptor(call.out, call.into, tile)
    launch(
        _conv_tma, (call.boxes(config) * call.column_tiles(config),), config, call.x,
        xd, wd, rd, yd, call.scale, call.bias, *call.into[:3], channels, columns, call.groups, call.laid.pitch,
        R=r, S=s, PH=top, PW=left, DH=dh, DW=dw, STRIDE=call.stride[0], BI=bi, BH=bh, BW=bw, BN=config.bn, BK=config.bk,
        FLAT=config.flat, HALVES=halves(config), ACT=call.act, PRECISION=call.precision,
    )  # fmt: skip
