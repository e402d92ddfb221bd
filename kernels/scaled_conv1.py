"""A factor for each channel of each image, and the 1x1 convolution after it, in one kernel: the projection of a block with
squeeze-and-excitation (Hu et al., 2018).

    y[n, i, j] = act(weight @ (x[n, i, j] * factors[n]) * scale + bias + residual[n, i, j])

Saves writing and reading the scaled tensor, the widest of the block.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import dot, finish, grouped, index
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    cheapest,
    image,
    launch,
    output,
    precision_of,
    refuses_tma,
    residual_of,
    rows_descriptor,
    vector,
    weight_of,
    wide,
)
from torch import Tensor

CONFIGS = {
    "tma": (
        Shipped(Config(128, 64, 64, 4, 3), Claim(True, True, 89 * 1024, 2)),
        Shipped(Config(128, 32, 32, 4, 3), Claim(True, True, 39 * 1024, 5)),
        Shipped(Config(64, 64, 64, 4, 3), Claim(True, True, 57 * 1024, 3)),
        Shipped(Config(64, 128, 64, 4, 3), Claim(True, True, 81 * 1024, 2)),
    ),
    "pointer": (
        Shipped(Config(64, 64, 32, 4, 3), Claim(False, True, 28 * 1024, 5)),
        Shipped(Config(64, 32, 32, 4, 3), Claim(False, True, 22 * 1024, 9)),
    ),
}
"""By form. Example layer: 144 channels, 56 x 56, to 48, with a residual."""


def reference(
    x: Tensor,
    factors: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """[N, H, W, C], [N, 1, 1, C] -> [N, H, W, K]"""
    return _reference.finished(_reference.conv(x * factors, weight), scale, bias, residual, act)


@triton.jit
def _scaled_conv1(
    x, factors, weight, scale, bias, residual, y, M, AREA, C, K, XP, FP, RP, YP,
    TMA: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """TMA: x, weight, residual and y are descriptors, else pointers; XP, FP, RP, YP: numbers from a pixel to the next."""
    row, column = grouped(tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(K, BN))
    m = row * BM + tl.arange(0, BM)
    k = column * BN + tl.arange(0, BN)
    factor = factors + (m // AREA)[:, None] * FP  # of the pixel's image
    at = index(m, WIDE)[:, None]
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        c = c0 + tl.arange(0, BK)
        inside = (m < M)[:, None] & (c < C)[None, :]
        if TMA:
            a = x.load([row * BM, c0])
            b = weight.load([column * BN, c0])
        else:
            a = tl.load(x + at * XP + c[None, :], mask=inside, other=0.0)
            b = tl.load(
                weight + k[:, None] * C + c[None, :], mask=(k < K)[:, None] & (c < C)[None, :], other=0.0
            )
        f = tl.load(factor + c[None, :], mask=inside, other=0.0)
        acc = dot((a.to(tl.float32) * f.to(tl.float32)).to(b.dtype), b.T, acc, PRECISION)
    written = (m < M)[:, None] & (k < K)[None, :]
    more = None
    if residual is not None:
        if TMA:
            more = residual.load([row * BM, column * BN])
        else:
            more = tl.load(residual + at * RP + k[None, :], mask=written, other=0.0)
    acc = finish(acc, scale, bias, k, K, more, ACT)
    if TMA:
        y.store([row * BM, column * BN], acc.to(y.dtype))
    else:
        tl.store(y + at * YP + k[None, :], acc.to(y.dtype.element_ty), mask=written)


def scaled_conv1(
    x: Tensor,
    factors: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    residual: Tensor | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
    form: str | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], factors [N, 1, 1, C], weight [K, 1, 1, C] -> [N, H, W, K].

    factors: of x's dtype, what `squeeze` gives. form: "tma" or "pointer", chosen if None. Raises ValueError for what no
    form does.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    by = image(factors, "factors")
    if by[:4] != (n, 1, 1, c) or factors.dtype != x.dtype or factors.device != x.device:
        raise ValueError(
            f"factors must be {[n, 1, 1, c]} of {x.dtype} on {x.device}, not {list(factors.shape)} of {factors.dtype}"
        )
    k = weight.shape[0]
    weight_of(weight, (k, 1, 1, c), x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    added = residual_of(residual, n, h, w, k, x)
    y = output(out, n, h, w, k, x)
    to = image(y, "out")
    wlaid = image(weight, "weight")
    why = refuses_tma(x, laid, "x") or refuses_tma(weight, wlaid, "weight") or refuses_tma(y, to, "out")
    if residual is not None and added is not None:
        why = why or refuses_tma(residual, added, "residual")
    form = form or ("pointer" if why else "tma")
    if form not in CONFIGS:
        raise ValueError(f"no form is called {form!r}; there are {', '.join(CONFIGS)}")
    if form == "tma" and why:
        raise ValueError(f"the form 'tma' can't do it: {why}")
    m = n * h * w

    def tiles(config: Config) -> int:
        return -(-m // config.bm) * -(-k // config.bn)

    chosen = config or cheapest(CONFIGS[form], tiles, c, x)
    bm, bn, bk = chosen[:3]
    operands: tuple[object, ...] = (x, factors, weight, scale, bias, residual, y)
    if form == "tma":
        rd = (
            rows_descriptor(residual, added, (bm, bn)) if residual is not None and added is not None else None
        )
        operands = (
            rows_descriptor(x, laid, (bm, bk)), factors, rows_descriptor(weight, wlaid, (bn, bk)), scale, bias, rd,
            rows_descriptor(y, to, (bm, bn)),
        )  # fmt: skip
    launch(
        _scaled_conv1, (tiles(chosen),), chosen, x, *operands, m, h * w, c, k,
        laid.pitch, by.pitch, added.pitch if added else 0, to.pitch, TMA=form == "tma", ACT=activation(act),
        PRECISION=precision_of(precision), WIDE=wide(x, residual, y), BM=bm, BN=bn, BK=bk,
    )  # fmt: skip
    return y
