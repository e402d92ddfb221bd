"""A convolution, what follows it element by element, and the mean over all of an image, in one kernel.

    y[n, k] = mean over i, j of act(conv(x)[n, i, j, k] * scale[k] + bias[k] + residual[n, i, j, k])

What the mean is taken of, the last and often the widest tensor of a network, never comes to memory. A program walks over
the boxes of its images and adds up; nothing else writes its sums, so they are the same every time.

Pixels of a box that lie outside the image hold act(bias), not 0: they don't count.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import box_pixels, conv_box, weights_descriptor
from archdsl.kernels._common import box_at, finish, grouped
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    box_of,
    cheapest,
    image,
    image_descriptor,
    launch,
    output,
    precision_of,
    refuses_tma,
    residual_of,
    vector,
    weight_of,
    window,
)
from torch import Tensor

CONFIGS = (
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 81 * 1024, 1)),
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(64, 64, 64, 4, 4), Claim(True, True, 57 * 1024, 3)),
    Shipped(Config(128, 32, 64, 4, 4), Claim(True, True, 65 * 1024, 3)),
)
"""Example layer: 1x1, 512 channels, 7 x 7, to 2048, with a residual."""


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """[N, H, W, C] -> [N, 1, 1, K]"""
    before = _reference.conv(x, weight, padding=padding, dilation=dilation)
    return _reference.finished(before, scale, bias, residual, act).mean((1, 2), keepdim=True)


@triton.jit
def _conv_gap(
    x, weight, scale, bias, residual, y, N, OH, OW, C, K, TOP, LEFT, YP,
    R: tl.constexpr, S: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
    BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    tile, column = grouped(tl.program_id(0), tl.cdiv(N, BI), tl.cdiv(K, BN))
    k0 = column * BN
    k = k0 + tl.arange(0, BN)
    total = tl.zeros((BI, BN), dtype=tl.float32)
    for box in range(tl.cdiv(OH, BH) * tl.cdiv(OW, BW)):
        _, h0, w0 = box_at(box, OH, OW, 1, BH, BW)
        n0 = tile * BI
        acc = conv_box(x, weight, n0, h0 - TOP, w0 - LEFT, k0, C, R, S, DH, DW, BI, BH, BW, BN, BK, PRECISION)
        more = (
            tl.reshape(residual.load([n0, h0, w0, k0]), (BI * BH * BW, BN)) if residual is not None else None
        )
        acc = finish(acc, scale, bias, k, K, more, ACT)
        _, h, w = box_pixels(n0, h0, w0, BI, BH, BW)
        acc = tl.where(((h < OH) & (w < OW))[:, None], acc, 0.0)
        total += tl.sum(tl.reshape(acc, (BI, BH * BW, BN)), axis=1)
    n = tile * BI + tl.arange(0, BI)
    at = n.to(tl.int64)[:, None] * YP + k[None, :]
    tl.store(y + at, (total / (OH * OW)).to(y.dtype.element_ty), mask=(n < N)[:, None] & (k < K)[None, :])


def conv_gap(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    act: str = "none",
    residual: Tensor | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], weight [K, R, S, C] -> [N, 1, 1, K]. The convolution has stride 1.

    padding: top, bottom, left, right. residual: as large as the convolution's output. Raises ValueError where the copy
    engine can't read x or the residual; `conv` and then `gap` can.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    k, r, s = weight.shape[:3]
    weight_of(weight, (k, r, s, c), x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    top, bottom, left, right = padding
    oh = window(h, r, 1, top, bottom, dilation[0], "height")
    ow = window(w, s, 1, left, right, dilation[1], "width")
    added = residual_of(residual, n, oh, ow, k, x)
    y = output(out, n, 1, 1, k, x)
    why = refuses_tma(x, laid, "x") or refuses_tma(weight, image(weight, "weight"), "weight")
    if residual is not None and added is not None:
        why = why or refuses_tma(residual, added, "residual")
    if why:
        raise ValueError(f"{why}; take `conv` and then `gap`")

    def tiles(config: Config) -> int:
        return -(-n // box_of(config, n, oh, ow)[0]) * -(-k // config.bn)

    def work(config: Config) -> int:
        box = box_of(config, n, oh, ow)
        return tiles(config) * -(-oh // box[1]) * -(-ow // box[2])

    chosen = config or cheapest(CONFIGS, work, r * s * c, x)
    box, bn, bk = box_of(chosen, n, oh, ow), chosen.bn, chosen.bk
    rd = image_descriptor(residual, added, (*box, bn)) if residual is not None and added is not None else None
    launch(
        _conv_gap, (tiles(chosen),), chosen, x,
        image_descriptor(x, laid, (*box, bk)), weights_descriptor(weight, bn, bk), scale, bias, rd, y,
        n, oh, ow, c, k, top, left, image(y, "out").pitch, R=r, S=s, DH=dilation[0], DW=dilation[1],
        ACT=activation(act), PRECISION=precision_of(precision), BI=box[0], BH=box[1], BW=box[2], BN=bn, BK=bk,
    )  # fmt: skip
    return y
