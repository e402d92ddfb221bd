"""`conv` by pointers: any stride, dilation, groups and channels. Loads go through registers or, where pixels lie on 16
bytes, by asynchronous copies."""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels._common import dot, finish, grouped, index, pixel
from archdsl.kernels._convolution import Convolution
from archdsl.kernels._launch import Claim, Config, Shipped, cheapest, launch, refuses_tma, wide

EVEN = (
    Shipped(Config(128, 128, 64, 8, 3), Claim(False, True, 96 * 1024, 1)),
    Shipped(Config(128, 64, 64, 4, 3), Claim(False, True, 72 * 1024, 2)),
    Shipped(Config(64, 64, 32, 4, 3), Claim(False, True, 24 * 1024, 5)),
)
"""Where every pixel of x and of the weight lies on 16 bytes."""

ODD = (
    Shipped(Config(64, 64, 32, 4, 2), Claim(False, True, 8 * 1024, 3)),
    Shipped(Config(64, 32, 16, 4, 2), Claim(False, True, 4 * 1024, 7)),
)
CONFIGS = EVEN + ODD


@triton.jit
def _conv_pointer(
    x, w, residual, y, scale, bias, M, H, W, OH, OW, CG, KG, GROUPS, XP, RP, YP,
    R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, PH: tl.constexpr, PW: tl.constexpr,
    DH: tl.constexpr, DW: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    WIDE: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """XP, RP, YP: numbers from a pixel to the next of x, the residual and y."""
    columns = tl.cdiv(KG, BN)
    row, column = grouped(tl.program_id(0), tl.cdiv(M, BM), columns * GROUPS)
    group = column // columns
    m = row * BM + tl.arange(0, BM)
    j = (column % columns) * BN + tl.arange(0, BN)
    k = group * KG + j
    n, oh, ow = pixel(m, OH, OW)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    blocks = tl.cdiv(CG, BK)
    for i in range(R * S * blocks):
        c = (i % blocks) * BK + tl.arange(0, BK)
        tap = i // blocks
        ih = oh * SH + (tap // S) * DH - PH
        iw = ow * SW + (tap % S) * DW - PW
        seen = (m < M) & (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W)
        at = index((n * H + ih) * W + iw, WIDE) * XP + group * CG
        a = tl.load(x + at[:, None] + c[None, :], mask=seen[:, None] & (c < CG)[None, :], other=0.0)
        b = tl.load(
            w + (k * (R * S) + tap)[:, None] * CG + c[None, :],
            mask=(j < KG)[:, None] & (c < CG)[None, :],
            other=0.0,
        )
        acc = dot(a, b.T, acc, PRECISION)
    written = (m < M)[:, None] & (j < KG)[None, :]
    at = index(m, WIDE)
    more = None
    if residual is not None:
        more = tl.load(residual + (at * RP)[:, None] + k[None, :], mask=written, other=0.0)
    acc = finish(acc, scale, bias, k, KG * GROUPS, more, ACT)
    tl.store(y + (at * YP)[:, None] + k[None, :], acc.to(y.dtype.element_ty), mask=written)


def refuses(call: Convolution, config: Config) -> str | None:
    """None: this form can do every convolution."""
    return None


def choose(call: Convolution) -> Config:
    """By rule."""
    channels = call.channels[0]
    even = channels * call.x.element_size() % 16 == 0 and refuses_tma(call.x, call.laid, "x") is None
    return cheapest(
        EVEN if even else ODD, lambda c: -(-call.pixels // c.bm) * call.column_tiles(c), channels, call.x
    )


def run(call: Convolution, config: Config) -> None:
    (r, s), (top, left), (sh, sw), (dh, dw) = call.kernel, call.start, call.stride, call.dilation
    channels, columns = call.channels
    launch(
        _conv_pointer, (-(-call.pixels // config.bm) * call.column_tiles(config),), config, call.x,
        call.x, call.weight, call.residual, call.out, call.scale, call.bias,
        call.pixels, call.laid.h, call.laid.w, call.into.h, call.into.w, channels, columns, call.groups,
        call.laid.pitch, call.added.pitch if call.added else 0, call.into.pitch,
        R=r, S=s, SH=sh, SW=sw, PH=top, PW=left, DH=dh, DW=dw, BM=config.bm, BN=config.bn, BK=config.bk,
        WIDE=wide(call.x, call.residual, call.out), ACT=call.act, PRECISION=call.precision,
    )  # fmt: skip
