"""A convolution, what follows it element by element, and a max pool with stride 2, in one kernel.

    y = maxpool(act(conv(x) * scale + bias))

The tensor before the pool, four times as large as the one after it, never comes to memory. A program computes a box of
the convolution's output and pools it where it is: 2 x 2 windows divide a box evenly; 3 x 3 windows reach into the next
box, so the boxes overlap by a row and a column, which are computed twice. Larger boxes waste less: 16 x 16 pixels give
7 x 7 of the output.

Places outside the convolution's output, in the padding of the pool or past the last window that `ceil` added, are -inf
before the pool, so they never win, whatever the activation.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import conv_box, store_tail, tail_of, tail_start, weights_descriptor
from archdsl.kernels._common import activate, grouped, scaled
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    cheapest,
    image,
    image_descriptor,
    launch,
    output,
    precision_of,
    refuses_tma,
    vector,
    weight_of,
    wide,
    window,
)
from torch import Tensor

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 81 * 1024, 1)),
    Shipped(Config(256, 64, 64, 8, 3), Claim(True, True, 89 * 1024, 2)),
    Shipped(Config(256, 64, 32, 8, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(256, 32, 32, 4, 4), Claim(True, True, 74 * 1024, 2)),
    Shipped(Config(256, 128, 64, 8, 3), Claim(True, True, 113 * 1024, 1)),
    Shipped(Config(128, 256, 64, 8, 3), Claim(True, True, 130 * 1024, 1)),
)
"""Example layer: 3x3, 128 channels, 56 x 56, to 256, with either pool."""


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
    pool: int = 2,
    pool_padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> Tensor:
    """[N, H, W, C] -> [N, *size, K]"""
    before = _reference.conv(x, weight, padding=padding, dilation=dilation)
    before = _reference.finished(before, scale, bias, act=act)
    return _reference.followed(before, f"maxpool{pool}", pool_padding, size)


@triton.jit
def _conv_pool(
    x, weight, scale, bias, y, N, CH, CW, OH, OW, C, K, YP, TOP, LEFT,
    R: tl.constexpr, S: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr,
    POOL: tl.constexpr, PT: tl.constexpr, PL: tl.constexpr,
    ACT: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    columns = tl.cdiv(K, BN)
    tile, column = grouped(tl.program_id(0), tl.num_programs(0) // columns, columns)
    n0, oh0, ow0, h0, w0 = tail_start(tile, OH, OW, POOL, PT, PL, BI, BH, BW)
    k0 = column * BN
    k = k0 + tl.arange(0, BN)
    acc = conv_box(x, weight, n0, h0 - TOP, w0 - LEFT, k0, C, R, S, DH, DW, BI, BH, BW, BN, BK, PRECISION)
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    store_tail(acc, y, n0, oh0, ow0, h0, w0, k, N, CH, CW, OH, OW, K, YP, POOL, WIDE, BI, BH, BW, BN)


def conv_pool(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
    pool: int = 2,
    pool_padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], weight [K, R, S, C] -> [N, *size, K]. The convolution has stride 1.

    padding: of the convolution: top, bottom, left, right. pool: 2 or 3, the window; pool_padding: before the first row
    and column. size: rows and columns of the output; what torch's rule gives without `ceil`, if None. Raises ValueError
    where the copy engine can't read x; `conv` and then `pool` can.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    k, r, s = weight.shape[:3]
    weight_of(weight, (k, r, s, c), x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    top, bottom, left, right = padding
    ch = window(h, r, 1, top, bottom, dilation[0], "height")
    cw = window(w, s, 1, left, right, dilation[1], "width")
    if pool not in (2, 3):
        raise ValueError(f"pool must be 2 or 3, not {pool}; other windows are `conv` and then `pool`")
    tail = tail_of(f"maxpool{pool}", ch, cw, pool_padding, size)
    oh, ow = tail.after
    y = output(out, n, oh, ow, k, x)
    to = image(y, "out")
    why = refuses_tma(x, laid, "x") or refuses_tma(weight, image(weight, "weight"), "weight")
    if why:
        raise ValueError(f"{why}; take `conv` and then `pool`")

    def tiles(config: Config) -> int:
        return tail.tiles(n, tail.box(config, n)) * -(-k // config.bn)

    chosen = config or cheapest([s for s in CONFIGS if tail.holds(s.config)], tiles, r * s * c, x)
    bn, bk = chosen.bn, chosen.bk
    box = tail.box(chosen, n)
    launch(
        _conv_pool, (tiles(chosen),), chosen, x,
        image_descriptor(x, laid, (*box, bk)), weights_descriptor(weight, bn, bk), scale, bias, y,
        n, ch, cw, oh, ow, c, k, to.pitch, top, left, R=r, S=s, DH=dilation[0], DW=dilation[1],
        POOL=pool, PT=pool_padding[0], PL=pool_padding[1], ACT=activation(act), PRECISION=precision_of(precision),
        WIDE=wide(y), BI=box[0], BH=box[1], BW=box[2], BN=bn, BK=bk,
    )  # fmt: skip
    return y
