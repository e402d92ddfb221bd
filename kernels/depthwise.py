"""Depthwise convolution: act(dwconv(x, w) * scale + bias), and on request the sums of what it writes.

    y[n, i, j, k] = act(scale[k] * sum over r, s of x[n, i*SH + r*DH - top, j*SW + s*DW - left, k // m] * w[r, s, k]
                        + bias[k]),    m the multiplier, output channels of an input channel
    sums[n, b, k] = sum of y over the pixels of box b of image n

A tile is a box of one image's pixels by channels, so that the pixels which its taps share are read from the L1 cache;
nothing is multiplied on tensor cores, and memory is what is waited for. Against a convolution and its batch norm and
activation one by one it saves reading and writing the output twice. With the sums, the mean that a squeeze-and-
excitation starts from needs no reading of y: sums.sum(1) / (OH * OW). They are summed in fp32 before y is rounded,
each box by one program, so they are the same every time.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, index, scaled
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    box_for,
    image,
    launch,
    output,
    same_device,
    vector,
    weight_of,
    wide,
    window,
)
from torch import Tensor, empty, float32

CONFIGS = (
    Shipped(Config(64, 32, 1, 4, 1), Claim(False, False, 1024, 5)),
    Shipped(Config(32, 64, 1, 4, 1), Claim(False, False, 1024, 5)),
    Shipped(Config(16, 64, 1, 2, 1), Claim(False, False, 1024, 11)),
    Shipped(Config(64, 64, 1, 8, 1), Claim(False, False, 2 * 1024, 2)),
    Shipped(Config(128, 16, 1, 4, 1), Claim(False, False, 1024, 5)),
)


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
) -> Tensor:
    """The definition of y; see `depthwise`."""
    y = _reference.conv(x, weight.permute(2, 0, 1)[..., None], stride, padding, dilation, x.shape[3])
    return _reference.finished(y, scale, bias, None, act)


@triton.jit
def _depthwise(
    x, w, y, sums, scale, bias, H, W, OH, OW, K, XP, YP, MULTIPLIER,
    R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, PH: tl.constexpr, PW: tl.constexpr,
    DH: tl.constexpr, DW: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr,
    WIDE: tl.constexpr, ACT: tl.constexpr,
):  # fmt: skip
    """One box of one image. XP, YP: numbers from a pixel to the next of x and y."""
    box = tl.program_id(0)
    n = tl.program_id(2)
    k = tl.program_id(1) * BN + tl.arange(0, BN)
    across = tl.cdiv(OW, BW)
    m = tl.arange(0, BH * BW)
    oh = (box // across) * BH + m // BW
    ow = (box % across) * BW + m % BW
    real = k < K
    c = k // MULTIPLIER
    acc = tl.zeros((BH * BW, BN), dtype=tl.float32)
    for r in range(R):
        ih = oh * SH + r * DH - PH
        for s in tl.static_range(S):
            iw = ow * SW + s * DW - PW
            seen = (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W)
            at = index(n * H * W + ih * W + iw, WIDE) * XP
            a = tl.load(x + at[:, None] + c[None, :], mask=seen[:, None] & real[None, :], other=0.0)
            b = tl.load(w + (r * S + s) * K + k, mask=real, other=0.0)
            acc += a.to(tl.float32) * b.to(tl.float32)[None, :]
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    written = ((oh < OH) & (ow < OW))[:, None] & real[None, :]
    if sums is not None:
        total = tl.sum(tl.where(written, acc, 0.0), axis=0)
        boxes = tl.num_programs(0)
        tl.store(sums + (n * boxes + box) * K + k, total, mask=real)
    at = index(n * OH * OW + oh * OW + ow, WIDE) * YP
    tl.store(y + at[:, None] + k[None, :], acc.to(y.dtype.element_ty), mask=written)


def depthwise(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
    out: Tensor | None = None,
    sums: Tensor | None = None,
    config: Config | None = None,
) -> Tensor:
    """act(dwconv(x, weight) * scale + bias), images [N, OH, OW, K], into `out` or new ones.

    x         images [N, H, W, C], out [N, OH, OW, K], K a multiple of C; each may be a slice of channels.
    weight    [R, S, K], dense, of x's dtype. scale, bias: [K] of fp32, or None for 1 and 0.
    padding   rows above and below, columns left and right, of zeros.
    sums      [N, boxes, K] of fp32, as `new_sums` makes them, to be written; with the same configuration.
    config    bn channels of bm pixels; bk and stages are not used. None: by rule.

    Raises ValueError where the arguments don't fit together.
    """
    laid = image(x, "x")
    if weight.dim() != 3 or weight.shape[2] % laid.c or 0 in weight.shape:
        raise ValueError(f"weight must be [R, S, K], K a multiple of {laid.c}, not {list(weight.shape)}")
    r, s, k = weight.shape
    weight_of(weight, (r, s, k), x)
    (sh, sw), (top, bottom, left, right), (dh, dw) = stride, padding, dilation
    oh = window(laid.h, r, sh, top, bottom, dh, "height")
    ow = window(laid.w, s, sw, left, right, dw, "width")
    config = config or choose(oh, ow, k)
    bh, bw = _box(config, oh, ow)
    boxes = -(-oh // bh) * -(-ow // bw)
    if sums is not None:
        if tuple(sums.shape) != (laid.n, boxes, k) or sums.dtype != float32 or not sums.is_contiguous():
            raise ValueError(
                f"sums must be {[laid.n, boxes, k]} of fp32, dense, not {list(sums.shape)} of {sums.dtype}"
            )
        same_device(x, sums=sums)
    scale, bias = vector(scale, k, "scale", x), vector(bias, k, "bias", x)
    if max(-(-k // config.bn), laid.n) > 65535:
        raise ValueError("more than 65535 images or tiles of channels; split the batch")
    out = output(out, laid.n, oh, ow, k, x)
    launch(
        _depthwise, (boxes, -(-k // config.bn), laid.n), config, x,
        x, weight, out, sums, scale, bias, laid.h, laid.w, oh, ow, k, laid.pitch, image(out, "out").pitch, k // laid.c,
        R=r, S=s, SH=sh, SW=sw, PH=top, PW=left, DH=dh, DW=dw, BH=bh, BW=bw, BN=config.bn,
        WIDE=wide(x, out), ACT=activation(act),
    )  # fmt: skip
    return out


def new_sums(out: Tensor, config: Config | None = None) -> Tensor:
    """Room for the sums of an output: [N, boxes, K] of fp32."""
    n, oh, ow, k = out.shape
    bh, bw = _box(config or choose(oh, ow, k), oh, ow)
    return empty((n, -(-oh // bh) * -(-ow // bw), k), dtype=float32, device=out.device)


def choose(oh: int, ow: int, k: int) -> Config:
    """By rule: the least that is computed in vain beyond the image and the channels."""

    def work(config: Config) -> int:
        bh, bw = _box(config, oh, ow)
        return -(-oh // bh) * bh * -(-ow // bw) * bw * -(-k // config.bn) * config.bn

    return min((shipped.config for shipped in CONFIGS), key=work)


def _box(config: Config, oh: int, ow: int) -> tuple[int, int]:
    """Rows and columns of a box. Raises ValueError where the configuration's holds several images."""
    n, h, w = config.box or box_for(1, oh, ow, config.bm)
    if config.box is None:
        return n * h, w  # an image smaller than a tile leaves some of it idle
    if n != 1 or h * w != config.bm or h & (h - 1) or w & (w - 1):
        raise ValueError(f"box {config.box} must be of one image, powers of two, {config.bm} pixels")
    return h, w
