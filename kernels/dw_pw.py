"""A depthwise convolution and the 1x1 convolution after it in one kernel: a block of MobileNets (Howard et al., 2017;
Sandler et al., 2018).

    between = pre_act(dwconv(x) * pre_scale + pre_bias)
    y       = act(weight @ between * scale + bias + residual)

The tensor between, the widest of its block, never comes to memory: the depthwise convolution is computed as the left
side of the product, channels by channels. Each tile of output channels does so again, so tiles are as wide as the
output where they can be.

form "tma": a tap is a box of pixels that the copy engine brings, zeros outside the image; stride 1, and 2 of even sizes
(`_launch.taps_descriptor`). form "pointer": any stride and size.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import box_pixels
from archdsl.kernels._common import activate, box_at, dot, finish, grouped, index, scaled, tap_box
from archdsl.kernels._launch import (
    Claim,
    Config,
    Image,
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
    rows_descriptor,
    taps_descriptor,
    vector,
    weight_of,
    wide,
    window,
)
from torch import Tensor

CONFIGS = {
    "tma": (
        Shipped(Config(128, 32, 32, 4, 3), Claim(True, True, 17 * 1024, 4)),
        Shipped(Config(128, 64, 64, 8, 3), Claim(True, True, 33 * 1024, 2)),
        Shipped(Config(64, 64, 64, 4, 1), Claim(True, True, 17 * 1024, 4)),
        Shipped(Config(64, 128, 64, 4, 2), Claim(True, True, 25 * 1024, 3)),
    ),
    "pointer": (
        Shipped(Config(64, 32, 32, 4, 1), Claim(False, True, 6 * 1024, 6)),
        Shipped(Config(64, 64, 32, 4, 1), Claim(False, True, 8 * 1024, 4)),
    ),
}
"""By form. Example layer: 3x3, 192 channels, 28 x 28, to 64, with a residual."""


def reference(
    x: Tensor,
    depthwise: Tensor,
    weight: Tensor,
    pre_scale: Tensor | None = None,
    pre_bias: Tensor | None = None,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pre_act: str = "none",
    act: str = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """The definition; see `dw_pw`."""
    taps = depthwise.permute(2, 0, 1)[..., None]
    between = _reference.conv(x, taps, (stride, stride), padding, groups=x.shape[3])
    between = _reference.finished(between, pre_scale, pre_bias, act=pre_act)
    return _reference.finished(_reference.conv(between, weight), scale, bias, residual, act)


@triton.jit
def _tma(
    x, depthwise, pre_scale, pre_bias, weight, scale, bias, residual, y, N, OH, OW, C, K, XP, TOP, LEFT,
    R: tl.constexpr, S: tl.constexpr, STRIDE: tl.constexpr, PRE_ACT: tl.constexpr, ACT: tl.constexpr,
    PRECISION: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """XP: numbers from a pixel of x to the next. STAGES: taps that are on their way at once."""
    BM: tl.constexpr = BI * BH * BW
    boxes = tl.cdiv(N, BI) * tl.cdiv(OH, BH) * tl.cdiv(OW, BW)
    row, column = grouped(tl.program_id(0), boxes, tl.cdiv(K, BN))
    n0, h0, w0 = box_at(row, OH, OW, BI, BH, BW)
    k0 = column * BN
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        c = c0 + tl.arange(0, BK)
        between = tl.zeros((BM, BK), dtype=tl.float32)
        for tap in tl.range(R * S, num_stages=STAGES):
            dy = tap // S - TOP
            dx = tap % S - LEFT
            a = tap_box(x, n0, h0, w0, c0, dy, dx, XP, STRIDE, BM, BK)
            t = tl.load(depthwise + tap * C + c, mask=c < C, other=0.0)
            between += a.to(tl.float32) * t.to(tl.float32)[None, :]
        between = activate(scaled(between, pre_scale, pre_bias, c, C), PRE_ACT)
        if STRIDE == 2:  # past C it may have read what lies beside a slice, which times 0 may be NaN
            between = tl.where((c < C)[None, :], between, 0.0)
        acc = dot(between.to(x.dtype), weight.load([k0, c0]).T, acc, PRECISION)
    k = k0 + tl.arange(0, BN)
    more = tl.reshape(residual.load([n0, h0, w0, k0]), (BM, BN)) if residual is not None else None
    acc = finish(acc, scale, bias, k, K, more, ACT)
    y.store([n0, h0, w0, k0], tl.reshape(acc.to(y.dtype), (BI, BH, BW, BN)))


@triton.jit
def _pointer(
    x, depthwise, pre_scale, pre_bias, weight, scale, bias, residual, y, N, H, W, OH, OW, C, K, XP, RP, YP, TOP, LEFT,
    R: tl.constexpr, S: tl.constexpr, STRIDE: tl.constexpr, PRE_ACT: tl.constexpr, ACT: tl.constexpr,
    PRECISION: tl.constexpr, WIDE: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """XP, RP, YP: numbers from a pixel to the next of x, the residual and y."""
    BM: tl.constexpr = BI * BH * BW
    boxes = tl.cdiv(N, BI) * tl.cdiv(OH, BH) * tl.cdiv(OW, BW)
    row, column = grouped(tl.program_id(0), boxes, tl.cdiv(K, BN))
    n0, h0, w0 = box_at(row, OH, OW, BI, BH, BW)
    n, h, w = box_pixels(n0, h0, w0, BI, BH, BW)
    k = column * BN + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in tl.range(0, C, BK, num_stages=1):
        c = c0 + tl.arange(0, BK)
        between = tl.zeros((BM, BK), dtype=tl.float32)
        for tap in tl.range(
            R * S, num_stages=1
        ):  # unrolled, the addresses of all taps would fill the registers
            ih = h * STRIDE + (tap // S - TOP)
            iw = w * STRIDE + (tap % S - LEFT)
            seen = (n < N) & (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W)
            at = ((index(n, WIDE) * H + ih) * W + iw) * XP
            a = tl.load(x + at[:, None] + c[None, :], mask=seen[:, None] & (c < C)[None, :], other=0.0)
            t = tl.load(depthwise + tap * C + c, mask=c < C, other=0.0)
            between += a.to(tl.float32) * t.to(tl.float32)[None, :]
        between = activate(scaled(between, pre_scale, pre_bias, c, C), PRE_ACT).to(x.dtype.element_ty)
        b = tl.load(weight + k[:, None] * C + c[None, :], mask=(k < K)[:, None] & (c < C)[None, :], other=0.0)
        acc = dot(between, b.T, acc, PRECISION)
    written = ((n < N) & (h < OH) & (w < OW))[:, None] & (k < K)[None, :]
    at = ((index(n, WIDE) * OH + h) * OW + w)[:, None]
    more = tl.load(residual + at * RP + k[None, :], mask=written, other=0.0) if residual is not None else None
    acc = finish(acc, scale, bias, k, K, more, ACT)
    tl.store(y + at * YP + k[None, :], acc.to(y.dtype.element_ty), mask=written)


def dw_pw(
    x: Tensor,
    depthwise: Tensor,
    weight: Tensor,
    pre_scale: Tensor | None = None,
    pre_bias: Tensor | None = None,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pre_act: str = "none",
    act: str = "none",
    residual: Tensor | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
    form: str | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], depthwise [R, S, C], weight [K, 1, 1, C] -> [N, OH, OW, K].

    pre_scale, pre_bias: C fp32 numbers; scale, bias: K. padding: top, bottom, left, right. form: "tma" or "pointer",
    chosen if None. Raises ValueError where the arguments don't fit together, or a form that was asked for can't do it.
    """
    laid = image(x, "x")
    n, h, w, c, pitch = laid
    if depthwise.dim() != 3:
        raise ValueError(f"depthwise must be [R, S, C], not {list(depthwise.shape)}")
    r, s = depthwise.shape[:2]
    weight_of(depthwise, (r, s, c), x)
    k = weight.shape[0]
    weight_of(weight, (k, 1, 1, c), x)
    for name, values, length in (
        ("pre_scale", pre_scale, c),
        ("pre_bias", pre_bias, c),
        ("scale", scale, k),
        ("bias", bias, k),
    ):
        vector(values, length, name, x)
    top, bottom, left, right = padding
    oh, ow = window(h, r, stride, top, bottom, 1, "height"), window(w, s, stride, left, right, 1, "width")
    added = residual_of(residual, n, oh, ow, k, x)
    y = output(out, n, oh, ow, k, x)
    to, wlaid = image(y, "out"), image(weight, "weight")
    tensors = [("x", x, laid), ("weight", weight, wlaid), ("residual", residual, added), ("out", y, to)]
    why = _refuses(stride, laid, tensors)
    form = form or ("pointer" if why else "tma")
    if form not in CONFIGS:
        raise ValueError(f"no form is called {form!r}; there are {', '.join(CONFIGS)}")
    if form == "tma" and why:
        raise ValueError(f"the form 'tma' can't do it: {why}")

    def tiles(config: Config) -> int:
        bi, bh, bw = box_of(config, n, oh, ow)
        return -(-n // bi) * -(-oh // bh) * -(-ow // bw) * -(-k // config.bn)

    chosen = config or cheapest(CONFIGS[form], tiles, c, x)
    box, bn, bk = box_of(chosen, n, oh, ow), chosen.bn, chosen.bk
    same = {
        "R": r, "S": s, "STRIDE": stride, "PRE_ACT": activation(pre_act), "ACT": activation(act),
        "PRECISION": precision_of(precision), "BI": box[0], "BH": box[1], "BW": box[2], "BN": bn, "BK": bk,
    }  # fmt: skip
    if form == "pointer":
        launch(
            _pointer, (tiles(chosen),), chosen, x, x, depthwise, pre_scale, pre_bias, weight, scale, bias, residual, y,
            n, h, w, oh, ow, c, k, pitch, added.pitch if added else 0, to.pitch, top, left,
            WIDE=wide(x, residual, y), **same,
        )  # fmt: skip
        return y
    xd = taps_descriptor(x, laid, stride, (*box, bk))
    rd = image_descriptor(residual, added, (*box, bn)) if residual is not None and added is not None else None
    launch(
        _tma, (tiles(chosen),), chosen, x, xd, depthwise, pre_scale, pre_bias, rows_descriptor(weight, wlaid, (bn, bk)),
        scale, bias, rd, image_descriptor(y, to, (*box, bn)), n, oh, ow, c, k, pitch, top, left,
        STAGES=chosen.stages, **same,
    )  # fmt: skip
    return y


def _refuses(stride: int, laid: Image, tensors: list[tuple[str, Tensor | None, Image | None]]) -> str | None:
    """Why the copy engine can't do it, or None."""
    if stride not in (1, 2):
        return f"the stride is {stride}, not 1 or 2"
    if stride == 2 and (laid.h % 2 or laid.w % 2):
        return f"at stride 2 the height and width must be even, not {laid.h} and {laid.w}"
    for name, tensor, where in tensors:
        if tensor is not None and where is not None and (reason := refuses_tma(tensor, where, name)):
            return reason
    return None
