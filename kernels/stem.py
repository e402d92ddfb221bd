"""A network's first convolution, on the image as the caller has it: act(conv((x * gain + shift), w) * scale + bias).

    y[n, i, j, k] = act(scale[k] * sum over r, s, c of v[n, i*SH + r - top, j*SW + s - left, c] * w[k, r, s, c] + bias[k])
    v = x * gain[c] + shift[c] inside the image, rounded to w's dtype, and 0 outside

Three channels would leave a tensor core's step of 16 mostly empty; so a step is a whole row of the window, 7 taps x 3
channels in one run of 32 with the rest zero weights. x may be NCHW or NHWC, bytes or floats: it is cast, normalised
and padded as it is read, where a kernel that does so first would read and write the image once more.
Four channels, the fourth zero, are loaded 8 bytes at a time; three, one number at a time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, dot, index, pixel, scaled
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
    wide,
    window,
)
from torch import Tensor

CONFIGS = (
    Shipped(Config(128, 64, 32, 4, 2), Claim(False, True, 24 * 1024, 2)),
    Shipped(Config(128, 32, 32, 4, 2), Claim(False, True, 16 * 1024, 3)),
    Shipped(Config(64, 64, 32, 4, 2), Claim(False, True, 16 * 1024, 5)),
)
"""bk is the least power of two that a row of the window fits in; the table's holds for up to 32."""

READS = (torch.uint8, *DTYPES)

LONGEST = 256
"""Numbers in a row of the window, filled up."""


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
) -> Tensor:
    """The definition, but for rounding v; see `stem`. weight: as `packed` takes it."""
    v = x.to(weight.dtype)
    if gain is not None:
        v = v * gain
    if shift is not None:
        v = v + shift
    y = _reference.conv(v.to(weight.dtype), weight, stride, padding)
    return _reference.finished(y, scale, bias, None, act)


def packed(weight: Tensor) -> Tensor:
    """Weights [K, R, S, C] as the kernel takes them: [K, R, B], a row's taps and channels in a run and zeros up to B,
    a power of two."""
    k, r, s, c = weight.shape
    run = max(16, triton.next_power_of_2(s * c))
    made = torch.zeros((k, r, run), dtype=weight.dtype, device=weight.device)
    made[..., : s * c] = weight.reshape(k, r, s * c)
    return made


@triton.jit
def row_sums(
    x, w, gain, shift, n, oh, ow, real, k, H, W, K, XN, XH, XW, XC,
    C: tl.constexpr, R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, PH: tl.constexpr,
    PW: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, DENSE: tl.constexpr, WIDE: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """(BM, BN) fp32: the convolution at pixels (n, oh, ow), those that are real, of channels k, a row of the window in a
    step. XN, XH, XW, XC: numbers from an image, row, column and channel of x to the next; DENSE: XW is C and XC is 1."""
    j = tl.arange(0, BK)
    s = j // C
    c = j % C
    iw = (ow * SW - PW)[:, None] + s[None, :]
    seen_w = real[:, None] & (iw >= 0) & (iw < W) & (s < S)[None, :]
    if DENSE:
        along = ((ow * SW - PW) * C)[:, None] + j[None, :]
    else:
        along = iw * XW + (c * XC)[None, :]
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for r in range(R):
        ih = oh * SH + r - PH
        seen = seen_w & ((ih >= 0) & (ih < H))[:, None]
        at = index(n, WIDE) * XN + ih * XH
        a = tl.load(x + at[:, None] + along, mask=seen, other=0)
        if gain is not None or shift is not None:
            a = a.to(tl.float32)
            if gain is not None:
                a = a * tl.load(gain + c)[None, :]
            if shift is not None:
                a = a + tl.load(shift + c)[None, :]
            a = tl.where(seen, a, 0.0)
        elif x.dtype.element_ty.is_int():
            a = a.to(tl.float32)  # by which bytes become bf16 in the interpreter too
        b = tl.load(w + (k * R + r)[:, None] * BK + j[None, :], mask=(k < K)[:, None], other=0.0)
        acc = dot(a.to(w.dtype.element_ty), b.T, acc, PRECISION)
    return acc


@triton.jit
def _stem(
    x, w, y, scale, bias, gain, shift, M, H, W, OH, OW, K, XN, XH, XW, XC, YP,
    C: tl.constexpr, R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, PH: tl.constexpr,
    PW: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, DENSE: tl.constexpr, WIDE: tl.constexpr,
    ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    k = tl.program_id(1) * BN + tl.arange(0, BN)
    n, oh, ow = pixel(m, OH, OW)
    acc = row_sums(
        x, w, gain, shift, n, oh, ow, m < M, k, H, W, K, XN, XH, XW, XC,
        C, R, S, SH, SW, PH, PW, BM, BN, BK, DENSE, WIDE, PRECISION,
    )  # fmt: skip
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    at = index(m, WIDE) * YP
    inside = (m < M)[:, None] & (k < K)[None, :]
    tl.store(y + at[:, None] + k[None, :], acc.to(y.dtype.element_ty), mask=inside)


def checked(x: Tensor, weight: Tensor, taps: int, out: Tensor | None, most: int) -> None:
    """ValueError unless x is an image and weight packed for it, in rows of at most `most`."""
    if x.dim() != 4 or 0 in x.shape or x.dtype not in READS:
        raise ValueError(
            f"x must be images [N, H, W, C] of uint8, fp16, bf16 or fp32, not {list(x.shape)} of {x.dtype}"
        )
    if weight.dim() != 3 or not weight.is_contiguous() or weight.dtype not in DTYPES:
        raise ValueError(
            f"weight must be as `stem.packed` makes it, not {list(weight.shape)} of {weight.dtype}"
        )
    same_device(x, weight=weight)
    c, run = x.shape[3], weight.shape[2]
    if taps < 1 or run != max(16, triton.next_power_of_2(taps * c)):
        raise ValueError(f"{taps} taps of {c} channels are not packed in rows of {run}")
    if run > most:
        raise ValueError(f"a row of {taps} taps of {c} channels is longer than {most}; `conv` takes it")
    if out is not None and out.dtype != weight.dtype:
        raise ValueError(f"out must be of {weight.dtype}, not {out.dtype}")


def stem(
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
    out: Tensor | None = None,
    precision: str = "ieee",
    config: Config | None = None,
) -> Tensor:
    """act(conv(x * gain + shift, weight) * scale + bias), images [N, OH, OW, K], into `out` or new ones.

    x         [N, H, W, C] with any strides (NCHW: x.permute(0, 2, 3, 1)), of bytes, fp16, bf16 or fp32.
    weight    `packed`, of the dtype that is multiplied; out has it too. taps: columns of the window.
    gain, shift: [C] of fp32, or None for 1 and 0. scale, bias: [K] of fp32, or None for 1 and 0.
    padding   rows above and below, columns left and right, of zeros.
    config    its bk is the weight's. None: from the table, by rule.

    Raises ValueError where the arguments don't fit together.
    """
    checked(x, weight, taps, out, LONGEST)
    n, h, w, c = x.shape
    k, r, run = weight.shape
    (sh, sw), (top, bottom, left, right) = stride, padding
    oh, ow = window(h, r, sh, top, bottom, 1, "height"), window(w, taps, sw, left, right, 1, "width")
    config = config or _choose(run, k)
    if config.bk != run:
        raise ValueError(f"a configuration of bk {config.bk} does not do rows of {run}")
    out = output(out, n, oh, ow, k, torch.empty(0, dtype=weight.dtype, device=weight.device))
    m = n * oh * ow
    xn, xh, xw, xc = x.stride()
    launch(
        _stem, (-(-m // config.bm), -(-k // config.bn)), config, x,
        x, weight, out, vector(scale, k, "scale", x), vector(bias, k, "bias", x), vector(gain, c, "gain", x),
        vector(shift, c, "shift", x), m, h, w, oh, ow, k, xn, xh, xw, xc, image(out, "out").pitch,
        C=c, R=r, S=taps, SH=sh, SW=sw, PH=top, PW=left, BM=config.bm, BN=config.bn, BK=config.bk,
        DENSE=xw == c and (xc == 1 or c == 1), WIDE=wide(x, out), ACT=activation(act), PRECISION=precision_of(precision),
    )  # fmt: skip
    return out


def _choose(run: int, k: int) -> Config:
    """By rule: no wider than the channels, and fewer pixels for longer rows."""
    wide_enough = [s.config for s in CONFIGS if s.config.bn >= k or s.config.bn == 64]
    config = min(wide_enough, key=lambda c: c.bn) if run <= 32 else CONFIGS[-1].config
    return config._replace(bk=run)
