"""The end of a residual block whose shortcut is projected, in one sum: act(t @ w1.T + x[::s, ::s] @ w2.T + bias).

    y[n, i, j, k] = act(sum over c of t[n, i, j, c] * w1[k, c] + sum over c of x[n, i*SH, j*SW, c] * w2[k, c] + bias[k])

The last 1x1 convolution of the block and its shortcut's 1x1 convolution, of stride (SH, SW), add into the same
accumulator, so the projected shortcut is neither written nor read: twice the output's bytes are saved. The two
batch norms have scales of their own, which must be multiplied into w1 and w2 beforehand, in float64.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import box_at, dot, finish_box, grouped
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    box_of,
    cheapest,
    halves,
    image,
    image_descriptor,
    launch,
    output,
    precision_of,
    refuses_tma,
    same_device,
    vector,
    weight_of,
)
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(128, 256, 64, 8, 3), Claim(True, True, 129 * 1024, 1)),
    Shipped(Config(256, 128, 64, 8, 3), Claim(True, True, 113 * 1024, 1)),
    Shipped(Config(64, 64, 64, 4, 4), Claim(True, True, 57 * 1024, 3)),
)


def reference(
    t: Tensor,
    x: Tensor,
    w1: Tensor,
    w2: Tensor,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    act: str = "none",
) -> Tensor:
    """The definition; see `dual`."""
    y = t @ w1.T + x[:, :: stride[0], :: stride[1]] @ w2.T
    return _reference.finished(y, None, bias, None, act)


@triton.jit
def _dual(
    td, xd, w1d, w2d, yd, bias, N, OH, OW, C1, C2, K, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, HALVES: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    BM: tl.constexpr = BI * BH * BW
    boxes = tl.cdiv(N, BI) * tl.cdiv(OH, BH) * tl.cdiv(OW, BW)
    row, column = grouped(tl.program_id(0), boxes, tl.cdiv(K, BN))
    n0, h0, w0 = box_at(row, OH, OW, BI, BH, BW)
    k0 = column * BN
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c in range(0, C1, BK):
        acc = dot(tl.reshape(td.load([n0, h0, w0, c]), (BM, BK)), w1d.load([k0, c]).T, acc, PRECISION)
    for c in range(0, C2, BK):
        acc = dot(tl.reshape(xd.load([n0, h0, w0, c]), (BM, BK)), w2d.load([k0, c]).T, acc, PRECISION)
    finish_box(acc, None, bias, None, yd, n0, h0, w0, k0, K, BI, BH, BW, BN, HALVES, ACT)


def dual(
    t: Tensor,
    x: Tensor,
    w1: Tensor,
    w2: Tensor,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    act: str = "none",
    out: Tensor | None = None,
    precision: str = "ieee",
    config: Config | None = None,
) -> Tensor:
    """act(t @ w1.T + x[:, ::SH, ::SW] @ w2.T + bias), images [N, OH, OW, K], into `out` or new ones.

    t         images [N, OH, OW, C1]; x [N, H, W, C2], which the stride leaves OH x OW of; each may be a slice of
              channels, and out too.
    w1, w2    [K, C1] and [K, C2], dense, of t's dtype, with their batch norms' scales. bias: [K] of fp32 or None.
    precision of fp32, which must be "tf32".

    Raises ValueError where the arguments don't fit together, or the copy engine can't move them.
    """
    inner, outer = image(t, "t"), image(x, "x")
    sh, sw = stride
    if min(sh, sw) < 1 or (outer.n, -(-outer.h // sh), -(-outer.w // sw)) != inner[:3]:
        raise ValueError(f"a stride of {stride} does not make {list(inner[:3])} of x, {list(outer[:3])}")
    if x.dtype != t.dtype:
        raise ValueError(f"x must be of {t.dtype}, not {x.dtype}")
    k = w1.shape[0]
    weight_of(w1, (k, inner.c), t)
    weight_of(w2, (k, outer.c), t)
    vector(bias, k, "bias", t)
    same_device(t, x=x)
    precision_of(precision)
    out = output(out, *inner[:3], k, t)
    into = image(out, "out")
    n, h, w = inner[:3]
    steps = (outer.h * outer.w * outer.pitch, sh * outer.w * outer.pitch, sw * outer.pitch, 1)
    seen = (n, h, w, outer.c)
    if stride == (1, 1):  # pixels in a row: no tile is wasted on an image's edge
        n, h, w = n * h * w, 1, 1
        seen, steps = (n, 1, 1, outer.c), (outer.pitch, outer.pitch, outer.pitch, 1)
        inner, into = inner._replace(n=n, h=1, w=1), into._replace(n=n, h=1, w=1)
    config = config or cheapest(
        CONFIGS, lambda c: _boxes(box_of(c, n, h, w), n, h, w) * -(-k // c.bn), inner.c + outer.c, t
    )
    box = box_of(config, n, h, w)
    for reason in (
        refuses_tma(t, inner, "t"), refuses_tma(x, outer, "x"), refuses_tma(out, into, "out"),
        refuses_tma(w1, inner._replace(pitch=inner.c), "w1"), refuses_tma(w2, outer._replace(pitch=outer.c), "w2"),
        "fp32 must be of precision 'tf32'" if t.element_size() == 4 and precision == "ieee" else None,
        "a tile is longer than 256 in one dimension" if max(*box, config.bn) > 256 else None,
    ):  # fmt: skip
        if reason:
            raise ValueError(f"dual can't do this layer: {reason}; conv, twice, can")
    launch(
        _dual, (_boxes(box, n, h, w) * -(-k // config.bn),), config, t,
        image_descriptor(t, inner, (*box, config.bk)),
        TensorDescriptor(x, list(seen), list(steps), [*box, config.bk]),
        TensorDescriptor(w1, [k, inner.c], [inner.c, 1], [config.bn, config.bk]),
        TensorDescriptor(w2, [k, outer.c], [outer.c, 1], [config.bn, config.bk]),
        image_descriptor(out, into, (*box, config.bn // (1 + halves(config)))),
        bias, n, h, w, inner.c, outer.c, k,
        BI=box[0], BH=box[1], BW=box[2], BN=config.bn, BK=config.bk,
        HALVES=halves(config), ACT=activation(act), PRECISION=precision,
    )  # fmt: skip
    return out


def _boxes(box: tuple[int, int, int], n: int, h: int, w: int) -> int:
    return -(-n // box[0]) * -(-h // box[1]) * -(-w // box[2])
