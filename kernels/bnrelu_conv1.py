"""BN-ReLU, a 1x1 convolution and what follows it in one kernel: what DenseNet (Huang et al., 2017) is made of.

    y = act(conv1(pool(pre_act(x * pre_scale + pre_shift))) * scale + bias)

x may be the first channels of the wider buffer that a dense block grows in. Saves writing and reading the normalised
tensor, which no other layer has the use of. A 1x1 convolution has no padding, so nothing but pixels of the image is
normalised.

`pool` is the average pool of a transition, stride = window, without padding: the mean of what a 1x1 convolution gives
is what it gives of the mean, so it is taken before, which saves all but one in pool² of the products.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, dot, grouped, index, pixel, scaled
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
    rows_descriptor,
    vector,
    weight_of,
    wide,
)
from torch import Tensor

CONFIGS = {
    "tma": (
        Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 82 * 1024, 1)),
        Shipped(Config(128, 128, 32, 8, 4), Claim(True, True, 57 * 1024, 2)),
        Shipped(Config(64, 128, 64, 4, 4), Claim(True, True, 90 * 1024, 2)),
        Shipped(Config(64, 64, 64, 4, 3), Claim(True, True, 50 * 1024, 3)),
    ),
    "pointer": (
        Shipped(Config(128, 128, 64, 8, 3), Claim(False, True, 82 * 1024, 1)),
        Shipped(Config(64, 128, 64, 4, 3), Claim(False, True, 66 * 1024, 3)),
        Shipped(Config(64, 128, 32, 4, 2), Claim(False, True, 34 * 1024, 3)),
        Shipped(Config(64, 64, 32, 4, 3), Claim(False, True, 45 * 1024, 3)),
    ),
}
"""By form. Example layer: 192 of 256 channels, 56 x 56, to 128; the pointer form's first two without the pool, the
others with a pool of 2."""


def reference(
    x: Tensor,
    weight: Tensor,
    pre_scale: Tensor,
    pre_shift: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    pre_act: str = "relu",
    act: str = "none",
    pool: int = 1,
) -> Tensor:
    """[N, H, W, C] -> [N, H // pool, W // pool, K], the pool where it stands in the network: last before the
    activation."""
    before = _reference.finished(x, pre_scale, pre_shift, act=pre_act)
    after = _reference.nchw(_reference.conv(before, weight))
    after = _reference.nhwc(torch.nn.functional.avg_pool2d(after, pool))
    return _reference.finished(after, scale, bias, act=act)


@triton.jit
def _pointer(
    x, pre_scale, pre_shift, weight, scale, bias, y, M, H, W, OH, OW, C, K, x_pitch, y_pitch,
    POOL: tl.constexpr, PRE_ACT: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    row, column = grouped(tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(K, BN))
    m = row * BM + tl.arange(0, BM)
    k = column * BN + tl.arange(0, BN)
    if POOL == 1:
        at = index(m, WIDE) * x_pitch
    else:
        n, oh, ow = pixel(m, OH, OW)
        at = ((index(n, WIDE) * H + oh * POOL) * W + ow * POOL) * x_pitch
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        c = c0 + tl.arange(0, BK)
        inside = (m < M)[:, None] & (c < C)[None, :]
        mean = tl.zeros((BM, BK), dtype=tl.float32)
        for i in tl.static_range(POOL * POOL):
            place = at + (i // POOL * W + i % POOL) * x_pitch
            a = tl.load(x + place[:, None] + c[None, :], mask=inside, other=0.0).to(tl.float32)
            mean += activate(scaled(a, pre_scale, pre_shift, c, C), PRE_ACT)
        # Past C the activation may give more than 0, but the weights are 0 there.
        mean = (mean * (1.0 / (POOL * POOL))).to(x.dtype.element_ty)
        b = tl.load(weight + k[:, None] * C + c[None, :], mask=(k < K)[:, None] & (c < C)[None, :], other=0.0)
        acc = dot(mean, b.T, acc, PRECISION)
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    to = y + (index(m, WIDE) * y_pitch)[:, None] + k[None, :]
    tl.store(to, acc.to(y.dtype.element_ty), mask=(m < M)[:, None] & (k < K)[None, :])


@triton.jit
def _tma(
    x, pre_scale, pre_shift, weight, scale, bias, y, M, C, K,
    PRE_ACT: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    row, column = grouped(tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(K, BN))
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        a = x.load([row * BM, c0]).to(tl.float32)
        a = activate(scaled(a, pre_scale, pre_shift, c0 + tl.arange(0, BK), C), PRE_ACT)
        acc = dot(a.to(x.dtype), weight.load([column * BN, c0]).T, acc, PRECISION)
    k = column * BN + tl.arange(0, BN)
    y.store([row * BM, column * BN], activate(scaled(acc, scale, bias, k, K), ACT).to(y.dtype))


def bnrelu_conv1(
    x: Tensor,
    weight: Tensor,
    pre_scale: Tensor,
    pre_shift: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    pre_act: str = "relu",
    act: str = "none",
    pool: int = 1,
    out: Tensor | None = None,
    config: Config | None = None,
    form: str | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], weight [K, 1, 1, C] -> [N, H // pool, W // pool, K].

    pre_scale, pre_shift: C fp32 numbers; scale, bias: K. form: "tma" or "pointer", chosen if None: the copy engine
    where it can read and write and there is no pool. Raises ValueError for what no form does.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    if pool < 1 or h < pool or w < pool:
        raise ValueError(f"pool must be 1 or more and fit in {h} x {w}, not {pool}")
    k = weight.shape[0]
    weight_of(weight, (k, 1, 1, c), x)
    vector(pre_scale, c, "pre_scale", x)
    vector(pre_shift, c, "pre_shift", x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    oh, ow = h // pool, w // pool
    y = output(out, n, oh, ow, k, x)
    to = image(y, "out")
    why = (
        "a pool gathers pixels, which only the pointer form does"
        if pool > 1
        else refuses_tma(x, laid, "x")
        or refuses_tma(weight, image(weight, "weight"), "weight")
        or refuses_tma(y, to, "out")
    )
    form = form or ("pointer" if why else "tma")
    if form not in CONFIGS:
        raise ValueError(f"no form is called {form!r}; there are {', '.join(CONFIGS)}")
    if form == "tma" and why:
        raise ValueError(f"the form 'tma' can't do it: {why}")
    m = n * oh * ow

    def tiles(config: Config) -> int:
        return -(-m // config.bm) * -(-k // config.bn)

    table = CONFIGS[form][2:] if pool > 1 else CONFIGS[form]
    chosen = config or cheapest(table, tiles, c, x)
    bm, bn, bk = chosen[:3]
    grid = (tiles(chosen),)
    same = {
        "PRE_ACT": activation(pre_act), "ACT": activation(act), "PRECISION": precision_of(precision),
        "BM": bm, "BN": bn, "BK": bk,
    }  # fmt: skip
    if form == "tma":
        wrows = rows_descriptor(weight, image(weight, "weight"), (bn, bk))
        launch(
            _tma, grid, chosen, x, rows_descriptor(x, laid, (bm, bk)), pre_scale, pre_shift, wrows, scale, bias,
            rows_descriptor(y, to, (bm, bn)), m, c, k, **same,
        )  # fmt: skip
    else:
        launch(
            _pointer, grid, chosen, x, x, pre_scale, pre_shift, weight, scale, bias, y, m, h, w, oh, ow, c, k,
            laid.pitch, to.pitch, POOL=pool, WIDE=wide(x, y), **same,
        )  # fmt: skip
    return y
