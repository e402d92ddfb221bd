"""A network's first convolution on the image as the caller has it, and the max pool after it, in one kernel.

    y = maxpool(act(conv(v, w) * scale + bias)),    stride 2, v = x * gain + shift inside the image and 0 outside

The convolution's output, of half the image's sides and 64 channels, is the largest tensor of a ResNet or a DenseNet, and
here it never comes to memory. Boxes of it are pooled where they are computed, as in `conv_pool`; how the image is read
is in `stem`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels import stem as plain
from archdsl.kernels._boxes import box_pixels, store_tail, tail_of, tail_start
from archdsl.kernels._common import activate, scaled
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    image,
    launch,
    output,
    precision_of,
    vector,
    wide,
    window,
)
from archdsl.kernels.stem import row_sums
from torch import Tensor

CONFIGS = (
    Shipped(Config(256, 64, 32, 8, 2), Claim(False, True, 24 * 1024, 1)),
    Shipped(Config(256, 32, 32, 4, 2), Claim(False, True, 20 * 1024, 2)),
    Shipped(Config(128, 64, 32, 4, 2), Claim(False, True, 16 * 1024, 2)),
)
"""bk is the least power of two that a row of the window fits in. Example layer: 7x7, stride 2, 3 channels, 224 x 224, to
64, a pool of 3 with padding 1."""


LONGEST = 64
"""Numbers in a row of the window, filled up: a box of pixels leaves no registers for more."""


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    gain: Tensor | None = None,
    shift: Tensor | None = None,
    stride: tuple[int, int] = (2, 2),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    act: str = "none",
    pool: int = 3,
    pool_padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The definition, but for rounding v; weight as `stem.packed` takes it."""
    y = plain.reference(
        x, weight, scale, bias, gain=gain, shift=shift, stride=stride, padding=padding, act=act
    )
    return _reference.followed(y, f"maxpool{pool}", pool_padding, size)


@triton.jit
def _stem_pool(
    x, weight, scale, bias, gain, shift, y, N, H, W, CH, CW, OH, OW, K, XN, XH, XW, XC, YP,
    C: tl.constexpr, R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, TOP: tl.constexpr,
    LEFT: tl.constexpr, POOL: tl.constexpr, PT: tl.constexpr, PL: tl.constexpr, ACT: tl.constexpr,
    PRECISION: tl.constexpr, WIDE: tl.constexpr, DENSE: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr,
    BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """x, weight, gain, shift, XN, ..., DENSE: as `stem.row_sums` takes them; POOL, PT, PL: as `_boxes.tail_start` does."""
    n0, oh0, ow0, h0, w0 = tail_start(tl.program_id(0), OH, OW, POOL, PT, PL, BI, BH, BW)
    n, h, w = box_pixels(n0, h0, w0, BI, BH, BW)
    k = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = row_sums(
        x, weight, gain, shift, n, h, w, n < N, k, H, W, K, XN, XH, XW, XC,
        C, R, S, SH, SW, TOP, LEFT, BI * BH * BW, BN, BK, DENSE, WIDE, PRECISION,
    )  # fmt: skip
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    store_tail(acc, y, n0, oh0, ow0, h0, w0, k, N, CH, CW, OH, OW, K, YP, POOL, WIDE, BI, BH, BW, BN)


def stem_pool(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    taps: int,
    gain: Tensor | None = None,
    shift: Tensor | None = None,
    stride: tuple[int, int] = (2, 2),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    act: str = "none",
    pool: int = 3,
    pool_padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
    out: Tensor | None = None,
    precision: str = "ieee",
    config: Config | None = None,
) -> Tensor:
    """x [N, H, W, C] -> [N, *size, K], of the weights' dtype.

    x, weight, taps, gain, shift, stride, padding: as `stem` takes them. pool: 2 or 3, pool_padding, size: as `conv_pool`
    takes them. Raises ValueError where the arguments don't fit together.
    """
    plain.checked(x, weight, taps, out, LONGEST)
    n, h, w, c = x.shape
    k, r, run = weight.shape
    if pool not in (2, 3):
        raise ValueError(f"pool must be 2 or 3, not {pool}; other windows are `stem` and then `pool`")
    (sh, sw), (top, bottom, left, right) = stride, padding
    ch, cw = window(h, r, sh, top, bottom, 1, "height"), window(w, taps, sw, left, right, 1, "width")
    tail = tail_of(f"maxpool{pool}", ch, cw, pool_padding, size)
    like = torch.empty(0, dtype=weight.dtype, device=weight.device)
    y = output(out, n, *tail.after, k, like)
    chosen = config or (CONFIGS[0] if k > 32 else CONFIGS[1]).config._replace(bk=run)
    if chosen.bk != run:
        raise ValueError(f"a configuration of bk {chosen.bk} does not do rows of {run}")
    box = tail.box(chosen, n)
    xn, xh, xw, xc = x.stride()
    launch(
        _stem_pool, (tail.tiles(n, box), -(-k // chosen.bn)), chosen, x,
        x, weight, vector(scale, k, "scale", x), vector(bias, k, "bias", x), vector(gain, c, "gain", x),
        vector(shift, c, "shift", x), y, n, h, w, ch, cw, *tail.after, k, xn, xh, xw, xc, image(y, "out").pitch,
        C=c, R=r, S=taps, SH=sh, SW=sw, TOP=top, LEFT=left, POOL=pool, PT=pool_padding[0], PL=pool_padding[1],
        ACT=activation(act), PRECISION=precision_of(precision), WIDE=wide(x, y), DENSE=xw == c and (xc == 1 or c == 1),
        BI=box[0], BH=box[1], BW=box[2], BN=chosen.bn, BK=run,
    )  # fmt: skip
    return y
