"""Max and average pools, as a kernel of their own: where no convolution before or after them takes them in.

    y[n, i, j, c] = the largest, or the mean, of x[n, i*SH - top + r*DH, j*SW - left + s*DW, c] over the window r, s

Reads and writes slices of channels, so that a branch of a concat is pooled where it belongs. Padding never wins a
largest. In a mean it counts as 0 if `include_pad`, else not at all; what `ceil` adds past the padding never counts.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import index, pixel
from archdsl.kernels._launch import Claim, Config, Shipped, image, launch, output, wide, window
from torch import Tensor

KINDS = ("max", "avg")

CONFIGS = (
    Shipped(Config(32, 64, 1, 4, 1), Claim(False, False, 256, 9)),
    Shipped(Config(16, 128, 1, 4, 1), Claim(False, False, 256, 9)),
    Shipped(Config(64, 32, 1, 4, 1), Claim(False, False, 256, 9)),
    Shipped(Config(256, 8, 1, 4, 1), Claim(False, False, 256, 9)),
)
"""bn channels of bm pixels of the output. Example layer: 3x3, stride 2, padding 1, 192 channels, 28 x 28, either
kind."""


def reference(
    x: Tensor,
    kind: str,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    include_pad: bool = True,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The definition; see `pool`. Each window is cut out of an image in which NaN stands for what isn't there."""
    top, bottom, left, right = padding
    oh, ow = size or _size(x.shape[1], x.shape[2], kernel, stride, padding, dilation)
    # Rows and columns that the windows reach past the padding, which `ceil` may do.
    more = [
        max((n - 1) * step + (k - 1) * d + 1 - side - before - after, 0)
        for n, step, k, d, side, before, after in zip(
            (oh, ow), stride, kernel, dilation, x.shape[1:3], (top, left), (bottom, right), strict=True
        )
    ]
    padded = torch.nn.functional.pad(
        _reference.nchw(x),
        (left, right, top, bottom),
        value=0.0 if kind == "avg" and include_pad else torch.nan,
    )
    padded = torch.nn.functional.pad(padded, (0, more[1], 0, more[0]), value=torch.nan)
    taps = [
        padded[
            :, :, r : r + (oh - 1) * stride[0] + 1 : stride[0], s : s + (ow - 1) * stride[1] + 1 : stride[1]
        ]
        for r in range(0, kernel[0] * dilation[0], dilation[0])
        for s in range(0, kernel[1] * dilation[1], dilation[1])
    ]
    stacked = torch.stack(taps)
    if kind == "avg":
        return _reference.nhwc(stacked.nanmean(0))
    return _reference.nhwc(stacked.nan_to_num(nan=-torch.inf).amax(0))


@triton.jit
def _pool(
    x, y, M, H, W, OH, OW, C, XP, YP, TOP, BOTTOM, LEFT, RIGHT,
    AVERAGE: tl.constexpr, INCLUDE_PAD: tl.constexpr, R: tl.constexpr, S: tl.constexpr, SH: tl.constexpr,
    SW: tl.constexpr, DH: tl.constexpr, DW: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """XP, YP: numbers from a pixel to the next."""
    columns = tl.cdiv(C, BN)
    tile = tl.program_id(0)
    m = tile // columns * BM + tl.arange(0, BM)
    c = tile % columns * BN + tl.arange(0, BN)
    n, oh, ow = pixel(m, OH, OW)
    real = (m < M)[:, None] & (c < C)[None, :]
    acc = tl.full((BM, BN), 0.0 if AVERAGE else float("-inf"), dtype=tl.float32)
    cells = tl.zeros((BM,), dtype=tl.float32)
    for r in range(R):
        h = oh * SH - TOP + r * DH
        for s in range(S):
            w = ow * SW - LEFT + s * DW
            seen = (h >= 0) & (h < H) & (w >= 0) & (w < W)
            at = index((n * H + h) * W + w, WIDE) * XP
            a = tl.load(x + at[:, None] + c[None, :], mask=seen[:, None] & real, other=0.0).to(tl.float32)
            if AVERAGE:
                acc += a
                counted = (h < H + BOTTOM) & (w < W + RIGHT) if INCLUDE_PAD else seen
                cells += counted.to(tl.float32)
            else:
                acc = tl.maximum(acc, tl.where(seen[:, None], a, float("-inf")))
    if AVERAGE:
        acc = acc / cells[:, None]
    at = index(m, WIDE) * YP
    tl.store(y + at[:, None] + c[None, :], acc.to(y.dtype.element_ty), mask=real)


def pool(
    x: Tensor,
    kind: str,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    include_pad: bool = True,
    size: tuple[int, int] | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
) -> Tensor:
    """x [N, H, W, C] -> [N, *size, C], in `out`'s dtype.

    kind: "max" or "avg". padding: top, bottom, left, right. size: rows and columns of
    windows; what fits if None, more where `ceil` asks for it. Raises ValueError where a window would see padding alone.
    """
    laid = image(x, "x")
    n, h, w, c, pitch = laid
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    oh, ow = size or _size(h, w, kernel, stride, padding, dilation)
    for axis, (side, places, name) in enumerate(((h, oh, "height"), (w, ow, "width"))):
        before, taps = padding[2 * axis], [r * dilation[axis] for r in range(kernel[axis])]
        starts = range(-before, places * stride[axis] - before, stride[axis])
        if places < 1 or not all(any(0 <= start + tap < side for tap in taps) for start in starts):
            raise ValueError(
                f"{name}: of {places} windows of {kernel[axis]}, stride {stride[axis]}, one sees nothing of {side} "
                f"with padding {before} before"
            )
    y = output(out, n, oh, ow, c, x)
    chosen = config or next((s.config for s in CONFIGS if s.config.bn <= max(c, 8)), CONFIGS[-1].config)
    m = n * oh * ow
    launch(
        _pool, (-(-m // chosen.bm) * -(-c // chosen.bn),), chosen, x, x, y, m, h, w, oh, ow, c, pitch,
        image(y, "out").pitch, *padding, AVERAGE=kind == "avg", INCLUDE_PAD=include_pad,
        R=kernel[0], S=kernel[1], SH=stride[0], SW=stride[1], DH=dilation[0], DW=dilation[1], WIDE=wide(x, y),
        BM=chosen.bm, BN=chosen.bn,
    )  # fmt: skip
    return y


def _size(
    h: int,
    w: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    """Windows that fit."""
    top, bottom, left, right = padding
    return (
        window(h, kernel[0], stride[0], top, bottom, dilation[0], "height"),
        window(w, kernel[1], stride[1], left, right, dilation[1], "width"),
    )
