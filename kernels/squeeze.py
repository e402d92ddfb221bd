"""The small half of squeeze-and-excitation (Hu et al., 2018) in one kernel: from sums over an image to a factor for each of
its channels.

    mean[n, c]    = sum over p of sums[n, p, c] / area
    factors[n, k] = act(w2 @ pre_act(w1 @ mean[n] + b1) + b2)

Four kernels of a few microseconds' work each become one. Each program does the first product of its images again, for
its share of the second one's outputs: that is cheaper than a second kernel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, dot
from archdsl.kernels._launch import (
    DTYPES,
    Claim,
    Config,
    Shipped,
    activation,
    image,
    launch,
    output,
    precision_of,
    same_device,
    vector,
    weight_of,
)
from torch import Tensor

MOST = 256
"""Channels between the two products, all of which a program holds."""

CONFIGS = (
    Shipped(Config(16, 64, 64, 4, 2), Claim(False, False, 4 * 1024, 10)),
    Shipped(Config(16, 128, 64, 4, 2), Claim(False, False, 8 * 1024, 9)),
)
"""bm images and bn of the factors for a program, bk channels of the mean for a step. Example layer: sums of 16 boxes,
672 channels, 28 between, 128 images. The matrices are too small for the largest tensor core instructions."""


def reference(
    sums: Tensor,
    w1: Tensor,
    w2: Tensor,
    b1: Tensor | None = None,
    b2: Tensor | None = None,
    *,
    area: int = 1,
    pre_act: str = "relu",
    act: str = "sigmoid",
) -> Tensor:
    """[N, P, C] -> [N, 1, 1, K]"""
    mean = sums.sum(1)[:, None, None] / area
    between = _reference.finished(_reference.conv(mean, w1), None, b1, act=pre_act)
    return _reference.finished(_reference.conv(between, w2), None, b2, act=act)


@triton.jit
def _squeeze(
    sums, w1, b1, w2, b2, y, N, PARTS, AREA, C, K, SP, SN, YP,
    B: tl.constexpr, BB: tl.constexpr, PRE_ACT: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """B: channels between the products, BB: as many as are computed; SN, SP: numbers from an image and from a part to
    the next."""
    n = tl.program_id(0) * BM + tl.arange(0, BM)
    k = tl.program_id(1) * BN + tl.arange(0, BN)
    j = tl.arange(0, BB)
    between = tl.zeros((BM, BB), dtype=tl.float32)
    for c0 in range(0, C, BK):
        c = c0 + tl.arange(0, BK)
        inside = (n < N)[:, None] & (c < C)[None, :]
        at = n.to(tl.int64)[:, None] * SN + c[None, :]
        total = tl.zeros((BM, BK), dtype=tl.float32)
        for part in range(PARTS):
            total += tl.load(sums + at + part * SP, mask=inside, other=0.0).to(tl.float32)
        w = tl.load(w1 + j[:, None] * C + c[None, :], mask=(j < B)[:, None] & (c < C)[None, :], other=0.0)
        between = dot((total / AREA).to(w.dtype), w.T, between, PRECISION)
    if b1 is not None:
        between += tl.load(b1 + j, mask=j < B, other=0.0)[None, :]
    # Past B the activation may give more than 0, but w2 is 0 there.
    w = tl.load(w2 + k[:, None] * B + j[None, :], mask=(k < K)[:, None] & (j < B)[None, :], other=0.0)
    acc = dot(activate(between, PRE_ACT).to(w.dtype), w.T, tl.zeros((BM, BN), dtype=tl.float32), PRECISION)
    if b2 is not None:
        acc += tl.load(b2 + k, mask=k < K, other=0.0)[None, :]
    at = n.to(tl.int64)[:, None] * YP + k[None, :]
    tl.store(y + at, activate(acc, ACT).to(y.dtype.element_ty), mask=(n < N)[:, None] & (k < K)[None, :])


def squeeze(
    sums: Tensor,
    w1: Tensor,
    w2: Tensor,
    b1: Tensor | None = None,
    b2: Tensor | None = None,
    *,
    area: int = 1,
    pre_act: str = "relu",
    act: str = "sigmoid",
    out: Tensor | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> Tensor:
    """sums [N, P, C], w1 [B, 1, 1, C], w2 [K, 1, 1, B] -> [N, 1, 1, K] of the weights' dtype.

    sums: of parts of each image's pixels, fp32 (`depthwise` writes them), or the mean itself, of any dtype, with P = 1.
    area: pixels that were summed. Raises ValueError where the arguments don't fit together, or B is past 256.
    """
    if sums.dim() != 3 or 0 in sums.shape or not sums.is_contiguous() or sums.dtype not in DTYPES:
        raise ValueError(f"sums must be dense, [N, parts, C], not {list(sums.shape)} of {sums.dtype}")
    if area < 1:
        raise ValueError(f"area must be 1 pixel or more, not {area}")
    n, parts, c = sums.shape
    between, k = w1.shape[0], w2.shape[0]
    if between > MOST:
        raise ValueError(f"{between} channels between the products are more than {MOST}; take `gemm` twice")
    if w1.dtype not in DTYPES:
        raise ValueError(f"w1 must be one of {', '.join(DTYPES.values())}, not {w1.dtype}")
    like = torch.empty(0, dtype=w1.dtype, device=w1.device)
    same_device(sums, w1=w1)
    weight_of(w1, (between, 1, 1, c), like)
    weight_of(w2, (k, 1, 1, between), like)
    vector(b1, between, "b1", sums)
    vector(b2, k, "b2", sums)
    y = output(out, n, 1, 1, k, like)
    chosen = config or (CONFIGS[0] if k <= 64 * 9 else CONFIGS[1]).config
    bm, bn, bk = chosen[:3]
    launch(
        _squeeze, (-(-n // bm), -(-k // bn)), chosen, sums, sums, w1, b1, w2, b2, y, n, parts, area, c, k,
        c, parts * c, image(y, "out").pitch, B=between, BB=max(16, triton.next_power_of_2(between)),
        PRE_ACT=activation(pre_act), ACT=activation(act), PRECISION=precision_of(precision), BM=bm, BN=bn, BK=bk,
    )  # fmt: skip
    return y
