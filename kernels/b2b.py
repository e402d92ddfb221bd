"""A convolution and the 1x1 convolution after it in one kernel, back to back: the second half of a bottleneck (He et al.,
2016).

    between = pre_act(conv(x) * pre_scale + pre_bias)
    y       = act((weight @ between + projection @ shortcut[::s, ::s]) * scale + bias + residual)

The tensor between, of at most 128 channels, stays in registers: it is neither written nor read. A program makes it for
its box of pixels and then goes through the output's channels. A shortcut that is projected adds into the same sum, so
both have one scale: their batch norms must be multiplied into `weight` and `projection` beforehand, in float64.

Stride 2 (`_launch.taps_descriptor`) needs even sizes.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import weights_descriptor
from archdsl.kernels._common import activate, box_at, dot, finish, scaled, tap_box
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
    rows_descriptor,
    same_device,
    taps_descriptor,
    vector,
    weight_of,
    window,
)
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

WIDEST = 128
"""Channels between the two convolutions."""

CONFIGS = (
    Shipped(Config(128, 64, 64, 8, 3), Claim(True, True, 89 * 1024, 1)),
    Shipped(Config(128, 64, 64, 4, 3), Claim(True, True, 89 * 1024, 2)),
    Shipped(Config(128, 128, 64, 8, 2), Claim(True, True, 129 * 1024, 1)),
    Shipped(Config(64, 64, 64, 4, 3), Claim(True, True, 65 * 1024, 3)),
)
"""bn: output channels that a step of the second product makes; bk: channels of x in a step of the first. Example layer:
3x3, 128 to 128 and 512 channels, 28 x 28, with a residual, and from 56 x 56 with a projection of 256."""


def reference(
    x: Tensor,
    pre_weight: Tensor,
    weight: Tensor,
    pre_scale: Tensor | None = None,
    pre_bias: Tensor | None = None,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pre_act: str = "relu",
    act: str = "relu",
    residual: Tensor | None = None,
    shortcut: Tensor | None = None,
    projection: Tensor | None = None,
    shortcut_stride: int = 1,
) -> Tensor:
    """The definition; see `b2b`."""
    between = _reference.conv(x, pre_weight, (stride, stride), padding)
    y = _reference.conv(_reference.finished(between, pre_scale, pre_bias, act=pre_act), weight)
    if shortcut is not None and projection is not None:
        y = y + _reference.conv(shortcut, projection, (shortcut_stride, shortcut_stride))
    return _reference.finished(y, scale, bias, residual, act)


@triton.jit
def _b2b(
    x, pre_weight, pre_scale, pre_bias, weight, scale, bias, residual, shortcut, projection, y,
    OH, OW, C, B, K, C2, XP, TOP, LEFT, R: tl.constexpr, S: tl.constexpr, STRIDE: tl.constexpr,
    PRE_ACT: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr,
    BW: tl.constexpr, BB: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BS: tl.constexpr,
):  # fmt: skip
    """B: channels between, BB: as many as are computed; C2: channels of the shortcut, BS: of a step through them; XP:
    numbers from a pixel of x to the next."""
    BM: tl.constexpr = BI * BH * BW
    n0, h0, w0 = box_at(tl.program_id(0), OH, OW, BI, BH, BW)
    blocks = tl.cdiv(C, BK)
    acc = tl.zeros((BM, BB), dtype=tl.float32)
    for i in range(R * S * blocks):
        c0 = (i % blocks) * BK
        tap = i // blocks
        dy = tap // S - TOP
        dx = tap % S - LEFT
        a = tap_box(x, n0, h0, w0, c0, dy, dx, XP, STRIDE, BM, BK)
        b = tl.reshape(pre_weight.load([0, tap, c0]), (BB, BK))
        acc = dot(a, b.T, acc, PRECISION)
    # Past B the activation may give more than 0, but the weights are 0 there.
    between = activate(scaled(acc, pre_scale, pre_bias, tl.arange(0, BB), B), PRE_ACT).to(x.dtype)
    for k0 in range(0, K, BN):
        total = dot(between, weight.load([k0, 0]).T, tl.zeros((BM, BN), dtype=tl.float32), PRECISION)
        if shortcut is not None:
            for c0 in range(0, C2, BS):
                a = tl.reshape(shortcut.load([n0, h0, w0, c0]), (BM, BS))
                total = dot(a, projection.load([k0, c0]).T, total, PRECISION)
        more = tl.reshape(residual.load([n0, h0, w0, k0]), (BM, BN)) if residual is not None else None
        total = finish(total, scale, bias, k0 + tl.arange(0, BN), K, more, ACT)
        y.store([n0, h0, w0, k0], tl.reshape(total.to(y.dtype), (BI, BH, BW, BN)))


def b2b(
    x: Tensor,
    pre_weight: Tensor,
    weight: Tensor,
    pre_scale: Tensor | None = None,
    pre_bias: Tensor | None = None,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pre_act: str = "relu",
    act: str = "relu",
    residual: Tensor | None = None,
    shortcut: Tensor | None = None,
    projection: Tensor | None = None,
    shortcut_stride: int = 1,
    out: Tensor | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], pre_weight [B, R, S, C], weight [K, 1, 1, B] -> [N, OH, OW, K], B at most 128.

    pre_scale, pre_bias: B fp32 numbers; scale, bias: K. stride, padding (top, bottom, left, right): of the first
    convolution, 1 or 2. shortcut [N, ., ., C2] with projection [K, 1, 1, C2]: added within the scale, every
    shortcut_stride-th pixel of it.

    Raises ValueError where the arguments don't fit together or the copy engine can't move a tensor; `conv` twice can.
    """
    laid = image(x, "x")
    n, h, w, c, pitch = laid
    between, r, s = pre_weight.shape[:3]
    k = weight.shape[0]
    if between > WIDEST:
        raise ValueError(f"{between} channels between are more than {WIDEST}; take `conv` twice")
    if stride not in (1, 2) or (stride == 2 and (h % 2 or w % 2)):
        raise ValueError(
            f"stride must be 1, or 2 with even sizes, not {stride} with {h} x {w}; take `conv` twice"
        )
    weight_of(pre_weight, (between, r, s, c), x)
    weight_of(weight, (k, 1, 1, between), x)
    for name, values, length in (
        ("pre_scale", pre_scale, between), ("pre_bias", pre_bias, between), ("scale", scale, k), ("bias", bias, k),
    ):  # fmt: skip
        vector(values, length, name, x)
    top, bottom, left, right = padding
    oh, ow = window(h, r, stride, top, bottom, 1, "height"), window(w, s, stride, left, right, 1, "width")
    added = residual_of(residual, n, oh, ow, k, x)
    y = output(out, n, oh, ow, k, x)
    to, wlaid = image(y, "out"), image(weight, "weight")
    tensors = [("x", x, laid), ("pre_weight", pre_weight, image(pre_weight, "pre_weight")), ("weight", weight, wlaid),
               ("residual", residual, added), ("out", y, to)]  # fmt: skip
    second, third = None, None
    if (shortcut is None) != (projection is None):
        raise ValueError("shortcut and projection are given together or not at all")
    if shortcut is not None and projection is not None:
        second, third = image(shortcut, "shortcut"), image(projection, "projection")
        weight_of(projection, (k, 1, 1, second.c), x)
        seen = [-(-side // max(shortcut_stride, 1)) for side in (second.h, second.w)]
        if shortcut_stride < 1 or second.n != n or seen != [oh, ow] or shortcut.dtype != x.dtype:
            raise ValueError(
                f"every {shortcut_stride}th pixel of the shortcut must be {[n, oh, ow]} of {x.dtype}, "
                f"not {[second.n, *seen]} of {shortcut.dtype}"
            )
        same_device(x, shortcut=shortcut)
        tensors += [("shortcut", shortcut, second), ("projection", projection, third)]
    for name, tensor, where in tensors:
        if tensor is not None and where is not None and (why := refuses_tma(tensor, where, name)):
            raise ValueError(f"{why}; take `conv` twice")

    def tiles(config: Config) -> int:
        bi, bh, bw = box_of(config, n, oh, ow)
        return -(-n // bi) * -(-oh // bh) * -(-ow // bw)

    chosen = config or cheapest(CONFIGS, tiles, r * s * c, x)
    if config is None and stride == 2:
        chosen = chosen._replace(bk=max(16, min(chosen.bk, c & -c)))
    box, bn, bk = box_of(chosen, n, oh, ow), chosen.bn, chosen.bk
    held = max(16, triton.next_power_of_2(between))
    if stride == 2 and c % bk:
        raise ValueError(f"at stride 2 the {c} channels of x must be whole steps of {bk}")
    xd = taps_descriptor(x, laid, stride, (*box, bk))
    rd = image_descriptor(residual, added, (*box, bn)) if residual is not None and added is not None else None
    sd = pd = None
    if shortcut is not None and projection is not None and second is not None and third is not None:
        across = shortcut_stride * second.pitch
        sd = TensorDescriptor(
            shortcut, [n, oh, ow, second.c],
            [second.h * second.w * second.pitch, second.w * across, across, 1], [*box, bk],
        )  # fmt: skip
        pd = rows_descriptor(projection, third, (bn, bk))
    launch(
        _b2b, (tiles(chosen),), chosen, x, xd, weights_descriptor(pre_weight, held, bk), pre_scale, pre_bias,
        rows_descriptor(weight, wlaid, (bn, held)), scale, bias, rd, sd, pd, image_descriptor(y, to, (*box, bn)),
        oh, ow, c, between, k, second.c if second else 0, pitch, top, left, R=r, S=s, STRIDE=stride,
        PRE_ACT=activation(pre_act), ACT=activation(act), PRECISION=precision_of(precision),
        BI=box[0], BH=box[1], BW=box[2], BB=held, BN=bn, BK=bk, BS=bk,
    )  # fmt: skip
    return y
